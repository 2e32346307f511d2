//! The epochs of one lane: which sequences count, and which comes after which. The one place for this rule.
//!
//! Sequences only ever rise, across epochs too. An epoch after the first voids what lies between the last message that
//! both the topic and the restored table hold and the epoch's first message. Who has the tables takes the epochs from
//! there ([`Epochs::new`]); who sees only a topic collects them from its records ([`Epochs::observe`]). Pure.
//!
//! A reader that follows a topic once, from its beginning, learns of a new epoch only when it meets it: what is void by
//! then has already been seen. To fold only what counts, read twice, or fold up to the sequence where an epoch begins
//! and take back what it voids.

use crate::position::Position;

/// An epoch after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch {
    /// Its number, from 2.
    pub epoch: i64,
    /// Its first sequence.
    pub first: i64,
    /// Sequences above this and below `first` are void.
    pub last_equal: i64,
}

/// All epochs of a lane. The first, (1, from 1), is implied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Epochs(Vec<Epoch>);

impl Epochs {
    /// From the recorded epochs after the first, in any order.
    pub fn new(mut epochs: Vec<Epoch>) -> Self {
        epochs.sort_unstable_by_key(|epoch| epoch.epoch);
        Self(epochs)
    }

    /// Learns from a record which epoch it belongs to. `last_equal` is what [`parse_last_equal`] makes of its
    /// [`LAST_EQUAL_HEADER`](crate::position::LAST_EQUAL_HEADER); without it the epoch is taken to void nothing, until a
    /// record of it says more. Returns whether anything was learned.
    pub fn observe(&mut self, position: &Position, last_equal: Option<i64>) -> bool {
        if position.epoch <= 1 {
            return false;
        }
        let last_equal = last_equal.map_or(position.first - 1, |last_equal| last_equal.min(position.first - 1));
        match self.0.binary_search_by_key(&position.epoch, |epoch| epoch.epoch) {
            Ok(known) => {
                let known = &mut self.0[known];
                let more = last_equal < known.last_equal && known.first == position.first;
                if more {
                    known.last_equal = last_equal;
                }
                more
            }
            Err(place) => {
                self.0.insert(place, Epoch { epoch: position.epoch, first: position.first, last_equal });
                true
            }
        }
    }

    /// Those after the first, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &Epoch> {
        self.0.iter()
    }

    pub(crate) fn push(&mut self, epoch: Epoch) {
        self.0.push(epoch);
    }

    /// How many there are after the first.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The last epoch: the one that writers are in now.
    pub fn current(&self) -> i64 {
        self.0.last().map_or(1, |epoch| epoch.epoch)
    }

    /// Epoch and its first sequence for a sequence, whether void or not.
    pub fn of(&self, sequence: i64) -> (i64, i64) {
        self.0.iter().rev().find(|epoch| epoch.first <= sequence).map_or((1, 1), |epoch| (epoch.epoch, epoch.first))
    }

    /// Whether a sequence was voided by a later epoch.
    pub fn is_void(&self, sequence: i64) -> bool {
        self.voids(sequence).is_some()
    }

    /// Whether a record at this position is part of what counts: not voided by a later epoch, and of the very epoch that
    /// its sequence belongs to. A relay of a database that was lost may go on publishing under its old epoch.
    pub fn counts(&self, position: &Position) -> bool {
        !self.is_void(position.sequence) && self.of(position.sequence) == (position.epoch, position.first)
    }

    /// The sequence that follows `sequence`, passing over void ones.
    pub fn after(&self, sequence: i64) -> i64 {
        let mut next = sequence + 1;
        // Each round leaves one void range, and ranges lie below the first of the last epoch, so this ends.
        while let Some(epoch) = self.voids(next) {
            next = epoch.first;
        }
        next
    }

    /// The parts of `from ..= to` that count, ascending.
    pub(crate) fn live(&self, from: i64, to: i64) -> Vec<(i64, i64)> {
        let mut live = Vec::new();
        let mut first = if self.is_void(from) { self.after(from) } else { from };
        while first <= to {
            let voided = self.0.iter().map(|epoch| (epoch.last_equal, epoch.first));
            // The next sequence that is void; ranges that hold nothing void nothing.
            let end = voided.filter(|(last, next)| *last >= first && last + 1 < *next).map(|(last, _)| last).min();
            let last = end.map_or(to, |end| end.min(to));
            live.push((first, last));
            first = self.after(last);
        }
        live
    }

    /// Sequence after which the epoch of `sequence` voids what came before it; none for the first epoch.
    pub(crate) fn last_equal_of(&self, sequence: i64) -> Option<i64> {
        self.0.iter().rev().find(|epoch| epoch.first <= sequence).map(|epoch| epoch.last_equal)
    }

    fn voids(&self, sequence: i64) -> Option<&Epoch> {
        self.0.iter().find(|epoch| epoch.last_equal < sequence && sequence < epoch.first)
    }
}

