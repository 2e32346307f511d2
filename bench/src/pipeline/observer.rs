//! Reads a topic of events from its beginning on a thread of its own and notes what became of orders.
//!
//! It knows an event's type by its schema id and its order by its key; bodies are not decoded. A consumer without a
//! group: it takes nothing from anyone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use outbox::log::{self, Bounds, Partition};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use schemas::{Codec, MessageType};

use super::board::Board;
use super::orders::number_of;
use crate::error::{BenchError, Doing, Result};
use crate::measure::Latencies;

/// Reads topics to whatever ends they have.
pub(crate) struct TopicReader {
    consumer: BaseConsumer,
    codec: Codec,
}

/// Offsets of topic partitions, to read from there.
#[derive(Debug, Clone)]
pub(crate) struct Places(Vec<(Partition, i64)>);

/// What an event says, without its body.
pub(crate) struct Seen<'m> {
    /// Its topic.
    pub(crate) topic: &'m str,
    /// Its key.
    pub(crate) key: &'m [u8],
    /// Its type; none for what is no message of the pipeline.
    pub(crate) kind: Option<MessageType>,
    /// Its time in the log, in milliseconds since 1970.
    pub(crate) time_ms: Option<i64>,
    /// When it was decided (`ce_time`), in microseconds since 1970; none for what a client published.
    pub(crate) decided_us: Option<i64>,
}

impl TopicReader {
    /// Assigns all partitions, from their ends (true) or beginnings (false).
    pub(crate) fn open(brokers: &str, topics: &[String], from_end: bool) -> Result<Self> {
        let consumer = consumer(brokers)?;
        let places = places(&consumer, topics, from_end)?;
        Self::assigned(consumer, &places)
    }

    /// Reads from these places on.
    pub(crate) fn open_at(brokers: &str, places: &Places) -> Result<Self> {
        Self::assigned(consumer(brokers)?, places)
    }

    /// Where topics end now.
    pub(crate) fn ends(brokers: &str, topics: &[String]) -> Result<Places> {
        places(&consumer(brokers)?, topics, true)
    }

    fn assigned(consumer: BaseConsumer, places: &Places) -> Result<Self> {
        let mut list = TopicPartitionList::new();
        for (Partition { topic, partition }, offset) in &places.0 {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
                .doing("naming an observed partition")?;
        }
        consumer.assign(&list).doing("assigning an observed topic")?;
        Ok(TopicReader { consumer, codec: Codec::embedded() })
    }

    /// Waits for the next event and hands it to `see`; false when none came in time.
    pub(crate) fn next(&self, wait: Duration, see: impl FnOnce(Seen<'_>)) -> Result<bool> {
        let Some(message) = self.consumer.poll(wait) else { return Ok(false) };
        let message = message.doing("observing events")?;
        let kind = message.payload().and_then(|payload| self.codec.type_of(payload)).and_then(MessageType::of_ce_type);
        let (key, time_ms) = (message.key().unwrap_or_default(), message.timestamp().to_millis());
        see(Seen { topic: message.topic(), key, kind, time_ms, decided_us: decided_us(&message) });
        Ok(true)
    }
}

fn consumer(brokers: &str) -> Result<BaseConsumer> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench-observer")
        .set("enable.auto.commit", "false")
        .create()
        .doing("making an observer")
}

/// All partitions, with their ends (true) or beginnings (false).
fn places(consumer: &BaseConsumer, topics: &[String], from_end: bool) -> Result<Places> {
    let wait = Duration::from_secs(10);
    let mut places = Vec::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), wait).doing("looking up an observed topic")?;
        let (name, found) = (Arc::from(topic.as_str()), metadata.topics().iter().flat_map(|topic| topic.partitions()));
        places.extend(found.map(|found| Partition { topic: Arc::clone(&name), partition: found.id() }));
    }
    let bounds = log::bounds(consumer, &places, wait).doing("looking up the observed topics' ends")?;
    let offset = |Bounds { low, high }: Bounds| if from_end { high } else { low };
    Ok(Places(places.into_iter().zip(bounds.into_iter().map(offset)).collect()))
}

fn decided_us(message: &BorrowedMessage<'_>) -> Option<i64> {
    let headers = message.headers()?;
    let named = headers.iter().find(|header| header.key == "ce_time")?;
    let time: Timestamp = std::str::from_utf8(named.value?).ok()?.parse().ok()?;
    Some(time.as_microsecond())
}

/// The latencies of the measured orders, since they were placed.
pub(crate) struct Heard {
    /// To the confirmation.
    pub(crate) confirmed: Latencies,
    /// To the end, whatever it was.
    pub(crate) ended: Latencies,
}

/// The thread that follows `order.events.v1` for one load.
pub(crate) struct Observer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Heard>>,
}

impl Observer {
    /// Starts following, from the topic's end.
    pub(crate) fn start(brokers: &str, topic: &str, board: Arc<Board>) -> Result<Self> {
        let reader = TopicReader::open(brokers, &[topic.to_owned()], true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("observer".into())
            .spawn(move || follow(&reader, &board, &stopped))
            .doing("starting the observer")?;
        Ok(Observer { stop, thread })
    }

    /// Whether it gave up, which it does only on an error.
    pub(crate) fn ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it; what it heard.
    pub(crate) fn finish(self) -> Result<Heard> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().map_err(|_| BenchError::other("the observer panicked"))?
    }
}

fn follow(reader: &TopicReader, board: &Board, stop: &AtomicBool) -> Result<Heard> {
    let mut heard = Heard { confirmed: Latencies::new()?, ended: Latencies::new()? };
    while !stop.load(Ordering::Acquire) {
        reader.next(Duration::from_millis(100), |seen| note(&seen, board, &mut heard))?;
    }
    Ok(heard)
}

fn note(seen: &Seen<'_>, board: &Board, heard: &mut Heard) {
    let (Some(kind), Some(number)) = (seen.kind, number_of(&board.tag, seen.key)) else { return };
    let age_us = board.age_us(number).into_iter();
    if kind == MessageType::OrderConfirmed {
        age_us.for_each(|us| heard.confirmed.record_us(us));
        board.confirm();
    } else if kind == MessageType::OrderCompleted {
        age_us.for_each(|us| heard.ended.record_us(us));
        board.complete();
    } else if [MessageType::OrderCancelled, MessageType::OrderRejected, MessageType::OrderStuck].contains(&kind) {
        age_us.for_each(|us| heard.ended.record_us(us));
        board.end_otherwise();
    }
}
