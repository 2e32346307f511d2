//! What no reader is given yet: records behind the last stable offset, where a client's transaction is open.
//!
//! Readers of committed records stand there until the client commits or aborts, or until the brokers abort for a client
//! that is gone, 15 minutes later at the latest unless told otherwise. Deliberately absent: the producer's id, which the
//! client library does not tell; Kafka's own tool does.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::channel::Channel;
use super::kafka::KafkaLog;
use super::range::{Bounds, Range, Sink};
use crate::error::ReplayError;

/// A transaction that nobody has ended, and what waits behind its beginning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct OpenTransaction {
    /// The topic's full name.
    pub topic: String,
    /// Which partition.
    pub partition: i32,
    /// The offset of its first record, at which readers stand: the last stable offset.
    pub first: i64,
    /// The last offset that waits, whoever wrote it.
    pub last: i64,
    /// When its first record was written, by that record's timestamp.
    pub since: Option<Timestamp>,
    /// That record's key.
    pub key: Option<String>,
    /// That record's `ce_source`.
    pub source: Option<String>,
}

impl OpenTransaction {
    /// How many offsets wait.
    pub fn offsets(&self) -> i64 {
        self.last - self.first + 1
    }

    /// Kafka's own command that names the producer.
    pub fn command(&self) -> String {
        let (topic, partition) = (&self.topic, self.partition);
        format!("kafka-transactions.sh --bootstrap-server … describe-producers --topic {topic} --partition {partition}")
    }
}

impl fmt::Display for OpenTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OpenTransaction { topic, partition, first, last, since, key, source } = self;
        write!(f, "{topic}[{partition}]: {} offsets, {first} to {last}, wait behind a transaction", self.offsets())?;
        match since {
            Some(since) => write!(f, " that is open since {since:.3}")?,
            None => write!(f, " that is open")?,
        }
        let told = |text: &Option<String>| text.as_ref().map_or_else(|| "none".to_owned(), |text| format!("{text:?}"));
        write!(f, " (its first record: key {}, ce_source {}); whose: {}", told(key), told(source), self.command())
    }
}

/// What a look at a channel shows.
pub(crate) struct Seen {
    /// What can be read of every partition.
    pub(crate) stable: Vec<Bounds>,
    /// The transactions that are open, at most one of each partition: the first.
    pub(crate) open: Vec<OpenTransaction>,
}

/// Looks behind the last stable offsets.
pub(crate) struct Lookout {
    committed: KafkaLog,
    uncommitted: KafkaLog,
}

impl Lookout {
    /// Beside this log; each question to the brokers may take so long.
    pub(super) fn new(log: &KafkaLog, answer_wait: Duration) -> Result<Self, ReplayError> {
        Ok(Lookout { committed: log.answering_within(answer_wait), uncommitted: log.uncommitted(answer_wait)? })
    }

    /// Look at a channel. Blocks.
    pub(crate) fn look(&self, channel: Channel) -> Result<Seen, ReplayError> {
        // In this order: what is written in between lies behind both, and does not seem to wait.
        let highs = self.uncommitted.bounds(channel)?;
        let stable = self.committed.bounds(channel)?;
        let mut open = Vec::new();
        for (partition, (high, stable)) in (0..).zip(highs.iter().zip(&stable)) {
            if stable.end < high.end {
                open.push(self.describe(channel, Range { partition, from: stable.end, until: high.end })?);
            }
        }
        Ok(Seen { stable, open })
    }

    /// Every record that waits behind this transaction, also its own, which may never count. Blocks.
    pub(crate) fn read(
        &self,
        channel: Channel,
        open: &OpenTransaction,
        sink: &mut Sink<'_>,
    ) -> Result<(), ReplayError> {
        let range = Range { partition: open.partition, from: open.first, until: open.last + 1 };
        self.uncommitted.read(channel, &[range], sink)
    }

    fn describe(&self, channel: Channel, waiting: Range) -> Result<OpenTransaction, ReplayError> {
        let mut open = OpenTransaction {
            topic: self.uncommitted.topic(channel),
            partition: waiting.partition,
            first: waiting.from,
            last: waiting.until - 1,
            since: None,
            key: None,
            source: None,
        };
        self.uncommitted.for_single_records().read(channel, &[waiting], &mut |record| {
            open.since = Timestamp::from_millisecond(record.timestamp_ms).ok().filter(|_| record.timestamp_ms >= 0);
            open.key = record.key.map(|key| String::from_utf8_lossy(key).into_owned());
            open.source = record.text("ce_source").map(str::to_owned);
            ControlFlow::Break(())
        })?;
        Ok(open)
    }
}
