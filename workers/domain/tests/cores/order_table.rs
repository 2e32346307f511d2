//! The saga: every state against every message.

use domain::decision::Decision;
use domain::saga::{Input, Order, Stage, decide, evolve};
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

impl From<schemas::OrderCommand> for Given {
    fn from(command: schemas::OrderCommand) -> Self {
        Given::Command(command)
    }
}

impl From<schemas::InventoryEvent> for Given {
    fn from(event: schemas::InventoryEvent) -> Self {
        Given::Inventory(event)
    }
}

impl From<schemas::PaymentEvent> for Given {
    fn from(event: schemas::PaymentEvent) -> Self {
        Given::Payment(event)
    }
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
    let after = match decision.change() {
        Some(event) => evolve(order, event).unwrap(),
        None => order,
    };
    after.inspect(|order| assert_named(&order.stage))
}

/// The lists of stages by name have it where it belongs.
fn assert_named(stage: &Stage) {
    let name = stage.as_str();
    let is_end = matches!(stage, Stage::Completed | Stage::Cancelled);
    assert!(Stage::names().any(|known| known == name), "{name}");
    assert_eq!(Stage::UNFINISHED.contains(&name), !is_end, "{name}");
}

/// How an order is placed: how it is fulfilled, and when its payment is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Plain,
    OnCommand,
    AtShipment,
}

/// What brings an order that is placed so to its completion, one step after the other.
pub(crate) fn forward(way: Way) -> Vec<Given> {
    use Given::{Command, Inventory, Payment};
    let (reserved, authorized) = (Inventory(stock::reserved()), Payment(pay::authorized()));
    let (captured, committed) = (Payment(pay::captured()), Inventory(stock::committed()));
    let ship = Command(ask::ship("ship-1"));
    match way {
        Way::Plain => vec![Command(ask::place()), reserved, authorized, captured, committed],
        Way::OnCommand => vec![Command(ask::place_on_command()), reserved, authorized, captured, ship, committed],
        Way::AtShipment => vec![Command(ask::place_at_shipment()), reserved, authorized, ship, committed, captured],
    }
}

