//! Reads what topics hold: their bounds, and this outbox's own records in a stretch of each.
//!
//! One consumer assigned to all lanes at once, with a group id of its own, never committing. It blocks, so it runs on a
//! thread of its own and hands records over through a bounded channel. Records of others are passed over.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::kafka::{self, Asking, Denied, Listener};
use crate::position::{ID_HEADER, POSITION_HEADER, Position};
use crate::relay::RelayError;
use crate::relay::wire::{digest, headers_digest};

/// How long a relay lets the brokers take for one question; it asks again.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest without any record before reading is given up.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);
const BATCH: usize = 1000;

/// Settings of `[kafka]` that only a producer knows; a consumer would warn about them.
const PRODUCER_ONLY: [&str; 9] = [
    "linger.ms",
    "queue.buffering.max.ms",
    "compression.type",
    "compression.codec",
    "acks",
    "request.required.acks",
    "batch.size",
    "batch.num.messages",
    "enable.idempotence",
];

/// A topic partition by its slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

/// First offset and the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

/// Offsets of a slot to be read: from `from`, up to and without `to`.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) slot: usize,
    pub(crate) place: Place,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// A record of this outbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) slot: usize,
    pub(crate) offset: i64,
    pub(crate) epoch: i64,
    pub(crate) sequence: i64,
    pub(crate) id: Option<Uuid>,
    pub(crate) digest: u64,
    /// Of all headers; none unless that was asked for, or if they cannot be read.
    pub(crate) headers: Option<u64>,
}

/// Reads topics; every call blocks.
pub(crate) struct TailReader {
    consumer: BaseConsumer<Listener>,
    brokers: String,
    source: String,
    with_headers: bool,
}

impl TailReader {
    pub(crate) fn new(properties: &ClientConfig, source: &str) -> Result<Self, RelayError> {
        let mut config = ClientConfig::new();
        config
            .set("fetch.wait.max.ms", "10")
            .set("queued.max.messages.kbytes", "8192")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.nagle.disable", "true")
            .set("client.id", "outbox-relay-tail");
        kafka::copy(properties, &mut config, |name| !PRODUCER_ONLY.contains(&name));
        config
            .set("group.id", format!("outbox-relay-tail-{}", Uuid::now_v7().simple()))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_uncommitted");
        let consumer = config
            .create_with_context(Listener::default())
            .map_err(RelayError::kafka("creating the consumer that reads topic ends"))?;
        let brokers = properties.get("bootstrap.servers").unwrap_or_default().to_owned();
        Ok(Self { consumer, brokers, source: source.to_owned(), with_headers: false })
    }

    /// Lets it digest all headers of what it finds, too.
    #[must_use]
    pub(crate) fn with_headers(self) -> Self {
        Self { with_headers: true, ..self }
    }

    /// Checks that every topic exists with exactly the given partition count; each may take so long to ask for.
    pub(crate) fn check_topics(&self, topics: &[(Arc<str>, i32)], limit: Duration) -> Result<(), RelayError> {
        let asking = Asking { brokers: &self.brokers, limit };
        for (topic, expected) in topics {
            let hearing = &self.consumer.context().hearing;
            let attend = || kafka::attend(&self.consumer);
            let metadata = kafka::metadata(self.consumer.client(), hearing, Some(topic), asking, attend)?;
            let told = metadata.topics().first();
            if let Some(source) = told.and_then(kafka::denied_topic) {
                return Err(RelayError::Denied { topic: topic.to_string(), source });
            }
            let found = told.map_or(0, |topic| topic.partitions().len());
            if found == 0 {
                return Err(RelayError::TopicMissing { topic: topic.to_string() });
            }
            if i32::try_from(found) != Ok(*expected) {
                return Err(RelayError::PartitionCount { topic: topic.to_string(), expected: *expected, found });
            }
        }
        Ok(())
    }

