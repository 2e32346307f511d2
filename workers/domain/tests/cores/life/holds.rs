//! Orders that wait for a person.

use domain::decision::Outcome;
use domain::saga::{Phase, Stage};
use schemas::{CancelOrder, CancelReason, CommandId, CustomerId, HoldOrder, OrderCommand, OrderEvent, PlaceOrder};

use super::Story;
use crate::fixtures::{CONFIRM_WITHIN_MS, HOLD_WITHIN_MS, ask, line, noon, pay, place_order, stock};
use crate::order_table::{Given, Way, gone, then, when};

fn listed() -> OrderCommand {
    PlaceOrder { customer_id: CustomerId::new("c-listed").unwrap(), ..place_order() }.into()
}

#[test]
fn the_policy_holds_large_orders_and_those_of_listed_customers() {
    let of = |total| PlaceOrder { lines: vec![line("a", 1, total)], ..place_order() };
    let hold = |command: OrderCommand| {
        let story = Story::of(None).on(command);
        story.order().hold().map(|hold| (hold.reason_code.clone(), hold.until))
    };
    let until = noon().plus_ms(HOLD_WITHIN_MS);
    assert_eq!(hold(of(100_000).into()), None);
    assert_eq!(hold(of(100_001).into()), Some(("AmountAboveLimit".into(), until)));
    assert_eq!(hold(listed()), Some(("CustomerListed".into(), until)));
    assert_eq!(Story::of(None).on(listed()).asked(), ["ReserveStock"], "it goes on to the gate");
}

#[test]
fn released_at_the_gate_it_is_confirmed() {
    let gate = Story::of(None).on(listed()).on(stock::reserved()).on(pay::authorized());
    assert_eq!((gate.stage(), gate.order().phase()), (&Stage::Authorized, Phase::Command));
    assert_eq!(gate.asked(), ["ReserveStock", "AuthorizePayment"]);
    let released = gate.on(ask::release("k")).on(ask::release("k"));
    let Some(OrderEvent::OrderConfirmed(event)) = released.events.last() else { panic!() };
    assert_eq!(event.origin.as_ref().unwrap().note.as_deref(), Some("looks good"));
    assert_eq!((released.asked().last(), released.order().hold()), (Some(&"CapturePayment"), None));
}

#[test]
fn released_before_the_gate_it_is_not_stopped_there() {
    let story = Story::of(None).on(ask::place()).on(ask::hold("h")).on(ask::release("k"));
    let story = story.on(stock::reserved()).on(pay::authorized());
    assert_eq!(story.stage(), &Stage::Confirmed);
    assert_eq!(story.code(ask::release("l")), "NotHeld");
}

#[test]
fn the_gate_has_a_deadline_of_its_own() {
    let gate = Story::of(None).on(listed()).on(stock::reserved()).on(pay::authorized());
    let (confirm_by, until) = (noon().plus_ms(CONFIRM_WITHIN_MS), noon().plus_ms(HOLD_WITHIN_MS));
    assert_eq!(gate.order().deadline(), Some(until));
    assert_eq!(when(gate.order.as_ref(), &Given::Deadline, confirm_by).outcome, Outcome::NoEffect);
    assert_eq!(when(gate.order.as_ref(), &ask::release("k").into(), confirm_by).outcome, Outcome::Applied);
    let decision = when(gate.order.as_ref(), &Given::Deadline, until);
    let story = Story::of(then(gate.order, &decision));
    let cancellation = story.order().cancellation.clone().unwrap();
    assert_eq!(
        (cancellation.reason, cancellation.code.as_deref()),
        (CancelReason::DeadlinePassed, Some("HoldExpired"))
    );
    assert_eq!((story.order().hold(), story.order().deadline()), (None, None));
}

#[test]
fn whoever_holds_it_can_say_until_when_and_say_it_again() {
    let OrderCommand::HoldOrder(command) = ask::hold("h") else { panic!() };
    let until = |ms| OrderCommand::from(HoldOrder { until: Some(noon().plus_ms(ms)), ..command.clone() });
    let story = Story::of(gone(Way::OnCommand, 4, &[]));
    assert_eq!(story.code(until(0)), "TermsUnknown");
    let story = story.on(until(7)).on(ask::hold("i"));
    assert_eq!(story.order().deadline(), Some(noon().plus_ms(HOLD_WITHIN_MS)));
}

