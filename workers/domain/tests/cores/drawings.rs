//! The drawings of an order's ways, as the code goes them.

use domain::saga::{Order, Stage};
use schemas::Message;

use super::fixtures::{HOLD_WITHIN_MS, ask, noon, pay, stock};
use super::order_table::{Given, Way, forward, gone, messages, order_after, then, undoing_a_capture, when};
use super::table::Drawing;

/// The state's name in a drawing.
fn name(order: Option<&Order>) -> String {
    let Some(order) = order else { return "[*]".to_owned() };
    match &order.stage {
        Stage::Cancelling { step } => format!("undo_{step}"),
        Stage::Stuck { .. } => "Stuck".to_owned(),
        stage @ (Stage::Placed
        | Stage::StockReserved
        | Stage::Authorized
        | Stage::Confirmed
        | Stage::PaymentCaptured
        | Stage::ReadyToShip
        | Stage::Shipped
        | Stage::StockCommitted
        | Stage::Completed
        | Stage::Cancelled) => format!("{stage:?}"),
    }
}

/// What leads from these orders elsewhere.
fn draw(drawing: &mut Drawing, orders: &[Option<Order>], inputs: &[(&'static str, Given)]) {
    for order in orders {
        for (message, given) in inputs {
            let decision = when(order.as_ref(), given, noon().plus_ms(HOLD_WITHIN_MS));
            let after = then(order.clone(), &decision);
            let (from, to) = (name(order.as_ref()), name(after.as_ref()));
            if from != to {
                let commands: Vec<&str> = decision.commands.iter().map(Message::name).collect();
                drawing.arrow(&from, &to, message, &commands);
            }
        }
    }
}

/// Those of the messages that are named.
fn only(names: &[&str]) -> Vec<(&'static str, Given)> {
    let all = messages().into_iter().chain([
        ("PlaceOrder", Given::Command(ask::place())),
        ("ShipOrder", Given::Command(ask::ship("ship-1"))),
        ("ReleaseOrder", Given::Command(ask::release("release-1"))),
        ("RejectOrder", Given::Command(ask::reject("reject-1"))),
    ]);
    all.filter(|(name, _)| names.contains(name)).collect()
}

const REPLIES: [&str; 9] = [
    "StockReserved",
    "StockRejected",
    "StockCommitted",
    "StockCommitRefused",
    "PaymentAuthorized",
    "PaymentDeclined",
    "PaymentCaptured",
    "PaymentCaptureFailed",
    "PaymentStuck",
];

#[test]
fn the_plain_way_is_as_drawn() {
    let mut drawing = Drawing::default();
    draw(&mut drawing, &[None], &only(&["PlaceOrder"]));
    let orders: Vec<_> = (1..5).map(|steps| gone(Way::Plain, steps, &[])).collect();
    draw(&mut drawing, &orders, &only(&REPLIES));
    draw(&mut drawing, &orders, &only(&["CancelOrder", "deadline passed"]));
    drawing.assert_documented("order, plain");
}

#[test]
fn the_way_over_a_warehouse_is_as_drawn() {
    let mut drawing = Drawing::default();
    let mut orders: Vec<_> = (3..6).map(|steps| gone(Way::OnCommand, steps, &[])).collect();
    orders.splice(0..0, [gone(Way::AtShipment, 2, &[])]);
    orders.extend((3..6).map(|steps| gone(Way::AtShipment, steps, &[])));
    draw(&mut drawing, &orders, &only(&["PaymentAuthorized", "PaymentCaptured", "StockCommitted", "ShipOrder"]));
    draw(&mut drawing, &orders[1..], &only(&["CancelOrder", "StockCommitRefused", "PaymentCaptureFailed"]));
    drawing.assert_documented("order, on command");
}

#[test]
fn the_gate_is_as_drawn() {
    let mut drawing = Drawing::default();
    let mut to_the_gate = vec![forward(Way::Plain)[0].clone(), Given::Command(ask::hold("hold-1"))];
    to_the_gate.push(Given::Inventory(stock::reserved()));
    let waiting = order_after(&to_the_gate);
    to_the_gate.push(Given::Payment(pay::authorized()));
    draw(&mut drawing, &[waiting], &only(&["PaymentAuthorized"]));
    let gate = [order_after(&to_the_gate)];
    draw(&mut drawing, &gate, &only(&["ReleaseOrder", "RejectOrder", "CancelOrder", "deadline passed"]));
    drawing.assert_documented("order, held");
}

#[test]
fn the_way_back_is_as_drawn() {
    let mut drawing = Drawing::default();
    let cancelled =
        |steps, then: &[Given]| gone(Way::Plain, steps, &[&[Given::Command(ask::cancel("cancel-1"))], then].concat());
    let orders = [
        cancelled(1, &[]),
        cancelled(2, &[]),
        undoing_a_capture(0),
        cancelled(2, &[Given::Payment(pay::authorized())]),
        undoing_a_capture(1),
        undoing_a_capture(2),
    ];
    let replies = ["PaymentVoided", "PaymentRefunded", "PaymentRefundFailed", "StockReleased", "deadline passed"];
    draw(&mut drawing, &orders, &only(&[&REPLIES[..], &replies[..]].concat()));
    drawing.assert_documented("order, undoing");
}
