//! Records that tell whether a topic is the one that was read before: it must have them still, unless retention has deleted
//! them.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::channel::Channel;
use super::kafka::KafkaLog;
use super::range::{Bounds, Range};
use super::record::Record;
use crate::error::ReplayError;
use crate::log;

/// Tells a record from another of the same offset: its time and digests of its parts.
pub(crate) fn mark(record: &Record<'_>) -> String {
    let body = log::body(record.key, record.payload);
    let headers = record.headers.as_deref().map_or(0, log::headers_digest);
    format!("{}-{body:032x}-{headers:032x}", record.timestamp_ms)
}

/// A record that a topic had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Witness {
    pub(crate) offset: i64,
    pub(crate) mark: String,
}

impl Witness {
    pub(crate) fn of(record: &Record<'_>) -> Self {
        Witness { offset: record.offset, mark: mark(record) }
    }
}

/// Whether the topic, which lies between these bounds, has these records, at most one of each partition. Blocks.
pub(crate) fn check_topic(
    kafka: &KafkaLog,
    channel: Channel,
    there: &[Bounds],
    witnesses: &[Option<Witness>],
) -> Result<(), ReplayError> {
    let other =
        |partition: i32, reason: String| ReplayError::OtherTopic { topic: kafka.topic(channel), partition, reason };
    if there.len() != witnesses.len() {
        let (found, expected) = (there.len(), witnesses.len());
        return Err(ReplayError::Partitions { topic: kafka.topic(channel), found, expected });
    }
    let mut due = Vec::new();
    for (partition, (there, witness)) in (0..).zip(there.iter().zip(witnesses)) {
        let Some(Witness { offset, .. }) = witness else { continue };
        if there.end <= *offset {
            return Err(other(
                partition,
                format!("it ends at offset {}, what was read of it at {}", there.end, offset + 1),
            ));
        }
        if there.first <= *offset {
            due.push(Range { partition, from: *offset, until: offset + 1 });
        }
    }
    let mut strange = None;
    let mut seen = Vec::new();
    kafka.for_single_records().read(channel, &due, &mut |record| {
        seen.push(record.partition);
        let witness = usize::try_from(record.partition).ok().and_then(|index| witnesses.get(index)?.as_ref());
        if witness.is_some_and(|witness| witness.mark == mark(record)) {
            return ControlFlow::Continue(());
        }
        strange = Some((record.partition, format!("at offset {} it has another record", record.offset)));
        ControlFlow::Break(())
    })?;
    if strange.is_none() {
        let missing = due.iter().find(|range| !seen.contains(&range.partition));
        strange = missing.map(|range| (range.partition, format!("at offset {} it has no record", range.from)));
    }
    strange.map_or(Ok(()), |(partition, reason)| Err(other(partition, reason)))
}
