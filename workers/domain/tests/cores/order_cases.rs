//! The saga in detail: what events and commands say, and every reason to refuse.

use std::collections::BTreeMap;

use domain::decision::{Contradiction, Outcome};
use domain::saga::{ContentDigest, Order, Phase, Stage, Step, evolve, outstanding};
use schemas::{
    CancelReason, InventoryCommand, Message, OrderCommand, OrderEvent, OrderPlaced, OrderRejected, PaymentCommand,
    PlaceOrder, Rejection, RejectionCode, ReserveStock, limits,
};

use super::fixtures::{CONFIRM_WITHIN_MS, ask, line, noon, order_id, pay, place_order, stock, stock_line};
use super::order_table::{Given, order_after, then, when};

fn event_of(order: Option<&Order>, given: Given) -> OrderEvent {
    when(order, &given, noon()).event.unwrap()
}

fn placed() -> Order {
    order_after(&[Given::Command(ask::place())]).unwrap()
}

fn reasons(command: PlaceOrder) -> Vec<Rejection> {
    let decision = when(None, &Given::Command(command.into()), noon());
    assert_eq!(decision.outcome, Outcome::Rejected);
    assert!(decision.commands.is_empty());
    let Some(OrderEvent::OrderRejected(OrderRejected { reasons, .. })) = decision.event else { panic!("no refusal") };
    reasons
}

fn codes(command: PlaceOrder) -> Vec<RejectionCode> {
    reasons(command).into_iter().map(|reason| reason.code).collect()
}

#[test]
fn an_accepted_order_says_all_that_it_is() {
    let command = place_order();
    let decision = when(None, &Given::Command(command.clone().into()), noon());
    let expected = OrderPlaced {
        order_id: order_id(),
        version: 1,
        at: noon(),
        customer_id: command.customer_id.clone(),
        placed_at: command.placed_at,
        currency: "EUR".into(),
        lines: command.lines.clone(),
        total_minor: 850,
        confirm_by: noon().plus_ms(CONFIRM_WITHIN_MS),
        payment_provider: None,
        payment_token: None,
        capture: None,
        fulfilment: None,
        adjustments: vec![],
        attributes: BTreeMap::new(),
        replaces_order_id: None,
        hold: None,
    };
    assert_eq!(decision.event, Some(expected.into()));
    let lines = vec![stock_line("b", 2), stock_line("a", 1), stock_line("b", 1)];
    assert_eq!(decision.commands, [Message::from(ReserveStock { order_id: order_id(), lines })]);

    let order = then(None, &decision).unwrap();
    assert_eq!(order.content, ContentDigest::of_command(&command));
    assert_eq!((order.version, order.accepted_at, order.changed_at), (1, noon(), noon()));
    assert_eq!(order.deadline(), Some(noon().plus_ms(CONFIRM_WITHIN_MS)));
}

#[test]
fn the_whole_total_is_authorized() {
    let decision = when(Some(&placed()), &Given::Inventory(stock::reserved()), noon().plus_ms(5));
    let Message::PaymentCommand(PaymentCommand::AuthorizePayment(command)) = &decision.commands[0] else {
        panic!("{decision:?}")
    };
    assert_eq!(PaymentCommand::from(command.clone()), pay::authorize(850));
}

#[test]
fn an_order_of_nothing_to_pay_is_accepted() {
    let free = PlaceOrder { lines: vec![line("a", 3, 0)], ..place_order() };
    let order = order_after(&[Given::Command(free.into())]).unwrap();
    assert_eq!(order.total_minor, 0);
}

#[test]
fn every_mistake_is_named_at_once() {
    let lines = vec![line("a", 0, 5), line("b", 1, -1), line("c", -2, -2), line("d", i64::MAX, 2)];
    let found = reasons(PlaceOrder { currency: "ABC".into(), lines, ..place_order() });
    use RejectionCode::{AmountOverflow, CurrencyUnknown, PriceNegative, QuantityNotPositive};
    let codes: Vec<_> = found.iter().map(|reason| reason.code).collect();
    let expected =
        [CurrencyUnknown, QuantityNotPositive, PriceNegative, QuantityNotPositive, PriceNegative, AmountOverflow];
    assert_eq!(codes, expected);
    assert!(found[1].detail.contains("line 1") && found[1].detail.contains("SKU a"), "{:?}", found[1]);
}

