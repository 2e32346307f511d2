//! Where a run goes on in each partition, and whether the topic is still the one that was archived.

use super::super::ArchiveLog;
use super::super::catalog::Edition;
use super::{CopyPlan, Gap};
use crate::error::ReplayError;
use crate::log::{Bounds, Channel, Range, Witness, check_topic};

/// Where to go on in a topic.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) channel: Channel,
    pub(super) edition: Edition,
    /// The last archived record of each partition.
    pub(super) had: Vec<Option<Witness>>,
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
            plan.kafka.forget_unreadable(channel);
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
    let (ranges, gaps) = ranges(&edition.topic, &vec![0; there.len()], there);
    Ok(Begin { channel, edition, had, ranges, gaps, is_new_generation })
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
    let due: Vec<i64> = archived.iter().map(|archived| archived.bounds.end).collect();
    let had: Vec<Option<Witness>> = archived.into_iter().map(|archived| archived.last).collect();
    check_topic(&plan.kafka, channel, there, &had)?;
    let (ranges, gaps) = ranges(&edition.topic, &due, there);
    Ok(Begin { channel, edition: edition.clone(), had, ranges, gaps, is_new_generation: false })
}

/// From where the archive ends to where the log ends; and what retention has deleted in between.
fn ranges(topic: &str, due: &[i64], there: &[Bounds]) -> (Vec<Range>, Vec<Gap>) {
    let mut gaps = Vec::new();
    let mut ranges = Vec::new();
    for (partition, (due, there)) in (0..).zip(due.iter().copied().zip(there)) {
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
        let there = [at(0, 9), at(2, 9), at(7, 9), at(3, 3)];
        let (ranges, gaps) = ranges("t", &[0, 5, 5, 0], &there);
        let from: Vec<_> = ranges.iter().map(|range| (range.from, range.until)).collect();
        assert_eq!(from, [(0, 9), (5, 9), (7, 9), (3, 3)]);
        let gaps: Vec<_> = gaps.iter().map(|gap| (gap.partition, gap.from, gap.last)).collect();
        assert_eq!(gaps, [(2, 5, 6), (3, 0, 2)]);
    }
}
