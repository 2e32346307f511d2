//! The segments that are being filled, within a bound of memory, and their way into the archive.

use std::collections::BTreeMap;
use std::mem;
use std::time::{Duration, Instant};

use super::super::catalog::Edition;
use super::super::codec::Compressor;
use super::super::notes::{self, Ends};
use super::super::run_note;
use super::super::segment::Filling;
use super::begin::Begin;
use super::committed::Committed;
use super::{Copied, CopyPlan, Gap};
use crate::error::ReplayError;
use crate::log::{Channel, Range, Record, Witness, check_topic};

/// What all segments that are being filled may take at least; one may always reach its size.
const HELD_BYTES: usize = 64 * 1024 * 1024;
/// How often to look for old ones.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often to note how far the archive is, while following.
const NOTE_EVERY: Duration = Duration::from_secs(300);
/// Of records that are named one by one.
const MOST_NAMED: usize = 100;

/// All partitions' segments.
pub(super) struct Shelf<'p> {
    plan: &'p CopyPlan,
    topics: BTreeMap<String, Topic>,
    compressor: Compressor,
    committed: Option<Committed>,
    held: usize,
    looked: Instant,
    noted: Instant,
    is_unnoted: bool,
    /// What comes next was read while following: long after anybody looked whether the topics are the same.
    is_following: bool,
    copied: &'p mut Copied,
}

struct Topic {
    channel: Channel,
    edition: Edition,
    partitions: Vec<Filling>,
    /// Where each partition ends in the archive.
    ends: Vec<i64>,
    /// How many of the runs that could not be read have their notes.
    noted_runs: usize,
}

