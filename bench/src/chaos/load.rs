//! The load: orders of the sample at a rate, every 25th cancelled on its way, and a book of what Kafka acknowledged.
//!
//! The publisher is a client like any other and may lose its broker for good; it is then renewed, which is counted and
//! not held against the workers. What Kafka did not acknowledge was not published: it is nobody's loss.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};
use schemas::{CancelOrder, Codec, CommandId, Message, Time};

use crate::error::{BenchError, Doing, Result};
use crate::pipeline::{Orders, headers, order_id};

/// In front of an order's number in its id.
pub(crate) const TAG: &str = "chaos";
/// Every so manieth order is cancelled …
const CANCELLED_EVERY: u64 = 25;
/// … when so many more orders have been placed.
const CANCELLED_AFTER: u64 = 10;
/// Between two looks whether an order is due, or the full queue has room.
const TICK: Duration = Duration::from_millis(5);
/// Before a publisher that is broken for good is replaced.
const AFTER_BREAK: Duration = Duration::from_secs(1);
/// How long the last acknowledgements may take.
const FLUSH_LIMIT: Duration = Duration::from_secs(60);

/// What the load has brought so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Acknowledged {
    /// The numbers of the orders that Kafka has.
    pub(crate) orders: Vec<u64>,
    /// Cancels that Kafka has.
    pub(crate) cancels: u64,
    /// Messages that Kafka did not take; they do not count as published.
    pub(crate) refused: u64,
    /// How often the publisher was made anew.
    pub(crate) renewals: u64,
}

#[derive(Debug, Default)]
struct State {
    acknowledged: Acknowledged,
    /// Orders placed so far: the number of the next one.
    placed: u64,
    /// Orders from this number on are probes.
    probes_from: u64,
    /// The first acknowledged probe of each partition.
    probes: BTreeMap<i32, u64>,
    wants_renewal: bool,
    is_stopping: bool,
}

/// What the publishing thread, its acknowledgements and the observer have in common.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<State>);

impl Book {
    /// From now on the first order of every partition that is placed and acknowledged is a probe.
    pub(crate) fn begin_probes(&self) {
        let mut state = self.state();
        state.probes_from = state.placed;
        state.probes.clear();
    }

    /// The probes so far, by partition.
    pub(crate) fn probes(&self) -> BTreeMap<i32, u64> {
        self.state().probes.clone()
    }

    /// Asks for a new publisher.
    pub(crate) fn renew_publisher(&self) {
        self.state().wants_renewal = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order_acknowledged(&self, number: u64, partition: i32) {
        let mut state = self.state();
        state.acknowledged.orders.push(number);
        if number >= state.probes_from {
            state.probes.entry(partition).or_insert(number);
        }
    }
}

/// What a record in flight is.
enum Flight {
    Order(u64),
    Cancel,
}

/// Writes acknowledgements into the book.
struct Acknowledgements(Arc<Book>);

impl ClientContext for Acknowledgements {}

impl ProducerContext<NoCustomPartitioner> for Acknowledgements {
    type DeliveryOpaque = Box<Flight>;

    fn delivery(&self, result: &DeliveryResult<'_>, flight: Box<Flight>) {
        match (result, *flight) {
            (Ok(record), Flight::Order(number)) => self.0.order_acknowledged(number, record.partition()),
            (Ok(_), Flight::Cancel) => self.0.state().acknowledged.cancels += 1,
            (Err(_), Flight::Order(_) | Flight::Cancel) => self.0.state().acknowledged.refused += 1,
        }
    }
}

/// The publishing thread.
pub(crate) struct Load {
    book: Arc<Book>,
    thread: JoinHandle<Result<()>>,
}

impl Load {
    /// Starts publishing so many orders a second.
    pub(crate) fn start(brokers: String, orders: Orders, orders_per_second: u32) -> Result<Self> {
        let book = Arc::new(Book::default());
        let publisher = Publisher { brokers, codec: Codec::embedded(), book: book.clone() };
        let thread = std::thread::Builder::new()
            .name("load".into())
            .spawn(move || publisher.run(&orders, u64::from(orders_per_second.max(1))))
            .doing("starting the load")?;
        Ok(Load { book, thread })
    }

