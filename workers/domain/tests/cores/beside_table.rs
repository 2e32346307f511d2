//! What happens beside an order's way, and what frees it where it is stuck: every state against what concerns it.

use domain::saga::Order;
use schemas::OrderCommand;

use super::fixtures::{CONFIRM_WITHIN_MS, HOLD_WITHIN_MS, RETURN_WITHIN_MS, ask, noon, pay, stock};
use super::order_table::{Given, Way, check, gone, order_after, undoing_a_capture};

fn commands<const N: usize>(commands: [(&'static str, OrderCommand); N]) -> Vec<(&'static str, Given)> {
    commands.into_iter().map(|(name, command)| (name, Given::Command(command))).collect()
}

#[test]
fn holds_are_as_documented() {
    let held = |way, steps| gone(way, steps, &[Given::Command(ask::hold("hold-1"))]);
    let at_the_gate = |way| {
        order_after(&[
            super::order_table::forward(way)[0].clone(),
            Given::Command(ask::hold("hold-1")),
            Given::Inventory(stock::reserved()),
            Given::Payment(pay::authorized()),
        ])
    };
    let states = vec![
        ("Placed", held(Way::Plain, 1)),
        ("StockReserved", held(Way::Plain, 2)),
        ("Authorized", at_the_gate(Way::Plain)),
        ("Confirmed, on command", held(Way::OnCommand, 3)),
        ("ReadyToShip, paid", held(Way::OnCommand, 4)),
    ];
    let mut rows = commands([
        ("ReleaseOrder", ask::release("release-1")),
        ("RejectOrder", ask::reject("reject-1")),
        ("CancelOrder", ask::cancel("cancel-1")),
        ("HoldOrder", ask::hold("hold-2")),
        ("HoldOrder, same command id", ask::hold("hold-1")),
        ("ShipOrder", ask::ship("ship-1")),
    ]);
    rows.push(("StockReserved", Given::Inventory(stock::reserved())));
    rows.push(("PaymentAuthorized", Given::Payment(pay::authorized())));
    rows.push(("PaymentCaptured", Given::Payment(pay::captured())));
    rows.push(("PaymentVoided, expired", Given::Payment(pay::expired())));
    check("order, held", &states, rows, noon());
    let rows = vec![("`confirm_by` passed", Given::Deadline)];
    check("order, held, confirm_by", &states, rows, noon().plus_ms(CONFIRM_WITHIN_MS));
    let rows = vec![("the hold's end passed", Given::Deadline)];
    // Where a reply is awaited until `confirm_by`, that comes first.
    check("order, held, until", &states, rows, noon().plus_ms(HOLD_WITHIN_MS));
}

#[test]
fn refunds_are_as_documented() {
    let paid = |then: &[Given]| gone(Way::OnCommand, 4, then);
    let refund = |id: &str, amount| Given::Command(ask::refund_of(id, amount));
    let failed = |outcome| Given::Payment(pay::refund_failed("refund-1", 300, outcome));
    let (one, two) = (refund("refund-1", 300), refund("refund-2", 200));
    let states = vec![
        ("none", paid(&[])),
        ("one under way", paid(std::slice::from_ref(&one))),
        ("one under way, one waits", paid(&[one.clone(), two.clone()])),
        ("one refunded", paid(&[one.clone(), Given::Payment(pay::refunded("refund-1", 300))])),
        ("one refused", paid(&[one.clone(), failed("refused")])),
        ("one unknown", paid(&[one.clone(), failed("unknown")])),
        ("being undone, one under way", paid(&[one, two, Given::Command(ask::cancel("cancel-1"))])),
    ];
    let mut rows = commands([
        ("RefundOrder of all that is left", ask::refund_as("refund-3")),
        ("RefundOrder of a part", ask::refund_of("refund-3", 50)),
        ("RefundOrder of more than is left", ask::refund_of("refund-3", 851)),
        ("RefundOrder, same command id", ask::refund_of("refund-1", 300)),
        ("CancelOrder", ask::cancel("cancel-2")),
        ("ShipOrder", ask::ship("ship-1")),
    ]);
    rows.push(("PaymentRefunded", Given::Payment(pay::refunded("refund-1", 300))));
    rows.push(("PaymentRefundFailed, refused", failed("refused")));
    rows.push(("PaymentRefundFailed, unknown", failed("unknown")));
    rows.push(("PaymentRefundReversed", Given::Payment(pay::refund_reversed("refund-1", 300))));
    check("order, refunds", &states, rows, noon());
}

#[test]
fn returns_are_as_documented() {
    let completed = |then: &[Given]| gone(Way::Plain, 5, then);
    let request = Given::Command(ask::give_back("return-1", &[(1, 1)]));
    let receive = Given::Command(ask::receive("receive-1", "return-1", &[(1, 1, "restock")]));
    let received = |then: Given| completed(&[request.clone(), receive.clone(), then]);
    let mut all = ask::receive("receive-1", "return-1", &[(1, 1, "restock")]);
    if let OrderCommand::ReceiveReturn(command) = &mut all {
        command.refund_minor = Some(0);
    }
    let states = vec![
        ("none", completed(&[])),
        ("requested", completed(std::slice::from_ref(&request))),
        ("received", completed(&[request.clone(), receive.clone()])),
        ("received, nothing to refund", completed(&[request.clone(), Given::Command(all)])),
        ("taken back", received(Given::Inventory(stock::returned("return-1")))),
        ("refused", received(Given::Inventory(stock::return_refused("return-1")))),
    ];
    let mut rows = commands([
        ("RequestReturn of what is out", ask::give_back("return-2", &[])),
        ("RequestReturn of more than is out", ask::give_back("return-2", &[(1, 3)])),
        ("RequestReturn, same command id", ask::give_back("return-1", &[])),
        ("ReceiveReturn", ask::receive("receive-2", "return-1", &[(1, 1, "write_off")])),
        ("ReceiveReturn of more than was to come", ask::receive("receive-2", "return-1", &[(1, 2, "restock")])),
        ("ReceiveReturn, same command id", ask::receive("receive-1", "return-1", &[])),
        ("CancelOrder", ask::cancel("cancel-1")),
    ]);
    rows.push(("StockReturned", Given::Inventory(stock::returned("return-1"))));
    rows.push(("StockReturnRefused", Given::Inventory(stock::return_refused("return-1"))));
    check("order, returns", &states, rows, noon());
    check(
        "order, returns, close_by",
        &states,
        vec![("`close_by` passed", Given::Deadline)],
        noon().plus_ms(RETURN_WITHIN_MS),
    );
}

/// An order that is stuck at each step at which one can be, on the way forward and on the way back.
fn stuck() -> Vec<(&'static str, Option<Order>)> {
    let (stuck, refused) = (Given::Payment(pay::stuck()), Given::Inventory(stock::commit_refused()));
    let cancel = Given::Command(ask::cancel("cancel-1"));
    let void = [cancel, Given::Payment(pay::authorized()), stuck.clone()];
    let refund = Given::Payment(pay::refund_failed("cancellation", 850, "refused"));
    let give_back = [Given::Command(ask::cancel("cancel-1")), Given::Payment(pay::captured()), refund];
    vec![
        ("PaymentAuthorization", gone(Way::Plain, 2, std::slice::from_ref(&stuck))),
        ("PaymentCapture", gone(Way::Plain, 3, std::slice::from_ref(&stuck))),
        ("PaymentCapture, after the goods left", gone(Way::AtShipment, 5, &[stuck])),
        ("StockCommit", gone(Way::Plain, 4, std::slice::from_ref(&refused))),
        ("StockCommit, shipped", gone(Way::OnCommand, 5, &[refused])),
        ("PaymentVoid", gone(Way::Plain, 2, &void)),
        ("PaymentRefund", gone(Way::Plain, 3, &give_back)),
        ("StockRelease", released_too_late()),
    ]
}

/// Its goods were said to have left when they were to be released.
fn released_too_late() -> Option<Order> {
    let order = undoing_a_capture(2);
    let decision = super::order_table::when(order.as_ref(), &Given::Inventory(stock::committed()), noon());
    super::order_table::then(order, &decision)
}

#[test]
fn what_frees_a_stuck_order_is_as_documented() {
    let mut rows = commands([
        ("RetryOrder", ask::retry("retry-1", None)),
        ("RetryOrder, another step", ask::retry("retry-1", Some("StockReservation"))),
        ("SkipOrderStep", ask::skip("skip-1", None)),
        ("ResolveOrder completed", ask::resolve("resolve-1", "completed")),
        ("ResolveOrder cancelled", ask::resolve("resolve-1", "cancelled")),
        ("ResolveOrder, another outcome", ask::resolve("resolve-1", "lost")),
        ("CancelOrder", ask::cancel("cancel-2")),
    ]);
    for (name, reply) in [
        ("PaymentAuthorized", pay::authorized()),
        ("PaymentCaptured", pay::captured()),
        ("PaymentVoided", pay::voided()),
        ("PaymentStuck", pay::stuck()),
        ("PaymentRefunded", pay::refunded("cancellation", 850)),
    ] {
        rows.push((name, Given::Payment(reply)));
    }
    rows.push(("StockCommitted", Given::Inventory(stock::committed())));
    rows.push(("StockReleased", Given::Inventory(stock::released())));
    rows.push(("deadline passed", Given::Deadline));
    let states = stuck();
    check("order, stuck", &states[..5].to_vec(), rows.clone(), noon().plus_ms(HOLD_WITHIN_MS));
    check("order, stuck on the way back", &states[5..].to_vec(), rows, noon().plus_ms(HOLD_WITHIN_MS));
}
