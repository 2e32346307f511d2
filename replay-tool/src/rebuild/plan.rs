//! What is to be folded, cut into units that fit into memory.
//!
//! A unit is a part of one topic whose state is held at once: several small partitions, or one slice of a large one (the
//! keys whose hash falls into it). A slice costs a reading of its partition, but no unit's state is ever merged with
//! another's, so rows are written once, in bulk, and a run that was killed goes on after its last unit.

mod begun;
pub(super) mod epochs;
mod marks;
mod vector;

use std::collections::{BTreeMap, HashMap};

use outbox::Epochs;
use schemas::{TopicName, partitioner};

pub(crate) use begun::Begun;
pub(crate) use vector::Until;
pub use vector::Vector;

use crate::error::ReplayError;
use crate::fold::Wanted;
use crate::keeper::Keeper;
use crate::log::{Bounds, Channel, Range, Record};
use crate::source::Source;
use marks::Marks;

/// Records of a unit unless told otherwise: some 100 MB of state at most.
pub(crate) const UNIT_RECORDS: u64 = 500_000;

/// A part of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) topic: TopicName,
    pub(crate) ranges: Vec<Range>,
    /// Of `slices`, from 0.
    pub(crate) slice: u64,
    pub(crate) slices: u64,
}

impl Unit {
    /// How many records are read for it.
    pub(crate) fn records(&self) -> u64 {
        self.ranges.iter().map(length).sum()
    }
}

/// All units, and what all of them need to know.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) keeper: Keeper,
    /// Of every topic.
    pub(crate) partitions: i32,
    pub(crate) units: Vec<Unit>,
    pub(crate) epochs: BTreeMap<TopicName, BTreeMap<i32, Epochs>>,
    /// Where reading ends; a time may end it earlier.
    pub(crate) ends: Vector,
    /// What lies there.
    pub(crate) marks: Marks,
    pub(crate) until_ms: Option<i64>,
    /// Where each partition's messages end that count, by sequence; for comparing with tables.
    pub(crate) heads: Option<Heads>,
    pub(crate) wanted: Wanted,
}

/// The last sequence that counts, by topic and partition.
pub(crate) type Heads = HashMap<(TopicName, i32), i64>;

impl Plan {
    /// Look where the topics of this keeper begin and end, and cut them into units. Blocks.
    pub(crate) fn make(
        source: &Source,
        keeper: Keeper,
        until: &Until,
        wanted: Wanted,
        unit_records: u64,
    ) -> Result<Plan, ReplayError> {
        let mut plan = Plan {
            keeper,
            partitions: 0,
            units: Vec::new(),
            epochs: BTreeMap::new(),
            ends: Vector::default(),
            marks: Marks::default(),
            until_ms: None,
            heads: None,
            wanted,
        };
        if let Until::TimeMs(time) = until {
            plan.until_ms = Some(*time);
        }
        let needed = keeper.topics().iter().copied().filter(|topic| plan.wanted.needs(*topic));
        for topic in needed.collect::<Vec<_>>() {
            let bounds = source.bounds(Channel::Messages(topic))?;
            let ranges = plan.ranges(source, topic, &bounds, until)?;
            if let Some(writer) = topic.written_by() {
                let mut marks = std::mem::take(&mut plan.marks);
                let mut seen = |record: &Record<'_>| marks.remember(topic, record);
                let epochs = epochs::of_ranges(source, Channel::Messages(topic), writer, &ranges, &mut seen)?;
                plan.marks = marks;
                plan.epochs.insert(topic, epochs);
            }
            plan.units.extend(units(topic, &ranges, keeper.unit_records(unit_records).max(1)));
        }
        Ok(plan)
    }

