//! Orders that a person frees.

use domain::decision::Outcome;
use domain::saga::{MAX_CHANGES, Stage, outstanding};
use schemas::{Message, OrderEvent};

use super::Story;
use crate::fixtures::{CONFIRM_WITHIN_MS, ask, noon, pay, stock};
use crate::order_table::{Given, Way, gone, when};

/// An order whose refund, which was to undo it, has ended so.
fn refund(outcome: &str) -> Story {
    let paid = Story::of(gone(Way::OnCommand, 4, &[]));
    paid.on(ask::cancel("k")).on(pay::refund_failed("cancellation", 850, outcome))
}

#[test]
fn a_retried_payment_is_told_to_try_again_and_asked_for_the_step() {
    let story = Story::of(gone(Way::Plain, 3, &[])).on(pay::stuck()).on(ask::retry("r", Some("PaymentCapture")));
    assert_eq!(story.asked, [Message::from(pay::retry("r")), Message::from(pay::capture())]);
    assert_eq!(story.stage(), &Stage::Confirmed);
    assert_eq!(story.on(ask::retry("r", None)).on(pay::captured()).stage(), &Stage::PaymentCaptured);
}

#[test]
fn every_retry_leads_back_to_where_the_order_was() {
    let refused = || stock::commit_refused();
    let of = |order, given: Given| Story::of(order).on(given).on(ask::retry("r", None));
    let commit = of(gone(Way::Plain, 4, &[]), refused().into());
    assert_eq!((commit.stage(), commit.asked()), (&Stage::PaymentCaptured, vec!["CommitStock"]));
    let shipped = of(gone(Way::AtShipment, 4, &[]), refused().into());
    assert_eq!((shipped.stage(), shipped.asked()), (&Stage::Shipped, vec!["CommitStock"]));
    let unpaid = of(gone(Way::AtShipment, 5, &[]), pay::capture_failed().into());
    assert_eq!((unpaid.stage(), unpaid.asked()), (&Stage::StockCommitted, vec!["RetryPayment", "CapturePayment"]));
    let authorization = of(gone(Way::Plain, 2, &[]), pay::stuck().into());
    assert_eq!(
        (authorization.stage(), authorization.asked()),
        (&Stage::StockReserved, vec!["RetryPayment", "AuthorizePayment"])
    );
    // Its time to be confirmed has passed meanwhile: it is undone at once.
    let late = when(authorization.order.as_ref(), &Given::Deadline, noon().plus_ms(CONFIRM_WITHIN_MS));
    assert_eq!(late.commands, [Message::from(pay::void())]);
}

#[test]
fn a_retried_refund_has_an_id_of_its_own() {
    let story = refund("refused").on(ask::retry("r", None));
    assert_eq!(story.asked.last(), Some(&Message::from(pay::refund("r", None))));
    assert_eq!(outstanding(story.order()), [Message::from(pay::refund("r", None))]);
    assert_eq!(story.on(pay::refunded("r", 850)).asked().last(), Some(&"ReleaseStock"));
    assert_eq!(refund("refused").code(ask::retry("cancellation", None)), "NotSupported");
}

#[test]
fn of_an_unknown_refund_it_is_said_under_its_old_id_what_became_of_it() {
    let retried = || refund("unknown").on(ask::retry("r", None));
    assert_eq!(retried().on(pay::refunded("cancellation", 850)).asked().last(), Some(&"ReleaseStock"));
    // It was never carried out: the new one is.
    let refused = retried().on(pay::refund_failed("cancellation", 850, "refused"));
    assert_eq!(refused.asked.last(), Some(&Message::from(pay::refund("r", None))));
    assert_eq!(refused.order().version, retried().order().version + 1);
    // Still nobody knows.
    let unknown = retried().on(pay::refund_failed("cancellation", 850, "unknown"));
    assert_eq!(unknown.stage().as_str(), "stuck");
}

#[test]
fn an_old_failure_that_is_said_again_does_not_hide_the_success_of_a_retry() {
    let story = Story::of(gone(Way::Plain, 3, &[])).on(pay::stuck()).on(ask::retry("r", None)).on(pay::stuck());
    assert_eq!(story.stage().as_str(), "stuck");
    assert_eq!(story.on(pay::captured()).stage(), &Stage::PaymentCaptured);
    let refunded = refund("unknown").on(pay::refunded("cancellation", 850));
    assert_eq!(refunded.asked().last(), Some(&"ReleaseStock"));
}

#[test]
fn a_skipped_step_is_taken_for_done() {
    let skip = |story: Story| story.on(ask::skip("s", None));
    let capture = skip(Story::of(gone(Way::Plain, 3, &[])).on(pay::stuck()));
    assert_eq!((capture.stage(), capture.asked()), (&Stage::PaymentCaptured, vec!["CommitStock"]));
    let Some(OrderEvent::OrderPaymentCaptured(event)) = capture.events.last() else { panic!() };
    assert_eq!(event.origin.as_ref().unwrap().command, "SkipOrderStep");
    let commit = skip(Story::of(gone(Way::AtShipment, 4, &[])).on(stock::commit_refused()));
    assert_eq!((commit.stage(), commit.asked()), (&Stage::StockCommitted, vec!["CapturePayment"]));
    let back = skip(refund("refused"));
    assert_eq!(back.asked().last(), Some(&"ReleaseStock"));
    assert_eq!(back.on(stock::released()).stage(), &Stage::Cancelled);
}

#[test]
fn a_resolved_order_has_ended_and_says_by_whom() {
    let stuck = || Story::of(gone(Way::Plain, 4, &[])).on(stock::commit_refused());
    let completed = stuck().on(ask::resolve("k", "completed")).on(ask::resolve("k", "completed"));
    assert_eq!((completed.stage(), completed.events.len()), (&Stage::Completed, 2));
    let cancelled = stuck().on(ask::resolve("k", "cancelled"));
    assert_eq!(cancelled.stage(), &Stage::Cancelled);
    assert_eq!(cancelled.order().cancellation.as_ref().unwrap().command_id.as_ref().unwrap().as_str(), "k");
    assert!(cancelled.asked().is_empty());
}

#[test]
fn another_step_another_outcome_and_an_order_that_is_not_stuck_are_refused() {
    let stuck = Story::of(gone(Way::Plain, 4, &[])).on(stock::commit_refused());
    let (code, detail) = stuck.refusal(ask::skip("s", Some("PaymentCapture")));
    assert!(code == "OtherStep" && detail.contains("StockCommit"), "{code}: {detail}");
    assert_eq!(stuck.code(ask::retry("r", Some("nonsense"))), "OtherStep");
    assert_eq!(stuck.code(ask::resolve("k", "gone")), "OutcomeUnknown");
    let placed = Story::of(gone(Way::Plain, 1, &[]));
    for command in [ask::retry("a", None), ask::skip("b", None), ask::resolve("c", "completed")] {
        assert_eq!(placed.code(command.clone()), "NotStuck");
        assert_eq!(Story::of(None).code(command), "OrderUnknown");
    }
}

#[test]
fn what_was_changed_too_often_can_still_be_brought_to_its_end() {
    let mut story = Story::of(gone(Way::OnCommand, 4, &[]));
    for number in 0..MAX_CHANGES {
        story = story.on(ask::hold(&format!("h-{number}")));
    }
    assert_eq!(story.code(ask::hold("one more")), "TooManyChanges");
    assert_eq!(story.code(ask::refund()), "TooManyChanges");
    assert_eq!(story.outcome(ask::cancel("k")), Outcome::Applied);
    assert_eq!(story.on(ask::release("r")).on(ask::ship("s")).stage(), &Stage::Shipped);
}
