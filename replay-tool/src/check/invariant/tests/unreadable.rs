//! Runs of records that nobody can read, with and without the dead letters that stand for them.

use domain::planted::Planted;
use schemas::{ServiceName, TopicName, message_id};

use super::gathering::{assert_found, found};
use super::planted::busy_world;
use crate::check::evidence::Evidence;
use crate::check::findings::Invariant;
use crate::check::scan::Letter;
use crate::error::UnreadableRun;
use crate::log::{Channel, Written};

const TOPIC: TopicName = TopicName::OrderCommands;

/// Four records behind the log that nobody can read, of which the reader has gone past so many.
fn with_run(passed: i64) -> (Evidence, i64) {
    let mut evidence = busy_world(Planted::NONE).gather();
    let commands =
        |it: &&mut crate::check::scan::ReadPartition| it.channel == Channel::Messages(TOPIC) && it.number == 0;
    let read = &mut evidence.topics.partitions.iter_mut().find(commands).unwrap().read;
    let first = read.next_offset;
    read.read_to = first + 4;
    read.resume = first + passed;
    let (topic, cause) = (TOPIC.as_str().to_owned(), "bad".to_owned());
    let run = UnreadableRun { topic, partition: 0, first, last: first + 3, cause };
    evidence.unreadable.push((Channel::Messages(TOPIC), run));
    (evidence, first)
}

/// The service's letter for these.
fn put_letter(evidence: &mut Evidence, first: i64, last: i64) {
    let id = message_id::of_input(ServiceName::Order, TOPIC.as_str(), 0, first, 0);
    let written = Written::default()
        .with("kafka_dlt-original-last-offset", last.to_be_bytes())
        .with("kafka_dlt-original-topic", TOPIC.as_str())
        .with("kafka_dlt-original-partition", 0_i32.to_be_bytes())
        .with("kafka_dlt-original-offset", first.to_be_bytes())
        .with("kafka_dlt-exception-fqcn", "unreadable")
        .with("outbox-id", id.to_string());
    evidence.topics.letters.push((TOPIC, Letter::of(&written.record())));
}

#[test]
fn a_run_that_its_letters_stand_for_is_no_violation() {
    let (mut evidence, first) = with_run(4);
    put_letter(&mut evidence, first, first + 1);
    put_letter(&mut evidence, first + 2, first + 3);
    assert_eq!(found(evidence), []);
    let (mut evidence, first) = with_run(2);
    put_letter(&mut evidence, first, first + 1);
    assert_eq!(found(evidence), [], "the reader has not come to the others");
    assert_eq!(found(with_run(0).0), [], "nor to any");
}

#[test]
fn a_run_that_was_passed_over_without_a_letter_is_found() {
    assert_found(with_run(4).0, Invariant::BadInput, "no dead letter stands for the records");
    let (mut evidence, first) = with_run(4);
    put_letter(&mut evidence, first, first + 1);
    assert_found(evidence, Invariant::BadInput, &format!("the records from offset {} on", first + 2));
}

#[test]
fn a_letter_of_a_run_that_is_not_there_is_found() {
    let (mut evidence, first) = with_run(4);
    put_letter(&mut evidence, first, first + 3);
    evidence.unreadable.clear();
    assert_found(evidence, Invariant::BadInput, "there is a dead letter of it, but no such record was taken");
}
