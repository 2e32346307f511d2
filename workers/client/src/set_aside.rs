//! Records about one order that were set aside: what lies in the dead-letter topics under its key, or has its id in the body.
//!
//! A letter lies on the partition of the record that it was made of, which may be any. What operators did about it lies
//! behind it. How to see a letter whole, publish it again or discard it is `replay-tool dead-letters`' work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use grammar::Place;
use outbox::log::{Bounds, Partition, Range, Ranges, Taken};
use rdkafka::message::{BorrowedMessage, Message as _};
use schemas::{Codec, OrderId, TopicName};
use serde::Deserialize;

use super::connection::{TopicConsumer, blocking, bounds, partition_count_of};
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
        for topic in topics {
            let (asking, name) = (connection.clone(), connection.dead_letter_topic(*topic));
            let (back, mut reading, skipped) = blocking(move || {
                let (reading, skipped) = begin(&consumer, &asking, &name)?;
                Ok((consumer, reading, skipped))
            })
            .await?;
            consumer = back;
            all.not_looked_at += skipped;
            let mut letters = BTreeMap::new();
            while !reading.are_read() {
                let Some(message) =
                    next(&consumer, &mut reading, &connection.dead_letter_topic(*topic), patience).await?
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

/// Begins to read the partitions that have records; with how many records lie before what is read.
fn begin(consumer: &TopicConsumer, connection: &Connection, topic: &str) -> Result<(Ranges, u64), ClientError> {
    let count = match partition_count_of(consumer, connection, topic) {
        Err(ClientError::NoTopic { .. }) => 0,
        counted => counted?,
    };
    let name: Arc<str> = topic.into();
    let places: Vec<Partition> =
        (0..count).map(|partition| Partition { topic: Arc::clone(&name), partition }).collect();
    let (mut ranges, mut skipped) = (Vec::new(), 0);
    for (place, Bounds { low, high }) in places.iter().zip(bounds(consumer, connection, &places)?) {
        let from = low.max(high - LOOKED_AT_MAX);
        skipped += u64::try_from(from - low).unwrap_or(0);
        ranges.push(Range { place: place.clone(), from, until: high });
    }
    let reading = Ranges::begin(consumer, &ranges);
    Ok((reading.map_err(|source| ClientError::Read { topic: topic.to_owned(), source })?, skipped))
}

/// The next record; none where a partition has come to its end, or something else happened meanwhile.
async fn next<'c>(
    consumer: &'c TopicConsumer,
    reading: &mut Ranges,
    topic: &str,
    patience: Duration,
) -> Result<Option<BorrowedMessage<'c>>, ClientError> {
    let Ok(came) = tokio::time::timeout(patience, consumer.recv()).await else {
        let left = u64::try_from(reading.unread().count()).unwrap_or(u64::MAX);
        return Err(ClientError::NoProgress { topic: topic.to_owned(), wait_s: patience.as_secs(), left });
    };
    match reading.take(consumer, came) {
        Ok(Taken::Record(_, message)) => Ok(Some(message)),
        Ok(Taken::Ended(_) | Taken::Passed) => Ok(None),
        Ok(Taken::Complaint(source)) | Err(source) => Err(ClientError::Read { topic: topic.to_owned(), source }),
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
