//! Publishes an archive into new topics with another number of partitions, every record where its key belongs now.
//!
//! Two passes over the archive. The first finds where everything comes to lie, writes the table of places, and compares what is
//! in the new topics already; the second publishes what is missing. Both depend on nothing but the archive and on what earlier
//! restores have left in the services' tables, so a run that was stopped is gone on with by the next, as with a restore that
//! keeps offsets. Deliberately absent: epochs after the first. What they void would have to be left out, and nobody needs it
//! enough: an archive that has some is refused.

use std::collections::HashMap;
use std::path::PathBuf;

use outbox::inbox::place::Restoration;

use super::kept::Kept;
use super::mapping::Mapping;
use super::merge::merge;
use super::renumbering::{Filled, Renumbering};
use super::restore::{Publisher, RestorePlan, Restored};
use crate::error::ReplayError;
use crate::log::{Bounds, Channel, Witness};

/// What to restore, where to, and into how many partitions.
#[derive(Debug)]
pub(crate) struct Repartition {
    pub(crate) plan: RestorePlan,
    pub(crate) count: i32,
    /// What earlier restores have made of the archived partitions, by full topic name and partition.
    pub(crate) restorations: HashMap<(String, i32), Restoration>,
    /// Where the table of places is written.
    pub(crate) mapping: PathBuf,
}

/// A topic in its new partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) channel: Channel,
    /// Its old full name, and the new one.
    pub(crate) from: String,
    pub(crate) to: String,
    /// Where each archived partition ends.
    pub(crate) ends: Vec<i64>,
    /// The writer's last sequence there; 0 where there is none.
    pub(crate) sequences: Vec<i64>,
    /// How many partitions the topic had before the new ones, all restores together.
    pub(crate) shift: i32,
    pub(crate) lanes: Vec<Filled>,
}

/// All topics before anything is published of them.
#[derive(Debug)]
pub(crate) struct Survey {
    topics: Vec<Surveyed>,
    pub(crate) restored: Restored,
}

/// A topic before anything is published of it.
#[derive(Debug)]
struct Surveyed {
    placed: Placed,
    bounds: Vec<Bounds>,
    there: Vec<Bounds>,
}

impl Survey {
    pub(crate) fn placed(&self) -> Vec<Placed> {
        self.topics.iter().map(|topic| topic.placed.clone()).collect()
    }
}

impl Repartition {
    /// Where everything comes to lie; the table of places is written, unless this is a rehearsal. The new topics need not be
    /// there. Blocks.
    pub(crate) fn survey(&self) -> Result<Survey, ReplayError> {
        let mut mapping = match self.plan.is_rehearsal {
            true => Mapping::nowhere(&self.mapping),
            false => Mapping::create(&self.mapping)?,
        };
        let mut survey = Survey { topics: Vec::new(), restored: Restored::default() };
        for channel in Channel::all() {
            let topic = self.survey_topic(channel, &mut mapping)?;
            let (placed, were_there) = (
                total(topic.placed.lanes.iter().map(|lane| lane.end)),
                total(topic.there.iter().map(|there| there.end)),
            );
            survey.restored.partitions += topic.there.len();
            survey.restored.were_there += were_there;
            survey.restored.records += placed.saturating_sub(were_there);
            survey.topics.push(topic);
        }
        mapping.finish()?;
        Ok(survey)
    }

    /// Publish what is missing in the new topics, which are there now. Blocks.
    pub(crate) fn publish(&self, survey: &mut Survey) -> Result<(), ReplayError> {
        let mut publisher = Publisher::open(&self.plan, survey.restored.records)?;
        for topic in &survey.topics {
            self.publish_topic(topic, &mut publisher)?;
        }
        survey.restored.without_headers = publisher.finish()?;
        for Surveyed { placed, .. } in &survey.topics {
            self.plan.check_end(placed.channel, placed.lanes.iter().map(|lane| lane.end))?;
        }
        Ok(())
    }

