//! What a check found.

mod findings;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::log::{OpenTransaction, UnreadableRun};
use crate::rebuild::Differences;

pub(crate) use findings::Findings;

/// What must always hold; the numbers are those of the product's design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// 1. Received = available + reserved + shipped, nothing below zero.
    Stock,
    /// 2. At most one effective charge per order; the ledger sums to zero.
    Money,
    /// 3. Every accepted order comes to an end.
    Termination,
    /// 4. Every completed step of a failed order is undone once, in reverse; no payment before its reservation.
    Compensation,
    /// 5. What the outboxes committed is what the topics hold: nothing lost, nothing phantom, in order.
    Delivery,
    /// 6. State folded from the topics is the tables, row for row.
    Rebuild,
    /// 7. Bad input has a trace: an event, or a dead letter with its bytes untouched.
    BadInput,
}

impl Invariant {
    /// All of them, in order.
    pub const ALL: [Invariant; 7] = [
        Invariant::Stock,
        Invariant::Money,
        Invariant::Termination,
        Invariant::Compensation,
        Invariant::Delivery,
        Invariant::Rebuild,
        Invariant::BadInput,
    ];

    /// Its name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Invariant::Stock => "stock",
            Invariant::Money => "money",
            Invariant::Termination => "termination",
            Invariant::Compensation => "compensation",
            Invariant::Delivery => "delivery",
            Invariant::Rebuild => "rebuild",
            Invariant::BadInput => "bad-input",
        }
    }
}

impl std::fmt::Display for Invariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// Of what: an order, a SKU, a topic partition, a row.
    pub subject: String,
    /// What is wrong, in words.
    pub detail: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.invariant, self.subject, self.detail)
    }
}

/// Orders by stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OrderCounts {
    /// Waiting for the reservation.
    pub placed: u64,
    /// Waiting for the authorization.
    pub stock_reserved: u64,
    /// Waiting for the capture.
    pub confirmed: u64,
    /// Waiting for the commit of the stock.
    pub payment_captured: u64,
    /// Paid for and gone.
    pub completed: u64,
    /// Being undone.
    pub cancelling: u64,
    /// Undone.
    pub cancelled: u64,
    /// Waiting for a person.
    pub stuck: u64,
}

impl OrderCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.completed + self.cancelled + self.stuck + self.in_flight()
    }

    /// Those that the machine is not done with.
    pub fn in_flight(&self) -> u64 {
        self.placed + self.stock_reserved + self.confirmed + self.payment_captured + self.cancelling
    }

    /// Counts an order of this stage, by the stage's name in the table.
    pub(crate) fn count(&mut self, stage: &str) {
        let counter = match stage {
            "placed" => &mut self.placed,
            "stock_reserved" => &mut self.stock_reserved,
            "confirmed" => &mut self.confirmed,
            "payment_captured" => &mut self.payment_captured,
            "completed" => &mut self.completed,
            "cancelling" => &mut self.cancelling,
            "cancelled" => &mut self.cancelled,
            // The table's own constraint allows no other stage.
            _ => &mut self.stuck,
        };
        *counter += 1;
    }
}

/// What was read of the topics, dead letters included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MessageCounts {
    /// Records read.
    pub read: u64,
    /// Messages of the services up to the cut, each once.
    pub delivered: u64,
    /// Commands of clients and operators that the services have taken, bad ones included.
    pub commands: u64,
    /// Repetitions of a service's messages; consumers drop them.
    pub duplicates: u64,
    /// Messages of an epoch that a restored database has ended.
    pub void: u64,
    /// Messages of the services after the cut: the pipeline was running on.
    pub after_cut: u64,
    /// Records of strangers on topics that only a service writes.
    pub strangers: u64,
}

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
    /// How long the check took, in seconds.
    #[serde(rename = "elapsed_s", serialize_with = "seconds")]
    pub elapsed: Duration,
}

impl Report {
    /// How many violations of an invariant are listed.
    pub const LISTED_PER_INVARIANT: usize = 40;

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
