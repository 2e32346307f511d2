//! A unit folded: every record of its ranges judged by its position, decoded, and applied to its aggregate.

mod note;
mod problem;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use outbox::inbox::place::Place;
use schemas::{Codec, ServiceName, TopicName};

use super::plan::{Plan, Unit};
use crate::error::ReplayError;
use crate::fold::State;
use crate::log::{Channel, Lane, Record, Sequencing};
use crate::progress::Progress;
use crate::rows::StateDigest;
use crate::source::Source;

pub use note::ReadCounts;
pub(crate) use note::{LaneEnd, Note, Written};
pub use problem::{Problem, Problems};

/// From where units are read, and how.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) source: Source,
    pub(crate) codec: Codec,
    /// The first problem is an error.
    pub(crate) is_strict: bool,
}

/// A unit's part of the state.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) state: State,
    /// Of every topic.
    pub(crate) partitions: i32,
    /// Its digest is made of the rows.
    pub(crate) note: Note,
    /// How long a core was busy with reading, decoding and folding; where the system does not tell, how long it took.
    pub(crate) elapsed: Duration,
}

/// Read a unit and fold it. Blocks.
pub(crate) fn fold(input: &Input, plan: &Plan, unit: &Unit, progress: &Progress) -> Result<Folded, ReplayError> {
    let Input { source, codec, is_strict } = input;
    let (begun, busy) = (Instant::now(), on_cpu());
    let mut folding = Folding::new(plan, unit, codec);
    source.read(Channel::Messages(unit.topic), &unit.ranges, &mut |record| {
        folding.counts.read += 1;
        if folding.counts.read.is_multiple_of(PROGRESS_EVERY) {
            progress.add(PROGRESS_EVERY);
        }
        let next = folding.take(record);
        if *is_strict && !folding.problems.is_empty() { ControlFlow::Break(()) } else { next }
    })?;
    folding.tell_early();
    if *is_strict && let Some(problem) = folding.problems.listed.first() {
        return Err(ReplayError::arguments(format!("{problem} (--strict)")));
    }
    progress.add(folding.counts.read % PROGRESS_EVERY);
    let elapsed = on_cpu().zip(busy).map_or_else(|| begun.elapsed(), |(now, then)| now.saturating_sub(then));
    let mut folded = Folded { elapsed, ..folding.end(plan.partitions) };
    folded.state.retain(&plan.wanted);
    Ok(folded)
}

/// How long this thread has run on a core since it was made; none where the system does not tell.
fn on_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

const PROGRESS_EVERY: u64 = 1 << 10;

/// How many messages that came before others are remembered of a partition.
const MOST_EARLY: usize = 1024;

/// A partition while it is read.
struct Partition {
    lane: Lane,
    /// The last sequence that counts.
    head: i64,
    beyond: Option<i64>,
    /// Sequences that came before others, and what that would be.
    early: Vec<(i64, Problem)>,
    next_offset: i64,
    /// Its first record after the time to fold to has come.
    is_over: bool,
}

struct Folding<'f> {
    topic: TopicName,
    writer: Option<ServiceName>,
    codec: &'f Codec,
    key: Option<&'f [u8]>,
    until_ms: Option<i64>,
    slice: u64,
    slices: u64,
    partitions: BTreeMap<i32, Partition>,
    /// Partitions that are not over.
    open: usize,
    state: State,
    problems: Problems,
    counts: ReadCounts,
}

impl<'f> Folding<'f> {
    fn new(plan: &'f Plan, unit: &'f Unit, codec: &'f Codec) -> Self {
        let epochs = plan.epochs.get(&unit.topic);
        let partition = |partition: i32| {
            let lane = Lane::new(epochs.and_then(|epochs| epochs.get(&partition)).cloned().unwrap_or_default());
            let head = plan.heads.as_ref().map(|heads| heads.get(&(unit.topic, partition)).copied().unwrap_or(0));
            let head = head.unwrap_or(i64::MAX);
            (partition, Partition { lane, head, beyond: None, early: Vec::new(), next_offset: 0, is_over: false })
        };
        Folding {
            topic: unit.topic,
            writer: unit.topic.written_by(),
            codec,
            key: plan.wanted.key(unit.topic).map(str::as_bytes),
            until_ms: plan.until_ms,
            slice: unit.slice,
            slices: unit.slices,
            partitions: unit.ranges.iter().map(|range| partition(range.partition)).collect(),
            open: unit.ranges.len(),
            state: State::of(plan.keeper),
            problems: Problems::default(),
            counts: ReadCounts::default(),
        }
    }

