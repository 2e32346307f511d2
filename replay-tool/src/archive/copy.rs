//! Copies topics into the archive: first to the ends that they had, then, if asked to, on and on.
//!
//! Nothing is remembered but the segments: a run goes on where the last whole segment ended, whatever stopped the one
//! before. What a run holds in memory and has not written is read again.

mod begin;
mod shelf;

use std::ops::ControlFlow;
use std::time::Duration;

use rdkafka::Message as _;
use serde::Serialize;

use begin::Begin;
use shelf::Shelf;

use super::store::ArchiveStore;
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::log::{Channel, Fed, KafkaLog, Range, Record};
use crate::progress::Progress;

/// Progress is told so often.
const TELL_EVERY: u64 = 1000;

/// What to copy, and how.
#[derive(Debug)]
pub(crate) struct CopyPlan {
    pub(crate) kafka: KafkaLog,
    pub(crate) store: ArchiveStore,
    pub(crate) channels: Vec<Channel>,
    /// A segment ends when its file would be so large.
    pub(crate) segment_bytes: usize,
    /// A segment ends when it was begun so long ago; only while following.
    pub(crate) segment_age: Duration,
    /// Go on until interrupted.
    pub(crate) is_following: bool,
    /// Where a topic is not the one that was archived, begin a new generation of it.
    pub(crate) may_begin_generation: bool,
    pub(crate) interrupt: Interrupt,
}

/// Offsets that nobody has any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Gap {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The first offset that is missing.
    pub(crate) from: i64,
    /// The last one.
    pub(crate) last: i64,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Copied {
    pub(crate) records: u64,
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
    /// Retention was faster than the archive.
    pub(crate) gaps: Vec<Gap>,
    /// Topics that are other ones than those archived before: the folders of their new generations.
    pub(crate) new_generations: Vec<String>,
    /// Records whose headers could not be read, because a name is not UTF-8; archived without headers.
    pub(crate) without_headers: Vec<String>,
}

/// Copy. Blocks. While following, an interrupt is the way to end; otherwise it is an error, and what was read until then
/// is in the archive.
pub(crate) fn copy(plan: &CopyPlan) -> Result<Copied, ReplayError> {
    let mut copied = Copied::default();
    loop {
        match run(plan, &mut copied) {
            // It was made again under our eyes: begin again, that topic with a new generation.
            Err(ReplayError::OtherTopic { .. }) if plan.is_following && plan.may_begin_generation => {}
            ended => return ended.map(|()| copied),
        }
    }
}

fn run(plan: &CopyPlan, copied: &mut Copied) -> Result<(), ReplayError> {
    let begun = begin::begin(plan)?;
    let mut shelf = Shelf::new(plan, &begun, copied)?;
    let ended = catch_up(plan, &begun, &mut shelf).and_then(|()| match plan.is_following {
        true => follow(plan, &mut shelf),
        false => Ok(()),
    });
    // Also after an error of the brokers: what came before it is good.
    let finished = shelf.finish_all();
    let noted = shelf.note();
    match ended {
        Ok(()) => {}
        Err(ReplayError::Interrupted) if plan.is_following => {}
        // Brokers that know no such offset, or no such topic: the first sign that it is another one.
        Err(error @ ReplayError::Kafka { .. }) if plan.is_following => {
            finished?;
            shelf.check_all()?;
            return Err(error);
        }
        Err(error) => return Err(error),
    }
    finished.and(noted)
}

/// Everything up to the ends that the topics had when we began.
fn catch_up(plan: &CopyPlan, begun: &[Begin], shelf: &mut Shelf<'_>) -> Result<(), ReplayError> {
    let due = begun.iter().flat_map(|topic| &topic.ranges).map(|range| range.until - range.from).sum::<i64>();
    let progress = Progress::new("archive", u64::try_from(due).unwrap_or(0));
    for topic in begun {
        let ranges: Vec<Range> = topic.ranges.iter().copied().filter(|range| !range.is_empty()).collect();
        let name = &topic.edition.topic;
        let mut failed = None;
        let mut untold = 0;
        plan.kafka.read(topic.channel, &ranges, &mut |record| {
            untold += 1;
            if untold == TELL_EVERY {
                progress.add(std::mem::take(&mut untold));
            }
            match shelf.put(name, record) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        progress.add(untold);
        if !plan.is_following {
            shelf.finish(name)?;
        }
    }
    progress.finish();
    Ok(())
}

/// Whatever comes, until interrupted.
fn follow(plan: &CopyPlan, shelf: &mut Shelf<'_>) -> Result<(), ReplayError> {
    let feed = plan.kafka.feed(&shelf.follow())?;
    let progress = Progress::new("archive", 0);
    let mut complaint = None;
    loop {
        plan.interrupt.check()?;
        let mut complained = None;
        match feed.poll()? {
            Fed::Message(message) => {
                complaint = None;
                shelf.put(message.topic(), &Record::of(&message))?;
                progress.add(1);
            }
            Fed::Complaint(error) => complained = Some(error),
            Fed::Nothing => {}
        }
        match shelf.finish_old(plan.segment_age) {
            Err(error @ (ReplayError::Kafka { .. } | ReplayError::Silent { .. })) => {
                complained = Some(error.to_string())
            }
            finished => finished?,
        }
        // Brokers come back; until then it is said once.
        if let Some(error) = complained.filter(|error| complaint.as_ref() != Some(error)) {
            progress.tell(&format!("waiting: {error}"));
            complaint = Some(error);
        }
    }
}
