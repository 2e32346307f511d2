//! An order that is cancelled at any moment before its goods leave.

use domain::saga::{Phase, Stage, Step, outstanding};
use schemas::{CancelOrder, CancelReason, Message, OrderEvent, PaymentCommand};

use super::Story;
use crate::fixtures::{ask, command_id, order_id, pay, stock};
use crate::order_table::{Way, gone};

#[test]
fn after_the_capture_it_is_refunded_and_released_in_reverse_each_once() {
    let story = Story::of(gone(Way::OnCommand, 4, &[]))
        .on(ask::cancel("k"))
        .on(ask::cancel("l"))
        .on(ask::cancel("k"))
        .on(pay::refunded("cancellation", 850))
        .on(pay::refunded("cancellation", 850))
        .on(stock::released())
        .on(stock::released());
    assert_eq!(story.asked(), ["RefundPayment", "ReleaseStock"]);
    assert_eq!(story.asked[0], Message::from(pay::refund("cancellation", None)));
    assert_eq!(story.stage(), &Stage::Cancelled);
    assert_eq!(story.order().cancellation.as_ref().unwrap().reason, CancelReason::Requested);
}

#[test]
fn while_it_is_being_captured_the_outcome_is_waited_for() {
    let confirmed = || Story::of(gone(Way::Plain, 3, &[])).on(ask::cancel("k"));
    assert_eq!((confirmed().asked(), confirmed().order().deadline()), (vec![], None));
    assert_eq!(confirmed().on(pay::captured()).asked(), ["RefundPayment"]);
    assert_eq!(confirmed().on(pay::capture_failed()).asked(), ["VoidPayment"]);
    assert_eq!(confirmed().on(pay::voided()).asked(), ["ReleaseStock"]);
}

#[test]
fn before_the_capture_it_is_voided() {
    let story = Story::of(gone(Way::AtShipment, 3, &[])).on(ask::cancel("k")).on(pay::voided()).on(stock::released());
    assert_eq!(story.asked(), ["VoidPayment", "ReleaseStock"]);
}

#[test]
fn a_cancel_and_a_shipment_have_one_outcome() {
    let ready = || Story::of(gone(Way::OnCommand, 4, &[]));
    let cancelled = ready().on(ask::cancel("k"));
    assert_eq!(cancelled.code(ask::ship("s")), "Cancelling");
    assert_eq!(
        cancelled.on(ask::ship("s")).on(pay::refunded("cancellation", 850)).asked(),
        ["RefundPayment", "ReleaseStock"]
    );

    let shipped = ready().on(ask::ship("s"));
    assert_eq!(shipped.code(ask::cancel("k")), "TooLate");
    let completed = shipped.on(ask::cancel("k")).on(stock::committed());
    assert_eq!((completed.asked(), completed.stage()), (vec!["CommitStock"], &Stage::Completed));
}

#[test]
fn who_cancels_and_why_is_said() {
    let command = CancelOrder {
        reason_code: Some("changed their mind".into()),
        by: Some("a clerk".into()),
        note: Some("by telephone".into()),
        ..CancelOrder::new(order_id(), command_id("k"))
    };
    let story = Story::of(gone(Way::OnCommand, 4, &[])).on(schemas::OrderCommand::from(command));
    let Some(OrderEvent::OrderCancelling(event)) = story.events.last() else { panic!() };
    assert_eq!((event.reason, event.reason_code.as_deref()), (CancelReason::Requested, Some("changed their mind")));
    assert_eq!(event.step.as_deref(), Some("PaymentRefund"), "the old field has no name for it");
    assert_eq!(event.awaiting, schemas::Awaiting::PaymentVoid);
    let origin = event.origin.as_ref().unwrap();
    assert_eq!((origin.by.as_deref(), origin.note.as_deref()), (Some("a clerk"), Some("by telephone")));
    // The reason stays to the end, the origin only where the command made it happen.
    let story = story.on(pay::refunded("cancellation", 850)).on(stock::released());
    let Some(OrderEvent::OrderCancelled(event)) = story.events.last() else { panic!() };
    assert_eq!((event.reason_code.as_deref(), event.origin.as_ref()), (Some("changed their mind"), None));
}

#[test]
fn a_capture_that_comes_where_a_void_was_asked_for_is_given_back() {
    let story = Story::of(gone(Way::Plain, 3, &[])).on(pay::capture_failed()).on(pay::captured());
    assert_eq!(story.asked(), ["VoidPayment", "RefundPayment"]);
    assert_eq!(story.order().phase(), Phase::Undoing(Step::PaymentRefund));
}

#[test]
fn the_refund_under_way_is_waited_for_and_those_behind_it_are_superseded() {
    let story = Story::of(gone(Way::OnCommand, 4, &[]))
        .on(ask::refund_of("r-1", 100))
        .on(ask::refund_of("r-2", 200))
        .on(ask::cancel("k"));
    assert_eq!(story.asked(), ["RefundPayment"], "one at a time");
    assert_eq!(outstanding(story.order()), [Message::from(pay::refund("r-1", Some(100)))]);
    let story = story.on(pay::refunded("r-1", 100));
    assert_eq!(story.asked[1..], [Message::from(pay::refund("cancellation", None))]);
    assert_eq!(outstanding(story.order()), [Message::from(pay::refund("cancellation", None))]);
    let states: Vec<_> = story.aftercare().refunds.iter().map(|refund| refund.state.as_str()).collect();
    assert_eq!(states, ["refunded", "superseded"]);
    let story = story.on(pay::refunded("cancellation", 750)).on(stock::released());
    assert_eq!(story.stage(), &Stage::Cancelled);
}

#[test]
fn a_refund_that_fails_meanwhile_leaves_all_to_the_last_one() {
    for outcome in ["refused", "unknown"] {
        let story = Story::of(gone(Way::OnCommand, 4, &[]))
            .on(ask::refund_of("r-1", 100))
            .on(ask::cancel("k"))
            .on(pay::refund_failed("r-1", 100, outcome));
        let Some(Message::PaymentCommand(PaymentCommand::RefundPayment(last))) = story.asked.last() else { panic!() };
        assert_eq!((last.refund_id.as_str(), last.amount_minor), ("cancellation", None));
        assert_eq!(story.aftercare().refunds[0].state.as_str(), outcome);
    }
}

#[test]
fn a_refund_of_which_nobody_knew_is_settled_when_nothing_else_is_left() {
    let cancelled = || {
        Story::of(gone(Way::OnCommand, 4, &[]))
            .on(ask::refund_as("r-1"))
            .on(pay::refund_failed("r-1", 850, "unknown"))
            .on(ask::cancel("k"))
    };
    // Payment asks about it, and says what became of it under its own name.
    let settled = cancelled().on(pay::refunded("r-1", 850));
    assert_eq!(settled.aftercare().refunds[0].state.as_str(), "refunded");
    assert_eq!(settled.asked.last(), Some(&Message::from(pay::refund("cancellation", None))));
    assert_eq!(settled.on(pay::refunded("cancellation", 0)).asked().last(), Some(&"ReleaseStock"));
    let refused = cancelled().on(pay::refund_failed("r-1", 850, "refused"));
    assert_eq!(refused.asked.last(), Some(&Message::from(pay::refund("cancellation", None))));
    let unknown = cancelled().on(pay::refund_failed("r-1", 850, "unknown"));
    assert!(matches!(unknown.stage(), Stage::Stuck { step: Step::PaymentRefund, .. }));
}
