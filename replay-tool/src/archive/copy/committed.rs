//! How far the archive is on disk, told to Kafka as offsets of the group `<prefix>replay-archive`.
//!
//! Whoever allows retention compares with it (`outbox::operate::archiving`). Only what was put durably is committed; what
//! is under way is not. Brokers forget the offsets of a group without members after a week, so they are committed again
//! from time to time. Nothing is read from there: where a run goes on is told by the segments alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

use crate::error::ReplayError;

/// How long the brokers may take to confirm.
const CONFIRMATION: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// How long to leave brokers alone that have not confirmed: records are not read while they are waited for.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Far below the week (`offsets.retention.minutes`) after which brokers forget.
const RENEW_EVERY: Duration = Duration::from_secs(3600);

/// What was committed, and what is to be.
pub(super) struct Committed {
    consumer: BaseConsumer<Outcome>,
    outcome: Outcome,
    /// By topic and partition: the offset after what is on disk.
    durable: BTreeMap<(String, i32), i64>,
    is_told: bool,
    told: Instant,
    /// When the brokers last failed to confirm it.
    failed: Option<Instant>,
}

/// What the brokers have answered.
#[derive(Clone, Default)]
struct Outcome(Arc<Mutex<Option<KafkaResult<()>>>>);

impl ClientContext for Outcome {}

impl ConsumerContext for Outcome {
    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let refused = || offsets.elements().iter().find_map(|elem| elem.error().err());
        let outcome = result.and_then(|()| refused().map_or(Ok(()), Err));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}

impl Outcome {
    fn take(&self) -> Option<KafkaResult<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Committed {
    /// Offsets of this group. Does not connect yet.
    pub(super) fn new(kafka: &ClientConfig, group: &str) -> Result<Self, ReplayError> {
        let mut config = kafka.clone();
        config.set("group.id", group).set("enable.auto.commit", "false");
        let outcome = Outcome::default();
        let consumer = config.create_with_context(outcome.clone());
        let consumer = consumer.map_err(ReplayError::kafka("the configuration of the archive's group"))?;
        Ok(Committed { consumer, outcome, durable: BTreeMap::new(), is_told: true, told: Instant::now(), failed: None })
    }

    /// What lies before this offset is on disk.
    pub(super) fn durable(&mut self, topic: &str, partition: i32, end: i64) {
        self.is_told &= self.durable.insert((topic.to_owned(), partition), end) == Some(end);
    }

    /// Tell it beside other work: where there is news or the last time is long ago, and the brokers have not just failed to
    /// confirm it. Blocks for ten seconds at most.
    pub(super) fn commit_beside(&mut self) -> Result<(), ReplayError> {
        if self.failed.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return Ok(());
        }
        let done = self.commit();
        self.failed = done.is_err().then(Instant::now);
        done
    }

    /// Tell it, where there is news or the last time is long ago. Blocks for ten seconds at most.
    pub(super) fn commit(&mut self) -> Result<(), ReplayError> {
        if (self.is_told && self.told.elapsed() < RENEW_EVERY) || self.durable.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        let added = self.durable.iter().try_for_each(|((topic, partition), end)| {
            list.add_partition_offset(topic, *partition, Offset::Offset(*end))
        });
        let failed = || ReplayError::kafka("committing how far the archive is");
        self.outcome.take();
        added.and_then(|()| self.consumer.commit(&list, CommitMode::Async)).map_err(failed())?;
        let until = Instant::now() + CONFIRMATION;
        loop {
            // There are no records: nothing is assigned. Complaints are told by what comes of the commit.
            drop(self.consumer.poll(POLL));
            if let Some(outcome) = self.outcome.take() {
                outcome.map_err(failed())?;
                break;
            }
            if Instant::now() >= until {
                let timed_out = KafkaError::ConsumerCommit(RDKafkaErrorCode::OperationTimedOut);
                return Err(failed()(timed_out));
            }
        }
        (self.is_told, self.told) = (true, Instant::now());
        Ok(())
    }
}