#[test]
fn each_mistake_alone_is_enough() {
    let with_lines = |lines| PlaceOrder { lines, ..place_order() };
    assert_eq!(codes(with_lines(vec![])), [RejectionCode::NoLines]);
    assert_eq!(codes(with_lines(vec![line("a", 1, 1); limits::MAX_LINES + 1])), [RejectionCode::TooManyLines]);
    assert_eq!(codes(with_lines(vec![line("a", 0, 1)])), [RejectionCode::QuantityNotPositive]);
    assert_eq!(codes(with_lines(vec![line("a", 1, -1)])), [RejectionCode::PriceNegative]);
    assert_eq!(codes(with_lines(vec![line("a", 2, i64::MAX)])), [RejectionCode::AmountOverflow]);
    let sum = vec![line("a", 1, i64::MAX), line("b", 1, 1)];
    assert_eq!(codes(with_lines(sum)), [RejectionCode::AmountOverflow]);
    let currency = |currency: &str| PlaceOrder { currency: currency.into(), ..place_order() };
    for unknown in ["", "eur", "EURO", "XYZ", "\0\0\0"] {
        assert_eq!(codes(currency(unknown)), [RejectionCode::CurrencyUnknown], "{unknown:?}");
    }
}

#[test]
fn the_most_lines_are_accepted_and_the_largest_amount() {
    let most = PlaceOrder { lines: vec![line("a", 1, 1); limits::MAX_LINES], ..place_order() };
    assert_eq!(order_after(&[Given::Command(most.into())]).unwrap().total_minor, 500);
    let of = |total| PlaceOrder { lines: vec![line("a", total, 1)], ..place_order() };
    let largest = limits::MAX_TOTAL_MINOR;
    assert_eq!(order_after(&[Given::Command(of(largest).into())]).unwrap().total_minor, largest);
    assert_eq!(codes(of(largest + 1)), [RejectionCode::AmountOverflow]);
    assert_eq!(codes(of(i64::MAX)), [RejectionCode::AmountOverflow]);
}

#[test]
fn the_list_of_reasons_is_bounded_and_loses_no_kind() {
    let mut lines = vec![line("a", 0, 1); 400];
    lines.push(line("b", 1, -1));
    let found = reasons(PlaceOrder { currency: "x".repeat(10_000), lines, ..place_order() });
    assert_eq!(found.len(), limits::MAX_REASONS);
    assert_eq!(found[0].code, RejectionCode::CurrencyUnknown);
    assert_eq!(found[limits::MAX_REASONS - 1].code, RejectionCode::PriceNegative);
    assert!(found.iter().all(|reason| reason.detail.len() <= limits::MAX_DETAIL_BYTES));
}

#[test]
fn a_cancel_is_carried_through_to_the_end_with_its_command() {
    let history = [
        Given::Command(ask::place()),
        Given::Command(ask::cancel("k")),
        Given::Inventory(stock::reserved()),
        Given::Inventory(stock::released()),
    ];
    for length in 2..=history.len() {
        let order = order_after(&history[..length]).unwrap();
        let cancellation = order.cancellation.unwrap();
        assert_eq!(cancellation.reason, CancelReason::Requested);
        assert_eq!(cancellation.command_id.unwrap().as_str(), "k");
    }
    assert_eq!(order_after(&history).unwrap().stage, Stage::Cancelled);
}

#[test]
fn a_deadline_after_a_cancel_keeps_the_first_reason() {
    let order = order_after(&[Given::Command(ask::place()), Given::Command(ask::cancel("k"))]);
    let decision = when(order.as_ref(), &Given::Deadline, noon().plus_ms(CONFIRM_WITHIN_MS));
    let order = then(order, &decision).unwrap();
    assert_eq!(order.phase(), Phase::Undoing(Step::StockRelease));
    assert_eq!(order.cancellation.unwrap().reason, CancelReason::Requested);
}

#[test]
fn a_deadline_fires_when_it_is_due_and_not_before() {
    let deadline = noon().plus_ms(CONFIRM_WITHIN_MS);
    let early = when(Some(&placed()), &Given::Deadline, deadline.plus_ms(-1));
    assert_eq!((early.outcome, early.event), (Outcome::NoEffect, None));
    let due = when(Some(&placed()), &Given::Deadline, deadline);
    assert_eq!(due.outcome, Outcome::Applied);
}

