//! Publishes a load's orders from one thread: as many as may be unfinished at once, or so many a second.
//!
//! At a fixed rate an order counts as placed when it was due, not when the thread came to it, so a stall shows in the
//! latencies instead of thinning them out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use outbox::kafka::PolledProducer;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer, ProducerContext};
use schemas::{Codec, Message, Time};
use uuid::Uuid;

use super::board::Board;
use super::orders::Orders;
use crate::error::{BenchError, Doing, Result};

/// What the benchmark's messages name as their origin.
const SOURCE: &str = "/bench";
/// What the daemons compress with.
const COMPRESSION: &str = "lz4";
/// How long the thread rests until it looks again how many orders are unfinished.
const REST: Duration = Duration::from_micros(250);
/// The longest rest: then the thread looks whether it shall stop.
const LONGEST_REST: Duration = Duration::from_millis(20);
/// Above this rate messages are gathered for a moment, as any client under load does.
const GATHERING_FROM: f64 = 1_000.0;

/// How fast to publish.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arrivals {
    /// So many orders unfinished at any time.
    InFlight(u64),
    /// So many orders a second.
    PerSecond(f64),
}

impl std::fmt::Display for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Arrivals::InFlight(limit) => write!(f, "full speed, {limit} orders unfinished at any time"),
            Arrivals::PerSecond(rate) => write!(f, "{rate:.0} orders/s"),
        }
    }
}

/// Publishes messages with the contract's headers.
pub(crate) struct Publisher {
    producer: PolledProducer<CountLosses>,
    codec: Codec,
    prefix: String,
}

/// Counts messages that were not delivered; the others are not reported at all.
struct CountLosses(Arc<Board>);

impl ClientContext for CountLosses {}

impl ProducerContext<NoCustomPartitioner> for CountLosses {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.lose();
        }
    }
}

impl Publisher {
    /// A producer for this load.
    pub(crate) fn connect(brokers: &str, prefix: &str, pace: Arrivals, board: Arc<Board>) -> Result<Self> {
        Self::compressing(COMPRESSION, brokers, prefix, pace, board)
    }

    /// The same that compresses otherwise.
    pub(crate) fn compressing(
        codec: &str,
        brokers: &str,
        prefix: &str,
        pace: Arrivals,
        board: Arc<Board>,
    ) -> Result<Self> {
        let linger_ms = match pace {
            Arrivals::PerSecond(rate) if rate < GATHERING_FROM => "0",
            Arrivals::PerSecond(_) | Arrivals::InFlight(_) => "2",
        };
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("compression.type", codec)
            .set("partitioner", "murmur2_random")
            .set("linger.ms", linger_ms)
            .set("delivery.report.only.error", "true");
        let producer = PolledProducer::create(&config, CountLosses(board)).doing("making the publisher")?;
        Ok(Publisher { producer, codec: Codec::embedded(), prefix: prefix.to_owned() })
    }

    /// Publishes one message on its topic.
    pub(crate) fn publish(&self, message: &Message) -> Result<()> {
        let payload = self.codec.encode(message).map_err(BenchError::other)?;
        let topic = format!("{}{}", self.prefix, message.topic().as_str());
        let headers = headers(message, SOURCE);
        let mut record = BaseRecord::to(&topic).key(message.key()).payload(&payload).headers(headers);
        for _ in 0..10_000 {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error).doing("publishing"),
            }
        }
        Err(BenchError::other("Kafka took no message for 10 s"))
    }

    /// Publishes orders at this pace until the board says stop; waits until Kafka has them all.
    pub(crate) fn run(&self, orders: &Orders, pace: Arrivals, board: &Board) -> Result<()> {
        let began_us = board.now_us();
        let mut sent = 0_u64;
        while !board.stopping() {
            let now_us = board.now_us();
            let due_us = match pace {
                Arrivals::InFlight(limit) if board.unfinished() < limit => now_us,
                Arrivals::InFlight(_) => now_us + micros(REST),
                Arrivals::PerSecond(rate) => began_us + due_after_us(sent, rate),
            };
            if due_us > now_us {
                std::thread::sleep(Duration::from_micros(due_us - now_us).min(LONGEST_REST));
                continue;
            }
            let number = board.place(due_us)?;
            self.publish(&orders.order(&board.tag, number, Time::from(Timestamp::now()))?.into())?;
            sent += 1;
        }
        self.flush()
    }

    /// Waits until Kafka has everything.
    pub(crate) fn flush(&self) -> Result<()> {
        self.producer.flush(Duration::from_secs(30)).doing("flushing the publisher")
    }
}

/// When the order after `sent` others is due, in microseconds after the first.
#[expect(clippy::float_arithmetic, reason = "a pace, not an amount")]
fn due_after_us(sent: u64, rate: f64) -> u64 {
    let seconds = Duration::try_from_secs_f64(sent as f64 / rate).unwrap_or(Duration::MAX);
    micros(seconds)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX / 2)
}

/// What the contract asks of a message that comes from `source`.
pub(crate) fn headers(message: &Message, source: &str) -> OwnedHeaders {
    headers_of(message.type_name(), message.key(), source)
}

/// The same of a message that is encoded already, with room for one more.
pub(crate) fn headers_of(type_name: &str, key: &str, source: &str) -> OwnedHeaders {
    let id = Uuid::now_v7().to_string();
    let time = Time::from(Timestamp::now()).to_string();
    let text = |key, value| Header { key, value: Some(value) };
    OwnedHeaders::new_with_capacity(8)
        .insert(text("ce_specversion", "1.0"))
        .insert(text("ce_id", id.as_str()))
        .insert(text("ce_source", source))
        .insert(text("ce_type", type_name))
        .insert(text("ce_time", time.as_str()))
        .insert(text("ce_subject", key))
        .insert(text("content-type", "application/avro"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_spaces_orders_evenly() {
        assert_eq!(due_after_us(0, 450.0), 0);
        assert_eq!(due_after_us(45, 450.0), 100_000);
        assert_eq!(due_after_us(u64::MAX, 0.0), u64::MAX / 2);
    }
}
