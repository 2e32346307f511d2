//! Commands of clients and operators, against what became of them.

use std::collections::HashSet;

use schemas::{ServiceName, TopicName, message_id};
use uuid::Uuid;
use workers::order::saga::ContentDigest;

use super::letters::LetterIndex;
use super::place;
use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::scan::{Command, SentCommand};
use crate::log::reader_of;

/// The cause under which a service puts a command aside that it could read.
const REFUSED: &str = "refused";

pub(super) fn check(evidence: &Evidence, letters: &LetterIndex<'_>, findings: &mut Findings) {
    let mut answered: HashSet<Uuid> = HashSet::new();
    let mut asked_for: HashSet<(&str, ContentDigest)> = HashSet::new();
    let mut restocked: HashSet<(&str, &str)> = HashSet::new();
    for taken in &evidence.topics.commands {
        match &taken.command {
            Command::Place { order_id, content } => {
                asked_for.insert((order_id.as_str(), *content));
            }
            Command::Stock { sku, command_id, .. } => {
                restocked.insert((sku.as_str(), command_id.as_str()));
            }
            Command::Cancel { .. } | Command::Refund { .. } => {}
        }
        let Some(reader) = reader_of(taken.topic) else { continue };
        // A refusal's id follows from the record that it answers.
        let refusal = message_id::of_input(reader, taken.topic.as_str(), taken.place.partition, taken.place.offset, 0);
        let is_refused = is_refused(evidence, reader, &refusal);
        answered.insert(refusal);
        // Not taken, or once more after its service was restored: what came of it the first time counts.
        if !taken.is_taken || !are_answers_whole(evidence, taken.topic, reader) {
            continue;
        }
        check_one(evidence, taken, is_refused, letters, findings);
    }
    check_origins(evidence, &asked_for, &restocked, findings);
    let (orders, stock) = (&evidence.topics.orders.refusals, &evidence.topics.stock.refusals);
    let has_orders = evidence.topics.has_all_taken(TopicName::OrderCommands);
    let has_stock = evidence.topics.has_all_taken(TopicName::StockCommands);
    let refusals = orders.keys().filter(|_| has_orders).chain(stock.iter().filter(|_| has_stock));
    for phantom in refusals.filter(|id| !answered.contains(*id)) {
        findings.add(Invariant::BadInput, format!("event {phantom}"), "a refusal that answers no command");
    }
}

/// Whether everything was found in which a service answers commands of this topic.
fn are_answers_whole(evidence: &Evidence, topic: TopicName, reader: ServiceName) -> bool {
    let events = match reader {
        ServiceName::Order => TopicName::OrderEvents,
        ServiceName::Inventory => TopicName::StockEvents,
        ServiceName::Payment => TopicName::PaymentEvents,
    };
    evidence.topics.is_whole(events) && evidence.topics.are_letters_whole(topic)
}

fn is_refused(evidence: &Evidence, reader: ServiceName, refusal: &Uuid) -> bool {
    match reader {
        ServiceName::Order => evidence.topics.orders.refusals.contains_key(refusal),
        ServiceName::Inventory => evidence.topics.stock.refusals.contains(refusal),
        ServiceName::Payment => false,
    }
}

fn check_one(
    evidence: &Evidence,
    taken: &SentCommand,
    is_refused: bool,
    letters: &LetterIndex<'_>,
    findings: &mut Findings,
) {
    let SentCommand { topic, partition, offset, command, place: lay, .. } = taken;
    let mut add = |detail: String| {
        findings.add(Invariant::BadInput, place(*topic, *partition, *offset), detail);
    };
    let name = command.name();
    match letters.find(*topic, *lay) {
        Some(letter) if letter.cause != REFUSED => {
            add(format!("the {name} for {} can be read, but was put aside as {}", command.key(), letter.cause));
        }
        Some(_) => {}
        None if is_refused || has_effect(evidence, command) => {}
        None => add(format!("the {name} for {} was taken and left no trace", command.key())),
    }
}

/// Whether the state shows that the command was carried out, or that there was nothing left to do.
fn has_effect(evidence: &Evidence, command: &Command) -> bool {
    let order_of = |id| evidence.topics.orders.orders.get(id);
    match command {
        Command::Place { order_id, content } => order_of(order_id).is_some_and(|order| order.content == *content),
        Command::Cancel { order_id } => order_of(order_id).is_some_and(|order| order.cancellation.is_some()),
        Command::Refund { .. } => false,
        Command::Stock { sku, command_id, kind, pieces } => {
            let receipt = evidence.topics.stock.receipts.get(&(sku.clone(), command_id.clone()));
            receipt.is_some_and(|receipt| receipt.kind == *kind && receipt.pieces == *pieces)
        }
    }
}

/// Nothing came of nothing.
fn check_origins(
    evidence: &Evidence,
    asked_for: &HashSet<(&str, ContentDigest)>,
    restocked: &HashSet<(&str, &str)>,
    findings: &mut Findings,
) {
    let topics = &evidence.topics;
    let has_orders = topics.has_all_taken(TopicName::OrderCommands);
    for order in topics.orders.orders.values().filter(|_| has_orders) {
        if !asked_for.contains(&(order.order_id.as_str(), order.content)) {
            let detail = "an order that nobody placed, or not so";
            findings.add(Invariant::BadInput, order.order_id.as_str(), detail);
        }
    }
    let has_stock = topics.has_all_taken(TopicName::StockCommands);
    for (sku, command_id) in topics.stock.receipts.keys().filter(|_| has_stock) {
        if !restocked.contains(&(sku.as_str(), command_id.as_str())) {
            let detail = format!("command {command_id} was carried out, but is not on {}", TopicName::StockCommands);
            findings.add(Invariant::BadInput, sku.as_str(), detail);
        }
    }
}