    /// What is to be read of a topic.
    fn ranges(
        &mut self,
        source: &Source,
        topic: TopicName,
        bounds: &[Bounds],
        until: &Until,
    ) -> Result<Vec<Range>, ReplayError> {
        let full_name = || source.topic(Channel::Messages(topic));
        let partitions = i32::try_from(bounds.len()).unwrap_or(i32::MAX);
        if self.partitions != 0 && self.partitions != partitions {
            let (found, expected) = (bounds.len(), usize::try_from(self.partitions).unwrap_or(0));
            return Err(ReplayError::Partitions { topic: full_name(), found, expected });
        }
        self.partitions = partitions;
        let only = self.wanted.key(topic).map(|key| partitioner::partition_of(key.as_bytes(), partitions));
        let mut ranges = Vec::with_capacity(bounds.len());
        for (partition, bounds) in (0..).zip(bounds) {
            let end = match until {
                Until::Vector(vector) => end_in(vector, topic, partition, *bounds)?,
                Until::End | Until::TimeMs(_) => bounds.end,
            };
            self.ends.extend(topic.as_str(), partition, end);
            if only.is_some_and(|only| only != partition) {
                continue;
            }
            if bounds.first > 0 {
                return Err(ReplayError::LogTruncated { topic: full_name(), partition, low: bounds.first });
            }
            ranges.push(Range { partition, from: 0, until: end });
        }
        Ok(ranges)
    }
}

/// Where the vector ends a partition.
fn end_in(vector: &Vector, topic: TopicName, partition: i32, bounds: Bounds) -> Result<i64, ReplayError> {
    let offsets = vector.of(topic.as_str()).unwrap_or_default();
    let index = usize::try_from(partition).unwrap_or(usize::MAX);
    let wanted = offsets.get(index).copied();
    wanted.filter(|end| (0..=bounds.end).contains(end)).ok_or_else(|| {
        let given = wanted.map_or("no offset".to_owned(), |end| format!("offset {end}"));
        ReplayError::arguments(format!(
            "the vector gives {given} for {topic}[{partition}], which ends at {}",
            bounds.end
        ))
    })
}

/// Small partitions together, large ones in slices.
fn units(topic: TopicName, ranges: &[Range], unit_records: u64) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut together = Unit { topic, ranges: Vec::new(), slice: 0, slices: 1 };
    for range in ranges {
        let records = length(range);
        if records > unit_records {
            let slices = records.div_ceil(unit_records);
            units.extend((0..slices).map(|slice| Unit { topic, ranges: vec![*range], slice, slices }));
            continue;
        }
        if together.records() + records > unit_records {
            units.push(std::mem::replace(&mut together, Unit { topic, ranges: Vec::new(), slice: 0, slices: 1 }));
        }
        together.ranges.push(*range);
    }
    if !together.ranges.is_empty() {
        units.push(together);
    }
    units
}

fn length(range: &Range) -> u64 {
    u64::try_from(range.until.saturating_sub(range.from)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_partitions_go_together_and_a_large_one_is_sliced() {
        let lengths = [3, 4, 25, 0, 9];
        let ranges: Vec<Range> =
            (0..).zip(lengths).map(|(partition, until)| Range { partition, from: 0, until }).collect();
        let units = units(TopicName::OrderEvents, &ranges, 10);
        let shape: Vec<(Vec<i32>, u64, u64)> = units
            .iter()
            .map(|unit| (unit.ranges.iter().map(|range| range.partition).collect(), unit.slice, unit.slices))
            .collect();
        let large = |slice| (vec![2], slice, 3);
        assert_eq!(shape, [large(0), large(1), large(2), (vec![0, 1, 3], 0, 1), (vec![4], 0, 1)]);
    }

    #[test]
    fn a_vector_must_name_every_partition_and_lie_within_the_log() {
        let bounds = Bounds { first: 0, end: 5 };
        let mut vector = Vector::default();
        vector.set("order.events.v1", vec![5, 6]);
        let end = |partition| end_in(&vector, TopicName::OrderEvents, partition, bounds).ok();
        assert_eq!((end(0), end(1), end(2)), (Some(5), None, None));
    }
}