    /// The bounds of these topic partitions, in their order.
    pub(crate) fn bounds(&self, places: &[Place]) -> Result<Vec<Bounds>, RelayError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let low = self.offsets(places, Offset::Beginning)?;
        let high = self.offsets(places, Offset::End)?;
        let bound = |place: &Place| match (low.get(place), high.get(place)) {
            (Some(low), Some(high)) => Ok(Bounds { low: *low, high: *high }),
            _ => Err(RelayError::NoBounds { topic: place.topic.to_string(), partition: place.partition }),
        };
        places.iter().map(bound).collect()
    }

    /// ListOffsets takes the two logical offsets as timestamps; one request per broker serves all partitions.
    fn offsets(&self, places: &[Place], which: Offset) -> Result<HashMap<Place, i64>, RelayError> {
        let asking = RelayError::kafka("asking where topic partitions begin and end");
        let mut list = TopicPartitionList::with_capacity(places.len());
        let filled: Result<(), KafkaError> =
            places.iter().try_for_each(|place| list.add_partition_offset(&place.topic, place.partition, which));
        let answered = filled.and_then(|()| self.consumer.offsets_for_times(list, REQUEST_TIMEOUT)).map_err(asking)?;
        let mut offsets = HashMap::with_capacity(places.len());
        for element in answered.elements() {
            element.error().map_err(RelayError::kafka("asking where a topic partition begins and ends"))?;
            if let Offset::Offset(offset) = element.offset() {
                offsets.insert(Place { topic: element.topic().into(), partition: element.partition() }, offset);
            }
        }
        Ok(offsets)
    }

    /// For each place and time (milliseconds) the first offset whose record is not older; none if there is no such record.
    pub(crate) fn offsets_at(&self, wanted: &[(Place, i64)]) -> Result<Vec<Option<i64>>, RelayError> {
        let asking = || RelayError::kafka("asking for the offsets of a time");
        let mut list = TopicPartitionList::with_capacity(wanted.len());
        for (place, time_ms) in wanted {
            list.add_partition_offset(&place.topic, place.partition, Offset::Offset(*time_ms)).map_err(asking())?;
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let answered = self.consumer.offsets_for_times(list, REQUEST_TIMEOUT).map_err(asking())?;
        let offset = |(place, _): &(Place, i64)| match answered.find_partition(&place.topic, place.partition)?.offset()
        {
            Offset::Offset(offset) => Some(offset),
            Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => None,
        };
        Ok(wanted.iter().map(offset).collect())
    }

    /// Reads the stretches, and hands over this outbox's records, those of one slot in the order of the log.
    pub(crate) fn read(&self, stretches: &[Stretch], to: &mpsc::Sender<Vec<Found>>) -> Result<(), RelayError> {
        let reading = || RelayError::kafka("reading the end of topic partitions");
        let mut list = TopicPartitionList::with_capacity(stretches.len());
        let mut open: HashMap<(&str, i32), &Stretch> = HashMap::with_capacity(stretches.len());
        let mut of_number: HashMap<i32, usize> = HashMap::new();
        for stretch in stretches.iter().filter(|stretch| stretch.from < stretch.to) {
            let Place { topic, partition } = &stretch.place;
            list.add_partition_offset(topic, *partition, Offset::Offset(stretch.from)).map_err(reading())?;
            open.insert((topic, *partition), stretch);
            *of_number.entry(*partition).or_default() += 1;
        }
        self.consumer.assign(&list).map_err(reading())?;
        let mut batch = Vec::with_capacity(BATCH);
        let mut last_record = Instant::now();
        while !open.is_empty() {
            match self.consumer.poll(Duration::from_millis(100)) {
                None if last_record.elapsed() > SILENCE_TIMEOUT => return Err(RelayError::TopicSilent),
                None => {}
                Some(Err(KafkaError::PartitionEOF(number))) => at_end(number, &mut of_number, &mut open),
                // The group is only a name here: nothing is asked of it.
                Some(Err(error)) if kafka::denied(&error) == Some(Denied::Group) => {}
                Some(Err(error)) if is_passing(&error) && last_record.elapsed() < SILENCE_TIMEOUT => {}
                Some(Err(error)) => return Err(reading()(error)),
                Some(Ok(message)) => {
                    last_record = Instant::now();
                    let at = (message.topic(), message.partition());
                    let Some(stretch) = open.get(&at) else { continue };
                    if message.offset() < stretch.to {
                        batch.extend(self.own(&message, stretch.slot));
                    }
                    if message.offset() + 1 >= stretch.to {
                        open.retain(|key, _| *key != at);
                    }
                }
            }
            if batch.len() >= BATCH && to.blocking_send(std::mem::take(&mut batch)).is_err() {
                break;
            }
        }
        // A receiver that is gone has no interest in the rest.
        let _ = to.blocking_send(batch);
        self.consumer.unassign().map_err(reading())
    }

    /// The record if it is this outbox's. Only its last headers are looked at: a stranger's may have names that are no
    /// UTF-8, at which the client library panics.
    fn own(&self, message: &BorrowedMessage<'_>, slot: usize) -> Option<Found> {
        let headers = message.headers()?;
        let last = headers.count().checked_sub(1)?;
        let header = catch_unwind(AssertUnwindSafe(|| headers.try_get(last))).ok()??;
        if header.key != POSITION_HEADER {
            return None;
        }
        let position = Position::parse(header.value?).ok().filter(|position| position.source == self.source)?;
        let id = (0..last).rev().map(|index| headers.get(index)).find_map(|header| {
            let is_id = header.key == ID_HEADER || header.key == "ce_id";
            is_id.then(|| header.value.and_then(|value| Uuid::try_parse_ascii(value).ok())).flatten()
        });
        Some(Found {
            slot,
            offset: message.offset(),
            epoch: position.epoch,
            sequence: position.sequence,
            id,
            digest: digest(message.key(), message.payload()),
            headers: self.with_headers.then(|| all_headers(headers)).flatten(),
        })
    }
}

/// A digest of all headers; none if one has a name that is no UTF-8.
fn all_headers(headers: &BorrowedHeaders) -> Option<u64> {
    catch_unwind(AssertUnwindSafe(|| headers_digest(headers.iter()))).ok()
}

/// The library says which partition number has ended, not of which topic. A stretch that ends in control records (of a
/// stranger's transaction) is never read to its end, so once every topic's partition of that number has reported its
/// end, all of them are done.
fn at_end<'s>(number: i32, of_number: &mut HashMap<i32, usize>, open: &mut HashMap<(&'s str, i32), &'s Stretch>) {
    let Some(left) = of_number.get_mut(&number) else { return };
    *left = left.saturating_sub(1);
    if *left == 0 {
        open.retain(|(_, partition), _| *partition != number);
    }
}

/// Errors that the library mends by itself.
fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::AllBrokersDown | Code::BrokerTransportFailure | Code::OperationTimedOut | Code::NotLeaderForPartition
        )
    )
}
