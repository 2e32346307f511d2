//! One lane's records, judged as a consumer would that takes nothing but the next message. Pure.
//!
//! Two things are told apart: whether a committed message is in the topic at all, and whether such a consumer would
//! come to it. Memory is bounded by the number of gaps, not by that of messages.

use crate::epochs::Epochs;
use crate::relay::resume::{RowMatch, Seen};

/// Most gaps that are kept of one lane.
pub(crate) const MAX_INTERVALS: usize = 100_000;

/// A set of numbers as ranges, ascending and apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Intervals(Vec<(i64, i64)>);

impl Intervals {
    /// Of ranges that ascend and do not touch.
    pub(crate) fn of(ranges: &[(i64, i64)]) -> Self {
        Self(ranges.to_vec())
    }

    /// Adds a number; returns whether it is new.
    pub(crate) fn insert(&mut self, number: i64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        let touches_next = self.0.get(after).is_some_and(|(first, _)| *first == number + 1);
        match after.checked_sub(1).map(|before| (before, self.0[before])) {
            Some((_, (_, last))) if number <= last => return false,
            Some((before, (_, last))) if last + 1 == number => {
                self.0[before].1 = number;
                if touches_next {
                    self.0[before].1 = self.0[after].1;
                    self.0.remove(after);
                }
            }
            Some(_) | None if touches_next => self.0[after].0 = number,
            Some(_) | None => self.0.insert(after, (number, number)),
        }
        true
    }

    /// What of `from ..= to` is not in the set.
    pub(crate) fn missing(&self, from: i64, to: i64) -> Vec<(i64, i64)> {
        let mut missing = Vec::new();
        let mut next = from;
        for (first, last) in self.0.iter().filter(|(_, last)| *last >= from) {
            if *first > to {
                break;
            }
            if *first > next {
                missing.push((next, first - 1));
            }
            next = next.max(last + 1);
        }
        if next <= to {
            missing.push((next, to));
        }
        missing
    }

    pub(crate) fn ranges(&self) -> &[(i64, i64)] {
        &self.0
    }
}

/// What is known before the lane's records are read.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) epochs: Epochs,
    /// Everything up to this sequence is not looked at.
    pub(crate) after: i64,
    /// Reading begins where the log does, and that is not its first offset: what came before was deleted.
    pub(crate) begins_later: bool,
}

/// The fold.
#[derive(Debug)]
pub(crate) struct LaneFold {
    start: Start,
    /// What a consumer has taken that takes only the next.
    chain: i64,
    /// Offset of that record.
    pub(crate) chain_offset: Option<i64>,
    first_seen: Option<i64>,
    seen: Intervals,
    pub(crate) phantom: Intervals,
    pub(crate) changed: Intervals,
    pub(crate) highest: i64,
    pub(crate) records: u64,
    pub(crate) repeated: u64,
    pub(crate) early: u64,
    pub(crate) void: u64,
}

/// What the fold gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Nowhere in the log, though later ones are, or though they were published.
    pub(crate) lost: Vec<(i64, i64)>,
    /// Before the first message in a log that no longer begins at its first offset.
    pub(crate) expired: Vec<(i64, i64)>,
    /// The first that a consumer which takes only the next does not come to, though it is in the log.
    pub(crate) unreachable: Option<i64>,
}

impl LaneFold {
    pub(crate) fn new(start: Start) -> Self {
        Self {
            chain: start.after,
            chain_offset: None,
            first_seen: None,
            seen: Intervals::default(),
            phantom: Intervals::default(),
            changed: Intervals::default(),
            highest: 0,
            records: 0,
            repeated: 0,
            early: 0,
            void: 0,
            start,
        }
    }

    /// Takes the next record in the order of the log. One whose row was truncated meanwhile counts as equal.
    pub(crate) fn observe(&mut self, record: Seen, row: RowMatch) {
        let Seen { offset, epoch, sequence } = record;
        let epochs = &self.start.epochs;
        if sequence <= self.start.after {
            if !epochs.is_void(sequence) {
                // The log begins before the range does.
                self.start.begins_later = false;
                if sequence == self.start.after && self.chain == sequence {
                    self.chain_offset = Some(offset);
                }
            }
            return;
        }
        self.records += 1;
        if epochs.is_void(sequence) {
            self.void += 1;
            return;
        }
        if epochs.of(sequence).0 != epoch || row == RowMatch::Missing {
            self.phantom.insert(sequence);
            return;
        }
        self.highest = self.highest.max(sequence);
        if row == RowMatch::Differs {
            self.changed.insert(sequence);
            return;
        }
        if self.first_seen.is_none() {
            self.first_seen = Some(sequence);
            if self.start.begins_later {
                // As a consumer does: the first that it sees is its baseline.
                self.chain = sequence - 1;
            }
        }
        if !self.seen.insert(sequence) {
            self.repeated += 1;
        }
        let next = epochs.after(self.chain);
        if sequence == next {
            self.chain = sequence;
            self.chain_offset = Some(offset);
        } else if sequence > next {
            self.early += 1;
        }
    }

    /// Whether too many gaps had to be kept.
    pub(crate) fn is_too_broken(&self) -> bool {
        [&self.seen, &self.phantom, &self.changed].iter().any(|set| set.0.len() > MAX_INTERVALS)
    }

    /// The last message that a consumer comes to which takes only the next.
    pub(crate) fn chain(&self) -> i64 {
        self.chain
    }

    /// Judges the lane; everything up to `published` should be there.
    pub(crate) fn outcome(&self, published: i64) -> Outcome {
        let to = published.max(self.highest);
        let epochs = &self.start.epochs;
        let mut outcome = Outcome::default();
        for (first, last) in epochs.live(self.start.after + 1, to) {
            for missing in self.seen.missing(first, last) {
                for (first, last) in without(missing, self.changed.ranges()) {
                    let is_expired = self.start.begins_later && self.first_seen.is_some_and(|seen| last < seen);
                    if is_expired { &mut outcome.expired } else { &mut outcome.lost }.push((first, last));
                }
            }
        }
        let next = epochs.after(self.chain);
        let is_there = self.seen.missing(next, next).is_empty();
        outcome.unreachable = (next <= to && is_there).then_some(next);
        outcome
    }
}

/// A range without those of `others`, which ascend.
fn without(range: (i64, i64), others: &[(i64, i64)]) -> Vec<(i64, i64)> {
    Intervals::of(others).missing(range.0, range.1)
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
