//! Lanes by hand: what is lost, what is merely late, what nobody committed.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::epochs::Epoch;

fn start(after: i64) -> Start {
    Start { epochs: Epochs::default(), after, begins_later: false }
}

fn folded(start: Start, sequences: &[i64]) -> LaneFold {
    let mut fold = LaneFold::new(start);
    for (offset, sequence) in (0..).zip(sequences) {
        let epoch = fold.start.epochs.of(*sequence).0;
        fold.observe(Seen { offset, epoch, sequence: *sequence }, RowMatch::Equal);
    }
    fold
}

#[test]
fn a_whole_lane_has_no_finding() {
    let fold = folded(start(0), &[1, 2, 3, 3, 4]);
    assert_eq!(fold.outcome(4), Outcome::default());
    assert_eq!((fold.chain(), fold.chain_offset, fold.repeated, fold.early), (4, Some(4), 1, 0));
}

#[test]
fn what_was_published_and_is_nowhere_is_lost() {
    let fold = folded(start(0), &[1, 2, 5, 6]);
    let outcome = fold.outcome(8);
    assert_eq!(outcome.lost, [(3, 4), (7, 8)]);
    assert_eq!((outcome.unreachable, fold.chain(), fold.chain_offset), (None, 2, Some(1)));
    assert_eq!(folded(start(0), &[]).outcome(3).lost, [(1, 3)]);
}

#[test]
fn what_is_not_published_yet_is_not_lost() {
    assert_eq!(folded(start(0), &[1, 2]).outcome(2), Outcome::default());
    assert_eq!(folded(start(0), &[]).outcome(0), Outcome::default());
}

#[test]
fn late_messages_count_only_if_a_consumer_that_waits_comes_to_them_and_beyond() {
    let late = folded(start(0), &[1, 3, 4, 2]);
    assert_eq!(late.outcome(4), Outcome { unreachable: Some(3), ..Outcome::default() });
    let mended = folded(start(0), &[1, 3, 4, 2, 3, 4]);
    assert_eq!(mended.outcome(4), Outcome::default());
    assert_eq!((mended.early, mended.repeated), (2, 2));
}

#[test]
fn a_log_that_begins_later_has_lost_nothing_after_its_beginning() {
    let begins_later = Start { begins_later: true, ..start(0) };
    let fold = folded(begins_later.clone(), &[4, 5, 7]);
    let outcome = fold.outcome(7);
    assert_eq!((outcome.expired, outcome.lost), (vec![(1, 3)], vec![(6, 6)]));
    assert_eq!(fold.chain(), 5);
    assert_eq!(folded(begins_later, &[]).outcome(3).lost, [(1, 3)]);
}

#[test]
fn records_that_nobody_committed_and_those_of_an_epoch_that_never_was_are_phantoms() {
    let mut fold = folded(start(0), &[1, 2]);
    fold.observe(Seen { offset: 3, epoch: 1, sequence: 3 }, RowMatch::Missing);
    fold.observe(Seen { offset: 4, epoch: 2, sequence: 5 }, RowMatch::Equal);
    assert_eq!((fold.phantom.ranges(), fold.outcome(2)), (&[(3, 3), (5, 5)][..], Outcome::default()));
}

#[test]
fn another_message_in_its_place_is_changed_not_lost() {
    let mut fold = folded(start(0), &[1]);
    fold.observe(Seen { offset: 1, epoch: 1, sequence: 2 }, RowMatch::Differs);
    fold.observe(Seen { offset: 2, epoch: 1, sequence: 3 }, RowMatch::Equal);
    assert_eq!((fold.changed.ranges(), fold.outcome(3).lost), (&[(2, 2)][..], vec![]));
}

#[test]
fn what_an_epoch_voids_is_neither_lost_nor_a_phantom() {
    let epochs = Epochs::new(vec![Epoch { epoch: 2, first: 8, last_equal: 3 }]);
    let mut fold = LaneFold::new(Start { epochs, ..start(0) });
    for (epoch, sequence) in [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 8), (2, 9)] {
        let row = if sequence == 5 { RowMatch::Missing } else { RowMatch::Equal };
        fold.observe(Seen { offset: sequence, epoch, sequence }, row);
    }
    assert_eq!((fold.outcome(9), fold.void, fold.chain()), (Outcome::default(), 2, 9));
    assert!(fold.phantom.ranges().is_empty());
}

#[test]
fn the_range_begins_after_what_is_not_looked_at() {
    let fold = folded(start(10), &[9, 10, 11, 12]);
    assert_eq!((fold.records, fold.outcome(12)), (2, Outcome::default()));
    assert_eq!(folded(start(10), &[9, 10]).chain_offset, Some(1));
}

proptest! {
    #[test]
    fn intervals_are_a_set(numbers in proptest::collection::vec(1_i64..40, 0..60)) {
        let mut intervals = Intervals::default();
        let mut set = BTreeSet::new();
        for number in numbers {
            prop_assert_eq!(intervals.insert(number), set.insert(number));
        }
        let missing: Vec<i64> = intervals.missing(3, 35).iter().flat_map(|(a, b)| *a..=*b).collect();
        prop_assert_eq!(missing, (3..=35).filter(|n| !set.contains(n)).collect::<Vec<_>>());
        prop_assert!(intervals.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
    }
}
