//! Tables, topics and the statement tampered with: every invariant has a case that it alone would show.

use domain::planted::Planted;
use schemas::{OrderId, TopicName};

use super::gathering::{assert_found, found};
use super::planted::busy_world;
use super::world::World;
use crate::check::evidence::Evidence;
use crate::check::findings::{Invariant, Violation};
use crate::log::Channel;

fn world() -> World {
    busy_world(Planted::NONE)
}

/// The evidence, tampered with after it was gathered.
fn evidence(tamper: impl FnOnce(&mut Evidence)) -> Evidence {
    let mut evidence = world().gather();
    tamper(&mut evidence);
    evidence
}

fn key(id: &str) -> (String,) {
    (id.to_owned(),)
}

#[test]
fn a_level_that_its_reservations_do_not_explain_is_found() {
    let tampered = evidence(|it| it.tables.rows.stock.get_mut(&key("apple")).unwrap().shipped -= 1);
    assert_found(tampered, Invariant::Stock, "apple: 3 shipped, but committed reservations say 4 (only in the tables)");
}

#[test]
fn a_forgotten_receipt_is_found() {
    let tampered = evidence(|it| it.tables.rows.receipts.retain(|(sku, _), _| sku != "pear"));
    assert_found(tampered, Invariant::Stock, "pear: 3 received, but receipts and adjustments sum to 0");
}

#[test]
fn a_product_that_is_not_what_was_said_of_it_last_is_found() {
    let tampered = evidence(|it| it.tables.rows.products.get_mut(&key("apple")).unwrap().price_minor = 150);
    let words = "apple: \"Apple, red\" at 150 EUR by version 3 is not what was said of it last (only in the tables)";
    assert_found(tampered, Invariant::Stock, words);
    let tampered = evidence(|it| it.tables.rows.products.clear());
    assert_found(
        tampered,
        Invariant::Stock,
        "apple: version 3 describes it, but it is no product (only in the tables)",
    );
}

#[test]
fn a_one_sided_booking_is_found() {
    let tampered = evidence(|it| it.tables.rows.ledger.retain(|(_, _, account), _| account != "sales"));
    assert_found(tampered, Invariant::Money, "ledger EUR: sums to 549, not to 0");
}

#[test]
fn another_amount_than_the_total_is_found() {
    let tampered = evidence(|it| it.tables.rows.payments.get_mut(&key("completed")).unwrap().amount_minor = Some(1));
    assert_found(tampered, Invariant::Money, "completed: its total is 549 EUR, but 1 EUR was captured");
}

#[test]
fn a_charge_for_a_cancelled_order_is_found() {
    let tampered = evidence(|it| {
        let mut payment = it.tables.rows.payments[&key("completed")].clone();
        payment.order_id = "cancelled".into();
        it.tables.rows.payments.insert(key("cancelled"), payment);
    });
    assert_found(tampered, Invariant::Money, "cancelled: cancelled, but its payment is captured");
}

#[test]
fn a_capture_that_the_provider_does_not_know_is_found() {
    let tampered = evidence(|it| it.statement.as_mut().unwrap().retain(|line| line.operation != "capture"));
    assert_found(tampered, Invariant::Money, "completed: captured, but the provider's statement does not say so");
}

#[test]
fn a_charge_that_we_do_not_know_is_found() {
    let tampered = evidence(|it| {
        it.tables.rows.payments.remove(&key("completed"));
    });
    assert_found(tampered, Invariant::Money, "completed: the provider took the money, but no capture is recorded");
}

#[test]
fn a_hold_that_nobody_ends_is_found() {
    let tampered = evidence(|it| {
        let line = it.statement.as_ref().unwrap().iter().find(|line| line.operation == "authorize").cloned().unwrap();
        let order_id = OrderId::new("cancelled").unwrap();
        let line = domain::statement::StatementLine { order_id, ..line };
        it.statement = Some(vec![line]);
    });
    assert_found(tampered, Invariant::Money, "cancelled: the provider still holds the amount");
}

