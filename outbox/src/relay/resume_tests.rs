//! Every case of the take-over by hand, and the property that relay and consumer agree on what has been published.

use proptest::prelude::*;

use super::*;
use crate::epochs::Epoch;
use crate::inbox::{Cursor, Delivery, LogStart, judge};
use crate::position::Position;

fn facts(origin: Origin) -> Facts {
    Facts { epochs: Epochs::default(), pruned: 0, base: 0, origin }
}

fn seen(offset: i64, epoch: i64, sequence: i64) -> Seen {
    Seen { offset, epoch, sequence }
}

/// Decides over records of epoch 1 at offsets from `start`; rows up to `held` exist and are equal.
fn decide(facts: Facts, start: i64, sequences: &[i64], held: i64) -> Decision {
    let mut resume = Resume::new(facts, false);
    for (offset, sequence) in (start..).zip(sequences) {
        let row = if *sequence <= held { RowMatch::Equal } else { RowMatch::Missing };
        resume.observe(seen(offset, 1, *sequence), row);
    }
    resume.decide()
}

#[test]
fn an_empty_topic_begins_with_the_first_row() {
    assert_eq!(decide(facts(Origin::Beginning), 0, &[], 9), Decision::Resume { after: 0, offset: None });
}

#[test]
fn the_unbroken_sequence_counts_not_the_highest() {
    let after_gap = decide(facts(Origin::Beginning), 0, &[1, 2, 4, 5], 9);
    assert_eq!(after_gap, Decision::Resume { after: 2, offset: Some(1) });
    // 5 came before 4, so a reader that skips what is out of order has not taken it.
    let filled = decide(facts(Origin::Beginning), 0, &[1, 2, 5, 3, 4], 9);
    assert_eq!(filled, Decision::Resume { after: 4, offset: Some(4) });
    let doubled = decide(facts(Origin::Beginning), 0, &[1, 2, 3, 2, 3, 4], 9);
    assert_eq!(doubled, Decision::Resume { after: 4, offset: Some(5) });
}

#[test]
fn a_stored_position_must_be_found_where_it_was() {
    let stored = || facts(Origin::Stored { offset: 10, epoch: 1, sequence: 7 });
    assert_eq!(decide(stored(), 10, &[7, 8, 9], 20), Decision::Resume { after: 9, offset: Some(12) });
    assert_eq!(decide(stored(), 10, &[8, 9], 20), Decision::Unanchored);
    assert_eq!(decide(stored(), 11, &[7], 20), Decision::Unanchored);
    assert_eq!(decide(stored(), 10, &[], 20), Decision::Unanchored);
}

#[test]
fn reading_from_further_back_anchors_at_the_first_equal_record() {
    let whole = Facts { base: 3, ..facts(Origin::Later { whole: true }) };
    assert_eq!(decide(whole.clone(), 5, &[6, 7, 9], 20), Decision::Resume { after: 7, offset: Some(6) });
    assert_eq!(decide(whole, 5, &[], 20), Decision::Resume { after: 3, offset: None });
    assert_eq!(decide(facts(Origin::Later { whole: false }), 5, &[], 20), Decision::Unanchored);
}

#[test]
fn a_restored_table_begins_a_new_epoch() {
    let stored = facts(Origin::Stored { offset: 3, epoch: 1, sequence: 4 });
    let decision = decide(stored, 3, &[4, 5, 6, 7], 5);
    assert_eq!(decision, Decision::NewEpoch { epoch: 2, last_equal: 5, above: 7 });

    let mut changed = Resume::new(facts(Origin::Beginning), false);
    changed.observe(seen(0, 1, 1), RowMatch::Equal);
    changed.observe(seen(1, 1, 2), RowMatch::Differs);
    changed.observe(seen(2, 1, 3), RowMatch::Equal);
    assert_eq!(changed.decide(), Decision::NewEpoch { epoch: 2, last_equal: 1, above: 3 });
}

#[test]
fn an_epoch_that_the_table_has_never_heard_of_is_a_restore_too() {
    let mut resume = Resume::new(facts(Origin::Beginning), false);
    resume.observe(seen(0, 1, 1), RowMatch::Equal);
    resume.observe(seen(1, 3, 9), RowMatch::Missing);
    assert_eq!(resume.decide(), Decision::NewEpoch { epoch: 4, last_equal: 1, above: 9 });
}

