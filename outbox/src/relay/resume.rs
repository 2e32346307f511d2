//! Where a relay continues on a lane that it takes over: a pure fold over the records at the topic's end.
//!
//! The relay reads what lies behind the stored position and compares each record with its row. It continues after the
//! last record of the *unbroken* chain, never after the highest: a paused predecessor may have left records with a gap
//! before them. A record that counts but has no equal row means that the database was restored or failed over with
//! loss: then a new epoch must begin. No input or output here, so that every case can be tested.

use crate::epochs::Epochs;
use crate::log::Bounds;

/// How far back from the end a lane is read whose stored position is not there; more than ever is in flight.
pub(crate) const FIRST_STEP_BACK: i64 = 50_000;

/// The stored position of a lane: lagging, or of a table or topic that is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stored {
    pub(crate) epoch: i64,
    pub(crate) sequence: i64,
    pub(crate) offset: i64,
}

/// What is known of a lane before its topic partition is read.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) epochs: Epochs,
    /// Rows up to this sequence may be gone, so records up to it cannot be compared.
    pub(crate) pruned: i64,
    /// Everything up to this sequence is known to have been published before the first record that is read.
    pub(crate) base: i64,
    /// What the first record read must be.
    pub(crate) origin: Origin,
}

impl Facts {
    /// What is known, and the offset from which to read: the stored position's, if it lies inside the log's bounds, else
    /// one far enough back. `step_back` is none at the first attempt, then how far from the end to read.
    pub(crate) fn of(
        epochs: Epochs,
        pruned: i64,
        stored: Option<Stored>,
        bounds: Bounds,
        step_back: Option<i64>,
    ) -> (Self, i64) {
        let Bounds { low, high } = bounds;
        // The log has forgotten the record of the stored position, and with it everything before.
        let forgotten = stored.filter(|stored| stored.offset < low);
        let base = forgotten.map_or(pruned, |stored| stored.sequence.max(pruned));
        let from = match (stored, step_back) {
            (Some(Stored { epoch, sequence, offset }), None) if (low..high).contains(&offset) => {
                return (Self { epochs, pruned, base, origin: Origin::Stored { offset, epoch, sequence } }, offset);
            }
            // Without a stored position nothing was ever acknowledged, or hardly anything: read all there is.
            (None, None) => low,
            (Some(_), None) => high.saturating_sub(FIRST_STEP_BACK).max(low),
            (_, Some(step)) => high.saturating_sub(step).max(low),
        };
        let origin = if from == 0 { Origin::Beginning } else { Origin::Later { whole: from == low } };
        (Self { epochs, pruned, base, origin }, from)
    }
}

/// Where reading begins, and what that says about what lies before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// At the offset of the stored position: that record must be there, or the topic is not what it was.
    Stored { offset: i64, epoch: i64, sequence: i64 },
    /// At offset 0: nothing lies before.
    Beginning,
    /// At a later offset: the first record that equals its row is taken for the end of an unbroken chain. `whole` says
    /// that the log has nothing before it.
    Later { whole: bool },
}

/// A record of this outbox in the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) offset: i64,
    pub(crate) epoch: i64,
    pub(crate) sequence: i64,
}

/// How a record compares with the row of its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowMatch {
    /// Same id, key and payload.
    Equal,
    /// There is a row and it is another message.
    Differs,
    /// There is no row.
    Missing,
}

/// What to do with the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Decision {
    /// Publish what follows `after`, whose record lies at `offset` if it was seen.
    Resume { after: i64, offset: Option<i64> },
    /// The table is not the one that was published from: begin epoch `epoch` above `above` (and above the table), with
    /// what the table holds after `last_equal`.
    NewEpoch { epoch: i64, last_equal: i64, above: i64 },
    /// The records read do not connect to anything known: read from further back.
    Unanchored,
}

