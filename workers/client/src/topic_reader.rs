//! Reads one topic's messages without joining any group: from its beginning to its end, or on and on.
//!
//! On a topic that only a service writes, a record counts only with that service's outbox position, and only once per
//! position: strangers' records and a relay's repetitions are left out, as the services themselves do.
//! What a restored database's old epoch had published is not voided here; that is the offline tool's work. It keeps its own
//! book of what is read, not `outbox::log`'s, because it reads on behind the ends that it was opened with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use grammar::Place;
use outbox::kafka::Denied;
use outbox::log::{Bounds, Partition};
use outbox::position::{POSITION_HEADER, Position};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use schemas::{Codec, Message, MessageType, Time, TopicName, partitioner};

use super::connection::{TopicConsumer, blocking, bounds, partition_count_of};
use super::{ClientError, Connection, headers};

/// How often a reader that passes over other keys' records says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Which records of a topic to read.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Which topic.
    pub topic: TopicName,
    /// Only this key, in the partition where murmur2 puts it; none: everything.
    pub key: Option<String>,
    /// Only what comes after now, instead of everything from the beginning.
    pub from_end: bool,
}

/// A message with its place in the topic, where that is known: who hears of it over HTTP does not know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// In which topic.
    pub topic: TopicName,
    /// In which partition; below zero where that is not known.
    pub partition: i32,
    /// At which offset; below zero where that is not known.
    pub offset: i64,
    /// `ce_time`, or else the record's timestamp.
    pub time: Time,
    /// `ce_id`.
    pub id: Option<String>,
    /// `ce_causationid`: the `ce_id` of the message that led to this one.
    pub cause: Option<String>,
    /// `traceparent`.
    pub trace_parent: Option<String>,
    /// What it says.
    pub message: Message,
}

impl Record {
    /// What somebody else read.
    pub(super) fn of_nowhere(topic: TopicName, time: Time, message: Message) -> Self {
        Record { topic, partition: -1, offset: -1, time, id: None, cause: None, trace_parent: None, message }
    }

    /// Where it lies, if that is known.
    pub fn place(&self) -> Option<Place<'_>> {
        let Record { topic, partition, offset, .. } = self;
        let is_known = *partition >= 0 && *offset >= 0;
        is_known.then_some(Place { topic: topic.as_str(), partition: *partition, offset: *offset })
    }
}

/// A record that counts, before it is decoded.
pub struct Glimpse<'m> {
    message: &'m BorrowedMessage<'m>,
    payload: &'m [u8],
    codec: &'m Codec,
}

impl Glimpse<'_> {
    /// In which partition.
    pub fn partition(&self) -> i32 {
        self.message.partition()
    }

    /// At which offset.
    pub fn offset(&self) -> i64 {
        self.message.offset()
    }

    /// The record's key, where it is text.
    pub fn key(&self) -> Option<&str> {
        self.message.key().and_then(|key| std::str::from_utf8(key).ok())
    }

    /// Whether it claims to be of this kind, whatever version of it.
    pub fn is(&self, kind: MessageType) -> bool {
        let version = self.codec.type_of(self.payload).and_then(|name| name.strip_prefix(kind.full_name()));
        version.is_some_and(|version| version.starts_with(".v"))
    }

    /// `ce_time`, or else the record's timestamp.
    pub fn time(&self) -> Time {
        time_of(self.message)
    }
}

/// What reading brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// A message.
    Message(Box<Record>),
    /// Everything is read that was there when the reader was opened. Comes once; later messages may follow.
    End,
    /// Nothing came within the time that was given.
    Idle,
}

#[derive(Debug)]
struct Progress {
    /// The offset to read next.
    next: i64,
    /// The end when the reader was opened.
    end: i64,
    /// Of the newest record that counted, per source: its epoch and sequence.
    position: Option<(i64, i64)>,
}

/// Reads one topic.
pub struct TopicReader {
    consumer: TopicConsumer,
    codec: Codec,
    selection: Selection,
    topic: String,
    partitions: HashMap<i32, Progress>,
    end_told: bool,
    left_out: u64,
}