impl<'p> Shelf<'p> {
    pub(super) fn new(plan: &'p CopyPlan, begun: &[Begin], copied: &'p mut Copied) -> Result<Self, ReplayError> {
        let commit_to = plan.commit_to.as_ref();
        let mut committed = commit_to.map(|(kafka, group)| Committed::new(kafka, group)).transpose()?;
        let mut topics = BTreeMap::new();
        for begin in begun {
            let is_new = |gap: &&Gap| !copied.gaps.contains(gap);
            let gaps: Vec<Gap> = begin.gaps.iter().filter(is_new).cloned().collect();
            copied.gaps.extend(gaps);
            if begin.is_new_generation {
                copied.new_generations.push(begin.edition.folder());
            }
            let name = &begin.edition.topic;
            if let Some(committed) = &mut committed {
                begin.ranges.iter().for_each(|range| committed.durable(name, range.partition, range.from));
            }
            let filling = |(range, had): (&Range, &Option<Witness>)| {
                Filling::new(name, range.partition, range.from, had.clone(), plan.codec)
            };
            let topic = Topic {
                channel: begin.channel,
                edition: begin.edition.clone(),
                partitions: begin.ranges.iter().zip(&begin.had).map(filling).collect(),
                ends: begin.had.iter().map(|had| had.as_ref().map_or(0, |last| last.offset + 1)).collect(),
                noted_runs: 0,
            };
            topics.insert(name.clone(), topic);
        }
        Ok(Shelf {
            plan,
            topics,
            compressor: Compressor::new(plan.codec).map_err(ReplayError::output("a segment"))?,
            committed,
            held: 0,
            looked: Instant::now(),
            noted: Instant::now(),
            is_unnoted: false,
            is_following: false,
            copied,
        })
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
            return self.finish_those(|name, filling| name == topic && filling.partition() == record.partition);
        }
        if self.held > HELD_BYTES.max(2 * self.plan.segment_bytes) { self.finish_largest() } else { Ok(()) }
    }

    /// End those that are chosen and not empty, and put them into the archive.
    fn finish_those(&mut self, chosen: impl Fn(&str, &Filling) -> bool) -> Result<(), ReplayError> {
        let mut finished = Ok(());
        for (name, mut topic) in mem::take(&mut self.topics) {
            let is_chosen = |filling: &Filling| !filling.is_empty() && chosen(&name, filling);
            // A topic that is another one does not keep us from the others.
            let has_work = topic.partitions.iter().any(is_chosen) || self.has_new_runs(&topic);
            if matches!(finished, Ok(()) | Err(ReplayError::OtherTopic { .. }))
                && has_work
                && let Err(error) = self.finish_topic(&mut topic, is_chosen)
            {
                finished = Err(error);
            }
            self.topics.insert(name, topic);
        }
        finished
    }

    fn finish_topic(&mut self, topic: &mut Topic, is_chosen: impl Fn(&Filling) -> bool) -> Result<(), ReplayError> {
        if self.is_following {
            self.check(topic)?;
        }
        self.note_runs(topic)?;
        for (filling, end) in topic.partitions.iter_mut().zip(&mut topic.ends).filter(|(filling, _)| is_chosen(filling))
        {
            let held = filling.held_bytes();
            let full = filling.take_full(&mut self.compressor)?;
            self.held = self.held.saturating_sub(held);
            let (about, bytes) = full.put(&topic.edition, &self.plan.store)?;
            *end = about.last + 1;
            if let Some(committed) = &mut self.committed {
                let next = self.plan.kafka.past_unreadable(topic.channel, about.partition, *end);
                committed.durable(&about.topic, about.partition, next);
            }
            self.is_unnoted = true;
            self.copied.segments += 1;
            self.copied.records += about.records;
            self.copied.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    fn has_new_runs(&self, topic: &Topic) -> bool {
        self.plan.kafka.unreadable(topic.channel).len() > topic.noted_runs
    }

    /// Keep notes of the runs that could not be read.
    fn note_runs(&mut self, topic: &mut Topic) -> Result<(), ReplayError> {
        let runs = self.plan.kafka.unreadable(topic.channel);
        topic.noted_runs = runs.len();
        for run in runs {
            if run_note::put(&topic.edition, &self.plan.store, &run)? && !self.copied.unreadable.contains(&run) {
                self.copied.unreadable.push(run);
            }
        }
        Ok(())
    }

    /// Whether what was read of a topic is all of one topic, and of the one that was archived.
    fn check(&self, topic: &Topic) -> Result<(), ReplayError> {
        let witnesses: Vec<Option<Witness>> =
            topic.partitions.iter().map(|filling| filling.witness().cloned()).collect();
        match self.plan.kafka.bounds(topic.channel) {
            // Nobody has its records but we.
            Err(ReplayError::NoTopic { .. }) => Ok(()),
            there => check_topic(&self.plan.kafka, topic.channel, &there?, &witnesses),
        }
    }

    /// Whether all topics are still those that were archived.
    pub(super) fn check_all(&self) -> Result<(), ReplayError> {
        self.topics.values().try_for_each(|topic| self.check(topic))
    }

    fn finish_largest(&mut self) -> Result<(), ReplayError> {
        let fillings = self.topics.values().flat_map(|topic| &topic.partitions);
        let largest = fillings.map(Filling::held_bytes).max().unwrap_or(0);
        self.finish_those(|_, filling| filling.held_bytes() == largest)
    }

    /// Ranges of a channel, without what was taken of them.
    pub(super) fn advance(&self, channel: Channel, ranges: &mut Vec<Range>) {
        let places = self.places();
        for range in ranges.iter_mut() {
            let place = places.iter().find(|(of, partition, _)| *of == channel && *partition == range.partition);
            range.from = place.map_or(range.from, |(_, _, next)| range.from.max(*next));
        }
        ranges.retain(|range| !range.is_empty());
    }

    /// End those of this topic.
    pub(super) fn finish(&mut self, topic: &str) -> Result<(), ReplayError> {
        self.finish_those(|name, _| name == topic)?;
        self.commit()
    }

    /// End those that were begun so long ago, and note from time to time how far the archive is.
    pub(super) fn finish_old(&mut self, age: Duration) -> Result<(), ReplayError> {
        if self.looked.elapsed() < LOOK_EVERY.min(age) {
            return Ok(());
        }
        self.looked = Instant::now();
        self.finish_those(|_, filling| filling.since().elapsed() >= age)?;
        if self.is_unnoted && self.noted.elapsed() >= NOTE_EVERY {
            self.note()?;
        }
        self.committed.as_mut().map_or(Ok(()), Committed::commit_beside)
    }

    /// Tell how far the archive is on disk.
    pub(super) fn commit(&mut self) -> Result<(), ReplayError> {
        self.committed.as_mut().map_or(Ok(()), Committed::commit)
    }

    /// End all.
    pub(super) fn finish_all(&mut self) -> Result<(), ReplayError> {
        self.finish_those(|_, _| true)
    }

    /// Note how far the archive is.
    pub(super) fn note(&mut self) -> Result<(), ReplayError> {
        let ends = |topic: &Topic| (topic.edition.clone(), topic.ends.clone());
        notes::note(&self.plan.store, self.topics.values().map(ends).collect::<Ends>())?;
        (self.noted, self.is_unnoted) = (Instant::now(), false);
        Ok(())
    }

    /// From now on topics are followed.
    pub(super) fn follow(&mut self) {
        self.is_following = true;
    }

    /// What comes next in each partition: channel, partition, offset.
    pub(super) fn places(&self) -> Vec<(Channel, i32, i64)> {
        let places = |topic: &Topic| {
            let channel = topic.channel;
            let kafka = &self.plan.kafka;
            let next = topic.partitions.iter().map(Filling::next);
            let next =
                (0..).zip(next).map(|(partition, next)| (partition, kafka.past_unreadable(channel, partition, next)));
            next.map(move |(partition, next)| (channel, partition, next)).collect::<Vec<_>>()
        };
        self.topics.values().flat_map(places).collect()
    }
}
