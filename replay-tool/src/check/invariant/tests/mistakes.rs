//! Bad input: whatever is sent leaves a trace, and where the trace is taken away it is missed.

use domain::planted::Planted;
use schemas::{OrderId, PaymentAuthorized, ServiceName, Time, TopicName};
use uuid::Uuid;

use super::gathering::{assert_found, found};
use super::planted::{busy_world, order, receipt};
use super::shelf::{OwnedRecord, header, partition_of};
use super::world::World;
use crate::check::findings::Invariant;
use crate::log::Channel;

fn garbage() -> OwnedRecord {
    OwnedRecord {
        key: Some(b"k".to_vec()),
        payload: Some(b"garbage".to_vec()),
        headers: vec![header("x", "1"), ("x".into(), None), header("outbox-position", "/stranger:1:1:1")],
    }
}

/// Garbage on every topic, and a stranger's event that looks right.
fn soiled_world() -> World {
    let mut world = busy_world(Planted::NONE);
    for topic in TopicName::ALL {
        world.shelf.send_raw(Channel::Messages(topic), 0, garbage());
        world.shelf.send_raw(Channel::Messages(topic), 1, OwnedRecord { key: None, ..garbage() });
        world.shelf.send_raw(Channel::Messages(topic), 1, OwnedRecord::default());
        world.shelf.send_raw(Channel::DeadLetters(topic), 1, garbage());
    }
    let forged = PaymentAuthorized {
        order_id: OrderId::new("declined").unwrap(),
        version: 1,
        at: Time::from_micros(1),
        customer_id: schemas::CustomerId::new("c-1").unwrap(),
        currency: "EUR".into(),
        amount_minor: 1,
        provider_reference: None,
        payment_provider: None,
        payment_token: None,
        expires_at: None,
        attempt: 1,
    };
    world.shelf.send(&forged.into(), Uuid::from_u128(77));
    world.run();
    world
}

fn letters(world: &mut World, topic: TopicName, partition: i32) -> &mut Vec<OwnedRecord> {
    world.shelf.topics.get_mut(&(Channel::DeadLetters(topic), partition)).unwrap()
}

#[test]
fn garbage_everywhere_is_clean_and_counted() {
    let verdict = soiled_world().gather().judge();
    assert_eq!(verdict.findings.listed(), []);
    let counted: u64 = verdict.dead_letters.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, 6 * 3 + 1, "{:?}", verdict.dead_letters);
    // On the topics that only services write, and among the dead letters.
    assert_eq!(verdict.messages.strangers, 6 * 3 + 1 + 8);
}

/// Takes the letter away from its topic and its outbox alike, as if it had never been committed.
fn without_last_letter(topic: TopicName) -> World {
    let mut world = soiled_world();
    let place = (Channel::DeadLetters(topic), 0);
    world.shelf.topics.get_mut(&place).unwrap().pop();
    world.shelf.outboxes.get_mut(&place).unwrap().pop();
    world
}

#[test]
fn a_broken_record_without_a_dead_letter_is_found() {
    for topic in [TopicName::OrderCommands, TopicName::PaymentCommands, TopicName::InventoryEvents] {
        let words = format!("{topic}[0]@");
        let evidence = without_last_letter(topic).gather();
        assert_found(evidence, Invariant::BadInput, &words);
    }
}

#[test]
fn a_dead_letter_with_other_bytes_is_found() {
    for tamper in [
        |letter: &mut OwnedRecord| letter.payload = Some(b"Garbage".to_vec()),
        |letter: &mut OwnedRecord| letter.key = None,
        |letter: &mut OwnedRecord| letter.headers[1].1 = Some(vec![]),
    ] {
        let mut world = soiled_world();
        tamper(letters(&mut world, TopicName::StockCommands, 0).last_mut().unwrap());
        assert_found(world.gather(), Invariant::BadInput, "its dead letter has another");
    }
}

#[test]
fn a_payload_that_was_left_out_is_known_by_its_digest() {
    // SHA-256 of "garbage", and of something else.
    let digests = [
        ("795b6904e54f82411df4b0e27a373a55eea3f9d66dac5a9bce1dd92f7b401da5", true),
        ("795b6904e54f82411df4b0e27a373a55eea3f9d66dac5a9bce1dd92f7b401da6", false),
    ];
    for (digest, is_right) in digests {
        let mut world = soiled_world();
        let letter = letters(&mut world, TopicName::StockCommands, 0).last_mut().unwrap();
        letter.payload = None;
        let cause = letter.headers.iter().position(|(name, _)| name == "kafka_dlt-exception-fqcn").unwrap();
        letter.headers.insert(cause, header("kafka_dlt-original-sha256", digest));
        let found = found(world.gather());
        let differs = found.iter().any(|violation| violation.detail.contains("digest of the payload"));
        assert_eq!(differs, !is_right, "{found:?}");
    }
}

