//! The producer, and what the broker has acknowledged so far.
//!
//! Idempotent, all replicas, no time-out, no gap: a message either arrives in its place or the producer fails as a whole
//! and is replaced. What is in flight is bounded by number and bytes, because it is what a paused relay may still send
//! after another has taken over. Deliberately absent: Kafka transactions (they do not cover Postgres).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::append::RAW_EXTRA_BYTES;
use crate::kafka::{self, PolledProducer};
use crate::position::ID_HEADER;
use crate::relay::RelayConfig;
use crate::relay::acked::Acked;
use crate::relay::status::NamedMessage;
use crate::relay::wire::Record;
use crate::repeats::Repeats;

/// Bits of the delivery tag that hold the sequence; the rest hold the slot.
const SEQUENCE_BITS: u32 = 48;

/// The first delivery that failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) slot: usize,
    pub(crate) cause: Cause,
}

/// Why nothing more may be sent before the topics were read again.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// The client library gave a message up.
    NotTaken { error: KafkaError, message: Box<NamedMessage> },
    /// A message was acknowledged at an offset that its topic partition had already passed: the log is another one.
    LogBeganAnew,
}

/// What the delivery callback keeps.
#[derive(Debug)]
pub(crate) struct Acks {
    lanes: Mutex<Vec<Acked>>,
    messages: AtomicU64,
    bytes: AtomicU64,
    failure: Mutex<Option<Failure>>,
    failed: AtomicBool,
    /// Somebody waits for room.
    waiting: AtomicBool,
    wake: Notify,
    /// A message whose acknowledgement is timed, and the times measured.
    probe: Mutex<Probe>,
    /// What the client last said of its brokers, and what of that is not worth a line.
    said: Mutex<(Option<String>, Repeats)>,
}

#[derive(Debug, Default)]
struct Probe {
    running: Option<(usize, Instant)>,
    measured: Vec<Duration>,
}

/// The producer's context.
#[derive(Debug, Clone)]
pub(crate) struct Context(Arc<Acks>);

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        kafka::read_token(config)
    }

    /// Each broker's lost connection is told by [`ClientContext::error`] too, in fewer lines.
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "the producer's client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let text = kafka::complaint(&error, reason);
        let mut said = lock(&self.0.said);
        if let Some(untold) = said.1.tell(&error.to_string(), Instant::now()) {
            tracing::warn!(error = text, untold, "the producer's client has trouble");
        }
        said.0 = Some(text);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        match result {
            Ok(message) => self.0.acknowledge(tag, message.offset(), size(message.key(), message.payload())),
            Err((error, message)) => {
                let message = Box::new(named(message, sequence_of(tag)));
                let cause = Cause::NotTaken { error: error.clone(), message };
                self.0.fail(Failure { slot: tag >> SEQUENCE_BITS, cause });
            }
        }
    }
}

