//! Reads what topics hold: this outbox's own records in a stretch of each.
//!
//! One consumer assigned to all lanes at once. It blocks, so it runs on a thread of its own and hands records over through
//! a bounded channel. Records of others are passed over.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers, Message};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::kafka::{self, Asking, Listener};
use crate::log::{self, Bounds, Partition, Range, ReadError};
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

/// A range to be read for a slot.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) slot: usize,
    pub(crate) range: Range,
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
        log::configure(&mut config, &format!("outbox-relay-tail-{}", Uuid::now_v7().simple()));
        config.set("isolation.level", "read_uncommitted");
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
    pub(crate) fn bounds(&self, places: &[Partition]) -> Result<Vec<Bounds>, RelayError> {
        log::bounds(&self.consumer, places, REQUEST_TIMEOUT)
            .map_err(RelayError::kafka("asking where topic partitions begin and end"))
    }

    /// See [`log::offsets_at`].
    pub(crate) fn offsets_at(&self, wanted: &[(Partition, i64)]) -> Result<Vec<Option<i64>>, RelayError> {
        log::offsets_at(&self.consumer, wanted, REQUEST_TIMEOUT)
            .map_err(RelayError::kafka("asking for the offsets of a time"))
    }

    /// Reads the stretches, and hands over this outbox's records, those of one slot in the order of the log.
    pub(crate) fn read(&self, stretches: &[Stretch], to: &mpsc::Sender<Vec<Found>>) -> Result<(), RelayError> {
        let ranges: Vec<Range> = stretches.iter().map(|stretch| stretch.range.clone()).collect();
        let mut batch = Vec::with_capacity(BATCH);
        let read = log::read(&self.consumer, &ranges, SILENCE_TIMEOUT, |index, message| {
            batch.extend(stretches.get(index).and_then(|stretch| self.own(message, stretch.slot)));
            if batch.len() >= BATCH && to.blocking_send(std::mem::take(&mut batch)).is_err() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        // A receiver that is gone has no interest in the rest.
        let _ = to.blocking_send(batch);
        read.map_err(|error| match error {
            ReadError::Silent { last: None } => RelayError::TopicSilent,
            ReadError::Kafka(source) | ReadError::Silent { last: Some(source) } => {
                RelayError::kafka("reading the end of topic partitions")(source)
            }
        })
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