/// The fold.
#[derive(Debug, Clone)]
pub(crate) struct Resume {
    facts: Facts,
    /// Last sequence of the unbroken chain, once there is one.
    chain: Option<(i64, Option<i64>)>,
    refuted: bool,
    diverged: bool,
    seen_any: bool,
    highest_sequence: i64,
    highest_epoch: i64,
    after_maximum: bool,
}

impl Resume {
    /// `after_maximum` plants a bug: continue after the highest sequence instead of the unbroken one.
    pub(crate) fn new(facts: Facts, after_maximum: bool) -> Self {
        let chain = match facts.origin {
            Origin::Beginning => Some((facts.base, None)),
            Origin::Stored { .. } | Origin::Later { .. } => None,
        };
        let highest_epoch = facts.epochs.current();
        Self {
            facts,
            chain,
            refuted: false,
            diverged: false,
            seen_any: false,
            highest_sequence: 0,
            highest_epoch,
            after_maximum,
        }
    }

    /// Takes the next record in the order of the log.
    pub(crate) fn observe(&mut self, seen: Seen, row: RowMatch) {
        self.seen_any = true;
        self.highest_sequence = self.highest_sequence.max(seen.sequence);
        self.highest_epoch = self.highest_epoch.max(seen.epoch);
        let counts = self.counts(seen);
        let same = row == RowMatch::Equal || (row == RowMatch::Missing && seen.sequence <= self.facts.pruned);
        if seen.epoch > self.facts.epochs.current() || (counts && !same) {
            self.diverged = true;
        }
        match (self.chain, self.facts.origin) {
            (Some((last, _)), _) => {
                if counts && same && !self.diverged && seen.sequence == self.facts.epochs.after(last) {
                    self.chain = Some((seen.sequence, Some(seen.offset)));
                }
            }
            (None, Origin::Stored { offset, epoch, sequence }) => {
                let there = (seen.offset, seen.epoch, seen.sequence) == (offset, epoch, sequence);
                if there && counts && same && !self.refuted {
                    self.chain = Some((sequence, Some(offset)));
                } else {
                    self.refuted = true;
                }
            }
            (None, Origin::Later { .. } | Origin::Beginning) => {
                if counts && same && !self.diverged {
                    self.chain = Some((seen.sequence, Some(seen.offset)));
                }
            }
        }
    }

    /// Whether a record was seen that counts and has no equal row: the table is not the one that was published from.
    pub(crate) fn has_diverged(&self) -> bool {
        self.diverged
    }

    /// Decides once the end of the log was reached.
    pub(crate) fn decide(&self) -> Decision {
        let (last, offset) = match (self.chain, self.facts.origin) {
            (Some(chain), _) => chain,
            (None, Origin::Later { whole: true } | Origin::Beginning) => (self.facts.base, None),
            (None, Origin::Stored { .. } | Origin::Later { whole: false }) => return Decision::Unanchored,
        };
        if self.after_maximum && self.seen_any {
            return Decision::Resume { after: self.highest_sequence, offset };
        }
        if self.diverged {
            let above = self.highest_sequence.max(last);
            return Decision::NewEpoch { epoch: self.highest_epoch + 1, last_equal: last, above };
        }
        Decision::Resume { after: last, offset }
    }

    /// As [`Resume::decide`], but with a new epoch whatever was found: a person wants one.
    pub(crate) fn decide_new_epoch(&self) -> Decision {
        match self.decide() {
            Decision::Resume { after, .. } => Decision::NewEpoch {
                epoch: self.highest_epoch + 1,
                last_equal: after,
                above: self.highest_sequence.max(after),
            },
            decided @ (Decision::NewEpoch { .. } | Decision::Unanchored) => decided,
        }
    }

    /// Whether the record is part of what the table says was published: not voided by a later epoch.
    fn counts(&self, seen: Seen) -> bool {
        !self.facts.epochs.is_void(seen.sequence) && self.facts.epochs.of(seen.sequence).0 == seen.epoch
    }
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
