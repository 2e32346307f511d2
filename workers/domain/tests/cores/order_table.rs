//! The saga: every state against every message.

use domain::decision::Decision;
use domain::saga::{Input, Order, decide, evolve};
use schemas::{OrderEvent, Time};

use super::fixtures::{CONFIRM_WITHIN_MS, ask, noon, order_id, pay, saga_policy, stock};
use super::table::{Table, cell};

/// An input with its owner, so that it can stand in a list.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    Command(schemas::OrderCommand),
    Inventory(schemas::InventoryEvent),
    Payment(schemas::PaymentEvent),
    Deadline,
}

/// The order after these inputs; every step of the way must be consistent.
pub(crate) fn order_after(history: &[Given]) -> Option<Order> {
    history.iter().fold(None, |order, given| {
        let decision = when(order.as_ref(), given, noon());
        then(order, &decision)
    })
}

/// What the order decides.
pub(crate) fn when(order: Option<&Order>, given: &Given, now: Time) -> Decision<OrderEvent> {
    let id = order_id();
    let input = match given {
        Given::Command(command) => Input::Command(command),
        Given::Inventory(event) => Input::Inventory(event),
        Given::Payment(event) => Input::Payment(event),
        Given::Deadline => Input::DeadlinePassed(&id),
    };
    decide(order, input, now, &saga_policy())
}

/// The order after a decision.
pub(crate) fn then(order: Option<Order>, decision: &Decision<OrderEvent>) -> Option<Order> {
    match decision.change() {
        Some(event) => evolve(order, event).unwrap(),
        None => order,
    }
}

fn forward() -> Vec<Given> {
    vec![
        Given::Command(ask::place()),
        Given::Inventory(stock::reserved()),
        Given::Payment(pay::authorized()),
        Given::Payment(pay::captured()),
        Given::Inventory(stock::committed()),
    ]
}

fn undoing() -> Vec<Given> {
    vec![
        Given::Command(ask::place()),
        Given::Inventory(stock::reserved()),
        Given::Command(ask::cancel("cancel-1")),
        Given::Payment(pay::authorized()),
        Given::Payment(pay::voided()),
        Given::Inventory(stock::released()),
    ]
}

pub(crate) fn messages() -> Vec<(&'static str, Given)> {
    vec![
        ("PlaceOrder, same content", Given::Command(ask::place())),
        ("PlaceOrder, other content", Given::Command(ask::place_other())),
        ("CancelOrder", Given::Command(ask::cancel("cancel-2"))),
        ("CancelOrder, same command id", Given::Command(ask::cancel("cancel-1"))),
        ("RefundOrder", Given::Command(ask::refund())),
        ("StockReserved", Given::Inventory(stock::reserved())),
        ("StockRejected", Given::Inventory(stock::rejected())),
        ("StockReleased", Given::Inventory(stock::released())),
        ("StockCommitted", Given::Inventory(stock::committed())),
        ("StockCommitRefused", Given::Inventory(stock::commit_refused())),
        ("PaymentAuthorized", Given::Payment(pay::authorized())),
        ("PaymentDeclined", Given::Payment(pay::declined())),
        ("PaymentVoided", Given::Payment(pay::voided())),
        ("PaymentCaptured", Given::Payment(pay::captured())),
        ("PaymentCaptureFailed", Given::Payment(pay::capture_failed())),
        ("PaymentStuck", Given::Payment(pay::stuck())),
        ("deadline passed", Given::Deadline),
    ]
}

type States = Vec<(&'static str, Option<Order>)>;

fn check(name: &str, states: &States) {
    let mut table = Table::new(states.iter().map(|(name, _)| *name));
    for (message, given) in messages() {
        let now = noon().plus_ms(CONFIRM_WITHIN_MS);
        let cells = states.iter().map(|(_, order)| {
            let decision = when(order.as_ref(), &given, now);
            then(order.clone(), &decision);
            cell(&decision)
        });
        table.row(message, cells);
    }
    table.assert_documented(name);
}

#[test]
fn the_way_forward_is_as_documented() {
    let forward = forward();
    check(
        "order, forward",
        &vec![
            ("no order", None),
            ("Placed", order_after(&forward[..1])),
            ("StockReserved", order_after(&forward[..2])),
            ("Confirmed", order_after(&forward[..3])),
            ("PaymentCaptured", order_after(&forward[..4])),
        ],
    );
}

#[test]
fn the_way_back_is_as_documented() {
    let undoing = undoing();
    check(
        "order, undoing",
        &vec![
            ("StockReservation", order_after(&[undoing[0].clone(), undoing[2].clone()])),
            ("PaymentAuthorization", order_after(&undoing[..3])),
            ("PaymentVoid", order_after(&undoing[..4])),
            ("StockRelease", order_after(&undoing[..5])),
        ],
    );
}

#[test]
fn the_ends_are_as_documented() {
    let mut stuck = undoing();
    stuck.truncate(4);
    stuck.push(Given::Payment(pay::stuck()));
    check(
        "order, ended",
        &vec![
            ("Completed", order_after(&forward())),
            ("Cancelled", order_after(&undoing())),
            ("Stuck", order_after(&stuck)),
        ],
    );
}
