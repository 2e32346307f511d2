//! An order's life after its confirmation: all of it holds, and each mistake in it is found under the invariant that it breaks.

use domain::planted::{Bug, Planted};
use domain::provider::Operation;
use domain::saga::Step;
use schemas::{
    CommandId, HoldOrder, LineQuantity, OrderId, PlaceOrder, ReceiveReturn, ReleaseOrder, RequestReturn, ResolveOrder,
    ReturnedLine, ShipOrder, SkipOrderStep, TopicName,
};

use super::gathering::{assert_found, found};
use super::planted::{cancel, order, receipt, refund};
use super::shelf::partition_of;
use super::world::World;
use crate::check::evidence::Evidence;
use crate::check::findings::Invariant;
use crate::check::invariant::termination::Awaited;
use crate::log::Channel;

const HOUR_MS: i64 = 3_600_000;

fn id(text: &str) -> OrderId {
    OrderId::new(text).unwrap()
}

fn command(text: &str) -> CommandId {
    CommandId::new(text).unwrap()
}

/// An order of three apples, ten cents each, that is shipped on command.
fn on_command(text: &str) -> PlaceOrder {
    PlaceOrder { fulfilment: Some("on_command".to_owned()), ..order(text, &[("apple", 3, 10)]) }
}

/// One that is paid for when it is shipped.
fn paid_late(text: &str) -> PlaceOrder {
    PlaceOrder { capture: Some("at_shipment".to_owned()), ..on_command(text) }
}

fn ship(text: &str) -> ShipOrder {
    ShipOrder {
        order_id: id(text),
        command_id: command("ship"),
        lines: Vec::new(),
        carrier: Some("DHL".to_owned()),
        tracking: None,
        by: None,
        note: None,
    }
}

fn hold(text: &str) -> HoldOrder {
    let (order_id, command_id) = (id(text), command("hold"));
    HoldOrder { order_id, command_id, reason_code: "Odd".to_owned(), until: None, by: None, note: None }
}

fn ask_back(text: &str, return_id: &str, quantity: i64) -> RequestReturn {
    let lines = vec![LineQuantity { line: 1, quantity }];
    RequestReturn { order_id: id(text), command_id: command(return_id), lines, reason_code: None, by: None, note: None }
}

fn came_back(text: &str, return_id: &str, dispositions: &[(&str, i64)]) -> ReceiveReturn {
    let line = |(disposition, quantity): &(&str, i64)| ReturnedLine {
        line: 1,
        quantity: *quantity,
        disposition: (*disposition).to_owned(),
    };
    ReceiveReturn {
        order_id: id(text),
        command_id: command(&format!("receive-{return_id}")),
        return_id: command(return_id),
        lines: dispositions.iter().map(line).collect(),
        refund_minor: None,
        by: None,
        note: None,
    }
}

fn stocked(planted: Planted) -> World {
    let mut world = World::with_bug(planted);
    world.send(receipt("apple", 100));
    world.run();
    world
}

/// Orders that are shipped, refunded, returned, undone before and after the capture, held, released, forgotten and waiting.
fn lived_world(planted: Planted) -> World {
    let mut world = stocked(planted);
    world.place(PlaceOrder { attributes: [("shop".to_owned(), "b".to_owned())].into(), ..on_command("shipped") });
    for placed in ["undone", "refunded", "waiting"] {
        world.place(on_command(placed));
    }
    world.place(paid_late("late"));
    world.place(paid_late("voided"));
    for held in ["released", "forgotten"] {
        world.place(on_command(held));
        while world.step(TopicName::OrderCommands, partition_of(held)) {}
        world.send(hold(held));
    }
    world.run();
    world.send(ReleaseOrder { order_id: id("released"), command_id: command("release"), by: None, note: None });
    for shipped in ["shipped", "late", "refunded"] {
        world.send(ship(shipped));
    }
    world.send(refund("undone", "goodwill", Some(7)));
    world.run();
    world.send(cancel("undone", "cancel"));
    world.send(cancel("voided", "cancel"));
    world.send(refund("refunded", "claim", None));
    world.send(refund("refunded", "too-much", None));
    world.send(refund("shipped", "goodwill", Some(4)));
    world.send(ask_back("shipped", "back", 2));
    world.send(ask_back("late", "never", 1));
    world.run();
    world.send(came_back("shipped", "back", &[("restock", 1), ("write_off", 1)]));
    world.send(came_back("shipped", "back", &[("restock", 1), ("write_off", 1)]));
    world.send(ship("waiting-for-nobody"));
    world.run();
    world.pass(49 * HOUR_MS);
    world
}