#[test]
fn an_unfinished_order_is_found_only_where_none_may_be() {
    let unfinished = |it: &mut Evidence| {
        let order = it.tables.rows.orders.get_mut(&key("completed")).unwrap();
        order.stage = "payment_captured".into();
    };
    assert_found(evidence(unfinished), Invariant::Termination, "completed: not finished: payment_captured");
    let mut running = evidence(unfinished);
    running.expectations.quiescent = false;
    assert!(found(running).iter().all(|violation| violation.invariant != Invariant::Termination));
}

#[test]
fn a_stuck_order_is_told_and_a_violation_only_if_asked_for() {
    let stuck = |it: &mut Evidence| it.tables.rows.orders.get_mut(&key("free")).unwrap().stage = "stuck".into();
    assert_found(evidence(stuck), Invariant::Termination, "free: stuck");
    let mut tolerated = evidence(stuck);
    tolerated.expectations.nothing_stuck = false;
    let verdict = tolerated.judge();
    assert_eq!(verdict.stuck, ["free"]);
    assert!(verdict.findings.listed().iter().all(|violation| violation.invariant != Invariant::Termination));
}

#[test]
fn waiting_records_and_open_calls_are_found() {
    let tampered = evidence(|it| {
        it.waiting.push(("order.commands.v1".into(), 1, 7));
        it.tables.open_calls.insert("free".into());
    });
    let found = found(tampered);
    assert!(found.iter().any(|violation| violation.to_string().contains("order.commands.v1[1]: 7 records wait")));
    assert!(found.iter().any(|violation| violation.detail.contains("provider is still open")));
}

#[test]
fn a_step_that_was_not_undone_is_found() {
    let tampered =
        evidence(|it| it.tables.rows.reservations.get_mut(&key("declined")).unwrap().status = "committed".into());
    assert_found(tampered, Invariant::Compensation, "declined: cancelled, but its reservation is committed");
    let tampered = evidence(|it| {
        it.tables.rows.reservations.remove(&key("completed"));
    });
    assert_found(tampered, Invariant::Compensation, "completed: completed, but its stock was not committed");
}

#[test]
fn other_goods_than_ordered_are_found() {
    let tampered = evidence(|it| it.tables.rows.contents.get_mut(&key("completed")).unwrap().quantities[0] = 1);
    assert_found(tampered, Invariant::Compensation, "completed: what was shipped is not what was ordered");
}

#[test]
fn a_lost_message_is_found_and_what_follows_from_it_is_not_told_again() {
    let mut world = world();
    let (partition, offset) = world.find(TopicName::OrderEvents, "free", "shop.order.OrderCompleted.v2");
    let records = world.shelf.topics.get_mut(&(Channel::Messages(TopicName::OrderEvents), partition)).unwrap();
    records.truncate(offset);
    assert_found(world.gather(), Invariant::Delivery, "committed, but not in the topic");
    let rebuild = found(world.gather()).into_iter().filter(|violation| violation.invariant == Invariant::Rebuild);
    let told: Vec<String> = rebuild.map(|violation| violation.detail).collect();
    assert_eq!(told, ["not compared with the tables: messages are missing at its end"]);
}

/// As an archive ends that was not copied up to the tables: what is missing is told, and nothing else.
#[test]
fn the_end_of_any_partition_is_missed_and_nothing_is_made_of_it() {
    let whole = world();
    let full: Vec<_> = whole.shelf.topics.iter().filter(|(_, records)| !records.is_empty()).collect();
    assert!(full.len() > 12, "{}", full.len());
    for (place, records) in full {
        for kept in [0, records.len() / 2, records.len() - 1] {
            let mut world = world();
            world.shelf.topics.get_mut(place).unwrap().truncate(kept);
            let name = format!("{}[{}]", place.0.name(), place.1);
            let (told, other): (Vec<Violation>, Vec<Violation>) =
                found(world.gather()).into_iter().partition(|one| one.invariant == Invariant::Delivery);
            assert!(told.iter().any(|one| one.subject == name), "{name} up to {kept}: {told:?}");
            assert!(told.iter().all(|one| one.subject == name), "{name} up to {kept}: {told:?}");
            let is_told = |one: &Violation| one.detail.starts_with("not compared with the tables");
            assert!(other.iter().all(is_told), "{name} up to {kept}: {other:?}");
        }
    }
}

