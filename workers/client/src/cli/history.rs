//! `orders show`: one order's state and everything that the topics say about it.

use domain::saga::{Order, Refund, RefundState, Return, ReturnState, Shipment, Stage};
use grammar::{Table, Tone, complain, counted, harmless, money, paint, terminal_width};
use serde_json::{Value, json};

use super::options::ShowOptions;
use super::output::{Failure, reading_bar};
use super::way::Way;
use super::{End, NAME, Session};
use crate::{
    Manner, OpenTransaction, OrderEvents, OrderHistory, Record, SetAside, Standing, Wait, detail_in, record_json,
    stage_in_words,
};

pub(super) async fn run(session: &Session, options: ShowOptions) -> Result<End, Failure> {
    let history = match &session.way {
        Way::Kafka(connection) => {
            let bar = reading_bar();
            let progress = |left| bar.set_position(left);
            let read = OrderHistory::read(connection, &options.order_id, session.patience, progress).await;
            bar.finish_and_clear();
            read?
        }
        Way::Http(door) => {
            let mut events = OrderEvents::open(door, &options.order_id).await?;
            if let Some(problem) = events.refusal() {
                complain(NAME, &problem.detail);
                return Ok(End::NO);
            }
            let records = events.to_end(session.patience).await?;
            if !records.is_empty() {
                complain(NAME, "over HTTP only what the order service says is seen");
            }
            OrderHistory::of_events(&options.order_id, records)
        }
    };
    if let Some(count) = history.read_elsewhere {
        let records = counted(count, "record");
        let words = "read on the other partitions of the commands: a command is not on its key's partition";
        complain(NAME, format_args!("{records} {words}"));
    }
    if history.records.is_empty() {
        complain(NAME, format_args!("no topic says anything about the order {}", options.order_id));
        if !history.set_aside.letters.is_empty() || !history.open_transactions.is_empty() {
            session.output.say(|| whole_json(&history), || beside(&history))?;
        }
        return Ok(End::NO);
    }
    session.output.say(|| whole_json(&history), || whole_text(&history))?;
    Ok(End::DONE)
}

