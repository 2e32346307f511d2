//! The segments that are being filled, within a bound of memory, and their way into the archive.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use zstd::bulk::Compressor;

use super::super::catalog::Edition;
use super::super::container;
use super::super::segment::Filling;
use super::begin::Begin;
use super::{Copied, CopyPlan};
use crate::error::ReplayError;
use crate::log::{Channel, Record};

/// What all segments that are being filled may take at least; one may always reach its size.
const HELD_BYTES: usize = 64 * 1024 * 1024;
/// How often to look for old ones.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Of records that are named one by one.
const MOST_NAMED: usize = 100;

/// All partitions' segments.
pub(super) struct Shelf<'p> {
    plan: &'p CopyPlan,
    topics: BTreeMap<String, Topic>,
    compressor: Compressor<'static>,
    held: usize,
    looked: Instant,
    copied: Copied,
}

struct Topic {
    channel: Channel,
    edition: Edition,
    partitions: Vec<Filling>,
}

impl<'p> Shelf<'p> {
    pub(super) fn new(plan: &'p CopyPlan, begun: &[Begin]) -> Result<Self, ReplayError> {
        let mut copied = Copied::default();
        let mut topics = BTreeMap::new();
        for begin in begun {
            copied.gaps.extend(begin.gaps.iter().cloned());
            if begin.is_new_generation {
                copied.new_generations.push(begin.edition.folder());
            }
            let name = &begin.edition.topic;
            let partitions = begin.ranges.iter().map(|range| Filling::new(name, range.partition, range.from)).collect();
            let topic = Topic { channel: begin.channel, edition: begin.edition.clone(), partitions };
            topics.insert(name.clone(), topic);
        }
        let compressor = container::compressor().map_err(ReplayError::output("a segment"))?;
        Ok(Shelf { plan, topics, compressor, held: 0, looked: Instant::now(), copied })
    }

    /// The next record of its partition.
    pub(super) fn put(&mut self, topic: &str, record: &Record<'_>) -> Result<(), ReplayError> {
        let partition = usize::try_from(record.partition).unwrap_or(usize::MAX);
        let filling = self.topics.get_mut(topic).and_then(|topic| topic.partitions.get_mut(partition));
        let Some(filling) = filling.filter(|filling| record.offset >= filling.next()) else { return Ok(()) };
        if record.headers.is_none() && self.copied.without_headers.len() < MOST_NAMED {
            self.copied.without_headers.push(format!("{topic}[{partition}]@{}", record.offset));
        }
        let before = filling.held_bytes();
        filling.push(record, &mut self.compressor).map_err(ReplayError::output("a segment"))?;
        let (held, is_full) = (filling.held_bytes(), filling.file_bytes() >= self.plan.segment_bytes);
        // A block that was compressed takes less than before.
        self.held = (self.held + held).saturating_sub(before);
        if is_full {
            return self.finish_one(topic, partition);
        }
        if self.held > HELD_BYTES.max(2 * self.plan.segment_bytes) { self.finish_largest() } else { Ok(()) }
    }

    /// End a segment and put it into the archive.
    fn finish_one(&mut self, topic: &str, partition: usize) -> Result<(), ReplayError> {
        let Some(topic) = self.topics.get_mut(topic) else { return Ok(()) };
        let Some(filling) = topic.partitions.get_mut(partition).filter(|filling| !filling.is_empty()) else {
            return Ok(());
        };
        let full = filling.take_full();
        self.held = self.held.saturating_sub(full.held_bytes());
        let (about, bytes) = full.put(&mut self.compressor, &topic.edition, &self.plan.store)?;
        self.copied.segments += 1;
        self.copied.records += about.records;
        self.copied.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        Ok(())
    }

    fn finish_those(&mut self, chosen: impl Fn(&str, &Filling) -> bool) -> Result<(), ReplayError> {
        let mut places = Vec::new();
        for (name, topic) in &self.topics {
            let those = topic.partitions.iter().enumerate().filter(|(_, filling)| chosen(name, filling));
            places.extend(those.map(|(partition, _)| (name.clone(), partition)));
        }
        places.into_iter().try_for_each(|(name, partition)| self.finish_one(&name, partition))
    }

    fn finish_largest(&mut self) -> Result<(), ReplayError> {
        let fillings = self.topics.values().flat_map(|topic| &topic.partitions);
        let largest = fillings.map(Filling::held_bytes).max().unwrap_or(0);
        self.finish_those(|_, filling| filling.held_bytes() == largest)
    }

    /// End those of this topic.
    pub(super) fn finish(&mut self, topic: &str) -> Result<(), ReplayError> {
        self.finish_those(|name, _| name == topic)
    }

    /// End those that were begun so long ago.
    pub(super) fn finish_old(&mut self, age: Duration) -> Result<(), ReplayError> {
        if self.looked.elapsed() < LOOK_EVERY.min(age) {
            return Ok(());
        }
        self.looked = Instant::now();
        self.finish_those(|_, filling| !filling.is_empty() && filling.since().elapsed() >= age)
    }

    /// End all.
    pub(super) fn finish_all(&mut self) -> Result<(), ReplayError> {
        self.finish_those(|_, _| true)
    }

    /// From where to go on: channel, partition, offset.
    pub(super) fn places(&self) -> Vec<(Channel, i32, i64)> {
        let places = |topic: &Topic| {
            let channel = topic.channel;
            let next: Vec<i64> = topic.partitions.iter().map(Filling::next).collect();
            (0..).zip(next).map(move |(partition, next)| (channel, partition, next))
        };
        self.topics.values().flat_map(places).collect()
    }

    pub(super) fn into_copied(self) -> Copied {
        self.copied
    }
}
