//! One service's messages in one topic partition, followed by their positions in memory that does not grow.
//!
//! Unlike the checker's lane it keeps no message: what a lane lacks is told as ranges of sequences, of which a bounded
//! number is remembered, so that a message that comes late still counts as found.

use outbox::{Epochs, Position};

/// How many holes are remembered at once.
const REMEMBERED_HOLES: usize = 1024;

/// What a message is to the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next one, or one that was missing.
    Next,
    /// Come before.
    Duplicate,
    /// Of an epoch that a restored database has ended, after the last message that counts.
    Void,
    /// One that counts, but messages before it are missing: from and to.
    AfterGap(i64, i64),
}

/// A lane.
#[derive(Debug)]
pub(crate) struct Lane {
    epochs: Epochs,
    next: i64,
    holes: Vec<(i64, i64)>,
    /// What comes next to a consumer that takes nothing but the next.
    chain: i64,
    /// Epoch and sequence of the highest message that counts.
    highest: Option<(i64, i64)>,
}

impl Lane {
    pub(crate) fn new(epochs: Epochs) -> Self {
        let next = epochs.after(0);
        Lane { epochs, next, holes: Vec::new(), chain: next, highest: None }
    }

    /// Judge the message at `position`.
    pub(crate) fn step(&mut self, position: &Position) -> Step {
        let sequence = position.sequence;
        if self.is_void(position) {
            return Step::Void;
        }
        if sequence == self.chain {
            self.chain = self.epochs.after(sequence);
        }
        if sequence < self.next {
            return if self.fill(sequence) { Step::Next } else { Step::Duplicate };
        }
        let expected = self.next;
        self.next = self.epochs.after(sequence);
        self.highest = Some((position.epoch, sequence));
        if sequence == expected {
            return Step::Next;
        }
        if self.holes.len() < REMEMBERED_HOLES {
            self.holes.push((expected, sequence - 1));
        }
        Step::AfterGap(expected, sequence - 1)
    }

    /// Whether the message is void, whatever came before it.
    pub(crate) fn is_void(&self, position: &Position) -> bool {
        !self.epochs.counts(position)
    }

    /// Whether the sequence was missing until now.
    fn fill(&mut self, sequence: i64) -> bool {
        let Some(index) = self.holes.iter().position(|(from, to)| (*from..=*to).contains(&sequence)) else {
            return false;
        };
        let (from, to) = self.holes.swap_remove(index);
        let rest = [(from, sequence - 1), (sequence + 1, to)];
        self.holes.extend(rest.into_iter().filter(|(from, to)| from <= to));
        true
    }

    /// Whether a consumer that takes nothing but the next has come past this sequence: then what was missing before it came
    /// later, and it once more behind that.
    pub(crate) fn is_in_order(&self, sequence: i64) -> bool {
        sequence < self.chain
    }

    /// Epoch and sequence of the highest message that counts; none where there was none.
    pub(crate) fn highest(&self) -> Option<(i64, i64)> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use outbox::Epoch;

    use super::*;

    fn position(epoch: i64, first: i64, sequence: i64) -> Position {
        Position { source: "/order".into(), epoch, first, sequence }
    }

    #[test]
    fn each_sequence_counts_once_and_what_comes_late_is_found() {
        let mut lane = Lane::new(Epochs::default());
        let steps: Vec<Step> = [1, 2, 2, 5, 4, 4, 6].map(|sequence| lane.step(&position(1, 1, sequence))).to_vec();
        let expected =
            [Step::Next, Step::Next, Step::Duplicate, Step::AfterGap(3, 4), Step::Next, Step::Duplicate, Step::Next];
        assert_eq!(steps, expected);
        assert_eq!(lane.highest(), Some((1, 6)));
        assert!(lane.is_in_order(2) && !lane.is_in_order(5), "3 never came");
        for sequence in [3, 4, 5] {
            lane.step(&position(1, 1, sequence));
        }
        assert!(lane.is_in_order(5) && !lane.is_in_order(6), "6 was not repeated behind them");
    }

    #[test]
    fn what_an_epoch_voids_does_not_count_and_leaves_no_gap() {
        let mut lane = Lane::new(Epochs::new(vec![Epoch { epoch: 2, first: 5, last_equal: 2 }]));
        let steps =
            [(1, 1, 1), (1, 1, 2), (1, 1, 3), (2, 5, 5), (1, 1, 4)].map(|(e, f, s)| lane.step(&position(e, f, s)));
        assert_eq!(steps, [Step::Next, Step::Next, Step::Void, Step::Next, Step::Void]);
        assert_eq!(lane.highest(), Some((2, 5)));
    }
}