impl TopicReader {
    /// Finds the partitions and their ends; reading begins with the first `next`.
    pub async fn open(connection: &Connection, selection: Selection) -> Result<Self, ClientError> {
        let key = selection.key.clone();
        let is_wanted = move |partition, count| {
            key.as_ref().is_none_or(|key| partition == partitioner::partition_of(key.as_bytes(), count))
        };
        Self::open_where(connection, selection, is_wanted).await
    }

    /// The same in the partitions that are wanted, by their number and the number of all.
    pub(super) async fn open_where(
        connection: &Connection,
        selection: Selection,
        is_wanted: impl Fn(i32, i32) -> bool + Send + 'static,
    ) -> Result<Self, ClientError> {
        let consumer = connection.consumer()?;
        let topic = connection.topic(selection.topic);
        let (connection, wanted, name) = (connection.clone(), selection.clone(), topic.clone());
        let (consumer, partitions) = blocking(move || {
            let partitions = assign(&consumer, &connection, &wanted, &name, is_wanted)?;
            Ok((consumer, partitions))
        })
        .await?;
        Ok(Self { consumer, codec: Codec::embedded(), selection, topic, partitions, end_told: false, left_out: 0 })
    }

    /// The next message; `Idle` when nothing comes within `wait`.
    pub async fn next(&mut self, wait: Duration) -> Result<Came, ClientError> {
        self.next_wanted(wait, |_| true).await
    }

    /// The next message of those that are wanted at a glimpse; the others are not even decoded.
    pub async fn next_wanted(
        &mut self,
        wait: Duration,
        mut is_wanted: impl FnMut(&Glimpse<'_>) -> bool + Send,
    ) -> Result<Came, ClientError> {
        if !self.end_told && self.remaining() == 0 {
            self.end_told = true;
            return Ok(Came::End);
        }
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let record = match tokio::time::timeout_at(deadline, self.consumer.recv()).await {
                Err(_) => return Ok(Came::Idle),
                Ok(Err(KafkaError::PartitionEOF(partition))) => {
                    reached_end(&mut self.partitions, partition);
                    None
                }
                // The group is only a name here: nothing is asked of it.
                Ok(Err(error)) if outbox::kafka::denied(&error) == Some(Denied::Group) => None,
                Ok(Err(source)) => return Err(ClientError::Read { topic: self.topic.clone(), source }),
                Ok(Ok(message)) => {
                    let taken = take(&message, &self.selection, &self.codec, &mut self.partitions, &mut is_wanted);
                    self.left_out += u64::from(matches!(taken, Taken::LeftOut));
                    taken.record()
                }
            };
            if let Some(record) = record {
                return Ok(Came::Message(Box::new(record)));
            }
            if !self.end_told && self.remaining() == 0 {
                self.end_told = true;
                return Ok(Came::End);
            }
        }
    }

    /// The next message before the end; None at the end. `progress` hears now and then how many records are left.
    /// Fails when nothing at all comes for `patience`.
    pub async fn next_to_end(
        &mut self,
        patience: Duration,
        progress: &mut impl FnMut(u64),
    ) -> Result<Option<Record>, ClientError> {
        let mut left = self.remaining();
        let mut moved = tokio::time::Instant::now();
        while moved.elapsed() < patience {
            match self.next(PROGRESS_EVERY.min(patience)).await? {
                Came::Message(record) => return Ok(Some(*record)),
                Came::End => return Ok(None),
                Came::Idle if self.remaining() < left => moved = tokio::time::Instant::now(),
                Came::Idle => {}
            }
            left = self.remaining();
            progress(left);
        }
        Err(ClientError::NoProgress { topic: self.topic.clone(), wait_s: patience.as_secs(), left })
    }

    /// Records still to be read to the end as it was when the reader was opened.
    pub fn remaining(&self) -> u64 {
        let left = |progress: &Progress| u64::try_from(progress.end - progress.next).unwrap_or(0);
        self.partitions.values().map(left).sum()
    }

    /// The offset to read next, by partition.
    pub fn next_offsets(&self) -> BTreeMap<i32, i64> {
        self.partitions.iter().map(|(partition, progress)| (*partition, progress.next)).collect()
    }