#[test]
fn a_hold_that_ends_before_the_reply_waits_for_the_reply() {
    let OrderCommand::HoldOrder(command) = ask::hold("h") else { panic!() };
    let until = noon().plus_ms(7);
    let story = Story::of(gone(Way::Plain, 2, &[])).on(OrderCommand::from(HoldOrder { until: Some(until), ..command }));
    assert_eq!(story.order().deadline(), Some(until));
    let decision = when(story.order.as_ref(), &Given::Deadline, until);
    let story = Story::of(then(story.order, &decision));
    assert_eq!(story.order().deadline(), Some(noon().plus_ms(CONFIRM_WITHIN_MS)));
    assert_eq!(story.on(pay::authorized()).asked(), ["VoidPayment"]);
}

#[test]
fn held_goods_do_not_leave() {
    let held = Story::of(gone(Way::OnCommand, 3, &[])).on(ask::hold("h")).on(pay::captured());
    assert_eq!(held.stage(), &Stage::ReadyToShip);
    let (code, detail) = held.refusal(ask::ship("s"));
    assert!(code == "Held" && detail.contains("fraud"), "{code}: {detail}");
    assert_eq!(held.on(ask::release("k")).on(ask::ship("s")).stage(), &Stage::Shipped);
}

#[test]
fn a_rejected_order_is_undone_with_its_reason() {
    let story = Story::of(None).on(listed()).on(stock::reserved()).on(pay::authorized()).on(ask::reject("k"));
    let cancellation = story.order().cancellation.clone().unwrap();
    assert_eq!((cancellation.reason, cancellation.code.as_deref()), (CancelReason::Requested, Some("fraud")));
    assert_eq!(cancellation.command_id.unwrap().as_str(), "k");
    assert_eq!(story.on(pay::voided()).on(stock::released()).stage(), &Stage::Cancelled);
}

#[test]
fn what_cannot_be_held_any_more_is_refused_with_words() {
    let code = |order| Story::of(order).code(ask::hold("h"));
    assert_eq!(code(None), "OrderUnknown");
    assert_eq!(code(gone(Way::Plain, 3, &[])), "TooLate", "nobody can stop its goods");
    assert_eq!(code(gone(Way::OnCommand, 5, &[])), "TooLate");
    assert_eq!(code(gone(Way::Plain, 5, &[])), "OrderFinished");
    assert_eq!(code(gone(Way::Plain, 2, &[ask::cancel("k").into()])), "Cancelling");
}

#[test]
fn a_held_order_that_is_stuck_waits_for_a_person_alone_and_stays_held() {
    let story = Story::of(gone(Way::Plain, 2, &[])).on(ask::hold("h")).on(pay::stuck());
    assert_eq!((story.order().deadline(), story.order().wakes_at()), (None, None));
    assert_eq!(when(story.order.as_ref(), &Given::Deadline, noon().plus_ms(HOLD_WITHIN_MS)).outcome, Outcome::NoEffect);
    assert_eq!(story.on(pay::authorized()).stage(), &Stage::Authorized);
    let released = Story::of(gone(Way::Plain, 2, &[])).on(ask::hold("h")).on(pay::stuck()).on(ask::release("k"));
    assert_eq!(released.on(pay::authorized()).stage(), &Stage::Confirmed);
}

#[test]
fn a_code_that_is_too_long_or_is_not_there_is_refused() {
    let story = Story::of(None).on(ask::place());
    let hold = |reason_code: String| {
        let OrderCommand::HoldOrder(command) = ask::hold("h") else { panic!() };
        OrderCommand::from(HoldOrder { reason_code, ..command })
    };
    for code in [String::new(), "x".repeat(65)] {
        assert_eq!(story.code(hold(code)), "TextLength");
    }
    assert_eq!(story.outcome(hold("x".repeat(64))), Outcome::Applied);
    let cancel = CancelOrder::new(story.order().order_id.clone(), CommandId::new("c").unwrap());
    let cancel = |reason_code| OrderCommand::from(CancelOrder { reason_code, ..cancel.clone() });
    assert_eq!(story.code(cancel(Some("x".repeat(65)))), "TextLength");
    assert_eq!(story.outcome(cancel(Some(String::new()))), Outcome::Applied, "a cancel need not say why");
}