fn whole_json(history: &OrderHistory) -> Value {
    let (standing, problem) = match history.standing() {
        Ok(standing) => (standing, None),
        Err(problem) => (None, Some(problem.to_string())),
    };
    let order = standing.as_ref().map(|standing| &standing.order);
    let cancellation = order.and_then(|order| order.cancellation.as_ref());
    json!({
        "order_id": history.order_id.as_str(),
        "state": order.map(|order| order.stage.as_str()),
        "version": order.map(|order| order.version),
        "total_minor": order.map(|order| order.total_minor),
        "currency": order.map(|order| &order.currency),
        "cancelled_because": cancellation.map(|cancellation| cancellation.reason),
        "cancel_code": cancellation.and_then(|cancellation| cancellation.code.as_ref()),
        "terms": order.and_then(|order| order.terms.as_ref()),
        "waits_for": standing.iter().flat_map(|standing| &standing.waits).map(Wait::json).collect::<Vec<_>>(),
        "shipment": order.and_then(shipment_json),
        "refunds": order.map(refunds_json),
        "returns": order.map(returns_json),
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
    let (state, waits) = match history.standing() {
        Ok(Some(standing)) => (state_text(&standing.order), waits_text(&standing)),
        Ok(None) => ("not placed".to_owned(), String::new()),
        Err(problem) => {
            (paint(Tone::Bad, format_args!("its history is broken: {}", harmless(&problem.to_string()))), String::new())
        }
    };
    let mut table = Table::new(["", "", "", ""]);
    let manner = Manner::plain(history.currency());
    history.records.iter().for_each(|record| table.row(row(record, &manner)));
    let id = harmless(history.order_id.as_str());
    let mut text = format!("order {id}: {state}\n{waits}\n{}", table.text(terminal_width()));
    if history.left_out > 0 {
        let records = counted(history.left_out, "further record");
        text.push_str(&format!("\n{records} under this key not counted\n"));
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
    let stage = paint(tone(&order.stage), harmless(&stage_in_words(order)));
    let (lines, total) = (counted(order.lines.len() as u64, "line"), money(order.total_minor, &order.currency));
    format!("{stage}; {lines}, {total}, customer {}", harmless(order.customer_id.as_str()))
}

/// A line for each thing that the order waits for, and for each refund and return that has ended.
fn waits_text(standing: &Standing) -> String {
    let order = &standing.order;
    let lines = standing.waits.iter().map(Wait::text).chain(aftercare_lines(order));
    lines.map(|line| format!("  {}\n", harmless(&line))).collect()
}

fn aftercare_lines(order: &Order) -> Vec<String> {
    let Some(aftercare) = &order.aftercare else { return Vec::new() };
    let shipment = aftercare.shipment.iter().map(|Shipment { at, carrier, tracking }| {
        let by = [carrier, tracking].into_iter().flatten().fold(String::new(), |text, part| format!("{text} {part}"));
        format!("shipped at {at}{by}")
    });
    let refunds = aftercare.refunds.iter().filter(|refund| refund.state != RefundState::Requested);
    let refunds = refunds.map(|refund| {
        let amount = money(refund.amount_minor, &order.currency);
        let detail = refund_detail(&refund.state).map_or_else(String::new, |detail| format!(": {detail}"));
        format!("refund {} of {amount} is {}{detail}", refund.refund_id, refund.state.as_str())
    });
    let is_ended = |state: ReturnState| !matches!(state, ReturnState::Requested | ReturnState::Received);
    let returns = aftercare.returns.iter().filter(|one| is_ended(one.state));
    let returns = returns.map(|one| format!("return {} is {}", one.return_id, one.state.as_str().replace('_', " ")));
    shipment.chain(refunds).chain(returns).collect()
}

fn refund_detail(state: &RefundState) -> Option<&str> {
    match state {
        RefundState::Refused { detail } | RefundState::Unknown { detail } => Some(detail),
        RefundState::Requested | RefundState::Refunded | RefundState::Superseded => None,
    }
}

fn shipment_json(order: &Order) -> Option<Value> {
    let Shipment { at, carrier, tracking } = order.aftercare.as_ref()?.shipment.as_ref()?;
    Some(json!({ "at": at.to_string(), "carrier": carrier, "tracking": tracking }))
}

fn refunds_json(order: &Order) -> Vec<Value> {
    let refunds = order.aftercare.iter().flat_map(|aftercare| &aftercare.refunds);
    let one = |refund: &Refund| {
        json!({
            "refund_id": refund.refund_id,
            "amount_minor": refund.amount_minor,
            "state": refund.state.as_str(),
            "detail": refund_detail(&refund.state),
            "reason_code": refund.reason_code,
            "return_id": refund.return_id,
            "at": refund.at.to_string(),
        })
    };
    refunds.map(one).collect()
}

fn returns_json(order: &Order) -> Vec<Value> {
    let returns = order.aftercare.iter().flat_map(|aftercare| &aftercare.returns);
    let one = |one: &Return| {
        json!({
            "return_id": one.return_id,
            "state": one.state.as_str(),
            "lines": one.lines,
            "received": one.received,
            "refund_minor": one.refund_minor,
            "reason_code": one.reason_code,
            "close_by": one.close_by.to_string(),
        })
    };
    returns.map(one).collect()
}

fn tone(stage: &Stage) -> Tone {
    match stage {
        Stage::Completed => Tone::Good,
        Stage::Cancelling { .. } | Stage::Cancelled => Tone::Warning,
        Stage::Stuck { .. } => Tone::Bad,
        Stage::Placed
        | Stage::StockReserved
        | Stage::Authorized
        | Stage::Confirmed
        | Stage::PaymentCaptured
        | Stage::ReadyToShip
        | Stage::Shipped
        | Stage::StockCommitted => Tone::Faint,
    }
}

/// What is long comes last: a terminal may be too narrow for it.
fn row(record: &Record, manner: &Manner<'_>) -> [String; 4] {
    let place = record.place().map_or_else(|| record.topic.as_str().to_owned(), |place| place.to_string());
    [record.time.to_string(), record.message.name().to_owned(), place, detail_in(&record.message, manner)]
}
