//! One order id on its way: what was sent, what was heard, and where it therefore stands.
//!
//! An id that is in a file several times has several commands and at most one order.

use std::time::Instant;

use schemas::RejectionCode;

/// Where an id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Standing {
    /// Heard of, but not published by us.
    Foreign,
    /// Published; not finished.
    InFlight,
    /// Terminal: delivered and paid.
    Completed,
    /// Terminal: undone.
    Cancelled,
    /// Each of its commands was refused; there is no order.
    Rejected,
    /// Terminal for the machine only.
    Stuck,
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is no order.
    #[default]
    None,
    /// Accepted; not finished.
    Placed,
    /// Delivered and paid.
    Completed,
    /// Undone.
    Cancelled,
    /// Waits for a person.
    Stuck,
}

/// An id.
#[derive(Debug, Default)]
pub(crate) struct Track {
    /// Commands sent.
    pub(crate) published: u32,
    /// Orders that came of them: one, or something is wrong.
    pub(crate) placed: u32,
    /// Commands refused.
    pub(crate) rejections: u32,
    /// The first reason of the last refusal.
    pub(crate) rejection: Option<RejectionCode>,
    /// When the first command was sent.
    pub(crate) first_sent: Option<Instant>,
    /// The order, if there is one.
    pub(crate) stage: Stage,
    /// Whether it was confirmed: from there on there is only forward.
    pub(crate) is_confirmed: bool,
    /// Whether a step of it had to be undone.
    pub(crate) undone: bool,
}

impl Track {
    /// Where it stands.
    pub(crate) fn standing(&self) -> Standing {
        if self.published == 0 {
            return Standing::Foreign;
        }
        match self.stage {
            Stage::Completed => Standing::Completed,
            Stage::Cancelled => Standing::Cancelled,
            Stage::Stuck => Standing::Stuck,
            Stage::Placed => Standing::InFlight,
            Stage::None if self.rejections >= self.published => Standing::Rejected,
            Stage::None => Standing::InFlight,
        }
    }
}
