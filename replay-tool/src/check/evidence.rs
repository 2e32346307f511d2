//! Everything that a check has gathered.

use std::collections::HashMap;

use domain::statement::StatementLine;
use schemas::{PerService, Time};

use super::scan::Topics;
use crate::error::UnreadableRun;
use crate::log::Channel;
use crate::snapshot::{Cuts, LaneRows, Tables};

/// A service's outbox.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Its messages at the cut.
    pub(crate) rows: LaneRows,
    /// The heads of its lanes after the topics were read, by full topic name and partition.
    pub(crate) heads_now: HashMap<(String, i32), i64>,
}

/// What may be expected.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expectations {
    pub(crate) quiescent: bool,
    pub(crate) nothing_stuck: bool,
}

/// What a check has gathered.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// In front of every topic name.
    pub(crate) prefix: String,
    /// Where records are missing that should be there, in words.
    pub(crate) place: &'static str,
    /// How many partitions each topic has.
    pub(crate) partitions: i32,
    pub(crate) tables: Tables,
    pub(crate) cuts: Cuts,
    pub(crate) outboxes: PerService<Outbox>,
    pub(crate) topics: Topics,
    /// Runs of records that nobody can read, where anyone may write.
    pub(crate) unreadable: Vec<(Channel, UnreadableRun)>,
    /// What the payment simulator says that it did.
    pub(crate) statement: Option<Vec<StatementLine>>,
    /// Where records wait that their reader has not taken, though it had time: full topic name, partition, how many.
    pub(crate) waiting: Vec<(String, i32, u64)>,
    pub(crate) expectations: Expectations,
    /// The present, as the tables were read.
    pub(crate) now: Time,
}
