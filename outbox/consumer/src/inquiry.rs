//! A closer look at the records before which a feed stands: which of them cannot be read, or whose transaction is open.
//!
//! On a blocking thread, with a consumer of its own that is in no group: the engine's goes on with the other feeds. Bounded by
//! `LIMIT`, and ended early when its owner goes. Offsets are tried one by one: a search in greater steps would pass over
//! what can be read between two runs that cannot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::planted::Planted;
use jiff::Timestamp;
use outbox::kafka::Listener;
use outbox::kafka::record_headers;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::feed::FeedId;
use crate::group_member::{Asker, config_over};
use crate::progress::Obstacle;
use crate::reception;

/// How long one inquiry may take; what it has found by then counts.
const LIMIT: Duration = Duration::from_secs(15);
/// How long one offset may stay without a record and without an error.
const SILENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

/// What to look at.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// librdkafka properties of the user.
    pub(crate) kafka: ClientConfig,
    /// Nothing is stored under it: one that access lists allow.
    pub(crate) group: String,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    /// Where the feed stands.
    pub(crate) from: i64,
    /// Up to where the log can be read.
    pub(crate) end: i64,
    pub(crate) planted: Planted,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The record at the offset can be read.
    Readable,
    /// All offsets up to this one cannot, for the reason that the client gave for the first.
    Unreadable { last: i64, reason: String },
    /// The first record of the open transaction.
    Transaction { since: Option<Timestamp>, key: String, source: String },
    /// The brokers did not tell.
    Nothing(String),
}

/// An inquiry under way.
pub(crate) struct Inquiry<T> {
    pub(crate) feed: FeedId<T>,
    pub(crate) from: i64,
    task: tokio::task::JoinHandle<Answer>,
    given_up: Arc<AtomicBool>,
}

impl<T> Inquiry<T> {
    /// Ask what stands behind this obstacle; none where there is nothing to ask.
    pub(crate) fn start(feed: FeedId<T>, obstacle: Obstacle, question: Question) -> Option<Self> {
        let ask: fn(&Question, &AtomicBool) -> KafkaResult<Answer> = match obstacle {
            Obstacle::Unreadable => extent,
            Obstacle::OpenTransaction => first_of_transaction,
            Obstacle::Held | Obstacle::NotFetched | Obstacle::Saturated => return None,
        };
        let given_up = Arc::new(AtomicBool::new(false));
        let (from, seen) = (question.from, given_up.clone());
        let task = tokio::task::spawn_blocking(move || {
            ask(&question, &seen).unwrap_or_else(|error| Answer::Nothing(error.to_string()))
        });
        Some(Inquiry { feed, from, task, given_up })
    }

    /// Whether `answer` returns at once.
    pub(crate) fn is_done(&self) -> bool {
        self.task.is_finished()
    }

    /// Wait for the answer.
    pub(crate) async fn answer(self) -> Answer {
        self.task.await.unwrap_or_else(|error| Answer::Nothing(error.to_string()))
    }

    /// Make it end soon.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

/// The offsets from the first one on that cannot be read.
fn extent(question: &Question, given_up: &AtomicBool) -> KafkaResult<Answer> {
    let consumer = consumer(question, "read_committed")?;
    let deadline = Instant::now() + LIMIT;
    let mut found: Option<(i64, String)> = None;
    let mut offset = question.from;
    while offset < question.end && Instant::now() < deadline && !given_up.load(Ordering::Relaxed) {
        match read(&consumer, question, offset, given_up)? {
            Reading::Unreadable(reason) => {
                let reason = found.take().map_or(reason, |(_, reason)| reason);
                found = Some((offset, reason));
            }
            Reading::Record => break,
            Reading::Silence => break,
        }
        offset += 1;
    }
    Ok(match found {
        Some((last, reason)) => Answer::Unreadable { last, reason },
        None => Answer::Readable,
    })
}

enum Reading {
    Record,
    Unreadable(String),
    Silence,
}

/// What comes when reading begins at this offset.
fn read(consumer: &Asker, question: &Question, offset: i64, given_up: &AtomicBool) -> KafkaResult<Reading> {
    set_to(consumer, question, offset)?;
    let deadline = Instant::now() + SILENCE;
    while Instant::now() < deadline && !given_up.load(Ordering::Relaxed) {
        match reception::next_within(consumer, POLL, question.planted) {
            Some(Ok(message)) if message.offset() >= offset => return Ok(Reading::Record),
            Some(Err(error)) if outbox::kafka::is_about_content(&error) => {
                return Ok(Reading::Unreadable(
                    error.rdkafka_error_code().map_or(error.to_string(), |code| code.to_string()),
                ));
            }
            // Other errors mend themselves, or the time runs out.
            Some(Ok(_) | Err(_)) | None => {}
        }
    }
    Ok(Reading::Silence)
}

/// The record before which committed reading stands.
fn first_of_transaction(question: &Question, given_up: &AtomicBool) -> KafkaResult<Answer> {
    let consumer = consumer(question, "read_uncommitted")?;
    set_to(&consumer, question, question.from)?;
    let deadline = Instant::now() + SILENCE;
    while Instant::now() < deadline && !given_up.load(Ordering::Relaxed) {
        if let Some(Ok(message)) = reception::next_within(&consumer, POLL, question.planted) {
            return Ok(described(&message));
        }
    }
    Ok(Answer::Nothing(format!("no record came within {SILENCE:?}")))
}

fn described(message: &BorrowedMessage<'_>) -> Answer {
    let text =
        |bytes: Option<&[u8]>| bytes.map_or("none".into(), |bytes| format!("{:?}", String::from_utf8_lossy(bytes)));
    let mut source = text(None);
    record_headers::visit(message, |name, value| {
        if name == "ce_source" {
            source = text(value);
        }
    });
    let since = message.timestamp().to_millis().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    Answer::Transaction { since, key: crate::text::detail(text(message.key())), source: crate::text::detail(&source) }
}

fn set_to(consumer: &Asker, question: &Question, offset: i64) -> KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&question.topic, question.partition, Offset::Offset(offset))?;
    consumer.assign(&list)
}

fn consumer(question: &Question, isolation: &str) -> KafkaResult<Asker> {
    let defaults =
        [("fetch.error.backoff.ms", "10"), ("fetch.wait.max.ms", "100"), ("queued.max.messages.kbytes", "1024")];
    let mut config = config_over(&question.kafka, &defaults);
    config.remove("group.instance.id");
    config
        .set("group.id", &question.group)
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("statistics.interval.ms", "0");
    config.create_with_context(Listener::default())
}