    /// Its book.
    pub(crate) fn book(&self) -> &Book {
        &self.book
    }

    /// Fails when the publishing thread has given up.
    pub(crate) fn check(&self) -> Result<()> {
        if self.thread.is_finished() { Err(BenchError::other("the load has ended before its time")) } else { Ok(()) }
    }

    /// Stops publishing and waits for the last acknowledgements.
    pub(crate) fn stop(self) -> Result<Acknowledged> {
        self.book.state().is_stopping = true;
        self.thread.join().map_err(|_| BenchError::other("the load panicked"))??;
        Ok(self.book.state().acknowledged.clone())
    }
}

struct Publisher {
    brokers: String,
    codec: Codec,
    book: Arc<Book>,
}

/// How a send ended.
enum Sent {
    Taken,
    QueueFull,
    Broken,
}

impl Publisher {
    fn run(&self, orders: &Orders, orders_per_second: u64) -> Result<()> {
        let mut producer = self.connect()?;
        let began = Instant::now();
        loop {
            let (number, wants_renewal) = {
                let mut state = self.book.state();
                if state.is_stopping {
                    break;
                }
                (state.placed, std::mem::take(&mut state.wants_renewal))
            };
            if wants_renewal {
                self.book.state().acknowledged.renewals += 1;
                producer = self.connect()?;
            }
            if began.elapsed() < Duration::from_millis(number.saturating_mul(1_000) / orders_per_second) {
                std::thread::sleep(TICK);
                continue;
            }
            let order = orders.order(TAG, number, Time::from(Timestamp::now()))?;
            match self.send(&producer, &order.into(), Flight::Order(number))? {
                Sent::Taken => {
                    self.book.state().placed = number + 1;
                    self.cancel_another(&producer, number)?;
                }
                Sent::QueueFull => std::thread::sleep(TICK),
                Sent::Broken => {
                    std::thread::sleep(AFTER_BREAK);
                    self.book.renew_publisher();
                }
            }
        }
        producer.flush(FLUSH_LIMIT).doing("waiting for the last acknowledgements")
    }

    /// An order's cancel follows some orders later. One that finds no room is not sent: cancels are the customers' whim.
    fn cancel_another(&self, producer: &ThreadedProducer<Acknowledgements>, number: u64) -> Result<()> {
        match number.checked_sub(CANCELLED_AFTER).filter(|cancelled| cancelled % CANCELLED_EVERY == 0) {
            Some(cancelled) => self.send(producer, &cancel(cancelled)?, Flight::Cancel).map(|_| ()),
            None => Ok(()),
        }
    }

    fn connect(&self) -> Result<ThreadedProducer<Acknowledgements>> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "2")
            .set("message.timeout.ms", "120000")
            .create_with_context(Acknowledgements(self.book.clone()))
            .doing("making the publisher")
    }

    fn send(&self, producer: &ThreadedProducer<Acknowledgements>, message: &Message, flight: Flight) -> Result<Sent> {
        let payload = self.codec.encode(message).map_err(BenchError::other)?;
        let record = BaseRecord::with_opaque_to(message.topic().as_str(), Box::new(flight))
            .key(message.key())
            .payload(&payload)
            .headers(headers(message, "/chaos"));
        Ok(match producer.send(record) {
            Ok(()) => Sent::Taken,
            Err((error, _)) if error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::QueueFull) => {
                Sent::QueueFull
            }
            Err(_) => Sent::Broken,
        })
    }
}

fn cancel(number: u64) -> Result<Message> {
    let command_id = CommandId::new(format!("{TAG}-cancel-{number}")).map_err(BenchError::other)?;
    Ok(CancelOrder::new(order_id(TAG, number)?, command_id).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_the_first_order_of_its_partition_that_was_placed_after_the_call() {
        let book = Book::default();
        book.order_acknowledged(0, 2);
        book.state().placed = 5;
        book.begin_probes();
        for (number, partition) in [(4, 0), (6, 1), (5, 1), (7, 0)] {
            book.order_acknowledged(number, partition);
        }
        assert_eq!(book.probes(), BTreeMap::from([(0, 7), (1, 6)]));
        assert_eq!(book.state().acknowledged.orders.len(), 5);
    }
}
