//! Publishes commands to the pipeline's topics: encoded, with headers, confirmed by all replicas, bounded in flight.
//!
//! Librdkafka may write a message again when an answer is lost, in its place before those that follow; it may then be in the
//! topic twice. A command twice, by librdkafka or by the client, does no harm: the services know commands by order id or
//! command id. No retry beyond librdkafka's own, and no business validation: what can be encoded is sent, but for a payment token
//! that may be a card number, which must never enter a topic that is kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::saga;
use jiff::Timestamp;
use outbox::kafka::{Confirmations, Listener, Producing};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ThreadedProducer};
use schemas::{
    CancelOrder, Codec, CommandId, Message, OrderCommand, OrderId, PlaceOrder, ReceiveStock, Sku, TopicName,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use uuid::Uuid;

use super::connection::{blocking, partition_count};
use super::{ClientError, Connection, headers};

/// Messages that may wait for their confirmation at any time.
pub const IN_FLIGHT_MAX: u32 = 10_000;

/// The same for the semaphore, which counts in `usize`.
const IN_FLIGHT_PERMITS: usize = 10_000;

/// Failures that are kept with their words; further ones are only counted.
pub(super) const FAILURES_KEPT: usize = 16;

/// How long to wait before a full librdkafka queue is tried again.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);

/// How often a full queue is tried: with `QUEUE_FULL_PAUSE` as long as a message may take (60 s).
const QUEUE_FULL_TRIES: u32 = 12_000;

/// Where a message landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The message's `ce_id`.
    pub id: Uuid,
    /// The full name of the topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
}

/// What became of the messages of one publisher so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Handed to librdkafka.
    pub queued: u64,
    /// Confirmed by Kafka.
    pub delivered: u64,
    /// Given up.
    pub failed: u64,
    /// The first failures in words.
    pub failures: Vec<String>,
}

#[derive(Default)]
struct Counters {
    queued: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// Travels with a message through librdkafka; dropping it makes room for another one.
struct Ticket {
    id: Uuid,
    what: String,
    reply: Option<oneshot::Sender<Result<Delivered, ClientError>>>,
    _room: OwnedSemaphorePermit,
}

impl Confirmations for Counters {
    type Ticket = Box<Ticket>;

    fn delivered(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let Ticket { id, what, reply, _room } = *ticket;
        let outcome = match result {
            Ok(message) => {
                self.delivered.fetch_add(1, Ordering::Relaxed);
                let (topic, partition, offset) = (message.topic().to_owned(), message.partition(), message.offset());
                Ok(Delivered { id, topic, partition, offset })
            }
            Err((source, _)) => {
                let error = ClientError::not_delivered(what, source.clone());
                self.failed.fetch_add(1, Ordering::Relaxed);
                let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                if failures.len() < FAILURES_KEPT {
                    failures.push(error.to_string());
                }
                Err(error)
            }
        };
        if let Some(reply) = reply {
            // Whoever asked may have stopped waiting; the counters have it all the same.
            drop(reply.send(outcome));
        }
    }
}

/// Publishes messages. Share it by reference; one per process is enough.
///
/// Dropping it discards what is not confirmed yet: call [`Publisher::flush`] after [`Publisher::send`].
pub struct Publisher {
    producer: Arc<ThreadedProducer<Producing<Counters>>>,
    counters: Arc<Counters>,
    room: Arc<Semaphore>,
    codec: Codec,
    connection: Connection,
    source: String,
}

impl Publisher {
    /// A publisher whose messages name `source` (a URI reference, such as `/web-shop`) as their origin.
    /// Does not wait for the brokers; see [`Publisher::check_topic`].
    pub fn open(connection: &Connection, source: impl Into<String>) -> Result<Self, ClientError> {
        let counters = Arc::new(Counters::default());
        let context = Producing { confirmations: Arc::clone(&counters), listener: Listener::default() };
        let producer = connection.producer_config(IN_FLIGHT_MAX).create_with_context(context);
        Ok(Self {
            producer: Arc::new(producer.map_err(|source| ClientError::Configuration { source })?),
            counters,
            room: Arc::new(Semaphore::new(IN_FLIGHT_PERMITS)),
            codec: Codec::embedded(),
            connection: connection.clone(),
            source: source.into(),
        })
    }

    /// Fails early, and in words, unless the brokers answer and have this topic; how many partitions it has. The connection
    /// is the one that messages go over: a first message after this has nothing to wait for but its own answer.
    pub async fn check_topic(&self, name: TopicName) -> Result<i32, ClientError> {
        let (producer, connection) = (Arc::clone(&self.producer), self.connection.clone());
        let topic = connection.topic(name);
        blocking(move || {
            // The producer's own thread polls it.
            partition_count(producer.client(), &producer.context().listener.hearing, &connection, &topic, || {})
        })
        .await
    }

    /// Places an order and waits until Kafka has confirmed the command.
    pub async fn place(&self, order: PlaceOrder) -> Result<Delivered, ClientError> {
        self.publish(&order.into()).await
    }

    /// Asks for an order to be cancelled and waits until Kafka has confirmed the command.
    /// The same `command_id` again is the same cancel.
    pub async fn cancel(&self, order_id: OrderId, command_id: CommandId) -> Result<Delivered, ClientError> {
        self.publish(&CancelOrder::new(order_id, command_id).into()).await
    }

    /// Reports that goods have arrived and waits until Kafka has confirmed the command.
    /// The same `command_id` again is the same receipt.
    pub async fn receive_stock(
        &self,
        sku: Sku,
        quantity: i64,
        command_id: CommandId,
    ) -> Result<Delivered, ClientError> {
        self.publish(&ReceiveStock::of(sku, command_id, quantity).into()).await
    }

