//! The way from a commit to the relay of the same process, without the database in between.
//!
//! Bounded by bytes. What does not fit, and everything while the relay is not the leader, shrinks to the lane's number:
//! "there is something new in the table". So a lost hint costs a read, never a message. The relay decides by sequence
//! what it takes; this file promises no order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::lanes::Lane;
use crate::message::OutboxMessage;

/// A committed message with its place.
#[derive(Debug)]
pub(crate) struct Hint {
    pub(crate) lane: Lane,
    pub(crate) sequence: i64,
    pub(crate) message: OutboxMessage,
}

/// Number of the time during which a relay of this process leads (odd) or does not (even).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LeadTerm(u64);

impl LeadTerm {
    /// Nobody leads yet.
    pub(crate) const NONE: Self = Self(0);

    /// The number once a relay leads or does not: another only if that is a change.
    pub(crate) fn lead(self, leads: bool) -> Self {
        Self(self.0 + u64::from((self.0 % 2 == 1) != leads))
    }

    /// Whether a relay leads.
    pub(crate) fn leads(self) -> bool {
        self.0 % 2 == 1
    }

    /// Whether messages of a transaction that began in `began` may be sent from memory now: only if one and the same
    /// relay has led all the time. What was committed before it took over may be void, or published already.
    pub(crate) fn takes(self, began: Self) -> bool {
        self.leads() && began == self
    }
}

/// Everything that was handed over since the last call of [`Hints::take`].
#[derive(Debug, Default)]
pub(crate) struct Handed {
    pub(crate) hints: Vec<Hint>,
    /// Lanes that have something new in the table, not among the hints.
    pub(crate) lanes: BTreeSet<Lane>,
}

/// The channel. Many committing tasks, one relay.
#[derive(Debug)]
pub(crate) struct Hints {
    term: AtomicU64,
    waiting: Mutex<Waiting>,
    wake: Notify,
    capacity_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    handed: Handed,
    bytes: usize,
}

impl Hints {
    pub(crate) fn new(capacity_bytes: usize) -> Self {
        Self { term: AtomicU64::new(LeadTerm::NONE.0), waiting: Mutex::default(), wake: Notify::new(), capacity_bytes }
    }

    /// Number to remember when a transaction begins and to give to [`Hints::hand`] once it has committed.
    pub(crate) fn term(&self) -> LeadTerm {
        LeadTerm(self.term.load(Ordering::Acquire))
    }

    /// Called by a relay that begins to lead (after it has read where the topics stand) or ceases to. Drops what waits:
    /// messages that were committed before may be void or already published.
    pub(crate) fn lead(&self, leads: bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.term.store(self.term().lead(leads).0, Ordering::Release);
        for hint in std::mem::take(&mut waiting.handed.hints) {
            waiting.handed.lanes.insert(hint.lane);
        }
        waiting.bytes = 0;
    }

    /// Hands over what has just been committed by a transaction that began in `term`.
    pub(crate) fn hand(&self, term: LeadTerm, hints: Vec<Hint>) {
        if hints.is_empty() {
            return;
        }
        let bytes: usize = hints.iter().map(|hint| size(&hint.message)).sum();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let whole = self.term().takes(term) && waiting.bytes + bytes <= self.capacity_bytes;
            if whole {
                waiting.bytes += bytes;
                waiting.handed.hints.extend(hints);
            } else {
                waiting.handed.lanes.extend(hints.iter().map(|hint| hint.lane));
            }
        }
        self.wake.notify_one();
    }

    /// Takes everything; does not wait.
    pub(crate) fn take(&self) -> Handed {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.bytes = 0;
        std::mem::take(&mut waiting.handed)
    }

    /// Returns once something was handed over since the last return, perhaps already before the call.
    pub(crate) async fn handed(&self) {
        self.wake.notified().await;
    }
}

fn size(message: &OutboxMessage) -> usize {
    let headers: usize = message.headers.iter().map(|(k, v)| k.len() + v.as_ref().map_or(0, Vec::len)).sum();
    256 + message.key.as_ref().map_or(0, |k| k.len()) + message.payload.as_ref().map_or(0, |p| p.len()) + headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_trusted_only_within_one_leadership() {
        let none = LeadTerm::NONE;
        let first = none.lead(true);
        let second = first.lead(false).lead(true);
        assert_eq!((none.lead(false), first.lead(true)), (none, first));
        assert!(first.takes(first) && second.takes(second));
        assert!(!first.takes(none) && !second.takes(first) && !none.takes(none));
        assert!(!second.lead(false).takes(second));
    }
}