    fn take(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        let Some(partition) = self.partitions.get_mut(&record.partition) else { return ControlFlow::Continue(()) };
        if partition.is_over {
            return ControlFlow::Continue(());
        }
        if self.until_ms.is_some_and(|until| record.timestamp_ms > until) {
            partition.is_over = true;
            self.open -= 1;
            return if self.open == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        }
        partition.next_offset = record.offset + 1;
        if self.key.is_some_and(|key| record.key != Some(key)) {
            return ControlFlow::Continue(());
        }
        let Some(position) = self.writer.and_then(|writer| record.position(writer)) else {
            self.counts.strangers += u64::from(self.slice == 0);
            return ControlFlow::Continue(());
        };
        if position.sequence > partition.head {
            partition.beyond = partition.beyond.max(Some(position.sequence));
            return ControlFlow::Continue(());
        }
        // Of a single key's messages nothing can be said about what is between them.
        let step = match self.key {
            Some(_) if partition.lane.counts(&position) => Sequencing::Next,
            Some(_) => Sequencing::Void,
            None => partition.lane.step(&position),
        };
        match step {
            Sequencing::Next => self.fold(record),
            Sequencing::Duplicate => self.counts.duplicates += u64::from(self.slice == 0),
            Sequencing::Void | Sequencing::OtherEpoch => self.counts.void += u64::from(self.slice == 0),
            Sequencing::AfterGap(from, to) => {
                if self.slice == 0 {
                    let cause = format!("messages are missing before it: sequence {from} to {to}");
                    let (topic, offset) = (self.topic.as_str().to_owned(), record.offset);
                    let problem = Problem { topic, partition: record.partition, offset, cause };
                    match partition.early.len() < MOST_EARLY {
                        true => partition.early.push((position.sequence, problem)),
                        false => self.problems.add(problem),
                    }
                }
                self.fold(record);
            }
        }
        ControlFlow::Continue(())
    }

    fn fold(&mut self, record: &Record<'_>) {
        let key = record.key.unwrap_or_default();
        if self.slices > 1 && slice_of(key) % self.slices != self.slice {
            return;
        }
        let message = match self.codec.decode(self.topic, record.payload.unwrap_or_default()) {
            Ok(message) if message.key().as_bytes() == key => message,
            Ok(message) => return self.problem(record, format!("its key is not the id in it, {:?}", message.key())),
            Err(error) => return self.problem(record, error.to_string()),
        };
        match self.state.apply(&message) {
            Ok(()) => {
                self.counts.folded += 1;
                let place = Place { partition: record.partition, offset: record.offset };
                self.state.hear(&message, place, record.text("ce_causationid"));
            }
            Err(inconsistent) => self.problem(record, inconsistent.to_string()),
        }
    }

    /// What came before others is a problem, unless it came once more in its order.
    fn tell_early(&mut self) {
        for partition in self.partitions.values_mut() {
            let early = std::mem::take(&mut partition.early);
            let lane = &partition.lane;
            early
                .into_iter()
                .filter(|(sequence, _)| !lane.is_in_order(*sequence))
                .for_each(|(_, problem)| self.problems.add(problem));
        }
    }

    fn problem(&mut self, record: &Record<'_>, cause: String) {
        let (partition, offset) = (record.partition, record.offset);
        self.problems.add(Problem { topic: self.topic.as_str().to_owned(), partition, offset, cause });
    }

    fn end(self, partitions: i32) -> Folded {
        let topic = self.topic;
        let lane = |(number, partition): (i32, Partition)| LaneEnd {
            topic,
            partition: number,
            next_offset: partition.next_offset,
            highest: partition.lane.highest(),
            beyond: partition.beyond,
        };
        // Every slice reads all of its partition; one of them is enough to tell.
        let lanes = if self.slice == 0 { self.partitions.into_iter().map(lane).collect() } else { Vec::new() };
        let note = Note { digest: StateDigest::default(), counts: self.counts, problems: self.problems, lanes };
        Folded { state: self.state, partitions, note, elapsed: Duration::ZERO }
    }
}

/// The slice of a key: FNV-1a, so that it is the same in every run, and another thing than its partition.
fn slice_of(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