fn evidence(tamper: impl FnOnce(&mut Evidence)) -> Evidence {
    let mut evidence = lived_world(Planted::NONE).gather();
    tamper(&mut evidence);
    evidence
}

fn key(text: &str) -> (String,) {
    (text.to_owned(),)
}

#[test]
fn a_whole_life_holds_and_what_waits_for_a_command_is_told() {
    let verdict = lived_world(Planted::NONE).gather().judge();
    assert_eq!(verdict.findings.listed(), []);
    let counts = verdict.orders;
    assert_eq!((counts.completed, counts.cancelled, counts.ready_to_ship, counts.total()), (3, 3, 2, 8));
    let waits: Vec<_> = verdict.waits.iter().map(|one| (one.order_id.as_str(), one.awaiting, one.is_late)).collect();
    let expected = [
        ("late", Awaited::Return, false),
        ("released", Awaited::Shipment, false),
        ("waiting", Awaited::Shipment, false),
    ];
    assert_eq!(waits, expected);
}

#[test]
fn a_shipment_that_is_late_is_told_and_no_violation_and_a_return_ends() {
    let mut world = lived_world(Planted::NONE);
    world.pass(31 * 24 * HOUR_MS);
    let verdict = world.gather().judge();
    assert_eq!(verdict.findings.listed(), []);
    let waits: Vec<_> = verdict.waits.iter().map(|one| (one.awaiting, one.is_late)).collect();
    assert_eq!(waits, [(Awaited::Shipment, true), (Awaited::Shipment, true)]);
}

#[test]
fn a_hold_that_nobody_looks_after_is_found_once_it_is_over() {
    let mut world = lived_world(Planted::with(Bug::DeadlineIgnored));
    assert_found(world.gather(), Invariant::Termination, "forgotten: held beyond");
    world.pass(31 * 24 * HOUR_MS);
    assert_found(world.gather(), Invariant::Termination, "late: waiting for the goods of a return beyond");
}

#[test]
fn a_forgotten_hold_is_found() {
    let words = "forgotten: OrderConfirmed came while it was held";
    assert_found(lived_world(Planted::with(Bug::HoldForgotten)).gather(), Invariant::Compensation, words);
}

#[test]
fn a_double_refund_is_found_and_a_lost_answer_alone_is_none() {
    let world = |planted| {
        let mut world = stocked(planted);
        world.place(order("twice", &[("apple", 1, 10)]));
        world.run();
        world.answers_are_lost = true;
        world.send(refund("twice", "claim", Some(4)));
        world.run();
        world
    };
    assert_eq!(found(world(Planted::NONE).gather()), []);
    let words = "twice: refund claim was carried out more than once at the provider: twice/refund/claim/1, ";
    assert_found(world(Planted::with(Bug::DoubleRefund)).gather(), Invariant::Money, words);
}

#[test]
fn a_refund_above_the_capture_is_found() {
    let evidence = || lived_world(Planted::with(Bug::RefundAboveCapture)).gather();
    assert_found(evidence(), Invariant::Money, "refunded: 60 given back, but only 30 was taken");
    assert_found(evidence(), Invariant::Money, "refunded: refund claim is of 30, but its payment says 60");
    assert_found(evidence(), Invariant::Money, "refunded: 60 EUR at the provider is not the order's total");
}

#[test]
fn goods_that_come_into_stock_twice_are_found() {
    let evidence = || lived_world(Planted::with(Bug::RestockTwice)).gather();
    assert_found(evidence(), Invariant::Stock, "shipped: what came into stock of return back is not what was received");
}