#[test]
fn what_an_earlier_restore_voided_is_no_new_divergence() {
    let epochs = Epochs::new(vec![Epoch { epoch: 2, first: 8, last_equal: 5 }]);
    let mut resume = Resume::new(Facts { epochs, ..facts(Origin::Beginning) }, false);
    for (offset, sequence) in (0..).zip(1..=5) {
        resume.observe(seen(offset, 1, sequence), RowMatch::Equal);
    }
    resume.observe(seen(5, 1, 6), RowMatch::Missing);
    resume.observe(seen(6, 1, 7), RowMatch::Differs);
    resume.observe(seen(7, 2, 8), RowMatch::Equal);
    // A paused relay of the old epoch wakes up.
    resume.observe(seen(8, 1, 8), RowMatch::Differs);
    resume.observe(seen(9, 2, 9), RowMatch::Equal);
    assert_eq!(resume.decide(), Decision::Resume { after: 9, offset: Some(9) });
}

#[test]
fn pruned_rows_cannot_refute_a_record() {
    let facts = Facts { pruned: 4, base: 4, ..facts(Origin::Later { whole: true }) };
    let mut resume = Resume::new(facts, false);
    resume.observe(seen(7, 1, 3), RowMatch::Missing);
    resume.observe(seen(8, 1, 4), RowMatch::Missing);
    resume.observe(seen(9, 1, 5), RowMatch::Equal);
    assert_eq!(resume.decide(), Decision::Resume { after: 5, offset: Some(9) });
}

/// What a consumer that follows the positions has taken in the end.
fn consumed(log: &[i64]) -> i64 {
    let mut cursor = None;
    for sequence in log {
        let position = Position { source: "/s".to_owned(), epoch: 1, first: 1, sequence: *sequence };
        if judge(cursor, &position, LogStart::AtZero) == Delivery::Next {
            cursor = Some(Cursor::from(&position));
        }
    }
    cursor.map_or(0, |cursor| cursor.sequence)
}

/// Logs as several relays write them: each stretch counts up from somewhere, and stretches follow each other.
fn logs() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec((1_i64..30, 1_i64..12), 0..8)
        .prop_map(|stretches| stretches.into_iter().flat_map(|(from, length)| from..from + length).collect())
}

proptest! {
    #[test]
    fn relay_and_consumer_agree_on_what_was_published(log in logs()) {
        let Decision::Resume { after, offset } = decide(facts(Origin::Beginning), 0, &log, 100) else {
            panic!("nothing was restored")
        };
        prop_assert_eq!(after, consumed(&log));
        let at = offset.map(|offset| log[usize::try_from(offset).unwrap()]);
        prop_assert_eq!(at, (after > 0).then_some(after));
    }

    /// A stored position that lags, but is true, changes nothing.
    #[test]
    fn a_lagging_position_gives_the_same_answer(log in logs(), lag in 0_usize..20) {
        let taken: Vec<(i64, i64)> = (0..).zip(&log).scan(0, |last, (offset, sequence)| {
            let next = *sequence == *last + 1;
            if next { *last = *sequence; }
            Some(next.then_some((offset, *sequence)))
        }).flatten().collect();
        let Some((offset, sequence)) = taken.iter().rev().nth(lag.min(taken.len().saturating_sub(1))).copied() else {
            return Ok(());
        };
        let origin = Origin::Stored { offset, epoch: 1, sequence };
        let rest = &log[usize::try_from(offset).unwrap()..];
        let whole = decide(facts(Origin::Beginning), 0, &log, 100);
        prop_assert_eq!(decide(facts(origin), offset, rest, 100), whole);
    }

    /// Rows that are lacking are never taken for published, and a new epoch lies above everything.
    #[test]
    fn a_restore_is_noticed(log in logs(), held in 0_i64..30) {
        let highest = log.iter().copied().max().unwrap_or(0);
        match decide(facts(Origin::Beginning), 0, &log, held) {
            Decision::Resume { after, .. } => {
                prop_assert!(highest <= held);
                prop_assert_eq!(after, consumed(&log));
            }
            Decision::NewEpoch { epoch, last_equal, above } => {
                prop_assert!(highest > held);
                prop_assert_eq!((epoch, above), (2, highest));
                prop_assert!(last_equal <= held && last_equal <= consumed(&log));
            }
            Decision::Unanchored => prop_assert!(false, "the beginning is an anchor"),
        }
    }
}