    /// The partitions that are read.
    pub(super) fn partitions(&self) -> impl Iterator<Item = i32> {
        self.partitions.keys().copied()
    }

    /// Records that did not count: undecodable, from strangers, or repeated by a relay.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

enum Taken {
    Message(Box<Record>),
    LeftOut,
    NotWanted,
}

impl Taken {
    fn record(self) -> Option<Record> {
        match self {
            Taken::Message(record) => Some(*record),
            Taken::LeftOut | Taken::NotWanted => None,
        }
    }
}

fn assign(
    consumer: &TopicConsumer,
    connection: &Connection,
    selection: &Selection,
    topic: &str,
    is_wanted: impl Fn(i32, i32) -> bool,
) -> Result<HashMap<i32, Progress>, ClientError> {
    let count = partition_count_of(consumer, connection, topic)?;
    let mut list = TopicPartitionList::new();
    let mut partitions = HashMap::new();
    let name: Arc<str> = topic.into();
    let wanted = (0..count).filter(|partition| is_wanted(*partition, count));
    let places: Vec<Partition> = wanted.map(|partition| Partition { topic: Arc::clone(&name), partition }).collect();
    let bounds = bounds(consumer, connection, &places)?;
    for (Partition { partition, .. }, Bounds { low, high }) in places.into_iter().zip(bounds) {
        let next = if selection.from_end { high } else { low };
        list.add_partition_offset(topic, partition, Offset::Offset(next))
            .map_err(|source| ClientError::Read { topic: topic.to_owned(), source })?;
        partitions.insert(partition, Progress { next, end: high, position: None });
    }
    consumer.assign(&list).map_err(|source| ClientError::Read { topic: topic.to_owned(), source })?;
    Ok(partitions)
}

/// What is left before an end may be markers of transactions, which are never delivered.
fn reached_end(partitions: &mut HashMap<i32, Progress>, partition: i32) {
    if let Some(progress) = partitions.get_mut(&partition) {
        progress.next = progress.next.max(progress.end);
    }
}

fn take(
    message: &BorrowedMessage<'_>,
    selection: &Selection,
    codec: &Codec,
    partitions: &mut HashMap<i32, Progress>,
    is_wanted: &mut impl FnMut(&Glimpse<'_>) -> bool,
) -> Taken {
    let Some(progress) = partitions.get_mut(&message.partition()) else { return Taken::NotWanted };
    progress.next = message.offset() + 1;
    if selection.key.as_ref().is_some_and(|key| message.key() != Some(key.as_bytes())) {
        return Taken::NotWanted;
    }
    if let Some(service) = selection.topic.written_by() {
        let text = headers::text(message, POSITION_HEADER).map(str::as_bytes);
        match text.and_then(|text| Position::parse(text).ok()) {
            Some(position) if position.source == service.source() => {
                let place = (position.epoch, position.sequence);
                if progress.position.is_some_and(|newest| place <= newest) {
                    return Taken::LeftOut;
                }
                progress.position = Some(place);
            }
            Some(_) | None => return Taken::LeftOut,
        }
    }
    let Some(payload) = message.payload() else { return Taken::LeftOut };
    if !is_wanted(&Glimpse { message, payload, codec }) {
        return Taken::NotWanted;
    }
    let Ok(decoded) = codec.decode(selection.topic, payload) else { return Taken::LeftOut };
    Taken::Message(Box::new(Record {
        topic: selection.topic,
        partition: message.partition(),
        offset: message.offset(),
        time: time_of(message),
        id: headers::text(message, "ce_id").map(str::to_owned),
        cause: headers::text(message, "ce_causationid").map(str::to_owned),
        trace_parent: headers::text(message, "traceparent").map(str::to_owned),
        message: decoded,
    }))
}

fn time_of(message: &BorrowedMessage<'_>) -> Time {
    match headers::text(message, "ce_time").and_then(|text| text.parse().ok()) {
        Some(time) => time,
        None => Time::from_micros(message.timestamp().to_millis().unwrap_or(0).saturating_mul(1000)),
    }
}
