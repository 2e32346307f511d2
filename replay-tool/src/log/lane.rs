//! One service's messages in one topic partition, followed by their positions in memory that does not grow, by someone who
//! knows the lane's epochs beforehand: what counts, once each, and what is missing before it. The one judge of this; who
//! meets the epochs only on the way is a [`Walk`](super::Walk).
//!
//! No message is kept: what a lane lacks is told as ranges of sequences, of which a bounded number is remembered, so that a
//! message that comes late still counts as found. Beyond that number it is taken for a repetition; who keeps the messages
//! knows better.

use outbox::{Epochs, Position};

/// How many holes are remembered at once.
const REMEMBERED_HOLES: usize = 1024;

/// What a message is to the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sequencing {
    /// The next one, or one that was missing.
    Next,
    /// Come before.
    Duplicate,
    /// Of an epoch that a restored database has ended, after the last message that counts.
    Void,
    /// Of another epoch than the one that its sequence belongs to: it does not count either.
    OtherEpoch,
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
    pub(crate) fn step(&mut self, position: &Position) -> Sequencing {
        let sequence = position.sequence;
        if self.epochs.is_void(sequence) {
            return Sequencing::Void;
        }
        if self.epochs.of(sequence) != (position.epoch, position.first) {
            return Sequencing::OtherEpoch;
        }
        if sequence == self.chain {
            self.chain = self.epochs.after(sequence);
        }
        if sequence < self.next {
            return if self.fill(sequence) { Sequencing::Next } else { Sequencing::Duplicate };
        }
        let expected = self.next;
        self.next = self.epochs.after(sequence);
        self.highest = Some((position.epoch, sequence));
        if sequence == expected {
            return Sequencing::Next;
        }
        if self.holes.len() < REMEMBERED_HOLES {
            self.holes.push((expected, sequence - 1));
        }
        Sequencing::AfterGap(expected, sequence - 1)
    }

    /// Whether the message counts, whatever came before it.
    pub(crate) fn counts(&self, position: &Position) -> bool {
        self.epochs.counts(position)
    }

    /// Whether the sequence was missing until now.
    fn fill(&mut self, sequence: i64) -> bool {
        let Some(index) = self.holes.iter().position(|(from, to)| (*from..=*to).contains(&sequence)) else {
            return false;
        };
        let (from, to) = self.holes.swap_remove(index);
        let rest = [(from, sequence - 1), (sequence + 1, to)];
        let room = REMEMBERED_HOLES - self.holes.len();
        self.holes.extend(rest.into_iter().filter(|(from, to)| from <= to).take(room));
        true
    }

    /// Whether a consumer that takes nothing but the next has come past this sequence: then what was missing before it came
    /// later, and it once more behind that.
    pub(crate) fn is_in_order(&self, sequence: i64) -> bool {
        sequence < self.chain
    }

    /// The sequence that comes behind all that counts so far.
    pub(crate) fn next(&self) -> i64 {
        self.next
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
        let steps: Vec<Sequencing> =
            [1, 2, 2, 5, 4, 4, 6].map(|sequence| lane.step(&position(1, 1, sequence))).to_vec();
        let expected = [
            Sequencing::Next,
            Sequencing::Next,
            Sequencing::Duplicate,
            Sequencing::AfterGap(3, 4),
            Sequencing::Next,
            Sequencing::Duplicate,
            Sequencing::Next,
        ];
        assert_eq!(steps, expected);
        assert_eq!(lane.highest(), Some((1, 6)));
        assert!(lane.is_in_order(2) && !lane.is_in_order(5), "3 never came");
        for sequence in [3, 4, 5] {
            lane.step(&position(1, 1, sequence));
        }
        assert!(lane.is_in_order(5) && !lane.is_in_order(6), "6 was not repeated behind them");
    }

    #[test]
    fn what_is_remembered_does_not_grow_and_what_is_beyond_it_is_taken_for_a_repetition() {
        let mut lane = Lane::new(Epochs::default());
        let most = i64::try_from(REMEMBERED_HOLES).unwrap();
        let last = 4 * most;
        assert_eq!(lane.step(&position(1, 1, last)), Sequencing::AfterGap(1, last - 1));
        // Every second one of a hole leaves a hole on either side.
        let found =
            (1..last / 2).map(|half| lane.step(&position(1, 1, 2 * half))).filter(|step| *step == Sequencing::Next);
        assert_eq!((found.count(), lane.holes.len()), (REMEMBERED_HOLES, REMEMBERED_HOLES));
        assert_eq!(lane.step(&position(1, 1, last - 1)), Sequencing::Duplicate);
    }

    #[test]
    fn what_an_epoch_voids_does_not_count_and_leaves_no_gap() {
        let mut lane = Lane::new(Epochs::new(vec![Epoch { epoch: 2, first: 5, last_equal: 2 }]));
        let steps =
            [(1, 1, 1), (1, 1, 2), (1, 1, 3), (2, 5, 5), (1, 1, 4)].map(|(e, f, s)| lane.step(&position(e, f, s)));
        assert_eq!(steps, [Sequencing::Next, Sequencing::Next, Sequencing::Void, Sequencing::Next, Sequencing::Void]);
        assert_eq!(lane.highest(), Some((2, 5)));
        assert_eq!(lane.step(&position(1, 1, 6)), Sequencing::OtherEpoch, "of the database that was lost");
    }
}
