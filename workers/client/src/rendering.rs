//! Messages for people (one line of text) and for programs (JSON with times in RFC 3339).
//!
//! Nothing is left out of the JSON; the text has what one looks for first.

use domain::saga::{Order, Stage};
use grammar::{counted, money};
use schemas::{
    InventoryCommand, InventoryEvent, Message, OrderCommand, OrderEvent, OrderLine, PaymentCommand, PaymentEvent,
    Rejection, Shortage, StockCommand, StockEvent, StockLine, Time,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::Record;

/// Fields that hold a point in time, in microseconds.
pub const TIME_FIELDS: [&str; 3] = ["at", "placed_at", "confirm_by"];

/// A message with its place, as JSON.
pub fn record_json(record: &Record) -> Value {
    json!({
        "time": record.time.to_string(),
        "topic": record.topic.as_str(),
        "partition": record.partition,
        "offset": record.offset,
        "type": record.message.name(),
        "id": record.id,
        "traceparent": record.trace_parent,
        "body": body_json(&record.message),
    })
}

/// What a message says, as JSON.
pub fn body_json(message: &Message) -> Value {
    // Our messages are plain structs with text keys: there is nothing in them that JSON cannot hold.
    let mut value = serde_json::to_value(message).unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut value {
        for name in TIME_FIELDS {
            if let Some(time) = fields.get_mut(name)
                && let Some(micros) = time.as_i64()
            {
                *time = Value::String(Time::from_micros(micros).to_string());
            }
        }
    }
    value
}

/// What is worth saying about a message beside its name and key; often nothing.
pub fn detail(message: &Message) -> String {
    match message {
        Message::OrderCommand(m) => order_command(m),
        Message::OrderEvent(m) => order_event(m),
        Message::InventoryCommand(InventoryCommand::ReserveStock(m)) => stock_lines(&m.lines),
        Message::InventoryCommand(InventoryCommand::CommitStock(_) | InventoryCommand::ReleaseStock(_)) => {
            String::new()
        }
        Message::InventoryEvent(m) => inventory_event(m),
        Message::StockCommand(StockCommand::ReceiveStock(m)) => pieces(m.quantity),
        Message::StockCommand(StockCommand::AdjustStock(m)) => {
            format!("{:+} {}", m.delta, if m.delta.unsigned_abs() == 1 { "piece" } else { "pieces" })
        }
        Message::StockEvent(StockEvent::StockReceived(m)) => pieces(m.quantity),
        Message::StockEvent(StockEvent::StockAdjusted(m)) => {
            format!("{:+} {}", m.delta, if m.delta.unsigned_abs() == 1 { "piece" } else { "pieces" })
        }
        Message::StockEvent(StockEvent::StockCommandRejected(m)) => m.detail.clone(),
        Message::PaymentCommand(PaymentCommand::AuthorizePayment(m)) => money(m.amount_minor, &m.currency),
        Message::PaymentCommand(PaymentCommand::CapturePayment(_) | PaymentCommand::VoidPayment(_)) => String::new(),
        Message::PaymentEvent(m) => payment_event(m),
    }
}

/// Where an order stands: its stage, why it is undone, and what it waits for where the stage does not tell.
pub fn stage_in_words(order: &Order) -> String {
    let mut text = order.stage.as_str().replace('_', " ");
    if let Some(cancellation) = &order.cancellation {
        text.push_str(&format!(" ({})", symbol(&cancellation.reason)));
    }
    match &order.stage {
        Stage::Cancelling { awaiting } => text.push_str(&format!(", waiting for {}", symbol(awaiting))),
        Stage::Stuck { awaiting, detail } => {
            text.push_str(&format!(", waiting for {}: {detail}", symbol(awaiting)));
        }
        Stage::Placed
        | Stage::StockReserved
        | Stage::Confirmed
        | Stage::PaymentCaptured
        | Stage::Completed
        | Stage::Cancelled => {}
    }
    text
}

fn order_command(command: &OrderCommand) -> String {
    if let OrderCommand::PlaceOrder(m) = command {
        return format!("{} in {}", order_lines(&m.lines), m.currency);
    }
    command.command_id().map_or_else(String::new, |id| format!("command {id}"))
}

fn order_event(event: &OrderEvent) -> String {
    match event {
        OrderEvent::OrderPlaced(m) => format!("{}, {}", order_lines(&m.lines), money(m.total_minor, &m.currency)),
        OrderEvent::OrderStockReserved(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderPaymentCaptured(_)
        | OrderEvent::OrderCompleted(_) => String::new(),
        OrderEvent::OrderCancelling(m) => format!("{}, waiting for {}", symbol(&m.reason), symbol(&m.awaiting)),
        OrderEvent::OrderCancelled(m) => symbol(&m.reason),
        OrderEvent::OrderStuck(m) => format!("waiting for {}: {}", symbol(&m.awaiting), m.detail),
        OrderEvent::OrderRejected(m) => format!("{}: {}", symbol(&m.command), rejections(&m.reasons)),
    }
}

fn inventory_event(event: &InventoryEvent) -> String {
    match event {
        InventoryEvent::StockReserved(m) => stock_lines(&m.lines),
        InventoryEvent::StockRejected(m) => shortages(&m.shortages),
        InventoryEvent::StockCommitted(_) | InventoryEvent::StockReleased(_) => String::new(),
        InventoryEvent::StockCommitRefused(m) => m.detail.clone(),
    }
}

fn payment_event(event: &PaymentEvent) -> String {
    match event {
        PaymentEvent::PaymentAuthorized(m) => money(m.amount_minor, &m.currency),
        PaymentEvent::PaymentDeclined(m) => format!("{}: {}", money(m.amount_minor, &m.currency), m.detail),
        PaymentEvent::PaymentCaptured(_) | PaymentEvent::PaymentVoided(_) => String::new(),
        PaymentEvent::PaymentCaptureFailed(m) => m.detail.clone(),
        PaymentEvent::PaymentStuck(m) => format!("{}: {}", symbol(&m.operation), m.detail),
    }
}

/// Quantities of the contract are not negative; one that is, is told as it is.
fn pieces(quantity: i64) -> String {
    u64::try_from(quantity).map_or_else(|_| format!("{quantity} pieces"), |count| counted(count, "piece"))
}

fn order_lines(lines: &[OrderLine]) -> String {
    counted(lines.len() as u64, "line")
}

fn stock_lines(lines: &[StockLine]) -> String {
    counted(lines.len() as u64, "SKU")
}

/// A symbol of the contract, as it stands on the wire.
pub fn symbol(value: &impl Serialize) -> String {
    // A symbol is a text; nothing else is given here.
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn shortages(shortages: &[Shortage]) -> String {
    let one = |s: &Shortage| format!("{} of {} wanted, {} available", s.requested, s.sku, s.available);
    shortages.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn rejections(reasons: &[Rejection]) -> String {
    reasons.iter().map(|r| format!("{} ({})", symbol(&r.code), r.detail)).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{CommandId, CustomerId, OrderId, PlaceOrder, ReceiveStock, Sku};

    #[test]
    fn json_has_every_field_and_times_that_people_read() {
        let order = PlaceOrder {
            order_id: OrderId::new("o").unwrap(),
            customer_id: CustomerId::new("c").unwrap(),
            placed_at: Time::from_micros(1_483_271_606_000_001),
            currency: "USD".to_owned(),
            lines: vec![OrderLine { sku: Sku::new("s").unwrap(), quantity: 2, unit_price_minor: 50 }],
        };
        let expected = json!({
            "order_id": "o",
            "customer_id": "c",
            "placed_at": "2017-01-01T11:53:26.000001Z",
            "currency": "USD",
            "lines": [{ "sku": "s", "quantity": 2, "unit_price_minor": 50 }],
        });
        let message = Message::from(order);
        assert_eq!(body_json(&message), expected);
        assert_eq!(detail(&message), "1 line in USD");
    }

    #[test]
    fn details_say_how_many() {
        let (sku, command_id) = (Sku::new("s").unwrap(), CommandId::new("c").unwrap());
        assert_eq!(detail(&ReceiveStock { sku, command_id, quantity: 7 }.into()), "7 pieces");
    }
}