#[test]
fn a_shipment_after_a_cancel_is_found() {
    let world = |planted| {
        let mut world = stocked(planted);
        world.place(on_command("raced"));
        world.run();
        world.send(cancel("raced", "cancel"));
        world.send(ship("raced"));
        world.run();
        world
    };
    assert_eq!(found(world(Planted::NONE).gather()), []);
    let evidence = || world(Planted::with(Bug::ShipAfterCancel)).gather();
    assert_found(evidence(), Invariant::Compensation, "raced: stuck, and to be undone, but the commit of its stock");
    assert_found(evidence(), Invariant::Compensation, "raced: being undone, but its stock is committed");
}

#[test]
fn an_order_that_was_undone_keeps_nothing() {
    let keeps = evidence(|it| {
        let payment = it.tables.rows.payments.get_mut(&key("undone")).unwrap();
        (payment.refunds, payment.refunded_minor) = (None, 0);
    });
    assert_found(
        keeps,
        Invariant::Money,
        "undone: cancelled, but its payment is captured, and of 30 that were taken 0",
    );
}

#[test]
fn the_money_goes_back_before_the_goods_are_free_and_that_is_why_they_are() {
    let early = evidence(|it| {
        let sent = it.topics.inventory_requests.sent.get_mut(&id("undone")).unwrap();
        sent.release = Some(Some(uuid::Uuid::from_u128(7)));
    });
    let words = "undone: its stock was released by something else than the refund of its payment";
    assert_found(early, Invariant::Compensation, words);
    let twisted =
        evidence(|it| it.topics.orders.watch.undoing.get_mut(&id("undone")).unwrap().push(Step::PaymentRefund));
    assert_found(twisted, Invariant::Compensation, "undone: its stock was released before its payment was refunded");
    let twice = evidence(|it| it.topics.orders.watch.undoing.get_mut(&id("undone")).unwrap().push(Step::StockRelease));
    assert_found(twice, Invariant::Compensation, "undone: StockRelease was begun more than once");
}

#[test]
fn what_the_ledger_and_the_provider_say_of_a_refund_is_held_against_it() {
    let unbooked = evidence(|it| it.tables.rows.ledger.retain(|(_, _, account), _| account != "refunds"));
    assert_found(unbooked, Invariant::Money, "refunded: 30 given back, but 0 booked as refunds");
    let undone = evidence(|it| it.statement.as_mut().unwrap().retain(|line| line.operation != "refund"));
    assert_found(
        undone,
        Invariant::Money,
        "refunded: refund claim gave 30 back, but the provider's statement does not",
    );
    let unknown = evidence(|it| {
        let payment = it.tables.rows.payments.get_mut(&key("refunded")).unwrap();
        (payment.refunds, payment.refunded_minor) = (None, 0);
    });
    assert_found(unknown, Invariant::Money, "refunded: the provider gave 30 back, but no refund claim is recorded");
}

#[test]
fn levels_that_returns_do_not_explain_are_found() {
    let tampered = evidence(|it| it.tables.rows.stock.get_mut(&key("apple")).unwrap().returned += 1);
    assert_found(tampered, Invariant::Stock, "apple: 3 returned, but returns sum to 2");
    let tampered = evidence(|it| it.tables.rows.stock.get_mut(&key("apple")).unwrap().written_off = 90);
    assert_found(tampered, Invariant::Stock, "apple: below zero");
    let tampered = evidence(|it| it.tables.rows.stock.get_mut(&key("apple")).unwrap().returned = 10);
    assert_found(tampered, Invariant::Stock, "apple: 10 returned, but only 9 had left");
    let tampered = evidence(|it| {
        it.tables.rows.reservations.get_mut(&key("shipped")).unwrap().returns = None;
    });
    assert_found(
        tampered,
        Invariant::Stock,
        "shipped: return back was taken back, but its goods did not come into stock",
    );
}

#[test]
fn more_that_came_back_than_was_ordered_is_found() {
    let tampered = evidence(|it| it.tables.rows.contents.get_mut(&key("shipped")).unwrap().quantities[0] = 1);
    assert_found(tampered, Invariant::Stock, "shipped: line 1: 2 pieces came back or are to, but 1 were ordered");
}

