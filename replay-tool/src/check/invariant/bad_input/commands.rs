//! Commands of clients and operators, against what became of them.

use std::collections::{HashMap, HashSet};

use domain::saga::ContentDigest;
use domain::stock::Receipt;
use schemas::{CommandId, Sku, TopicName, message_id};
use uuid::Uuid;

use super::letters::LetterIndex;
use super::place;
use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::scan::{Command, SentCommand};
use crate::log::DROPPED;

/// The causes under which a command is put aside that could be read: the service cannot park it, or a person has given it up.
const READABLE: [&str; 2] = ["refused", DROPPED];

/// What came of commands that change a stock.
type Receipts<'e> = HashMap<(&'e Sku, &'e CommandId), &'e Receipt>;

pub(super) fn check(evidence: &Evidence, letters: &LetterIndex<'_>, findings: &mut Findings) {
    let mut answered: HashSet<Uuid> = HashSet::new();
    let mut asked_for: HashSet<(&str, ContentDigest)> = HashSet::new();
    let mut restocked: HashSet<(&str, &str)> = HashSet::new();
    let receipts = evidence.topics.stock.receipts.iter();
    let receipts: Receipts<'_> = receipts.map(|receipt| ((&receipt.sku, &receipt.command_id), receipt)).collect();
    for taken in &evidence.topics.commands {
        match &taken.command {
            Command::Place { order_id, content } => {
                asked_for.insert((order_id.as_str(), *content));
            }
            Command::Stock { sku, command_id, .. } => {
                restocked.insert((sku.as_str(), command_id.as_str()));
            }
            Command::Undo { .. } | Command::Change { .. } => {}
        }
        let Some(reader) = taken.topic.read_by() else { continue };
        // A refusal's id follows from the record that it answers.
        let refusal = message_id::of_input(reader, taken.topic.as_str(), taken.place.partition, taken.place.offset, 0);
        let is_refused = evidence.topics.has_refused(reader, &refusal);
        answered.insert(refusal);
        // Not taken, or once more after its service was restored: what came of it the first time counts.
        if !taken.is_taken || !are_answers_whole(evidence, taken.topic) {
            continue;
        }
        let is_answered = is_refused || has_effect(evidence, &receipts, &taken.command);
        check_one(taken, is_answered, letters, findings);
    }
    check_origins(evidence, &receipts, &asked_for, &restocked, findings);
    let (orders, stock) = (&evidence.topics.orders.watch.refusals, &evidence.topics.stock.watch.refusals);
    let has_orders = evidence.topics.has_all_taken(TopicName::OrderCommands);
    let has_stock = evidence.topics.has_all_taken(TopicName::StockCommands);
    let refusals = orders.keys().filter(|_| has_orders).chain(stock.iter().filter(|_| has_stock));
    for phantom in refusals.filter(|id| !answered.contains(*id)) {
        findings.add(Invariant::BadInput, format!("event {phantom}"), "a refusal that answers no command");
    }
}

/// Whether everything was found in which a service answers commands of this topic.
fn are_answers_whole(evidence: &Evidence, topic: TopicName) -> bool {
    topic.answered_on().is_some_and(|events| evidence.topics.is_whole(events))
        && evidence.topics.are_letters_whole(topic)
}

fn check_one(taken: &SentCommand, is_answered: bool, letters: &LetterIndex<'_>, findings: &mut Findings) {
    let SentCommand { topic, partition, offset, name, command, place: lay, .. } = taken;
    let mut add = |detail: String| {
        findings.add(Invariant::BadInput, place(*topic, *partition, *offset), detail);
    };
    match letters.find(*topic, *lay) {
        Some(letter) if !READABLE.contains(&letter.cause.as_str()) => {
            add(format!("the {name} for {} can be read, but was put aside as {}", command.key(), letter.cause));
        }
        Some(_) => {}
        None if is_answered => {}
        None => add(format!("the {name} for {} was taken and left no trace", command.key())),
    }
}

/// Whether the state shows that the command was carried out, or that there was nothing left to do.
fn has_effect(evidence: &Evidence, receipts: &Receipts<'_>, command: &Command) -> bool {
    let order_of = |id| evidence.topics.orders.aggregates.get(id);
    match command {
        Command::Place { order_id, content } => order_of(order_id).is_some_and(|order| order.content == *content),
        Command::Undo { order_id, command_id } => {
            order_of(order_id).is_some_and(|order| order.cancellation.is_some() || order.has_taken(command_id))
        }
        Command::Change { order_id, command_id } => order_of(order_id).is_some_and(|order| order.has_taken(command_id)),
        Command::Stock { sku, command_id, deed } => {
            receipts.get(&(sku, command_id)).is_some_and(|receipt| receipt.deed == *deed)
        }
    }
}

/// Nothing came of nothing.
fn check_origins(
    evidence: &Evidence,
    receipts: &Receipts<'_>,
    asked_for: &HashSet<(&str, ContentDigest)>,
    restocked: &HashSet<(&str, &str)>,
    findings: &mut Findings,
) {
    let topics = &evidence.topics;
    let has_orders = topics.has_all_taken(TopicName::OrderCommands);
    for order in topics.orders.aggregates.values().filter(|_| has_orders) {
        if !asked_for.contains(&(order.order_id.as_str(), order.content)) {
            let detail = "an order that nobody placed, or not so";
            findings.add(Invariant::BadInput, order.order_id.as_str(), detail);
        }
    }
    let has_stock = topics.has_all_taken(TopicName::StockCommands);
    for (sku, command_id) in receipts.keys().filter(|_| has_stock) {
        if !restocked.contains(&(sku.as_str(), command_id.as_str())) {
            let detail = format!("command {command_id} was carried out, but is not on {}", TopicName::StockCommands);
            findings.add(Invariant::BadInput, sku.as_str(), detail);
        }
    }
}
