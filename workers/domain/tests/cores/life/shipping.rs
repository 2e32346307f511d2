//! Goods that leave by command.

use domain::decision::Outcome;
use domain::saga::{Fulfilment, Stage, Step};
use schemas::{LineQuantity, OrderCommand, OrderEvent, ShipOrder};

use super::Story;
use crate::fixtures::{SHIP_WITHIN_MS, ask, noon, pay, stock};
use crate::order_table::{Way, gone};

fn with_lines(lines: &[(i32, i64)]) -> OrderCommand {
    let OrderCommand::ShipOrder(command) = ask::ship("ship-1") else { panic!() };
    let lines = lines.iter().map(|(line, quantity)| LineQuantity { line: *line, quantity: *quantity }).collect();
    ShipOrder { lines, ..command }.into()
}

#[test]
fn only_the_shipment_commits_the_stock() {
    let ready =
        Story::of(None).on(ask::place_on_command()).on(stock::reserved()).on(pay::authorized()).on(pay::captured());
    assert_eq!((ready.stage(), ready.order().fulfilment()), (&Stage::ReadyToShip, Fulfilment::OnCommand));
    assert_eq!(ready.asked(), ["ReserveStock", "AuthorizePayment", "CapturePayment"]);
    let shipped = ready.on(ask::ship("ship-1"));
    assert_eq!(shipped.asked().last(), Some(&"CommitStock"));
    assert_eq!(shipped.on(stock::committed()).stage(), &Stage::Completed);
}

#[test]
fn at_shipment_the_payment_is_taken_once_the_goods_have_left() {
    let way = Story::of(None).on(ask::place_at_shipment()).on(stock::reserved()).on(pay::authorized());
    assert_eq!((way.stage(), way.asked()), (&Stage::ReadyToShip, vec!["ReserveStock", "AuthorizePayment"]));
    let way = way.on(ask::ship("ship-1")).on(stock::committed());
    assert_eq!(way.asked()[2..], ["CommitStock", "CapturePayment"]);
    assert_eq!(way.on(pay::captured()).stage(), &Stage::Completed);
}

#[test]
fn a_shipment_says_who_carries_it() {
    let shipped = Story::of(gone(Way::OnCommand, 4, &[])).on(ask::ship("ship-1"));
    let Some(OrderEvent::OrderShipped(event)) = shipped.events.last() else { panic!() };
    assert_eq!((event.carrier.as_deref(), event.tracking.as_deref()), (Some("a carrier"), Some("t-1")));
    let origin = event.origin.as_ref().unwrap();
    assert_eq!((origin.command.as_str(), origin.command_id.as_str()), ("ShipOrder", "ship-1"));
    assert_eq!(origin.by.as_deref(), Some("a warehouse"));
    assert_eq!(shipped.aftercare().shipment.as_ref().unwrap().tracking.as_deref(), Some("t-1"));
}

#[test]
fn from_when_it_is_ready_it_should_be_shipped_in_time_and_nothing_happens_by_itself() {
    for ready in [gone(Way::OnCommand, 4, &[]), gone(Way::AtShipment, 3, &[])] {
        let ready = ready.unwrap();
        assert_eq!((ready.ship_by, ready.deadline()), (Some(noon().plus_ms(SHIP_WITHIN_MS)), None));
    }
    assert_eq!(gone(Way::OnCommand, 3, &[]).unwrap().ship_by, None, "it is not paid yet");
    assert_eq!(gone(Way::Plain, 4, &[]).unwrap().ship_by, None);
}

#[test]
fn everything_is_shipped_or_nothing() {
    let ready = Story::of(gone(Way::OnCommand, 4, &[]));
    for part in [&[(1, 2)][..], &[(1, 1), (2, 1), (3, 1)], &[(1, 2), (2, 1), (4, 1)], &[(1, 2), (1, 1), (3, 1)]] {
        assert_eq!(ready.code(with_lines(part)), "NotSupported", "{part:?}");
    }
    assert_eq!(ready.outcome(with_lines(&[(3, 1), (1, 2), (2, 1)])), Outcome::Applied);
}

#[test]
fn what_is_not_ready_is_not_shipped_and_the_words_say_why() {
    let code = |order| Story::of(order).refusal(ask::ship("ship-2"));
    for steps in 1..4 {
        let (code, detail) = code(gone(Way::OnCommand, steps, &[]));
        assert_eq!(code, "NotReady");
        assert!(detail.contains("order o-1") && detail.contains("not ready"), "{detail}");
    }
    assert_eq!(code(gone(Way::Plain, 3, &[])).0, "NotOnCommand");
    assert_eq!(code(gone(Way::OnCommand, 5, &[])).0, "Shipped");
    assert_eq!(code(gone(Way::OnCommand, 6, &[])).0, "Shipped");
    assert_eq!(code(gone(Way::OnCommand, 4, &[ask::cancel("k").into()])).0, "Cancelling");
    assert_eq!(code(gone(Way::OnCommand, 4, &[ask::hold("k").into()])).0, "Held");
    assert_eq!(code(None).0, "OrderUnknown");
}

#[test]
fn after_the_goods_have_left_a_refused_capture_is_for_a_person() {
    let order = gone(Way::AtShipment, 5, &[]);
    for reply in [pay::capture_failed(), pay::voided(), pay::stuck()] {
        let story = Story::of(order.clone()).on(reply);
        assert!(matches!(story.stage(), Stage::Stuck { step: Step::PaymentCapture, .. }));
        assert!(story.asked().is_empty());
    }
}