#[test]
fn a_message_lost_in_the_middle_is_found() {
    let mut world = world();
    let (partition, offset) = world.find(TopicName::OrderEvents, "completed", "shop.order.OrderPlaced.v2");
    let records = world.shelf.topics.get_mut(&(Channel::Messages(TopicName::OrderEvents), partition)).unwrap();
    records.remove(offset);
    assert_found(world.gather(), Invariant::Delivery, "1 messages, sequence");
    assert_found(world.gather(), Invariant::Rebuild, "cannot follow order completed at version 0");
}

#[test]
fn a_phantom_is_found() {
    let mut world = world();
    let place = (Channel::Messages(TopicName::OrderEvents), 0);
    world.shelf.outboxes.get_mut(&place).unwrap().pop();
    assert_found(world.gather(), Invariant::Delivery, "was published and never committed");
}

#[test]
fn changed_bytes_are_found() {
    let mut world = world();
    let (partition, offset) = world.find(TopicName::PaymentEvents, "completed", "shop.payment.PaymentCaptured.v1");
    let records = world.shelf.topics.get_mut(&(Channel::Messages(TopicName::PaymentEvents), partition)).unwrap();
    *records[offset].payload.as_mut().unwrap().last_mut().unwrap() ^= 1;
    assert_found(world.gather(), Invariant::Delivery, "with another key or payload than committed");
}

#[test]
fn a_reader_that_left_something_out_is_found() {
    let tampered = evidence(|it| {
        let cursors = &mut it.cuts[schemas::ServiceName::Order].inbox.cursors;
        cursors.values_mut().for_each(|cursor| cursor.sequence -= 1);
    });
    assert_found(tampered, Invariant::Delivery, "order has taken payment's messages up to 1:");
}

#[test]
fn rows_that_the_topics_do_not_tell_are_found() {
    let tampered = evidence(|it| it.tables.rows.orders.get_mut(&key("free")).unwrap().total_minor = 7);
    assert_found(tampered, Invariant::Rebuild, "orders free: total_minor is 7; folded from the topics it is 0");
    let tampered = evidence(|it| {
        it.tables.rows.contents.remove(&key("free"));
    });
    assert_found(tampered, Invariant::Rebuild, "order_contents free: in the topics, but not in the table");
    let tampered = evidence(|it| {
        let mut row = it.tables.rows.stock[&key("apple")].clone();
        row.sku = "banana".into();
        it.tables.rows.stock.insert(key("banana"), row);
    });
    assert_found(tampered, Invariant::Rebuild, "stock banana: in the table, but not in the topics");
}

#[test]
fn a_version_said_twice_with_other_words_is_found() {
    let mut world = world();
    let (partition, offset) = world.find(TopicName::PaymentEvents, "completed", "shop.payment.PaymentCaptured.v1");
    let place = (Channel::Messages(TopicName::PaymentEvents), partition);
    let mut again = world.shelf.outboxes[&place][offset].clone();
    again.record.headers.clear();
    let message = world.shelf.codec.decode(TopicName::PaymentEvents, again.record.payload.as_ref().unwrap()).unwrap();
    let schemas::Message::PaymentEvent(schemas::PaymentEvent::PaymentCaptured(mut captured)) = message else {
        panic!("{message:?}")
    };
    captured.provider_reference = Some("another".into());
    world.shelf.emit(schemas::ServiceName::Payment, &captured.into(), again.id, None);
    assert_found(world.gather(), Invariant::Rebuild, "completed: version 2 was said twice, with different words");
}