#[test]
fn a_dead_letter_of_what_was_never_sent_is_found() {
    let mut world = soiled_world();
    world.shelf.topics.get_mut(&(Channel::Messages(TopicName::StockCommands), 0)).unwrap().pop();
    assert_found(world.gather(), Invariant::Delivery, "inventory has taken what is below offset 1");
    *world.read.get_mut(&(TopicName::StockCommands, 0)).unwrap() -= 1;
    assert_found(world.gather(), Invariant::BadInput, "there is a dead letter of it, but no such record was taken");
}

#[test]
fn a_command_without_a_trace_is_found() {
    let mut world = busy_world(Planted::NONE);
    // Marked as taken, and nothing done about them.
    world.place(order("lost", &[("apple", 1, 1)]));
    world.send(receipt("fig", 4));
    for (topic, key) in [(TopicName::OrderCommands, "lost"), (TopicName::StockCommands, "fig")] {
        *world.read.entry((topic, partition_of(key))).or_default() += 1;
    }
    assert_found(world.gather(), Invariant::BadInput, "the PlaceOrder for lost was taken and left no trace");
    assert_found(world.gather(), Invariant::BadInput, "the ReceiveStock for fig was taken and left no trace");
}

#[test]
fn a_request_without_a_trace_is_found() {
    let mut world = busy_world(Planted::NONE);
    world.place(order("lost", &[("apple", 1, 1)]));
    let partition = partition_of("lost");
    assert!(world.step(TopicName::OrderCommands, partition));
    *world.read.get_mut(&(TopicName::InventoryCommands, partition)).unwrap() += 1;
    assert_found(world.gather(), Invariant::BadInput, "the ReserveStock for lost was taken and left no trace");
}

#[test]
fn a_reply_without_a_trace_is_found() {
    let mut world = busy_world(Planted::NONE);
    world.place(order("lost", &[("apple", 1, 1)]));
    let partition = partition_of("lost");
    assert!(world.step(TopicName::OrderCommands, partition));
    assert!(world.step(TopicName::InventoryCommands, partition));
    *world.read.get_mut(&(TopicName::InventoryEvents, partition)).unwrap() += 1;
    assert_found(world.gather(), Invariant::BadInput, "lost: waits for StockReservation, but the reply was taken");
}

#[test]
fn an_order_that_nobody_placed_is_found() {
    let mut world = busy_world(Planted::NONE);
    let place = (Channel::Messages(TopicName::OrderCommands), partition_of("free"));
    for record in world.shelf.topics.get_mut(&place).unwrap() {
        if record.key.as_deref() == Some(b"free") {
            *record = garbage();
        }
    }
    assert_found(world.gather(), Invariant::BadInput, "free: an order that nobody placed");
}

#[test]
fn a_forged_event_that_had_an_effect_is_found() {
    let mut evidence = soiled_world().gather();
    evidence.tables.rows.orders.get_mut(&("declined".to_owned(),)).unwrap().stage = "confirmed".into();
    assert_found(evidence, Invariant::Rebuild, "orders declined: stage is \"confirmed\"");
}

#[test]
fn an_event_of_our_own_that_cannot_be_read_is_found() {
    let mut world = busy_world(Planted::NONE);
    let message = schemas::CommitStock { order_id: OrderId::new("free").unwrap() };
    world.shelf.emit(ServiceName::Order, &message.into(), Uuid::from_u128(5), None);
    let place = (Channel::Messages(TopicName::InventoryCommands), partition_of("free"));
    world.shelf.topics.get_mut(&place).unwrap().last_mut().unwrap().payload = Some(b"?".to_vec());
    world.shelf.outboxes.get_mut(&place).unwrap().last_mut().unwrap().record.payload = Some(b"?".to_vec());
    assert_found(world.gather(), Invariant::BadInput, "one of our own messages cannot be read");
    assert!(found(world.gather()).iter().all(|violation| violation.invariant != Invariant::Delivery));
}