/// Reads the value of a record's last [`LAST_EQUAL_HEADER`](crate::position::LAST_EQUAL_HEADER); none if it is no number.
pub fn parse_last_equal(value: &[u8]) -> Option<i64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn twice_restored() -> Epochs {
        Epochs::new(vec![
            Epoch { epoch: 4, first: 131, last_equal: 70 },
            Epoch { epoch: 2, first: 101, last_equal: 80 },
        ])
    }

    #[test]
    fn without_a_restore_nothing_is_void() {
        let epochs = Epochs::default();
        assert_eq!((epochs.current(), epochs.of(7), epochs.after(7)), (1, (1, 1), 8));
        assert!(!epochs.is_void(7));
    }

    #[test]
    fn a_later_restore_also_voids_the_epoch_between() {
        let epochs = twice_restored();
        assert_eq!(epochs.current(), 4);
        assert_eq!(epochs.after(69), 70);
        assert_eq!(epochs.after(70), 131);
        assert_eq!(epochs.after(131), 132);
        assert!(epochs.is_void(71) && epochs.is_void(105) && epochs.is_void(130));
        assert!(!epochs.is_void(70) && !epochs.is_void(131));
        assert_eq!((epochs.of(70), epochs.of(105), epochs.of(140)), ((1, 1), (2, 101), (4, 131)));
    }

    #[test]
    fn a_record_counts_only_under_the_epoch_of_its_sequence() {
        let epochs = twice_restored();
        let at = |epoch, first, sequence| Position { source: "/a".to_owned(), epoch, first, sequence };
        assert!(epochs.counts(&at(1, 1, 70)) && epochs.counts(&at(4, 131, 131)));
        assert!(!epochs.counts(&at(1, 1, 71)), "void");
        assert!(!epochs.counts(&at(1, 1, 131)), "of the database that was lost");
        assert!(!epochs.counts(&at(4, 130, 131)), "another beginning");
    }

    /// A record of the epoch that a sequence belongs to, and what its headers say.
    fn record(epochs: &Epochs, sequence: i64) -> (Position, Option<i64>) {
        let (epoch, first) = epochs.of(sequence);
        (Position { source: "/a".to_owned(), epoch, first, sequence }, epochs.last_equal_of(sequence))
    }

    #[test]
    fn a_topic_tells_all_that_the_table_knows() {
        let recorded = twice_restored();
        let mut learned = Epochs::default();
        let told: Vec<bool> = [1, 70, 131, 105, 140]
            .map(|sequence| {
                let (position, last_equal) = record(&recorded, sequence);
                learned.observe(&position, last_equal)
            })
            .to_vec();
        assert_eq!(told, [false, false, true, true, false]);
        assert_eq!(learned, recorded);
    }

    #[test]
    fn the_parts_that_count_are_those_between_what_is_void() {
        let epochs = twice_restored();
        assert_eq!(epochs.live(60, 140), [(60, 70), (131, 140)]);
        assert_eq!(epochs.live(71, 130), []);
        assert_eq!(epochs.live(100, 131), [(131, 131)]);
        assert_eq!(epochs.live(5, 5), [(5, 5)]);
        assert_eq!(epochs.live(6, 5), []);
        let harmless = Epochs::new(vec![Epoch { epoch: 2, first: 8, last_equal: 7 }]);
        assert_eq!(harmless.live(1, 9), [(1, 9)]);
    }

    #[test]
    fn without_its_header_an_epoch_voids_nothing_until_a_record_says_more() {
        let position = Position { source: "/a".to_owned(), epoch: 2, first: 11, sequence: 11 };
        let mut epochs = Epochs::default();
        assert!(epochs.observe(&position, None) && epochs.after(9) == 10);
        assert!(epochs.observe(&position, Some(7)) && epochs.after(7) == 11);
        assert!(!epochs.observe(&position, Some(9)) && epochs.is_void(8));
    }

    #[test]
    fn only_a_plain_number_is_a_last_equal() {
        let cases: [(&[u8], Option<i64>); 6] = [
            (b"0", Some(0)),
            (b"41", Some(41)),
            (b"", None),
            (b"-1", None),
            (b"+1", None),
            (b"99999999999999999999", None),
        ];
        for (value, expected) in cases {
            assert_eq!(parse_last_equal(value), expected, "{value:?}");
        }
    }

    proptest! {
        /// Whatever the order and the repetitions in which records come, a reader learns the same epochs.
        #[test]
        fn the_order_of_records_does_not_matter(order in proptest::collection::vec(1_i64..200, 1..60)) {
            let recorded = twice_restored();
            let mut learned = Epochs::default();
            for sequence in order.iter().copied().chain([101, 131]) {
                let (position, last_equal) = record(&recorded, sequence);
                learned.observe(&position, last_equal);
            }
            prop_assert_eq!(learned, recorded);
        }
    }
}
