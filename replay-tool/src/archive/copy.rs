//! Copies topics into the archive: first to the ends that they had, then, if asked to, on and on.
//!
//! Nothing is remembered but the segments: a run goes on where the last whole segment ended, whatever stopped the one
//! before. What a run holds in memory and has not written is read again.

mod begin;
mod committed;
mod shelf;
mod watch;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::{ClientConfig, Message as _};
use serde::Serialize;

use begin::Begin;
use shelf::Shelf;
use watch::Watch;

use super::codec::Codec;
use super::store::ArchiveStore;
use crate::error::{ReplayError, UnreadableRun};
use crate::interrupt::Interrupt;
use crate::log::{Channel, Fed, Feed, KafkaLog, OpenTransaction, Range, Record};
use crate::progress::Progress;

/// Progress is told so often.
const TELL_EVERY: u64 = 1000;

/// How often to look for the place where the client cannot read on.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// What to copy, and how.
#[derive(Debug)]
pub(crate) struct CopyPlan {
    pub(crate) kafka: KafkaLog,
    pub(crate) store: ArchiveStore,
    pub(crate) channels: Vec<Channel>,
    /// How new segments are compressed.
    pub(crate) codec: Codec,
    /// A segment ends when its file would be so large.
    pub(crate) segment_bytes: usize,
    /// A segment ends when it was begun so long ago; only while following.
    pub(crate) segment_age: Duration,
    /// Go on until interrupted.
    pub(crate) is_following: bool,
    /// The group whose offsets say how far the archive is on disk, and how to reach its brokers; none: nobody is told.
    pub(crate) commit_to: Option<(ClientConfig, String)>,
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
    /// Records that the client library cannot read: not archived, but for a note of them.
    pub(crate) unreadable: Vec<UnreadableRun>,
    /// Records that wait behind an open transaction: left out until it ends.
    pub(crate) open_transactions: Vec<OpenTransaction>,
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
    copied.open_transactions = open_transactions(plan)?;
    let mut shelf = Shelf::new(plan, &begun, copied)?;
    let ended = catch_up(plan, &begun, &mut shelf).and_then(|()| match plan.is_following {
        true => follow(plan, &mut shelf),
        false => Ok(()),
    });
    // Also after an error of the brokers: what came before it is good.
    let finished = shelf.finish_all();
    let noted = shelf.note().and_then(|()| shelf.commit());
    match ended {
        Ok(()) => {}
        Err(ReplayError::Interrupted) if plan.is_following => {}
        // Brokers that know no such offset, or no such topic: the first sign that it is another one.
        Err(error @ (ReplayError::Kafka { .. } | ReplayError::NoAnswer(_))) if plan.is_following => {
            finished?;
            shelf.check_all()?;
            return Err(error);
        }
        Err(error) => return Err(error),
    }
    finished.and(noted)
}

/// What is left out because nobody can read it yet.
fn open_transactions(plan: &CopyPlan) -> Result<Vec<OpenTransaction>, ReplayError> {
    let lookout = plan.kafka.lookout()?;
    let looks: Result<Vec<_>, ReplayError> = plan.channels.iter().map(|channel| lookout.look(*channel)).collect();
    Ok(looks?.into_iter().flat_map(|seen| seen.open).collect())
}

/// Everything up to the ends that the topics had when we began. What cannot be read where only a service writes ends its
/// partition, and keeps us from no other.
fn catch_up(plan: &CopyPlan, begun: &[Begin], shelf: &mut Shelf<'_>) -> Result<(), ReplayError> {
    let due = begun.iter().flat_map(|topic| &topic.ranges).map(|range| range.until - range.from).sum::<i64>();
    let progress = Progress::new("archive", u64::try_from(due).unwrap_or(0));
    let mut unreadable = None;
    for topic in begun {
        let mut ranges: Vec<Range> = topic.ranges.iter().copied().filter(|range| !range.is_empty()).collect();
        loop {
            match copy_ranges(plan, topic, &ranges, shelf, &progress) {
                Err(ReplayError::Unreadable(run)) => {
                    ranges.retain(|range| range.partition != run.partition);
                    shelf.advance(topic.channel, &mut ranges);
                    unreadable.get_or_insert(run);
                }
                copied => break copied?,
            }
        }
        if !plan.is_following {
            shelf.finish(&topic.edition.topic)?;
        }
    }
    progress.finish();
    match unreadable {
        Some(run) if plan.is_following => progress.tell(&format!("waiting: {}", ReplayError::Unreadable(run))),
        Some(run) => return Err(ReplayError::Unreadable(run)),
        None => {}
    }
    Ok(())
}