    fn survey_topic(&self, channel: Channel, mapping: &mut Mapping) -> Result<Surveyed, ReplayError> {
        let count = usize::try_from(self.count).unwrap_or(0);
        let there = match self.plan.target.bounds(channel) {
            Err(ReplayError::NoTopic { .. }) => vec![Bounds { first: 0, end: 0 }; count],
            there => there?,
        };
        if there.len() != count {
            let reason = format!("it has {} partitions, and {count} are wanted", there.len());
            return Err(self.plan.not_ours(channel, &reason));
        }
        let bounds = self.plan.archive.bounds(channel)?;
        let from = self.plan.archive.topic(channel);
        mapping.begin(&from, bounds.len())?;
        let mut witnesses: Vec<Option<Witness>> = vec![None; count];
        let renumbering = self.walk(channel, &bounds, |place, record| {
            let to = record.map(|record| (record.partition, record.offset));
            if let Some(record) = record {
                let index = usize::try_from(record.partition).unwrap_or(usize::MAX);
                if there.get(index).is_some_and(|there| there.end == record.offset + 1) {
                    witnesses[index] = Some(Witness::of(&record.record()));
                }
            }
            mapping.add(place, to)
        })?;
        renumbering.check_end()?;
        let Renumbering { lanes, sequences, .. } = renumbering;
        self.plan.check_beginning(channel, &there, lanes.iter().map(|lane| lane.end))?;
        // The topic may not be there to be read.
        if there.iter().any(|there| there.end > 0) {
            self.plan.check_lasts(channel, &there, &witnesses)?;
        }
        let ends = bounds.iter().map(|bounds| bounds.end).collect();
        let before = self.restorations_of(channel, bounds.len()).first().map_or(0, |restoration| restoration.shift);
        let shift = before.saturating_add(i32::try_from(bounds.len()).unwrap_or(i32::MAX));
        let to = self.plan.target.topic(channel);
        let placed = Placed { channel, from, to, ends, sequences, shift, lanes };
        Ok(Surveyed { placed, bounds, there })
    }

    fn publish_topic(&self, topic: &Surveyed, publisher: &mut Publisher) -> Result<(), ReplayError> {
        let Surveyed { placed: Placed { channel, to, .. }, bounds, there } = topic;
        self.walk(*channel, bounds, |_, record| {
            let Some(record) = record else { return Ok(()) };
            let partition = usize::try_from(record.partition).ok().and_then(|index| there.get(index));
            if partition.is_some_and(|there| record.offset < there.end) {
                return Ok(());
            }
            publisher.send(to, &record.record())
        })
        .map(drop)
    }

    /// Show every record of a topic at its new place, with its old one, in the order in which they are published.
    fn walk(
        &self,
        channel: Channel,
        bounds: &[Bounds],
        mut show: impl FnMut((i32, i64), Option<&Kept>) -> Result<(), ReplayError>,
    ) -> Result<Renumbering<'_>, ReplayError> {
        let RestorePlan { archive, from_prefix, to_prefix, interrupt, .. } = &self.plan;
        let restorations = self.restorations_of(channel, bounds.len());
        let count = usize::try_from(self.count).unwrap_or(0);
        let mut renumbering =
            Renumbering::new(channel, archive.topic(channel), (from_prefix, to_prefix), restorations, count);
        merge(archive, channel, bounds, |record| {
            interrupt.check()?;
            let place = (record.partition, record.offset);
            let record = renumbering.place(record)?;
            show(place, record.as_ref())
        })?;
        Ok(renumbering)
    }

    fn restorations_of(&self, channel: Channel, partitions: usize) -> Vec<Restoration> {
        let topic = self.plan.archive.topic(channel);
        let of = |partition| self.restorations.get(&(topic.clone(), partition)).copied().unwrap_or_default();
        (0..).take(partitions).map(of).collect()
    }
}

fn total(ends: impl Iterator<Item = i64>) -> u64 {
    u64::try_from(ends.sum::<i64>()).unwrap_or(0)
}
