//! The cores' own planted bugs: each is found, and under the invariant that it breaks.

use domain::planted::{Bug, Planted};
use schemas::{
    CancelOrder, CommandId, CustomerId, DescribeProduct, OrderId, OrderLine, PlaceOrder, ReceiveStock, RefundOrder,
    Sku, Time, TopicName,
};

use super::gathering::{assert_found, found};
use super::shelf::partition_of;
use super::world::{DECLINED_FROM, World};
use crate::check::findings::Invariant;

pub(super) fn order(id: &str, lines: &[(&str, i64, i64)]) -> PlaceOrder {
    let line = |(sku, quantity, price): &(&str, i64, i64)| OrderLine {
        sku: Sku::new(*sku).unwrap(),
        quantity: *quantity,
        unit_price_minor: *price,
    };
    let (order_id, customer_id) = (OrderId::new(id).unwrap(), CustomerId::new("c-1").unwrap());
    let placed_at = Time::from_micros(1_690_000_000_000_000);
    PlaceOrder::new(order_id, customer_id, placed_at, "EUR", lines.iter().map(line).collect())
}

pub(super) fn receipt(sku: &str, quantity: i64) -> ReceiveStock {
    let command_id = CommandId::new(format!("receipt-{sku}")).unwrap();
    ReceiveStock::of(Sku::new(sku).unwrap(), command_id, quantity)
}

fn describe(sku: &str, command: &str, title: &str, price_minor: i64) -> DescribeProduct {
    let (sku, command_id) = (Sku::new(sku).unwrap(), CommandId::new(command).unwrap());
    let (title, currency, by) = (title.to_owned(), "EUR".to_owned(), Some("desk-3".to_owned()));
    DescribeProduct { sku, command_id, title, price_minor, currency, by, note: None }
}

pub(super) fn cancel(id: &str, command: &str) -> CancelOrder {
    let (order_id, command_id) = (OrderId::new(id).unwrap(), CommandId::new(command).unwrap());
    CancelOrder { order_id, command_id, reason_code: None, by: None, note: None }
}

pub(super) fn refund(id: &str, command: &str, amount_minor: Option<i64>) -> RefundOrder {
    let (order_id, command_id) = (OrderId::new(id).unwrap(), CommandId::new(command).unwrap());
    RefundOrder { order_id, command_id, amount_minor, lines: Vec::new(), reason_code: None, by: None, note: None }
}

/// Orders that are completed, declined, out of stock, cancelled in time and too late, refused, and repeated.
pub(super) fn busy_world(planted: Planted) -> World {
    let mut world = World::with_bug(planted);
    world.send(receipt("apple", 100));
    world.send(receipt("pear", 3));
    world.send(receipt("pear", 3));
    world.send(receipt("plum", 0));
    world.send(describe("apple", "say-1", "Apple", 150));
    world.send(describe("apple", "say-2", "Apple, red", 160));
    world.send(describe("apple", "say-1", "Apple", 150));
    world.send(describe("plum", "say-3", "", -1));
    world.run();
    world.place(order("completed", &[("apple", 2, 150), ("pear", 1, 99), ("apple", 1, 150)]));
    world.place(order("free", &[("apple", 1, 0)]));
    world.place(order("declined", &[("apple", 1, DECLINED_FROM)]));
    world.place(order("too-many", &[("pear", 50, 10)]));
    world.place(order("empty", &[]));
    world.place(order("completed", &[("apple", 2, 150), ("pear", 1, 99), ("apple", 1, 150)]));
    world.place(order("completed", &[("apple", 9, 1)]));
    world.place(order("cancelled", &[("apple", 1, 10)]));
    // It is placed and cancelled before inventory hears of it.
    while world.step(TopicName::OrderCommands, partition_of("cancelled")) {}
    world.send(cancel("cancelled", "cancel-1"));
    world.run();
    world.send(cancel("completed", "cancel-2"));
    world.send(cancel("nobody", "cancel-3"));
    world.send(refund("cancelled", "refund-1", None));
    world.run();
    world
}

fn with_bug(bug: Bug) -> World {
    busy_world(Planted::with(bug))
}