fn copy_ranges(
    plan: &CopyPlan,
    topic: &Begin,
    ranges: &[Range],
    shelf: &mut Shelf<'_>,
    progress: &Progress,
) -> Result<(), ReplayError> {
    let name = &topic.edition.topic;
    let mut failed = None;
    let mut untold = 0;
    plan.kafka.read(topic.channel, ranges, &mut |record| {
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
    progress.add(untold);
    failed.map_or(Ok(()), Err)
}

/// Whatever comes, until interrupted.
fn follow(plan: &CopyPlan, shelf: &mut Shelf<'_>) -> Result<(), ReplayError> {
    shelf.follow();
    let feed = plan.kafka.feed(&shelf.places())?;
    let progress = Progress::new("archive", 0);
    let mut watch = Watch::new(&plan.kafka)?;
    let (mut complaint, mut probed, mut unreadable) = (None, None, None);
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
            Fed::Unreadable(_) if probed.is_some_and(|at: Instant| at.elapsed() < PROBE_EVERY) => {}
            Fed::Unreadable(error) => {
                probed = Some(Instant::now());
                let told = pass_over(plan, shelf, &feed, &error)?;
                // Other partitions go on meanwhile: what stands is said once.
                if told != unreadable {
                    (complained, unreadable) = (told.clone(), told);
                }
            }
            Fed::Nothing => {}
        }
        for done in [shelf.finish_old(plan.segment_age), watch.look(|| places(plan, shelf, &feed), &progress)] {
            match done {
                Err(error @ (ReplayError::Kafka { .. } | ReplayError::NoAnswer(_) | ReplayError::Silent { .. })) => {
                    complained = Some(error.to_string());
                }
                done => done?,
            }
        }
        // Brokers come back; until then it is said once.
        if let Some(error) = complained.filter(|error| complaint.as_ref() != Some(error)) {
            progress.tell(&format!("waiting: {error}"));
            complaint = Some(error);
        }
    }
}

/// Where following is in each partition.
fn places(plan: &CopyPlan, shelf: &Shelf<'_>, feed: &Feed) -> Vec<(Channel, i32, i64)> {
    let place = |(channel, partition, next): (Channel, i32, i64)| {
        let position = feed.position(&plan.kafka.topic(channel), partition);
        (channel, partition, position.map_or(next, |position| position.max(next)))
    };
    shelf.places().into_iter().map(place).collect()
}

/// Go on behind the records that the client cannot read, wherever they are. What is to be complained of, where there are
/// none, or where nothing may go on behind them.
fn pass_over(plan: &CopyPlan, shelf: &Shelf<'_>, feed: &Feed, error: &str) -> Result<Option<String>, ReplayError> {
    let mut complained = Some(error.to_owned());
    for channel in &plan.channels {
        let bounds = plan.kafka.bounds(*channel)?;
        let places = places(plan, shelf, feed).into_iter().filter(|(of, _, _)| of == channel);
        for (_, partition, next) in places {
            let end = usize::try_from(partition).ok().and_then(|index| bounds.get(index)).map_or(0, |at| at.end);
            if next >= end {
                continue;
            }
            match plan.kafka.unreadable_run(*channel, partition, next, end) {
                Ok(None) => {}
                Ok(Some(run)) => {
                    feed.seek(&run.topic, partition, run.last + 1)?;
                    complained = None;
                }
                Err(error @ ReplayError::Unreadable(_)) => complained = Some(error.to_string()),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(complained)
}
