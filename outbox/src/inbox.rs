//! The consumer's side: is the next record the next one?
//!
//! [`judge`] is pure and needs only the last position taken, so any consumer can use it, with any store. [`Inbox`] keeps
//! positions and resume offsets in the tables of this crate, inside the consumer's own transaction; what is moved there by
//! hand (past a gap, back, to another topic) goes through it too. Duplicates are
//! decided by sequence, never by offset: a relay that was killed publishes again at new offsets. Where to resume is an
//! offset all the same, and [`judge_log`] says whether the log is still the one that the offset belongs to.

mod amend;
mod log;
pub mod parking;
pub mod place;
mod store;

pub use amend::{GapAccepted, Resumed, TopicMoved};
pub use log::{LogMark, LogRange, LogSight, LogVerdict, OtherLog, Witness, judge_log};
pub use store::{Advance, Held, Inbox, PartitionState, SourceCursor, TopicPartition};

#[cfg(feature = "planted-bugs")]
use crate::planted::PlantedBug;
use crate::position::Position;

/// The last position taken from one source on one topic partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// Its epoch.
    pub epoch: i64,
    /// Its sequence.
    pub sequence: i64,
}

/// Where the topic partition's log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStart {
    /// At offset 0: nothing was ever deleted, so a source must begin with its first message.
    AtZero,
    /// Later: retention has deleted records, so the first message seen of a source is taken as the baseline.
    Later,
}

/// What a record is, judged by its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The next one: process it and move the cursor to it.
    Next,
    /// Already taken: skip it.
    Duplicate,
    /// Something before it is missing: do not process it.
    Gap {
        /// The sequence that should have come.
        expected: i64,
    },
    /// From an epoch that has ended: skip it.
    Stale,
    /// From a later epoch, but not that epoch's first message: something before it is missing.
    EpochNotAtFirst {
        /// The first sequence of the record's epoch, which should have come.
        first: i64,
    },
}

/// Judges a record against the last one taken from the same source on the same topic partition.
pub fn judge(cursor: Option<Cursor>, position: &Position, log_start: LogStart) -> Delivery {
    let Some(cursor) = cursor else {
        return match log_start {
            LogStart::AtZero if position.sequence != position.first => Delivery::Gap { expected: position.first },
            LogStart::AtZero | LogStart::Later => Delivery::Next,
        };
    };
    match position.epoch.cmp(&cursor.epoch) {
        std::cmp::Ordering::Less => Delivery::Stale,
        std::cmp::Ordering::Greater if position.sequence == position.first => Delivery::Next,
        std::cmp::Ordering::Greater => Delivery::EpochNotAtFirst { first: position.first },
        std::cmp::Ordering::Equal if position.sequence <= cursor.sequence => Delivery::Duplicate,
        std::cmp::Ordering::Equal if position.sequence - 1 == cursor.sequence => Delivery::Next,
        std::cmp::Ordering::Equal => Delivery::Gap { expected: cursor.sequence + 1 },
    }
}

/// [`judge`] with a bug of a consumer planted, to show that tests catch it. Exists only with the feature `planted-bugs`.
#[cfg(feature = "planted-bugs")]
pub fn judge_planted(
    bug: Option<PlantedBug>,
    cursor: Option<Cursor>,
    position: &Position,
    log_start: LogStart,
) -> Delivery {
    match (bug, cursor) {
        // A relay that repeats itself does so at new offsets.
        (Some(PlantedBug::DedupeByOffset), _) => Delivery::Next,
        (Some(PlantedBug::DedupeWithoutEpoch), Some(cursor)) => {
            let position = Position { epoch: 1, first: 1, ..position.clone() };
            judge(Some(Cursor { epoch: 1, ..cursor }), &position, log_start)
        }
        _ => judge(cursor, position, log_start),
    }
}

impl From<&Position> for Cursor {
    fn from(position: &Position) -> Self {
        Self { epoch: position.epoch, sequence: position.sequence }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(epoch: i64, first: i64, sequence: i64) -> Position {
        Position { source: "/s".to_owned(), epoch, first, sequence }
    }

    #[test]
    fn every_case_by_hand() {
        let at = |epoch, sequence| Some(Cursor { epoch, sequence });
        let cases = [
            (None, position(1, 1, 1), LogStart::AtZero, Delivery::Next),
            (None, position(1, 1, 2), LogStart::AtZero, Delivery::Gap { expected: 1 }),
            (None, position(2, 9, 9), LogStart::AtZero, Delivery::Next),
            (None, position(2, 9, 10), LogStart::AtZero, Delivery::Gap { expected: 9 }),
            (None, position(1, 1, 77), LogStart::Later, Delivery::Next),
            (at(1, 4), position(1, 1, 5), LogStart::AtZero, Delivery::Next),
            (at(1, 4), position(1, 1, 4), LogStart::AtZero, Delivery::Duplicate),
            (at(1, 4), position(1, 1, 6), LogStart::Later, Delivery::Gap { expected: 5 }),
            (at(1, 4), position(2, 9, 9), LogStart::Later, Delivery::Next),
            (at(1, 4), position(2, 9, 10), LogStart::Later, Delivery::EpochNotAtFirst { first: 9 }),
            (at(2, 9), position(1, 1, 10), LogStart::AtZero, Delivery::Stale),
        ];
        for (cursor, position, start, expected) in cases {
            assert_eq!(judge(cursor, &position, start), expected, "{cursor:?} {position}");
        }
    }

    proptest! {
        /// A stream with doubled and reordered stretches: what is taken is each message once, in order; and when
        /// nothing is missing in the end, all of it.
        #[test]
        fn what_is_taken_is_gapless_and_single(
            picks in proptest::collection::vec(0_usize..40, 0..200),
            lengths in proptest::collection::vec(1_i64..15, 1..4),
        ) {
            let mut whole = Vec::new();
            let mut first = 1;
            for (epoch, length) in (1..).zip(&lengths) {
                whole.extend((first..first + length).map(|sequence| position(epoch, first, sequence)));
                first += length + 3;
            }
            let noisy = picks.iter().filter_map(|pick| whole.get(*pick)).chain(&whole);
            let mut cursor = None;
            let mut taken = Vec::new();
            for position in noisy {
                if judge(cursor, position, LogStart::AtZero) == Delivery::Next {
                    cursor = Some(Cursor::from(position));
                    taken.push(position.clone());
                }
            }
            // An epoch's first message may cut the epoch before it short (that is what an epoch means); inside an epoch
            // there is neither gap nor repetition.
            for pair in taken.windows(2) {
                let next_in_epoch = pair[1].epoch == pair[0].epoch && pair[1].sequence == pair[0].sequence + 1;
                let next_epoch = pair[1].epoch > pair[0].epoch && pair[1].sequence == pair[1].first;
                prop_assert!(next_in_epoch || next_epoch, "{} then {}", pair[0], pair[1]);
            }
            prop_assert_eq!(taken.last(), whole.last());
        }

        /// Exactly one of all positions of the cursor's epoch is next.
        #[test]
        fn only_one_position_is_next(epoch in 1_i64..5, at in 1_i64..100, sequence in 1_i64..200) {
            let cursor = Some(Cursor { epoch, sequence: at });
            let verdict = judge(cursor, &position(epoch, 1, sequence), LogStart::AtZero);
            prop_assert_eq!(verdict == Delivery::Next, sequence == at + 1);
        }
    }
}
