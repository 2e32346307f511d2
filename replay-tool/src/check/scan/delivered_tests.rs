//! Lanes by hand: what is taken, and what comparing finds.

use outbox::{Epoch, Epochs};

use super::*;
use crate::log::Envelope;

fn print(sequence: i64) -> Print {
    print_of(sequence, b"payload")
}

fn print_of(sequence: i64, payload: &[u8]) -> Print {
    Print::of(sequence, None, Some(b"key"), Some(payload), &Envelope::Raw, &[])
}

fn position(epoch: i64, first: i64, sequence: i64) -> Position {
    Position { source: "/order".into(), epoch, first, sequence }
}

struct Walk {
    delivered: Delivered,
    findings: Findings,
}

impl Walk {
    fn to(head: i64, epochs: Vec<Epoch>) -> Self {
        let cut = LaneCut { number: 1, head, pruned: 0, epochs: Epochs::new(epochs) };
        Walk { delivered: Delivered::new("t[0]".into(), cut), findings: Findings::default() }
    }

    fn place(&mut self, sequences: &[i64]) -> Vec<Judged> {
        let delivered = &mut self.delivered;
        let place = |s: &i64| delivered.take(&position(1, 1, *s), print(*s), &mut self.findings);
        sequences.iter().map(place).collect()
    }

    fn compare(mut self, rows: &[Print], head_now: i64) -> Vec<String> {
        self.delivered.compare(rows, head_now, "topic", &mut self.findings);
        self.findings.listed().iter().map(|violation| violation.detail.clone()).collect()
    }
}

#[test]
fn repetitions_are_dropped_and_what_follows_the_cut_waits() {
    let mut walk = Walk::to(3, vec![]);
    assert!(!walk.delivered.is_at_cut());
    let places = walk.place(&[1, 2, 1, 2, 3, 4]);
    assert_eq!(
        places,
        [Judged::Taken, Judged::Taken, Judged::Duplicate, Judged::Duplicate, Judged::Taken, Judged::AfterCut]
    );
    assert!(walk.delivered.is_at_cut());
    assert_eq!(walk.compare(&[print(1), print(2), print(3)], 4), Vec::<String>::new());
}

#[test]
fn a_lost_message_is_found() {
    let mut walk = Walk::to(4, vec![]);
    walk.place(&[1, 2]);
    let rows: Vec<Print> = (1..=4).map(print).collect();
    assert_eq!(walk.compare(&rows, 4), ["committed, but not in the topic: 2 messages, sequence 3 to 4"]);
}

#[test]
fn a_phantom_is_found_below_and_above_the_cut() {
    let mut walk = Walk::to(2, vec![]);
    walk.place(&[1, 2, 3]);
    let found = walk.compare(&[print(1)], 2);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("sequence 2 was published, but there is no such row"), "{found:?}");
    assert!(found[1].contains("sequence 3 was published and never committed"), "{found:?}");
}

#[test]
fn another_payload_is_found() {
    let mut walk = Walk::to(1, vec![]);
    walk.place(&[1]);
    let found = walk.compare(&[print_of(1, b"other")], 1);
    assert_eq!(found, ["sequence 1 was published with another key or payload than committed"]);
}

#[test]
fn a_repetition_with_other_bytes_is_found() {
    let mut walk = Walk::to(1, vec![]);
    walk.place(&[1]);
    walk.delivered.take(&position(1, 1, 1), print_of(1, b"other"), &mut walk.findings);
    assert_eq!(walk.compare(&[print(1)], 1), ["sequence 1 was published twice with another key or payload"]);
}

#[test]
fn another_order_is_found() {
    let mut walk = Walk::to(3, vec![]);
    assert_eq!(walk.place(&[1, 3, 2]), [Judged::Taken; 3]);
    let rows: Vec<Print> = (1..=3).map(print).collect();
    assert_eq!(walk.compare(&rows, 3), ["sequence 3 was published before 2"]);
}

#[test]
fn what_came_early_and_again_in_its_order_is_none_of_another_order() {
    // One in flight when the topic was made anew, then everything that the table holds.
    let mut walk = Walk::to(5, vec![]);
    walk.place(&[4, 1, 2, 3, 4, 5]);
    let rows: Vec<Print> = (1..=5).map(print).collect();
    assert_eq!(walk.compare(&rows, 5), Vec::<String>::new());
    // Not repeated behind all that it came before: whoever takes only the next stands there.
    for order in [&[4, 1, 2, 3, 5][..], &[4, 1, 4, 2, 3, 5], &[1, 4, 2, 4, 5]] {
        let mut walk = Walk::to(5, vec![]);
        walk.place(order);
        let found = walk.compare(&rows, 5);
        assert!(found[0].starts_with("sequence 4 was published before"), "{order:?}: {found:?}");
    }
}

#[test]
fn a_hole_in_the_outbox_is_found() {
    let mut walk = Walk::to(3, vec![]);
    walk.place(&[1, 3]);
    let found = walk.compare(&[print(1), print(3)], 3);
    assert!(found.iter().any(|detail| detail.contains("no row between 2 and 3")), "{found:?}");
}

#[test]
fn rows_below_a_raised_floor_are_no_hole_and_one_above_it_is() {
    // As after a restore and a swap: rows 1 to 3 are old, the topic is ahead up to 6, and 7 is committed after that.
    let raised = |above: &[i64]| {
        let mut walk = Walk::to(9, vec![]);
        walk.delivered.cut.pruned = 6;
        walk.place(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let rows: Vec<Print> = [1, 2, 3].iter().chain(above).copied().map(print).collect();
        walk.compare(&rows, 9)
    };
    assert_eq!(raised(&[7, 8, 9]), Vec::<String>::new());
    assert_eq!(raised(&[]).len(), 3, "rows above the floor are needed");
    let planted = raised(&[7, 9]);
    assert!(planted.contains(&"the outbox has no row between 8 and 9".to_owned()), "{planted:?}");
    assert!(raised(&[8, 9]).contains(&"the outbox has no row between 7 and 8".to_owned()));
}

#[test]
fn what_an_ended_epoch_published_does_not_count() {
    let mut walk = Walk::to(11, vec![Epoch { epoch: 2, first: 10, last_equal: 2 }]);
    assert_eq!(walk.place(&[1, 2, 3, 4]), [Judged::Taken, Judged::Taken, Judged::Void, Judged::Void]);
    for sequence in [10, 11] {
        let place = walk.delivered.take(&position(2, 10, sequence), print(sequence), &mut walk.findings);
        assert_eq!(place, Judged::Taken);
    }
    let rows = [print(1), print(2), print_of(3, b"superseded"), print(10), print(11)];
    assert_eq!(walk.compare(&rows, 11), Vec::<String>::new());
}

#[test]
fn a_contradictory_position_is_found() {
    let mut walk = Walk::to(2, vec![]);
    walk.delivered.take(&position(2, 2, 2), print(2), &mut walk.findings);
    assert!(walk.findings.listed()[0].detail.contains("is of epoch 1 from 1"));
}

#[test]
fn an_end_is_missed_where_its_rows_are_pruned() {
    let mut walk = Walk::to(4, vec![]);
    walk.delivered.cut.pruned = 3;
    walk.place(&[1, 2]);
    let told = [
        "committed, but not in the topic: 1 messages, sequence 4",
        "the topic ends before sequence 3; rows up to 3 were published and pruned",
    ];
    assert_eq!(walk.compare(&[print(4)], 4), told);
}