impl Acks {
    fn acknowledge(&self, tag: usize, offset: i64, bytes: u64) {
        let sequence = sequence_of(tag);
        let failed = self.failed.load(Ordering::Acquire);
        let slot = tag >> SEQUENCE_BITS;
        let goes_on = lock(&self.lanes).get_mut(slot).is_none_or(|lane| lane.acknowledge(sequence, offset, failed));
        if !goes_on {
            self.fail(Failure { slot, cause: Cause::LogBeganAnew });
        }
        self.messages.fetch_add(1, Ordering::AcqRel);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let mut probe = lock(&self.probe);
        if let Some((timed, since)) = probe.running
            && timed == tag
        {
            probe.running = None;
            probe.measured.push(since.elapsed());
        }
        drop(probe);
        if self.waiting.swap(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    fn fail(&self, failure: Failure) {
        lock(&self.failure).get_or_insert(failure);
        self.failed.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

/// Sends records and knows what became of them.
pub(crate) struct Publisher {
    producer: PolledProducer<Context>,
    acks: Arc<Acks>,
    sent_messages: u64,
    sent_bytes: u64,
    max_messages: u64,
    max_bytes: u64,
}

impl Publisher {
    /// A producer that begins to connect. Its client gets the id without which it sends nothing half a second later, so it
    /// is opened before it is needed. `is_lost` plants a client that finds no broker.
    pub(crate) fn open(config: &RelayConfig, max_message: usize, is_lost: bool) -> Result<Self, KafkaError> {
        let acks = Arc::new(Acks {
            lanes: Mutex::default(),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            wake: Notify::new(),
            probe: Mutex::default(),
            said: Mutex::default(),
        });
        let mut kafka = client_config(config, max_message);
        if is_lost {
            kafka.set("bootstrap.servers", "127.0.0.1:1");
        }
        let producer = PolledProducer::create(&kafka, Context(Arc::clone(&acks)))?;
        Ok(Self {
            producer,
            acks,
            sent_messages: 0,
            sent_bytes: 0,
            max_messages: u64::from(config.max_in_flight_messages.max(1)),
            max_bytes: u64::try_from(config.max_in_flight_bytes).unwrap_or(u64::MAX),
        })
    }

    /// What each slot's topic partition holds already; told before anything is sent.
    pub(crate) fn begin(&self, lanes: Vec<Acked>) {
        *lock(&self.acks.lanes) = lanes;
    }

    /// Ends the producer, which purges what it still holds and blocks: on a thread of its own.
    pub(crate) fn end(self) -> JoinHandle<()> {
        tokio::task::spawn_blocking(move || drop(self))
    }

    /// Hands a record to the producer. [`Publisher::has_room`] comes first.
    pub(crate) fn send(
        &mut self,
        slot: usize,
        topic: &str,
        partition: i32,
        record: &Record<'_>,
        headers: OwnedHeaders,
    ) -> Result<(), KafkaError> {
        let sequence = usize::try_from(record.sequence).ok().filter(|sequence| *sequence < 1 << SEQUENCE_BITS);
        let tag = slot << SEQUENCE_BITS | sequence.ok_or(KafkaError::Canceled)?;
        let mut base: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(topic, tag).partition(partition);
        base.key = record.key;
        base.payload = record.payload;
        let probe = self.sent_messages.is_multiple_of(64) && lock(&self.acks.probe).running.is_none();
        if probe {
            lock(&self.acks.probe).running = Some((tag, Instant::now()));
        }
        self.producer.send(base.headers(headers)).map_err(|(error, _)| error)?;
        self.sent_messages += 1;
        self.sent_bytes += size(record.key, record.payload);
        Ok(())
    }

    /// Whether another record may be sent now.
    pub(crate) fn has_room(&self) -> bool {
        let messages = self.sent_messages - self.acks.messages.load(Ordering::Acquire);
        let bytes = self.sent_bytes - self.acks.bytes.load(Ordering::Acquire);
        messages < self.max_messages && bytes < self.max_bytes
    }

    /// Whether everything sent is acknowledged.
    pub(crate) fn is_idle(&self) -> bool {
        self.sent_messages == self.acks.messages.load(Ordering::Acquire)
    }

    /// Messages acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acks.messages.load(Ordering::Acquire)
    }

    /// Returns when a record was acknowledged since the call, or a delivery has failed. May return without a reason.
    pub(crate) async fn progress(&self) {
        self.acks.waiting.store(true, Ordering::Release);
        if self.is_idle() || self.acks.failed.load(Ordering::Acquire) {
            return;
        }
        self.acks.wake.notified().await;
    }

    /// Returns when a delivery has failed; may return without a reason.
    pub(crate) async fn failed(&self) {
        if !self.acks.failed.load(Ordering::Acquire) {
            self.acks.wake.notified().await;
        }
    }

    /// The first failure, if there was one.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.acks.failed.load(Ordering::Acquire).then(|| lock(&self.acks.failure).clone()).flatten()
    }

    /// What the client last said of its brokers.
    pub(crate) fn said(&self) -> String {
        lock(&self.acks.said).0.clone().unwrap_or_else(|| "the client names no reason".to_owned())
    }

    /// What each slot's topic partition holds.
    pub(crate) fn acked(&self) -> Vec<Acked> {
        lock(&self.acks.lanes).clone()
    }

    /// Times from sending to acknowledgement that were measured since the last call.
    pub(crate) fn measured(&self) -> Vec<Duration> {
        std::mem::take(&mut lock(&self.acks.probe).measured)
    }
}

/// Whether a delivery error concerns its topic alone, so that other lanes can go on while this one is held.
pub(crate) fn concerns_one_lane(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidTimestamp
                | RDKafkaErrorCode::PolicyViolation
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}

/// The caller's settings, then what the protocol needs whatever they say.
fn client_config(config: &RelayConfig, max_message: usize) -> ClientConfig {
    let mut kafka = ClientConfig::new();
    let linger_us = config.linger.as_micros();
    kafka
        .set("compression.type", "lz4")
        .set("linger.ms", format!("{}.{:03}", linger_us / 1000, linger_us % 1000))
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("retry.backoff.ms", "50")
        .set("retry.backoff.max.ms", "500")
        .set("socket.nagle.disable", "true")
        .set("socket.keepalive.enable", "true")
        .set("client.id", "outbox-relay");
    crate::kafka::copy(&config.kafka, &mut kafka, |_| true);
    let queue = u64::from(config.max_in_flight_messages).saturating_mul(2).clamp(1000, 1_000_000);
    kafka
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("enable.gapless.guarantee", "true")
        .set("message.timeout.ms", "0")
        .set("allow.auto.create.topics", "false")
        .set("message.max.bytes", (max_message + RAW_EXTRA_BYTES + 1024).to_string())
        .set("queue.buffering.max.messages", queue.to_string())
        .set("queue.buffering.max.kbytes", "1048576");
    kafka
}

fn sequence_of(tag: usize) -> i64 {
    i64::try_from(tag & ((1 << SEQUENCE_BITS) - 1)).unwrap_or(0)
}

/// The message as a person finds it.
fn named(message: &BorrowedMessage<'_>, sequence: i64) -> NamedMessage {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let header = |names: &[&str]| {
        let mut headers = message.headers()?.iter();
        headers.find(|header| names.contains(&header.key)).and_then(|header| header.value.map(text))
    };
    NamedMessage {
        sequence,
        key: message.key().map(text),
        id: header(&["ce_id", ID_HEADER]),
        ce_type: header(&["ce_type"]),
    }
}

fn size(key: Option<&[u8]>, payload: Option<&[u8]>) -> u64 {
    let bytes = key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
