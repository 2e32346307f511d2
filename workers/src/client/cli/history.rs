//! `orders show`: one order's state and everything that the topics say about it.

use serde_json::{Value, json};

use super::options::ShowOptions;
use super::output::{Failure, reading_bar, table};
use super::{End, Session};
use crate::client::{OrderHistory, Record, detail, record_json, stage_in_words};
use crate::order::saga::Order;

pub(super) async fn run(session: &Session, options: ShowOptions) -> Result<End, Failure> {
    let bar = reading_bar();
    let read = OrderHistory::read(&session.connection, &options.order_id, session.patience, |left| {
        bar.set_position(left);
    })
    .await;
    bar.finish_and_clear();
    let history = read?;
    if history.records.is_empty() {
        eprintln!("orders: no topic says anything about the order {}", options.order_id);
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
    text
}

fn state_text(order: &Order) -> String {
    let text = stage_in_words(order);
    let (lines, currency, total) = (order.lines.len(), &order.currency, order.total_minor);
    format!("{text}; {lines} lines, {total} minor units of {currency}, customer {}", order.customer_id)
}

fn row(record: &Record) -> Vec<String> {
    let place = format!("{} {}@{}", record.topic.as_str(), record.partition, record.offset);
    vec![record.time.to_string(), record.message.name().to_owned(), detail(&record.message), place]
}
