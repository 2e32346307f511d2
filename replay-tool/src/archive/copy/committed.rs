//! How far the archive is on disk, told to Kafka as offsets of the group `<prefix>replay-archive`.
//!
//! Whoever allows retention compares with it (`outbox::operate::archiving`). Only what was put durably is committed; what
//! is under way is not. Brokers forget the offsets of a group without members after a week, so they are committed again
//! from time to time. Nothing is read from there: where a run goes on is told by the segments alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use outbox::kafka::{self, Listener};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

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
    consumer: BaseConsumer<Listener>,
    /// By topic and partition: the offset after what is on disk.
    durable: BTreeMap<(String, i32), i64>,
    is_told: bool,
    told: Instant,
    /// When the brokers last failed to confirm it.
    failed: Option<Instant>,
}

impl Committed {
    /// Offsets of this group. Does not connect yet.
    pub(super) fn new(settings: &ClientConfig, group: &str) -> Result<Self, ReplayError> {
        let mut config = settings.clone();
        config.set("group.id", group).set("enable.auto.commit", "false");
        let consumer = config
            .create_with_context(Listener::default())
            .map_err(ReplayError::kafka("the configuration of the archive's group"))?;
        Ok(Committed { consumer, durable: BTreeMap::new(), is_told: true, told: Instant::now(), failed: None })
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
        added.and_then(|()| self.consumer.commit(&list, CommitMode::Async)).map_err(failed())?;
        // What the brokers have is what counts.
        let until = Instant::now() + CONFIRMATION;
        loop {
            drop(self.consumer.poll(POLL));
            let left = until.saturating_duration_since(Instant::now());
            let there = kafka::committed(&self.consumer, &list, left.max(POLL)).map_err(failed())?;
            if there == list {
                break;
            }
            if left.is_zero() {
                return Err(failed()(KafkaError::ConsumerCommit(RDKafkaErrorCode::OperationTimedOut)));
            }
        }
        (self.is_told, self.told) = (true, Instant::now());
        Ok(())
    }
}
