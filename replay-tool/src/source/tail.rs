//! The archive, and from its end on the topics, as one log.
//!
//! The two meet at a record that both have: if the topic has another one there, it is not the topic that was archived,
//! and nothing of it is read. Where the topic begins later than the archive ends, what is between them is lost.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::archive::{ArchiveLog, Archived};
use crate::error::ReplayError;
use crate::log::{Bounds, Channel, KafkaLog, Range, Sink, mark};

/// From where the archive begins to where the topics end.
pub(super) fn bounds(archive: &ArchiveLog, kafka: &KafkaLog, channel: Channel) -> Result<Vec<Bounds>, ReplayError> {
    let both = Both::find(archive, kafka, channel)?;
    (0..).zip(both.archived.iter().zip(&both.there)).map(|(partition, _)| both.bounds(partition)).collect()
}

/// See [`super::Source::read`].
pub(super) fn read(
    archive: &ArchiveLog,
    kafka: &KafkaLog,
    channel: Channel,
    ranges: &[Range],
    sink: &mut Sink<'_>,
) -> Result<(), ReplayError> {
    let both = Both::find(archive, kafka, channel)?;
    let mut early = Vec::new();
    let mut late = Vec::new();
    // By partition: the last archived record, which the topic must have as well.
    let mut seams = BTreeMap::new();
    for range in ranges.iter().filter(|range| !range.is_empty()) {
        both.bounds(range.partition)?;
        let (had, there) = both.of(range.partition)?;
        let archived = had.bounds;
        if range.from < archived.end && range.from >= archived.first {
            early.push(Range { until: range.until.min(archived.end), ..*range });
            if range.until <= archived.end {
                continue;
            }
        } else if range.from < archived.end {
            // Before the archive's first record.
            late.push(*range);
            continue;
        }
        // Where both have the archive's last record, the topic is read from there on.
        let seam = had.last.as_ref().filter(|last| range.from <= archived.end && there.first <= last.offset);
        if let Some(last) = seam {
            seams.insert(range.partition, (last.offset, last.mark.as_str()));
        }
        let from = seam.map_or(range.from.max(archived.end), |last| last.offset);
        late.push(Range { from, ..*range });
    }
    if archive.read(channel, &early, sink)?.is_break() {
        return Ok(());
    }
    read_late(kafka, channel, &late, &seams, sink)
}

fn read_late(
    kafka: &KafkaLog,
    channel: Channel,
    late: &[Range],
    seams: &BTreeMap<i32, (i64, &str)>,
    sink: &mut Sink<'_>,
) -> Result<(), ReplayError> {
    let mut other = None;
    kafka.read(channel, late, &mut |record| match seams.get(&record.partition) {
        Some((seam, expected)) if record.offset == *seam => match mark(record) == *expected {
            true => ControlFlow::Continue(()),
            false => {
                other = Some((record.partition, format!("at offset {seam} it has another record")));
                ControlFlow::Break(())
            }
        },
        Some(_) | None => sink(record),
    })?;
    match other {
        Some((partition, reason)) => Err(ReplayError::OtherTopic { topic: kafka.topic(channel), partition, reason }),
        None => Ok(()),
    }
}

/// The bounds of both.
struct Both {
    topic: String,
    archived: Vec<Archived>,
    there: Vec<Bounds>,
}

impl Both {
    fn find(archive: &ArchiveLog, kafka: &KafkaLog, channel: Channel) -> Result<Both, ReplayError> {
        // In this order: what is archived in between is in the topic too.
        let archived = archive.archived(channel)?;
        let both = Both { topic: kafka.topic(channel), archived, there: kafka.bounds(channel)? };
        if both.archived.len() != both.there.len() {
            let (found, expected) = (both.there.len(), both.archived.len());
            return Err(ReplayError::Partitions { topic: both.topic, found, expected });
        }
        Ok(both)
    }

    fn of(&self, partition: i32) -> Result<(&Archived, Bounds), ReplayError> {
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let found = self.archived.get(index).zip(self.there.get(index).copied());
        found.ok_or_else(|| ReplayError::arguments(format!("{} has no partition {partition}", self.topic)))
    }

    /// Of a partition as one log, if it is one.
    fn bounds(&self, partition: i32) -> Result<Bounds, ReplayError> {
        let (archived, there) = self.of(partition)?;
        let archived = archived.bounds;
        if archived.first == archived.end {
            return Ok(there);
        }
        if there.end < archived.end {
            let reason = format!("it ends at offset {}, the archive at {}", there.end, archived.end);
            return Err(ReplayError::OtherTopic { topic: self.topic.clone(), partition, reason });
        }
        if there.first > archived.end {
            return Err(ReplayError::Hole {
                topic: self.topic.clone(),
                partition,
                from: archived.end,
                last: there.first - 1,
                place: "neither in the archive, which ends before them, nor in the topic, which begins after them",
            });
        }
        Ok(Bounds { first: archived.first.min(there.first), end: there.end })
    }
}