#[test]
fn without_a_bug_everything_holds() {
    let world = busy_world(Planted::NONE);
    let verdict = world.gather().judge();
    assert_eq!((verdict.orders.completed, verdict.orders.cancelled, verdict.rejected), (2, 3, 1));
    assert_eq!(verdict.orders.total(), 5);
    assert_eq!(verdict.findings.listed(), []);
}

#[test]
fn overselling_is_found() {
    assert_found(with_bug(Bug::Oversell).gather(), Invariant::Stock, "pear: below zero");
}

#[test]
fn a_price_that_nobody_asked_for_is_found() {
    let evidence = with_bug(Bug::PriceSlips).gather();
    assert_found(evidence, Invariant::BadInput, "the DescribeProduct for apple was taken and left no trace");
}

#[test]
fn a_forgotten_release_is_found() {
    let evidence = with_bug(Bug::ReleaseForgotten).gather();
    assert_found(evidence, Invariant::Compensation, "declined: cancelled, but its reservation is reserved");
}

#[test]
fn a_payment_before_the_reservation_is_found() {
    let evidence = with_bug(Bug::PayBeforeReserving).gather();
    assert_found(evidence, Invariant::Compensation, "payment was asked for by something else than the reservation");
}

#[test]
fn an_ignored_late_reply_is_found() {
    let evidence = with_bug(Bug::IgnoreLateReply).gather();
    assert_found(evidence, Invariant::Compensation, "cancelled: cancelled, but its reservation is reserved");
}

#[test]
fn a_forgotten_commit_is_found() {
    let evidence = with_bug(Bug::CommitForgotten).gather();
    assert_found(evidence, Invariant::Termination, "completed: not finished: payment_captured");
}

/// An order cancelled while its authorization is under way, so that both steps are undone.
fn undone_world(planted: Planted) -> World {
    let mut world = World::with_bug(planted);
    world.send(receipt("apple", 100));
    world.run();
    world.place(order("both", &[("apple", 1, 10)]));
    let partition = partition_of("both");
    for topic in [TopicName::OrderCommands, TopicName::InventoryCommands, TopicName::InventoryEvents] {
        assert!(world.step(topic, partition), "{topic}");
    }
    world.send(cancel("both", "cancel-1"));
    assert!(world.step(TopicName::OrderCommands, partition));
    world.run();
    world
}

#[test]
fn undoing_in_the_right_order_is_clean() {
    let world = undone_world(Planted::NONE);
    assert_eq!(world.statement.len(), 2, "authorized and voided: {:?}", world.statement);
    assert_eq!(found(world.gather()), []);
}

#[test]
fn undoing_in_the_wrong_order_is_found() {
    let wrong = || undone_world(Planted::with(Bug::CompensateInWrongOrder)).gather();
    assert_found(wrong(), Invariant::Compensation, "its stock was released before its payment was voided");
    assert_found(wrong(), Invariant::Compensation, "released by something else than the void of its payment");
}

#[test]
fn a_capture_of_what_was_cancelled_is_found() {
    let evidence = undone_world(Planted::with(Bug::CaptureAfterCancel)).gather();
    assert_found(evidence, Invariant::Money, "both: the provider took the money, but no capture is recorded");
}

#[test]
fn a_double_charge_is_found() {
    let mut world = World::with_bug(Planted::with(Bug::DoubleCharge));
    world.answers_are_lost = true;
    world.send(receipt("apple", 100));
    world.run();
    world.place(order("twice", &[("apple", 1, 10)]));
    world.run();
    assert_found(world.gather(), Invariant::Money, "twice: charged more than once");
}

#[test]
fn a_lost_answer_alone_is_no_double_charge() {
    let mut world = World::with_bug(Planted::NONE);
    world.answers_are_lost = true;
    world.send(receipt("apple", 100));
    world.run();
    world.place(order("twice", &[("apple", 1, 10)]));
    world.run();
    assert_eq!(world.statement.len(), 4, "each sent twice: {:?}", world.statement);
    assert_eq!(found(world.gather()), []);
}
