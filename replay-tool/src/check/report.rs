//! What a check found.

mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::findings::{LISTED_PER_INVARIANT, Violation};
use super::invariant::termination::Wait;
use super::scan::{ByHand, MessageCounts};
use crate::error::UnreadableRun;
use crate::fold::OrderCounts;
use crate::log::OpenTransaction;
use crate::rows::Differences;

/// The live tables against what the topics tell.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Identity of the state that the topics tell of: the same for the same state, on any machine.
    pub digest: String,
    /// The same of the live tables.
    pub live_digest: String,
    /// Where they differ, row for row and column for column.
    pub differences: Differences,
}

/// What is no violation, and yet must be known with the verdict: records that it could not look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Note {
    /// Records that nobody is given before a client's transaction ends.
    OpenTransaction(OpenTransaction),
    /// Records that the client library cannot read, where anyone may write.
    Unreadable(UnreadableRun),
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Note::OpenTransaction(open) => open.fmt(f),
            Note::Unreadable(run) => run.fmt(f),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Orders by stage, in the order service's table.
    pub orders: OrderCounts,
    /// Distinct order ids whose `PlaceOrder` was refused and of which there is no order.
    pub rejected: u64,
    /// The ids of stuck orders, at most a thousand.
    pub stuck: Vec<String>,
    /// What waits for a command, and rightly: to be released, to be shipped, to come back.
    pub waits: Vec<Wait>,
    /// What persons did to stuck orders: what they vouched for is exempt from compensation.
    pub by_hand: Vec<ByHand>,
    /// Dead letters by source topic, without prefix.
    pub dead_letters: BTreeMap<String, u64>,
    /// What was read.
    pub messages: MessageCounts,
    /// What does not hold, by invariant; of each at most [`Report::LISTED_PER_INVARIANT`].
    pub violations: Vec<Violation>,
    /// How many violations were found, listed or not.
    pub violations_found: u64,
    /// What could not be looked at, and is no violation.
    pub notes: Vec<Note>,
    /// The tables against what the topics tell, row for row; none where the topics lack messages.
    pub comparison: Option<Comparison>,
    /// How many records the topics have behind what the read model has taken; none where no read model was looked at.
    pub view_behind: Option<i64>,
    /// How long the check took, in seconds.
    #[serde(rename = "elapsed_s", serialize_with = "seconds")]
    pub elapsed: Duration,
}

impl Report {
    /// How many violations of an invariant are listed.
    pub const LISTED_PER_INVARIANT: usize = LISTED_PER_INVARIANT;

    /// Whether everything holds.
    pub fn is_clean(&self) -> bool {
        self.violations_found == 0
            && self.comparison.as_ref().is_none_or(|comparison| comparison.differences.is_empty())
    }

    /// Dead letters of all topics.
    pub fn dead_lettered(&self) -> u64 {
        self.dead_letters.values().sum()
    }
}

fn seconds<S: serde::Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(elapsed.as_secs_f64())
}
