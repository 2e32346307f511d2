//! Everything that the protocol's parts know and hold at one moment.
//!
//! The types that decide are the relay's own ([`Course`], [`Epochs`], [`Acked`], [`Decision`], [`LeadTerm`]); around them
//! is what databases, brokers and networks would keep. Ghosts, which no part of the protocol may look at, are marked.

use crate::epochs::Epochs;
use crate::hint::LeadTerm;
use crate::inbox::Cursor;
use crate::model::bounds::{Bounds, Faults, Following};
use crate::relay::acked::Acked;
use crate::relay::course::Course;
use crate::relay::resume::{Decision, Stored};

/// A message by its number.
pub(super) type Id = u8;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) sequence: i64,
    pub(super) id: Id,
}

/// What the database holds of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Table {
    /// Committed rows, ascending.
    pub(super) rows: Vec<Row>,
    pub(super) floor: i64,
    pub(super) pruned: i64,
    pub(super) epochs: Epochs,
    pub(super) stored: Option<Stored>,
    /// Ghost: what was committed and not undone by a restore, in the order of the commits.
    pub(super) ledger: Vec<Id>,
}

impl Table {
    /// The highest sequence ever used.
    pub(super) fn head(&self) -> i64 {
        self.rows.last().map_or(0, |row| row.sequence).max(self.floor)
    }
}

/// Where a writer's transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Idle,
    Begun,
    /// Has taken the snapshot in which it reads heads (only where a bug makes that come first).
    Snapped,
    Locked,
    Headed,
    Inserted,
    /// Committed and visible; the locks are still held.
    Visible,
    /// Only where a mutant makes that come first: locks released, not yet visible.
    Unlocked,
    Released,
}

/// A writer: one transaction after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Writer {
    pub(super) at: usize,
    pub(super) stage: Stage,
    /// Locks held of those that its transaction needs.
    pub(super) locked: usize,
    /// Heads of the lanes that its transaction writes to, as read.
    pub(super) heads: Vec<i64>,
    pub(super) began: LeadTerm,
}

/// A record on its way to a topic partition, or in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Message {
    pub(super) epoch: i64,
    pub(super) first: i64,
    pub(super) sequence: i64,
    pub(super) id: Id,
}

/// A lane of a leading relay.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TermLane {
    pub(super) course: Course,
    pub(super) epochs: Epochs,
    pub(super) acked: Acked,
    pub(super) saved: Acked,
    /// Handed to the producer, not yet in the log.
    pub(super) wire: Vec<Message>,
    /// In the log, the answer on its way: sequence and offset.
    pub(super) answers: Vec<(i64, i64)>,
    pub(super) held: bool,
}

/// What a relay that takes over has found out so far.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Known {
    pub(super) epochs: Epochs,
    pub(super) pruned: i64,
    pub(super) stored: Option<Stored>,
}

/// A relay's part at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Standby,
    /// Has the lead and has read the lanes from the database.
    Loaded(Vec<Known>),
    /// Has read the topics and decided; some lane needs a new epoch.
    Decided(Vec<(Known, Decision, i64)>),
    /// Publishes. The rows were read and not yet offered to the producer: lane and row.
    Leading {
        lanes: Vec<TermLane>,
        rows: Vec<(usize, Row)>,
    },
}

/// A process with its relay.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Relay {
    pub(super) term: LeadTerm,
    /// Whether its database session lives.
    pub(super) session: bool,
    pub(super) role: Role,
    /// Handed over by commits of this process: lane and row.
    pub(super) hints: Vec<(usize, Row)>,
}

/// A topic partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Log {
    /// Records before this offset were deleted.
    pub(super) low: usize,
    pub(super) records: Vec<Message>,
}

/// What a consumer took, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Taken {
    pub(super) epoch: i64,
    pub(super) sequence: i64,
    pub(super) id: Id,
}

/// A consumer's transaction state on one topic partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Progress {
    pub(super) offset: usize,
    pub(super) cursor: Option<Cursor>,
    pub(super) taken: Vec<Taken>,
}

/// A consumer on one topic partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Consumer {
    pub(super) committed: Progress,
    /// Ahead of what is committed, if something is being taken.
    pub(super) working: Option<Progress>,
    /// Offset of the record that showed a gap, because of which it reads from the log's start.
    pub(super) read_again_to: Option<usize>,
}

/// The whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) tables: Vec<Table>,
    pub(super) backup: Option<Vec<Table>>,
    /// Writer that holds each lane's lock.
    pub(super) locks: Vec<Option<usize>>,
    /// Relay whose session holds the leadership.
    pub(super) leader: Option<usize>,
    pub(super) writers: Vec<Writer>,
    pub(super) relays: Vec<Relay>,
    pub(super) logs: Vec<Log>,
    /// What relays that ended had in flight, per lane, and may still arrive.
    pub(super) late: Vec<Vec<Vec<Message>>>,
    pub(super) consumers: Vec<Consumer>,
    pub(super) left: Faults,
    /// A counter outside of transactions, per lane (only where a bug draws from it).
    pub(super) counters: Vec<i64>,
    /// A log lost its end and nobody has read it since.
    pub(super) unread_loss: bool,
    /// The database went back and nobody has taken over since.
    pub(super) unread_restore: bool,
    /// Ghost: there was a zombie, or the broker lost something: the log may hold something twice.
    pub(super) may_double: bool,
    /// Ghost: messages that were ever committed.
    pub(super) committed: u64,
    /// Ghost: an append was refused because its sequence was taken.
    pub(super) refused: bool,
}

impl State {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let writer = Writer { at: 0, stage: Stage::Idle, locked: 0, heads: Vec::new(), began: LeadTerm::NONE };
        let relay = Relay { term: LeadTerm::NONE, session: true, role: Role::Standby, hints: Vec::new() };
        let steps = bounds.following == Following::Stepwise;
        Self {
            tables: vec![Table::default(); bounds.lanes],
            backup: None,
            locks: vec![None; bounds.lanes],
            leader: None,
            writers: vec![writer; bounds.writers.len()],
            relays: vec![relay; bounds.relays],
            logs: vec![Log::default(); bounds.lanes],
            late: Vec::new(),
            consumers: vec![Consumer::default(); if steps { bounds.lanes } else { 0 }],
            left: bounds.faults,
            counters: vec![0; bounds.lanes],
            unread_loss: false,
            unread_restore: false,
            may_double: false,
            committed: 0,
            refused: false,
        }
    }
}
