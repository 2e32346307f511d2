//! The ceiling's messages on Kafka: written with the headers that a real event has, read by one thread.
//!
//! That thread also keeps the loop closed: for every order that is done it publishes the next one, so the number of
//! unfinished orders is constant. A payload says in its first bytes where it goes; nothing is decoded.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc::Sender;

use super::filler::{Filler, PAYLOAD_BYTES};
use super::step::{Next, Topic};
use super::table::PARTITIONS;
use crate::error::{BenchError, Doing, Result};

/// How long the last orders may take to finish.
const DRAIN: Duration = Duration::from_secs(30);

/// An order as a step gets it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Its number.
    pub(crate) order: i64,
    /// Where its message was: partition and offset; none when it was handed on in memory.
    pub(crate) read_at: Option<(i32, i64)>,
}

/// What all parts of a run share.
#[derive(Default)]
pub(crate) struct Progress {
    /// Orders published.
    pub(crate) published: AtomicU64,
    /// Orders whose last event was consumed.
    pub(crate) done: AtomicU64,
    /// Messages that Kafka did not take.
    pub(crate) lost: AtomicU64,
    /// Set when no further order is to be published.
    pub(crate) stopping: AtomicBool,
}

/// Counts messages that were not delivered; the others are not reported at all.
struct CountLosses(std::sync::Arc<Progress>);

impl ClientContext for CountLosses {}

impl ProducerContext<NoCustomPartitioner> for CountLosses {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes the messages of a run.
pub(crate) struct Writer {
    producer: ThreadedProducer<CountLosses>,
    topics: [String; 6],
    filler: Filler,
    progress: std::sync::Arc<Progress>,
}

impl Writer {
    /// A producer as a relay under load has it.
    pub(crate) fn connect(brokers: &str, prefix: &str, progress: std::sync::Arc<Progress>) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("queue.buffering.max.messages", "1000000")
            .set("queue.buffering.max.kbytes", "1048576")
            .set("delivery.report.only.error", "true")
            .create_with_context(CountLosses(progress.clone()))
            .doing("making the ceiling's producer")?;
        let topics = Topic::ALL.map(|topic| format!("{prefix}{}", topic.name()));
        Ok(Writer { producer, topics, filler: Filler::new(), progress })
    }

    /// The filler of payloads and stored headers.
    pub(crate) fn filler(&self) -> &Filler {
        &self.filler
    }

    /// Publishes one more order.
    pub(crate) fn place(&self) -> Result<()> {
        let number = self.progress.published.fetch_add(1, Ordering::Relaxed);
        let order = i64::try_from(number).map_err(BenchError::other)?;
        self.write(Topic::OrderCommands, order, &self.filler.payload(Next::Step(0), order), 0)
    }

    /// Hands a message to the producer, which sends it in its own time; waits a little when its queue is full.
    pub(crate) fn write(&self, topic: Topic, order: i64, payload: &[u8; PAYLOAD_BYTES], sequence: i64) -> Result<()> {
        let key = order.to_string();
        let name = self.topics[topic.index()].as_str();
        let headers = headers(self.filler.id(order, topic), sequence);
        let mut record = BaseRecord::to(name)
            .partition(partition_of(order))
            .key(key.as_str())
            .payload(&payload[..])
            .headers(headers);
        for _ in 0..10_000 {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error).doing("writing a message of the ceiling"),
            }
        }
        Err(BenchError::other("Kafka took no message of the ceiling for 10 s"))
    }

    /// Waits until Kafka has everything.
    pub(crate) fn flush(&self) -> Result<()> {
        self.producer.flush(Duration::from_secs(10)).doing("flushing the ceiling's producer")
    }
}