/// An order that has gone so many steps of its way, and then these.
pub(crate) fn gone(way: Way, steps: usize, then: &[Given]) -> Option<Order> {
    order_after(&[&forward(way)[..steps], then].concat())
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

/// A cancel of an order that is being paid, and that was paid for.
pub(crate) fn undoing_a_capture(replies: usize) -> Option<Order> {
    let replies = &[Given::Payment(pay::captured()), Given::Payment(pay::refunded("cancellation", 850))][..replies];
    gone(Way::Plain, 3, &[&[Given::Command(ask::cancel("cancel-1"))], replies].concat())
}

pub(crate) fn messages() -> Vec<(&'static str, Given)> {
    vec![
        ("PlaceOrder, same content", Given::Command(ask::place())),
        ("PlaceOrder, other content", Given::Command(ask::place_other())),
        ("CancelOrder", Given::Command(ask::cancel("cancel-2"))),
        ("CancelOrder, same command id", Given::Command(ask::cancel("cancel-1"))),
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
        ("PaymentRefunded", Given::Payment(pay::refunded("cancellation", 850))),
        ("PaymentRefundFailed", Given::Payment(pay::refund_failed("cancellation", 850, "refused"))),
        ("PaymentDisputed", Given::Payment(pay::disputed("opened"))),
        ("deadline passed", Given::Deadline),
    ]
}

/// What people ask, but for `PlaceOrder` and `CancelOrder`.
fn commands() -> Vec<(&'static str, Given)> {
    let commands = [
        ("ShipOrder", ask::ship("ship-2")),
        ("HoldOrder", ask::hold("hold-2")),
        ("ReleaseOrder", ask::release("release-2")),
        ("RejectOrder", ask::reject("reject-2")),
        ("RefundOrder", ask::refund()),
        ("RequestReturn", ask::give_back("return-2", &[])),
        ("ReceiveReturn", ask::receive("receive-2", "return-1", &[(1, 1, "restock")])),
        ("RetryOrder", ask::retry("retry-2", None)),
        ("SkipOrderStep", ask::skip("skip-2", None)),
        ("ResolveOrder", ask::resolve("resolve-2", "cancelled")),
        ("RedriveDeadLetter, a ReserveStock", ask::redrive("redrive-2", "ReserveStock", 1, None)),
    ];
    commands.into_iter().map(|(name, command)| (name, Given::Command(command))).collect()
}

pub(crate) type States = Vec<(&'static str, Option<Order>)>;

/// That the document has this table of these states and messages, at this time.
pub(crate) fn check(name: &str, states: &States, messages: Vec<(&'static str, Given)>, now: Time) {
    let mut table = Table::new(states.iter().map(|(name, _)| *name));
    for (message, given) in messages {
        let cells = states.iter().map(|(_, order)| {
            let decision = when(order.as_ref(), &given, now);
            then(order.clone(), &decision);
            cell(&decision)
        });
        table.row(message, cells);
    }
    table.assert_documented(name);
}

fn check_all(name: &str, states: &States) {
    check(name, states, messages(), noon().plus_ms(CONFIRM_WITHIN_MS));
}

#[test]
fn the_way_forward_is_as_documented() {
    let plain = |steps| gone(Way::Plain, steps, &[]);
    check_all(
        "order, forward",
        &vec![
            ("no order", None),
            ("Placed", plain(1)),
            ("StockReserved", plain(2)),
            ("Confirmed", plain(3)),
            ("PaymentCaptured", plain(4)),
        ],
    );
}

#[test]
fn the_way_over_a_warehouse_is_as_documented() {
    let states = vec![
        ("Confirmed", gone(Way::OnCommand, 3, &[])),
        ("ReadyToShip, paid", gone(Way::OnCommand, 4, &[])),
        ("Shipped, paid", gone(Way::OnCommand, 5, &[])),
        ("ReadyToShip, not paid", gone(Way::AtShipment, 3, &[])),
        ("Shipped, not paid", gone(Way::AtShipment, 4, &[])),
        ("StockCommitted", gone(Way::AtShipment, 5, &[])),
    ];
    let is_about_goods_or_money = |(name, _): &(&str, Given)| {
        ["CancelOrder", "StockCommitted", "StockCommitRefused", "PaymentVoided", "PaymentStuck", "deadline passed"]
            .contains(name)
            || name.starts_with("PaymentCapture")
    };
    let mut rows = vec![
        ("ShipOrder", Given::Command(ask::ship("ship-2"))),
        ("ShipOrder, same command id", Given::Command(ask::ship("ship-1"))),
    ];
    rows.extend(messages().into_iter().filter(is_about_goods_or_money));
    rows.push(("PaymentVoided, expired", Given::Payment(pay::expired())));
    check("order, on command", &states, rows, noon().plus_ms(CONFIRM_WITHIN_MS));
}

#[test]
fn the_way_back_is_as_documented() {
    let undoing = undoing();
    check_all(
        "order, undoing",
        &vec![
            ("StockReservation", order_after(&[undoing[0].clone(), undoing[2].clone()])),
            ("PaymentAuthorization", order_after(&undoing[..3])),
            ("PaymentCapture", undoing_a_capture(0)),
            ("PaymentVoid", order_after(&undoing[..4])),
            ("PaymentRefund", undoing_a_capture(1)),
            ("StockRelease", order_after(&undoing[..5])),
        ],
    );
}

#[test]
fn the_ends_are_as_documented() {
    let stuck = [&undoing()[..4], &[Given::Payment(pay::stuck())]].concat();
    check_all(
        "order, ended",
        &vec![
            ("Completed", gone(Way::Plain, 5, &[])),
            ("Cancelled", order_after(&undoing())),
            ("Stuck at PaymentVoid", order_after(&stuck)),
        ],
    );
}

#[test]
fn what_people_can_ask_is_as_documented() {
    let stuck = gone(Way::Plain, 4, &[Given::Inventory(stock::commit_refused())]);
    let undone = undoing();
    let states = vec![
        ("no order", None),
        ("Placed, StockReserved", gone(Way::Plain, 1, &[])),
        ("Confirmed", gone(Way::Plain, 3, &[])),
        ("PaymentCaptured", gone(Way::Plain, 4, &[])),
        ("ReadyToShip, paid", gone(Way::OnCommand, 4, &[])),
        ("Shipped, paid", gone(Way::OnCommand, 5, &[])),
        ("Completed", gone(Way::Plain, 5, &[])),
        ("being undone", order_after(&undone[..4])),
        ("Cancelled", order_after(&undone)),
        ("Stuck", stuck),
    ];
    check("order, commands", &states, commands(), noon());
}