#[test]
fn a_deadline_of_an_order_accepted_by_a_clock_that_was_ahead_fires_when_it_is_said_to() {
    let order = placed();
    let said = when(Some(&order), &Given::Deadline, order.accepted_at.plus_ms(-1));
    assert_eq!(said.outcome, Outcome::Applied);
}

#[test]
fn a_repeated_cancel_has_no_effect_even_when_the_order_is_stuck() {
    let history = [
        Given::Command(ask::place()),
        Given::Inventory(stock::reserved()),
        Given::Command(ask::cancel("k")),
        Given::Payment(pay::stuck()),
    ];
    let order = order_after(&history);
    assert!(matches!(order.as_ref().unwrap().stage, Stage::Stuck { .. }));
    assert_eq!(when(order.as_ref(), &Given::Command(ask::cancel("k")), noon()).outcome, Outcome::NoEffect);
    assert_eq!(when(order.as_ref(), &Given::Command(ask::cancel("l")), noon()).outcome, Outcome::Rejected);
}

#[test]
fn the_way_forward_after_the_pivot_has_no_deadline() {
    let history = [
        Given::Command(ask::place()),
        Given::Inventory(stock::reserved()),
        Given::Payment(pay::authorized()),
        Given::Payment(pay::captured()),
    ];
    assert!(order_after(&history[..2]).unwrap().deadline().is_some());
    assert_eq!(order_after(&history[..3]).unwrap().deadline(), None);
    assert_eq!(order_after(&history).unwrap().deadline(), None);
}

#[test]
fn a_refused_capture_undoes_both_steps_in_reverse() {
    let mut order = order_after(&[
        Given::Command(ask::place()),
        Given::Inventory(stock::reserved()),
        Given::Payment(pay::authorized()),
    ]);
    let mut asked = Vec::new();
    for reply in
        [Given::Payment(pay::capture_failed()), Given::Payment(pay::voided()), Given::Inventory(stock::released())]
    {
        let decision = when(order.as_ref(), &reply, noon());
        asked.extend(decision.commands.iter().map(Message::name));
        order = then(order, &decision);
    }
    assert_eq!(asked, ["VoidPayment", "ReleaseStock"]);
    let order = order.unwrap();
    assert_eq!(order.stage, Stage::Cancelled);
    assert_eq!(order.cancellation.unwrap().reason, CancelReason::CaptureFailed);
}

#[test]
fn what_is_outstanding_can_be_asked_again() {
    let asked = outstanding(&placed());
    assert!(matches!(asked[..], [Message::InventoryCommand(InventoryCommand::ReserveStock(_))]));
    let cancelled = order_after(&[Given::Command(ask::place()), Given::Inventory(stock::rejected())]).unwrap();
    assert_eq!(outstanding(&cancelled), []);
}

#[test]
fn a_repeated_event_is_ignored_and_a_gap_is_an_error() {
    let order = placed();
    let place: OrderCommand = ask::place();
    let placed_again = event_of(None, Given::Command(place));
    assert_eq!(evolve(Some(order.clone()), &placed_again).unwrap(), Some(order.clone()));

    let reserved = when(Some(&order), &Given::Inventory(stock::reserved()), noon());
    let after = then(Some(order.clone()), &reserved);
    let confirmed = event_of(after.as_ref(), Given::Payment(pay::authorized()));
    let gap = evolve(Some(order.clone()), &confirmed).unwrap_err();
    assert_eq!((gap.version, gap.event_version, gap.why), (1, 3, Contradiction::Gap));
    assert_eq!(evolve(None, &confirmed).unwrap_err().why, Contradiction::Gap);
}

#[test]
fn an_event_that_the_stage_does_not_allow_is_an_error() {
    let order = placed();
    let after = then(Some(order.clone()), &when(Some(&order), &Given::Inventory(stock::reserved()), noon()));
    let OrderEvent::OrderConfirmed(mut confirmed) = event_of(after.as_ref(), Given::Payment(pay::authorized())) else {
        panic!()
    };
    confirmed.version = 2;
    let error = evolve(Some(order), &confirmed.into()).unwrap_err();
    assert_eq!(error.why, Contradiction::Impossible("placed"));
    let text = error.to_string();
    assert_eq!(
        text,
        "OrderConfirmed of version 2 cannot follow order o-1 at version 1: the state (placed) does not allow it"
    );
}