/// What an event of the pipeline carries beside its payload: about 200 B of names and values.
fn headers(id: &str, sequence: i64) -> OwnedHeaders {
    let position = format!("/order:1:1:{sequence}");
    let text = |key, value| Header { key, value: Some(value) };
    OwnedHeaders::new_with_capacity(7)
        .insert(text("ce_specversion", "1.0"))
        .insert(text("ce_id", id))
        .insert(text("ce_source", "/order"))
        .insert(text("ce_type", "shop.order.OrderPlaced.v1"))
        .insert(text("ce_time", "2017-01-01T11:53:26.000000Z"))
        .insert(text("content-type", "application/avro"))
        .insert(text("outbox-position", position.as_str()))
}

/// The partition of an order in every topic.
pub(crate) fn partition_of(order: i64) -> i32 {
    let spread = order.wrapping_mul(0x5851_F42D_4C95_7F2D) >> 33;
    i32::try_from(spread.rem_euclid(i64::from(PARTITIONS))).unwrap_or(0)
}

/// Reads all topics, hands orders to their steps and keeps `in_flight` orders unfinished until told to stop.
pub(crate) struct Loop {
    /// How to reach Kafka.
    pub(crate) brokers: String,
    /// In front of every topic's name.
    pub(crate) prefix: String,
    /// How many orders are unfinished at any time.
    pub(crate) in_flight: u64,
    /// Publishes orders.
    pub(crate) writer: std::sync::Arc<Writer>,
    /// Counts them.
    pub(crate) progress: std::sync::Arc<Progress>,
    /// One per step; none for a step that gets its orders in memory.
    pub(crate) steps: Vec<Option<Sender<Arrival>>>,
}

impl Loop {
    /// Runs on its own thread until every published order is done after `stopping`.
    pub(crate) fn run(self) -> Result<()> {
        let consumer = self.subscribe()?;
        for _ in 0..self.in_flight {
            self.writer.place()?;
        }
        let mut give_up_at = None;
        loop {
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                self.take(&message.doing("reading the ceiling's messages")?)?;
            }
            if !self.progress.stopping.load(Ordering::Relaxed) {
                continue;
            }
            let (done, published) =
                (self.progress.done.load(Ordering::Relaxed), self.progress.published.load(Ordering::Relaxed));
            if done >= published {
                return self.writer.flush();
            }
            if Instant::now() > *give_up_at.get_or_insert_with(|| Instant::now() + DRAIN) {
                return Err(BenchError::other(format!("{} orders of the ceiling never finished", published - done)));
            }
        }
    }

    fn subscribe(&self) -> Result<BaseConsumer> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", format!("{}ceiling", self.prefix))
            .set("enable.auto.commit", "false")
            .set("fetch.min.bytes", "32768")
            .set("fetch.wait.max.ms", "5")
            .create()
            .doing("making the ceiling's consumer")?;
        let mut list = TopicPartitionList::new();
        for topic in Topic::ALL {
            for partition in 0..PARTITIONS {
                let name = format!("{}{}", self.prefix, topic.name());
                list.add_partition_offset(&name, partition, Offset::Offset(0))
                    .doing("naming the ceiling's partitions")?;
            }
        }
        consumer.assign(&list).doing("assigning the ceiling's partitions")?;
        Ok(consumer)
    }

    fn take(&self, message: &impl Message) -> Result<()> {
        let unreadable = || BenchError::other("a message of the ceiling is not one of its own");
        let (first, rest) = message.payload().and_then(<[u8]>::split_first).ok_or_else(unreadable)?;
        let order = i64::from_be_bytes(*rest.first_chunk::<8>().ok_or_else(unreadable)?);
        match Next::from_byte(*first).ok_or_else(unreadable)? {
            Next::Watched => Ok(()),
            Next::Done => {
                self.progress.done.fetch_add(1, Ordering::Relaxed);
                if self.progress.stopping.load(Ordering::Relaxed) { Ok(()) } else { self.writer.place() }
            }
            Next::Step(step) => {
                let sender = self.steps.get(usize::from(step)).and_then(Option::as_ref).ok_or_else(unreadable)?;
                let arrival = Arrival { order, read_at: Some((message.partition(), message.offset())) };
                sender.try_send(arrival).map_err(|error| BenchError::other(format!("step {step}: {error}")))
            }
        }
    }
}