    /// Publishes any message as the beginning of a new trace and waits until Kafka has confirmed it.
    pub async fn publish(&self, message: &Message) -> Result<Delivered, ClientError> {
        self.publish_in(message, &headers::new_trace_parent()).await
    }

    /// The same on this partition, as [`OrderPlace`](super::OrderPlace) finds it: not on the one of its key, where a program
    /// with another partitioner has placed an order. Without one, on that of its key.
    pub async fn publish_on(&self, partition: Option<i32>, message: &Message) -> Result<Delivered, ClientError> {
        self.deliver(message, (&self.source, &headers::new_trace_parent()), partition).await
    }

    /// Publishes any message within the trace of this W3C `traceparent` and waits until Kafka has confirmed it.
    pub async fn publish_in(&self, message: &Message, trace_parent: &str) -> Result<Delivered, ClientError> {
        self.deliver(message, (&self.source, trace_parent), None).await
    }

    /// The same in the name of another source than this publisher's own: of whoever asks a program to publish.
    pub async fn publish_from(
        &self,
        source: &str,
        message: &Message,
        trace_parent: &str,
    ) -> Result<Delivered, ClientError> {
        self.deliver(message, (source, trace_parent), None).await
    }

    async fn deliver(
        &self,
        message: &Message,
        origin: (&str, &str),
        partition: Option<i32>,
    ) -> Result<Delivered, ClientError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(message, origin, partition, Some(reply)).await?;
        match answer.await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClientError::Task { detail: "the producer was closed".to_owned() }),
        }
    }

    /// Hands a message over without waiting for its confirmation; waits only while `IN_FLIGHT_MAX` are unconfirmed.
    /// Gives the message's `ce_id`. What becomes of it is in [`Publisher::deliveries`] after [`Publisher::flush`].
    pub async fn send(&self, message: &Message) -> Result<Uuid, ClientError> {
        self.enqueue(message, (&self.source, &headers::new_trace_parent()), None, None).await
    }

    /// Waits until every message that was handed over is confirmed or given up, at most this long.
    pub async fn flush(&self, wait: Duration) -> Result<Deliveries, ClientError> {
        match tokio::time::timeout(wait, self.room.acquire_many(IN_FLIGHT_MAX)).await {
            Ok(_) => Ok(self.deliveries()),
            Err(_) => {
                let now = self.deliveries();
                let waiting = now.queued.saturating_sub(now.delivered).saturating_sub(now.failed);
                Err(ClientError::FlushTimedOut { waiting, wait_s: wait.as_secs() })
            }
        }
    }

    /// What became of the messages so far.
    pub fn deliveries(&self) -> Deliveries {
        let failures = self.counters.failures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Deliveries {
            queued: self.counters.queued.load(Ordering::Relaxed),
            delivered: self.counters.delivered.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
            failures,
        }
    }

    /// How many messages are neither confirmed nor given up yet.
    pub fn unconfirmed(&self) -> u64 {
        let at = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { queued, delivered, failed, .. } = &*self.counters;
        at(queued).saturating_sub(at(delivered)).saturating_sub(at(failed))
    }

    async fn enqueue(
        &self,
        message: &Message,
        (source, trace_parent): (&str, &str),
        partition: Option<i32>,
        reply: Option<oneshot::Sender<Result<Delivered, ClientError>>>,
    ) -> Result<Uuid, ClientError> {
        refuse_card_number(message)?;
        let what = format!("{} {}", message.name(), message.key());
        let payload = match self.codec.encode(message) {
            Ok(payload) => payload,
            Err(source) => return Err(ClientError::Encode { what, source }),
        };
        let topic = self.connection.topic(message.topic());
        let room = self.room.clone().acquire_owned().await;
        let Ok(room) = room else {
            return Err(ClientError::Task { detail: "the producer was closed".to_owned() });
        };
        let id = Uuid::now_v7();
        let headers = headers::outgoing(message, id, source, Timestamp::now(), trace_parent);
        let ticket = Box::new(Ticket { id, what, reply, _room: room });
        let mut record =
            BaseRecord::with_opaque_to(&topic, ticket).key(message.key()).payload(&payload).headers(headers);
        record.partition = partition;
        self.hand_over(record).await?;
        self.counters.queued.fetch_add(1, Ordering::Relaxed);
        Ok(id)
    }

    async fn hand_over(&self, record: BaseRecord<'_, str, Vec<u8>, Box<Ticket>>) -> Result<(), ClientError> {
        let mut record = record;
        for _ in 0..QUEUE_FULL_TRIES {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    tokio::time::sleep(QUEUE_FULL_PAUSE).await;
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), back)) => {
                    let bytes = back.payload.map_or(0, Vec::len);
                    return Err(ClientError::TooLarge { what: back.delivery_opaque.what, bytes });
                }
                Err((source, back)) => {
                    return Err(ClientError::not_delivered(back.delivery_opaque.what, source));
                }
            }
        }
        let source = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
        Err(ClientError::NotConfirmed { what: record.delivery_opaque.what, source })
    }
}

/// What may be a card number must never enter a topic, whichever way it would go there.
pub(super) fn refuse_card_number(message: &Message) -> Result<(), ClientError> {
    match message {
        Message::OrderCommand(OrderCommand::PlaceOrder(order))
            if order.payment_token.as_deref().is_some_and(saga::is_digits_alone) =>
        {
            Err(ClientError::CardNumber { what: format!("{} {}", message.name(), message.key()) })
        }
        Message::OrderCommand(_)
        | Message::OrderEvent(_)
        | Message::InventoryCommand(_)
        | Message::InventoryEvent(_)
        | Message::StockCommand(_)
        | Message::StockEvent(_)
        | Message::PaymentCommand(_)
        | Message::PaymentEvent(_) => Ok(()),
    }
}
