//! Records about one order that were set aside: what lies in the dead-letter topics under its key, or has its id in the body.
//!
//! A letter lies on the partition of the record that it was made of, which may be any. What operators did about it lies
//! behind it. How to see a letter whole, publish it again or discard it is `replay-tool dead-letters`' work.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use grammar::Place;
use outbox::kafka::Denied;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use schemas::{Codec, OrderId, TopicName};
use serde::Deserialize;

use super::connection::{TopicConsumer, blocking, partition_count_of, watermarks};
use super::{ClientError, Connection, headers};

/// The most records of a dead-letter partition that are looked at, the newest.
const LOOKED_AT_MAX: i64 = 20_000;

/// On a record that is an operator's note about a letter.
const NOTE_HEADER: &str = "operator-action";

/// A record that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it was sent to.
    pub topic: TopicName,
    /// Its partition, and the letter's.
    pub partition: i32,
    /// The letter's offset in the dead-letter topic.
    pub letter_offset: i64,
    /// What kind of mistake, in one word.
    pub cause: String,
    /// The same in words.
    pub detail: String,
    /// What an operator did about it last, as `redriven`; none: nothing yet.
    pub settled: Option<String>,
}

impl SetAside {
    /// The letter as `replay-tool dead-letters` names it: `order.commands.v1-dlt[3]@17`.
    pub fn letter(&self) -> String {
        let (topic, partition, offset) = (self.topic.dead_letter(), self.partition, self.letter_offset);
        Place { topic: &topic, partition, offset }.to_string()
    }
}

/// What the dead-letter topics say about an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllSetAside {
    /// The letters, topic by topic.
    pub letters: Vec<SetAside>,
    /// Older records of these topics that were not looked at.
    pub not_looked_at: u64,
}

#[derive(Deserialize)]
struct Note {
    action: String,
    letter_offset: i64,
}

impl AllSetAside {
    /// Reads the dead letters of these topics. Fails when nothing comes for `patience`. A topic that is not there has none.
    pub(super) async fn read(
        connection: &Connection,
        topics: &[TopicName],
        order_id: &OrderId,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let mut consumer = connection.consumer()?;
        let codec = Codec::embedded();
        let mut all = Self::default();
        // One after the other: that a partition is read to its end, the library says without the topic.
        for topic in topics {
            let (asking, name) = (connection.clone(), connection.dead_letter_topic(*topic));
            let (back, mut ends, skipped) = blocking(move || {
                let (ends, skipped) = assign(&consumer, &asking, &name)?;
                Ok((consumer, ends, skipped))
            })
            .await?;
            consumer = back;
            all.not_looked_at += skipped;
            let mut letters = BTreeMap::new();
            while !ends.is_empty() {
                let Some(message) = next(&consumer, &mut ends, &connection.dead_letter_topic(*topic), patience).await?
                else {
                    continue;
                };
                take(&message, *topic, order_id, &codec, &mut letters);
            }
            all.letters.extend(letters.into_values());
        }
        Ok(all)
    }
}

/// Assigns the partitions that have records, and gives their ends, and how many records lie before what is read.
fn assign(
    consumer: &TopicConsumer,
    connection: &Connection,
    topic: &str,
) -> Result<(HashMap<i32, i64>, u64), ClientError> {
    let (mut ends, mut skipped) = (HashMap::new(), 0);
    let mut list = TopicPartitionList::new();
    let failed = |source| ClientError::Read { topic: topic.to_owned(), source };
    let count = match partition_count_of(consumer, connection, topic) {
        Err(ClientError::NoTopic { .. }) => 0,
        counted => counted?,
    };
    for partition in 0..count {
        let (low, high) = watermarks(consumer, connection, topic, partition)?;
        let from = low.max(high - LOOKED_AT_MAX);
        skipped += u64::try_from(from - low).unwrap_or(0);
        if from < high {
            list.add_partition_offset(topic, partition, Offset::Offset(from)).map_err(failed)?;
            ends.insert(partition, high);
        }
    }
    consumer.assign(&list).map_err(failed)?;
    Ok((ends, skipped))
}

/// The next record; none where a partition has come to its end, or something else happened meanwhile.
async fn next<'c>(
    consumer: &'c TopicConsumer,
    ends: &mut HashMap<i32, i64>,
    topic: &str,
    patience: Duration,
) -> Result<Option<BorrowedMessage<'c>>, ClientError> {
    match tokio::time::timeout(patience, consumer.recv()).await {
        Ok(Ok(message)) => {
            if ends.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                ends.remove(&message.partition());
            }
            Ok(Some(message))
        }
        // What is left there are markers of transactions.
        Ok(Err(KafkaError::PartitionEOF(partition))) => {
            ends.remove(&partition);
            Ok(None)
        }
        // The group is only a name here: nothing is asked of it.
        Ok(Err(error)) if outbox::kafka::denied(&error) == Some(Denied::Group) => Ok(None),
        Ok(Err(source)) => Err(ClientError::Read { topic: topic.to_owned(), source }),
        Err(_) => {
            let left = u64::try_from(ends.len()).unwrap_or(u64::MAX);
            Err(ClientError::NoProgress { topic: topic.to_owned(), wait_s: patience.as_secs(), left })
        }
    }
}

fn take(
    message: &BorrowedMessage<'_>,
    topic: TopicName,
    order_id: &OrderId,
    codec: &Codec,
    letters: &mut BTreeMap<(i32, i64), SetAside>,
) {
    let partition = message.partition();
    if headers::text(message, NOTE_HEADER).is_some() {
        let note = message.payload().and_then(|json| serde_json::from_slice::<Note>(json).ok());
        if let Some(Note { action, letter_offset }) = note
            && let Some(letter) = letters.get_mut(&(partition, letter_offset))
        {
            letter.settled = Some(action);
        }
        return;
    }
    let Some(cause) = headers::text(message, "kafka_dlt-exception-fqcn") else { return };
    let id = order_id.as_str();
    let says_it = || {
        let decoded = message.payload().and_then(|payload| codec.decode(topic, payload).ok());
        decoded.is_some_and(|decoded| decoded.key() == id)
    };
    if message.key() == Some(id.as_bytes()) || says_it() {
        let letter = SetAside {
            topic,
            partition,
            letter_offset: message.offset(),
            cause: cause.to_owned(),
            detail: headers::text(message, "kafka_dlt-exception-message").unwrap_or_default().to_owned(),
            settled: None,
        };
        letters.insert((partition, letter.letter_offset), letter);
    }
}
