//! Where a run goes on in each partition, and whether the topic is still the one that was archived.

use std::ops::ControlFlow;

use super::super::catalog::Edition;
use super::super::segment::mark;
use super::super::{ArchiveLog, Archived};
use super::{CopyPlan, Gap};
use crate::error::ReplayError;
use crate::log::{Bounds, Channel, Range};

/// Where to go on in a topic.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) channel: Channel,
    pub(super) edition: Edition,
    /// One for each partition: from where to go on, to where the log ends now.
    pub(super) ranges: Vec<Range>,
    pub(super) gaps: Vec<Gap>,
    pub(super) is_new_generation: bool,
}

/// Of all topics, before anything is written.
pub(super) fn begin(plan: &CopyPlan) -> Result<Vec<Begin>, ReplayError> {
    plan.channels.iter().map(|channel| begin_topic(plan, *channel)).collect()
}

fn begin_topic(plan: &CopyPlan, channel: Channel) -> Result<Begin, ReplayError> {
    let topic = plan.kafka.topic(channel);
    let there = plan.kafka.bounds(channel)?;
    let Some(edition) = Edition::latest(&plan.store, &topic)? else {
        return begin_edition(plan, channel, Edition { topic, generation: 1 }, &there, false);
    };
    match continue_edition(plan, channel, &edition, &there) {
        Err(ReplayError::OtherTopic { .. }) if plan.may_begin_generation => {
            begin_edition(plan, channel, edition.next_generation(), &there, true)
        }
        other => other,
    }
}

fn begin_edition(
    plan: &CopyPlan,
    channel: Channel,
    edition: Edition,
    there: &[Bounds],
    is_new_generation: bool,
) -> Result<Begin, ReplayError> {
    edition.begin(&plan.store, i32::try_from(there.len()).unwrap_or(i32::MAX))?;
    let had = vec![None; there.len()];
    let (ranges, gaps) = ranges(&edition.topic, &had, there);
    Ok(Begin { channel, edition, ranges, gaps, is_new_generation })
}

fn continue_edition(
    plan: &CopyPlan,
    channel: Channel,
    edition: &Edition,
    there: &[Bounds],
) -> Result<Begin, ReplayError> {
    edition.begin(&plan.store, i32::try_from(there.len()).unwrap_or(i32::MAX))?;
    let archive = ArchiveLog::of_edition(plan.store.clone(), edition.clone(), &plan.interrupt);
    let archived = archive.archived(channel)?;
    let had: Vec<Option<Bounds>> = archived
        .iter()
        .map(|archived| (archived.bounds.end > archived.bounds.first).then_some(archived.bounds))
        .collect();
    let mut last = Vec::new();
    for (partition, (had, there)) in (0..).zip(had.iter().zip(there)) {
        let Some(had) = had else { continue };
        if had.end > there.end {
            return Err(ReplayError::OtherTopic {
                topic: edition.topic.clone(),
                partition,
                reason: format!("it ends at offset {}, the archive at {}", there.end, had.end),
            });
        }
        if there.first < had.end {
            last.push(Range { partition, from: had.end - 1, until: had.end });
        }
    }
    check_marks(plan, channel, &edition.topic, &archived, &last)?;
    let (ranges, gaps) = ranges(&edition.topic, &had, there);
    Ok(Begin { channel, edition: edition.clone(), ranges, gaps, is_new_generation: false })
}

/// The last archived record of each partition, where the topic still has it, must be the topic's record there.
fn check_marks(
    plan: &CopyPlan,
    channel: Channel,
    topic: &str,
    archived: &[Archived],
    last: &[Range],
) -> Result<(), ReplayError> {
    let mut other = None;
    let mut seen = 0;
    plan.kafka.read(channel, last, &mut |record| {
        seen += 1;
        let had = usize::try_from(record.partition).ok().and_then(|index| archived.get(index));
        if had.is_some_and(|had| had.mark == mark(record)) {
            return ControlFlow::Continue(());
        }
        other = Some((record.partition, format!("at offset {} it has another record", record.offset)));
        ControlFlow::Break(())
    })?;
    if let (None, Some(range)) = (&other, last.get(seen)) {
        other = Some((range.partition, format!("at offset {} it has no record", range.from)));
    }
    match other {
        None => Ok(()),
        Some((partition, reason)) => Err(ReplayError::OtherTopic { topic: topic.to_owned(), partition, reason }),
    }
}

/// From where the archive ends to where the log ends; and what retention has deleted in between.
fn ranges(topic: &str, had: &[Option<Bounds>], there: &[Bounds]) -> (Vec<Range>, Vec<Gap>) {
    let mut gaps = Vec::new();
    let mut ranges = Vec::new();
    for (partition, (had, there)) in (0..).zip(had.iter().zip(there)) {
        let due = had.map_or(0, |had| had.end);
        if due < there.first {
            gaps.push(Gap { topic: topic.to_owned(), partition, from: due, last: there.first - 1 });
        }
        ranges.push(Range { partition, from: due.max(there.first), until: there.end });
    }
    (ranges, gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_where_the_archive_ends_and_names_what_is_gone() {
        let at = |first, end| Bounds { first, end };
        let had = [None, Some(at(0, 5)), Some(at(0, 5)), None];
        let there = [at(0, 9), at(2, 9), at(7, 9), at(3, 3)];
        let (ranges, gaps) = ranges("t", &had, &there);
        let from: Vec<_> = ranges.iter().map(|range| (range.from, range.until)).collect();
        assert_eq!(from, [(0, 9), (5, 9), (7, 9), (3, 3)]);
        let gaps: Vec<_> = gaps.iter().map(|gap| (gap.partition, gap.from, gap.last)).collect();
        assert_eq!(gaps, [(2, 5, 6), (3, 0, 2)]);
    }
}
