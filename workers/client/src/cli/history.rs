//! `orders show`: one order's state and everything that the topics say about it.

use domain::saga::Order;
use serde_json::{Value, json};

use super::options::ShowOptions;
use super::output::{Failure, reading_bar, table};
use super::{End, Session};
use crate::rendering::counted;
use crate::{OpenTransaction, OrderHistory, Record, SetAside, detail, record_json, stage_in_words};

pub(super) async fn run(session: &Session, options: ShowOptions) -> Result<End, Failure> {
    let bar = reading_bar();
    let read = OrderHistory::read(&session.connection, &options.order_id, session.patience, |left| {
        bar.set_position(left);
    })
    .await;
    bar.finish_and_clear();
    let history = read?;
    if let Some(count) = history.read_elsewhere {
        let records = counted(count, "record");
        eprintln!(
            "orders: {records} read on the other partitions of the commands: a command is not on its key's partition"
        );
    }
    if history.records.is_empty() {
        eprintln!("orders: no topic says anything about the order {}", options.order_id);
        if !history.set_aside.letters.is_empty() || !history.open_transactions.is_empty() {
            session.output.say(|| whole_json(&history), || beside(&history))?;
        }
        return Ok(End::Negative);
    }
    session.output.say(|| whole_json(&history), || whole_text(&history))?;
    Ok(End::Done)
}

fn whole_json(history: &OrderHistory) -> Value {
    let (order, problem) = match history.order() {
        Ok(order) => (order, None),
        Err(problem) => (None, Some(problem.to_string())),
    };
    json!({
        "order_id": history.order_id.as_str(),
        "state": order.as_ref().map(|order| order.stage.as_str()),
        "version": order.as_ref().map(|order| order.version),
        "total_minor": order.as_ref().map(|order| order.total_minor),
        "currency": order.as_ref().map(|order| &order.currency),
        "cancelled_because": order.as_ref().and_then(|order| order.cancellation.as_ref()).map(|c| c.reason),
        "problem": problem,
        "history": history.records.iter().map(record_json).collect::<Vec<_>>(),
        "left_out": history.left_out,
        "set_aside": history.set_aside.letters.iter().map(set_aside_json).collect::<Vec<_>>(),
        "open_transactions": history.open_transactions.iter().map(open_transaction_json).collect::<Vec<_>>(),
    })
}

fn set_aside_json(letter: &SetAside) -> Value {
    json!({
        "letter": letter.letter(),
        "topic": letter.topic.as_str(),
        "partition": letter.partition,
        "cause": letter.cause,
        "detail": letter.detail,
        "settled": letter.settled,
    })
}

fn open_transaction_json(transaction: &OpenTransaction) -> Value {
    json!({
        "topic": transaction.topic,
        "partition": transaction.partition,
        "from_offset": transaction.from_offset,
        "end": transaction.end,
        "since": transaction.since.map(|since| since.to_string()),
    })
}

fn whole_text(history: &OrderHistory) -> String {
    let state = match history.order() {
        Ok(Some(order)) => state_text(&order),
        Ok(None) => "not placed".to_owned(),
        Err(problem) => format!("its history is broken: {problem}"),
    };
    let rows: Vec<Vec<String>> = history.records.iter().map(row).collect();
    let mut text = format!("order {}: {state}\n\n{}", history.order_id, table(&rows));
    if history.left_out > 0 {
        text.push_str(&format!("\n{} further records under this key do not count\n", history.left_out));
    }
    let beside = beside(history);
    if !beside.is_empty() {
        text.push_str(&format!("\n{beside}"));
    }
    text
}

/// What is known beside the messages: what was set aside, and what waits.
fn beside(history: &OrderHistory) -> String {
    let mut text = String::new();
    for letter in &history.set_aside.letters {
        let SetAside { topic, cause, detail, settled, .. } = letter;
        let settled = settled.as_ref().map_or_else(String::new, |action| format!(" ({action})"));
        text.push_str(&format!("a record on {topic} under this order was set aside{settled}: {cause}: {detail}\n"));
        text.push_str(&format!("  replay-tool dead-letters show '{}'\n", letter.letter()));
    }
    if history.set_aside.not_looked_at > 0 {
        let count = history.set_aside.not_looked_at;
        text.push_str(&format!(
            "{count} older dead letters were not looked at: replay-tool dead-letters list --key {}\n",
            history.order_id
        ));
    }
    for transaction in &history.open_transactions {
        text.push_str(&format!("{transaction}; what they say is not shown\n"));
    }
    text
}

fn state_text(order: &Order) -> String {
    let text = stage_in_words(order);
    let (lines, currency, total) = (counted(order.lines.len() as u64, "line"), &order.currency, order.total_minor);
    format!("{text}; {lines}, {total} minor units of {currency}, customer {}", order.customer_id)
}

fn row(record: &Record) -> Vec<String> {
    let place = format!("{} {}@{}", record.topic.as_str(), record.partition, record.offset);
    vec![record.time.to_string(), record.message.name().to_owned(), detail(&record.message), place]
}