#[test]
fn an_event_without_its_orders_attributes_is_found() {
    let mut world = lived_world(Planted::NONE);
    let (partition, offset) = world.find(TopicName::OrderEvents, "shipped", "shop.order.OrderShipped.v1");
    let place = (Channel::Messages(TopicName::OrderEvents), partition);
    let records = world.shelf.topics.get_mut(&place).unwrap();
    let payload = records[offset].payload.as_ref().unwrap();
    let message = world.shelf.codec.decode(TopicName::OrderEvents, payload).unwrap();
    let schemas::Message::OrderEvent(schemas::OrderEvent::OrderShipped(mut shipped)) = message else {
        panic!("{message:?}")
    };
    shipped.attributes.clear();
    records[offset].payload = Some(world.shelf.codec.encode(&shipped.into()).unwrap());
    assert_found(world.gather(), Invariant::Rebuild, "shipped: OrderShipped does not carry the attributes");
}

/// An order that is stuck after its goods have left: the provider does not hand the money over.
fn stuck_world() -> World {
    let mut world = stocked(Planted::NONE);
    world.refused.push((id("stuck"), Operation::Capture));
    world.place(paid_late("stuck"));
    world.run();
    world.send(ship("stuck"));
    world.run();
    world
}

#[test]
fn what_a_person_vouched_for_is_listed_and_exempt() {
    let mut world = stuck_world();
    let mut tolerated = world.gather();
    tolerated.expectations.nothing_stuck = false;
    assert_eq!(found(tolerated), []);
    let (order_id, by) = (id("stuck"), Some("ada".to_owned()));
    let note = Some("paid by bank transfer".to_owned());
    let outcome = "completed".to_owned();
    world.send(ResolveOrder { order_id, command_id: command("resolve"), outcome, by, note });
    world.run();
    let verdict = world.gather().judge();
    assert_eq!(verdict.findings.listed(), []);
    let told: Vec<_> = verdict.by_hand.iter().map(|one| (one.event.as_str(), one.by.as_deref())).collect();
    assert_eq!(told, [("OrderResolved, completed", Some("ada"))]);
}

#[test]
fn without_the_person_the_same_end_is_found() {
    let mut world = stuck_world();
    let order_id = id("stuck");
    world.send(SkipOrderStep { order_id, command_id: command("skip"), step: None, by: None, note: None });
    world.run();
    assert_eq!(found(world.gather()), []);
    let forgotten = {
        let mut evidence = world.gather();
        evidence.topics.orders.watch.by_hand.clear();
        evidence
    };
    assert_found(forgotten, Invariant::Money, "stuck: completed, but its payment is not captured");
}

#[test]
fn a_change_without_a_trace_is_found() {
    let mut world = lived_world(Planted::NONE);
    world.send(refund("shipped", "lost", Some(1)));
    *world.read.get_mut(&(TopicName::OrderCommands, partition_of("shipped"))).unwrap() += 1;
    assert_found(world.gather(), Invariant::BadInput, "the RefundOrder for shipped was taken and left no trace");
    let mut world = lived_world(Planted::NONE);
    world.send(refund("shipped", "lost", Some(1)));
    let partition = partition_of("shipped");
    assert!(world.step(TopicName::OrderCommands, partition));
    *world.read.get_mut(&(TopicName::PaymentCommands, partition)).unwrap() += 1;
    assert_found(world.gather(), Invariant::BadInput, "the RefundPayment for shipped was taken and left no trace");
    let mut world = lived_world(Planted::NONE);
    world.send(refund("shipped", "lost", Some(1)));
    for topic in [TopicName::OrderCommands, TopicName::PaymentCommands] {
        assert!(world.step(topic, partition));
    }
    *world.read.get_mut(&(TopicName::PaymentEvents, partition)).unwrap() += 1;
    assert_found(world.gather(), Invariant::BadInput, "shipped: waits for refund lost, but the reply was taken");
}
