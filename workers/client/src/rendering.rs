//! Messages for people (one line of text) and for programs (JSON with times in RFC 3339).
//!
//! Nothing is left out of the JSON; the text has what one looks for first.

use domain::saga::{Cancellation, Order, Stage};
use domain::stock::{Deed, Description};
use grammar::{counted, money};
use schemas::{
    CommandId, InventoryCommand, InventoryEvent, Message, MessageType, OrderCommand, OrderEvent, OrderLine,
    PaymentCommand, PaymentEvent, ReturnedStock, Shortage, StockEvent, StockLine, Time,
};
use serde::Serialize;
use serde::de::DeserializeSeed as _;
use serde_json::{Value, json};

use super::Record;

mod order;
mod text;

pub(crate) use order::why;

/// Fields that hold a point in time, in microseconds.
pub const TIME_FIELDS: [&str; 8] =
    ["at", "placed_at", "confirm_by", "place_at", "ship_by", "until", "close_by", "expires_at"];

/// A message with its place, as JSON.
pub fn record_json(record: &Record) -> Value {
    json!({
        "time": record.time.to_string(),
        "topic": record.topic.as_str(),
        "partition": record.place().map(|place| place.partition),
        "offset": record.place().map(|place| place.offset),
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
    show_times(&mut value);
    value
}

/// A field that nobody who looks needs: it is the provider's and the order service's.
const KEPT_BACK: &str = "payment_token";

/// The text of [`body_json`] without the payment token: what is told of a message over HTTP, and kept for that.
pub fn shown_text(message: &Message) -> String {
    // As there: nothing in a message cannot be written.
    text::write(message, KEPT_BACK).unwrap_or_else(|_| Value::Null.to_string())
}

/// The message of this kind that says what [`body_json`] has shown.
///
/// # Errors
/// It is no such message.
pub fn message_of(message_type: MessageType, body: Value) -> Result<Message, serde_json::Error> {
    let mut body = body;
    read_times(&mut body);
    message_type.deserialize(body)
}

/// The reverse of `show_times`. What a customer has named like a time is none.
fn read_times(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    for (name, field) in fields.iter_mut().filter(|(name, _)| *name != "attributes") {
        match field.as_str().and_then(|text| text.parse::<Time>().ok()) {
            Some(time) if TIME_FIELDS.contains(&name.as_str()) => *field = Value::from(time.as_micros()),
            Some(_) | None => read_times(field),
        }
    }
}

/// Also those of what stands within a message. An attribute is a text, whatever its name.
fn show_times(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    for (name, field) in fields {
        match field.as_i64() {
            Some(micros) if TIME_FIELDS.contains(&name.as_str()) => {
                *field = Value::String(Time::from_micros(micros).to_string());
            }
            Some(_) | None => show_times(field),
        }
    }
}

/// In which manner a message is told: what it does not say itself, and how times are written.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'m> {
    /// The order's currency, where it is known: not every message with an amount has it.
    pub currency: Option<&'m str>,
    /// How a time is written.
    pub time: fn(Time) -> String,
}

impl<'m> Manner<'m> {
    /// As the command line tells it: times can be given back to it as they are.
    pub fn plain(currency: Option<&'m str>) -> Self {
        Manner { currency, time: |time| time.to_string() }
    }

    /// An amount of a message that does not say in which currency.
    fn amount(&self, minor: i64) -> String {
        match (self.currency, minor) {
            (Some(currency), _) => money(minor, currency),
            (None, 1) => "1 minor unit".to_owned(),
            (None, _) => format!("{minor} minor units"),
        }
    }
}

/// The currency of the order that these messages are about, as its placing says it; events before commands, which may be refused.
pub fn currency_of<'m>(messages: impl IntoIterator<Item = &'m Message>) -> Option<&'m str> {
    let mut asked = None;
    for message in messages {
        match message {
            Message::OrderEvent(OrderEvent::OrderPlaced(m)) => return Some(&m.currency),
            Message::OrderCommand(OrderCommand::PlaceOrder(m)) => asked = asked.or(Some(m.currency.as_str())),
            Message::OrderEvent(_)
            | Message::OrderCommand(_)
            | Message::InventoryCommand(_)
            | Message::InventoryEvent(_)
            | Message::StockCommand(_)
            | Message::StockEvent(_)
            | Message::PaymentCommand(_)
            | Message::PaymentEvent(_) => {}
        }
    }
    asked
}

/// What is worth saying about a message beside its name and key; often nothing.
pub fn detail(message: &Message) -> String {
    detail_in(message, &Manner::plain(None))
}

/// The same, in this manner.
pub fn detail_in(message: &Message, manner: &Manner<'_>) -> String {
    match message {
        Message::OrderCommand(m) => order::command(m, manner),
        Message::OrderEvent(m) => order::event(m, manner),
        Message::InventoryCommand(InventoryCommand::ReserveStock(m)) => stock_lines(&m.lines),
        Message::InventoryCommand(InventoryCommand::CommitStock(_) | InventoryCommand::ReleaseStock(_)) => {
            String::new()
        }
        Message::InventoryCommand(InventoryCommand::ReturnStock(m)) => returned(&m.return_id, &m.lines),
        Message::InventoryEvent(m) => inventory_event(m),
        Message::StockCommand(m) => order::joined([Some(deed(&Deed::asked_by(m))), order::asked(m.by(), m.note())]),
        Message::StockEvent(m) => stock_event(m),
        Message::PaymentCommand(m) => payment_command(m, manner),
        Message::PaymentEvent(m) => payment_event(m, manner),
    }
}

/// Where an order stands: its stage, why it is undone, and what it waits for where the stage does not tell.
pub fn stage_in_words(order: &Order) -> String {
    let mut text = order.stage.as_str().replace('_', " ");
    if let Some(Cancellation { reason, code, .. }) = &order.cancellation {
        text.push_str(&format!(" ({})", order::why(&symbol(reason), code.as_deref())));
    }
    if let Some(hold) = order.hold() {
        text.push_str(&format!(", held ({})", hold.reason_code));
    }
    match &order.stage {
        Stage::Cancelling { step } => text.push_str(&format!(", waiting for {step}")),
        Stage::Stuck { step, detail } => text.push_str(&format!(", waiting for {step}: {detail}")),
        Stage::Placed
        | Stage::StockReserved
        | Stage::Authorized
        | Stage::Confirmed
        | Stage::PaymentCaptured
        | Stage::ReadyToShip
        | Stage::Shipped
        | Stage::StockCommitted
        | Stage::Completed
        | Stage::Cancelled => {}
    }
    text
}

fn stock_event(event: &StockEvent) -> String {
    let told = match event {
        StockEvent::StockCommandRejected(m) => Some(m.detail.clone()),
        StockEvent::StockCommandRefused(m) => Some(order::refusals(&m.reasons)),
        StockEvent::StockReceived(_) | StockEvent::StockAdjusted(_) | StockEvent::ProductDescribed(_) => {
            Deed::told_by(event).as_ref().map(deed)
        }
    };
    order::joined([told, event.origin().and_then(order::origin)])
}

fn deed(deed: &Deed) -> String {
    match deed {
        Deed::Received(quantity) => pieces(*quantity),
        Deed::Adjusted(delta) => {
            format!("{delta:+} {}", if delta.unsigned_abs() == 1 { "piece" } else { "pieces" })
        }
        Deed::Described(Description { title, price_minor, currency }) => {
            format!("{title} at {}", money(*price_minor, currency))
        }
    }
}

fn inventory_event(event: &InventoryEvent) -> String {
    match event {
        InventoryEvent::StockReserved(m) => stock_lines(&m.lines),
        InventoryEvent::StockRejected(m) => shortages(&m.shortages),
        InventoryEvent::StockCommitted(_) | InventoryEvent::StockReleased(_) => String::new(),
        InventoryEvent::StockCommitRefused(m) => m.detail.clone(),
        InventoryEvent::StockReturned(m) => returned(&m.return_id, &m.lines),
        InventoryEvent::StockReturnRefused(m) => format!("return {}: {}", m.return_id, m.detail),
    }
}

fn payment_command(command: &PaymentCommand, manner: &Manner<'_>) -> String {
    match command {
        PaymentCommand::AuthorizePayment(m) => {
            let at = m.payment_provider.as_ref().map_or_else(String::new, |provider| format!(" at {provider}"));
            format!("{}{at}", money(m.amount_minor, &m.currency))
        }
        PaymentCommand::CapturePayment(_) | PaymentCommand::VoidPayment(_) => String::new(),
        PaymentCommand::RefundPayment(m) => {
            let amount = m.amount_minor.map_or_else(|| "all that is left".to_owned(), |amount| manner.amount(amount));
            format!("refund {} of {amount}", m.refund_id)
        }
        PaymentCommand::RetryPayment(m) => format!("command {}", m.command_id),
    }
}

fn payment_event(event: &PaymentEvent, manner: &Manner<'_>) -> String {
    match event {
        PaymentEvent::PaymentAuthorized(m) => {
            let until = m.expires_at.map_or_else(String::new, |until| format!(", held until {}", (manner.time)(until)));
            let again = if m.attempt > 1 { ", held again" } else { "" };
            format!("{}{again}{until}", money(m.amount_minor, &m.currency))
        }
        PaymentEvent::PaymentActionRequired(m) => {
            format!("{}, the customer has to act until {}", money(m.amount_minor, &m.currency), m.until)
        }
        PaymentEvent::PaymentDeclined(m) => format!("{}: {}", money(m.amount_minor, &m.currency), m.detail),
        PaymentEvent::PaymentCaptured(_) => String::new(),
        PaymentEvent::PaymentVoided(m) => m.reason_code.clone().unwrap_or_default(),
        PaymentEvent::PaymentCaptureFailed(m) => m.detail.clone(),
        PaymentEvent::PaymentStuck(m) => format!("{}: {}", symbol(&m.operation), m.detail),
        PaymentEvent::PaymentRefunded(m) => format!("refund {} of {}", m.refund_id, manner.amount(m.amount_minor)),
        PaymentEvent::PaymentRefundFailed(m) => {
            let amount = manner.amount(m.amount_minor);
            format!("refund {} of {amount} is {}: {}", m.refund_id, m.outcome, m.detail)
        }
        PaymentEvent::PaymentRefundReversed(m) => {
            format!("refund {} of {} came back: {}", m.refund_id, manner.amount(m.amount_minor), m.detail)
        }
        PaymentEvent::PaymentDisputed(m) => {
            let fee = if m.fee_minor == 0 { String::new() } else { format!(", fee {}", manner.amount(m.fee_minor)) };
            format!("{} of {} {}{fee}", m.dispute_id, money(m.amount_minor, &m.currency), m.status)
        }
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

fn returned(return_id: &CommandId, lines: &[ReturnedStock]) -> String {
    let one = |line: &ReturnedStock| {
        format!("{} restocked and {} written off of {}", line.restocked, line.written_off, line.sku)
    };
    format!("return {return_id}: {}", lines.iter().map(one).collect::<Vec<_>>().join("; "))
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

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{AdjustStock, CommandId, CustomerId, OrderId, PlaceOrder, ReceiveStock, Sku};

    #[test]
    fn json_has_every_field_and_times_that_people_read() {
        let order = PlaceOrder::new(
            OrderId::new("o").unwrap(),
            CustomerId::new("c").unwrap(),
            Time::from_micros(1_483_271_606_000_001),
            "USD",
            vec![OrderLine { sku: Sku::new("s").unwrap(), quantity: 2, unit_price_minor: 50 }],
        );
        let expected = json!({
            "order_id": "o",
            "customer_id": "c",
            "placed_at": "2017-01-01T11:53:26.000001Z",
            "currency": "USD",
            "lines": [{ "sku": "s", "quantity": 2, "unit_price_minor": 50 }],
            "payment_provider": null,
            "payment_token": null,
            "capture": null,
            "fulfilment": null,
            "adjustments": [],
            "attributes": {},
            "replaces_order_id": null,
            "if_short": null,
            "place_at": null,
        });
        let message = Message::from(order);
        assert_eq!(body_json(&message), expected);
        assert_eq!(detail(&message), "1 line in USD");
    }

    /// The names of a schema's fields that hold a time, however deep.
    fn times_of(schema: &Value, found: &mut std::collections::BTreeSet<String>) {
        let is_time = |kind: &Value| kind["logicalType"] == "timestamp-micros";
        for field in schema["fields"].as_array().into_iter().flatten() {
            let kinds = field["type"].as_array().map_or_else(|| vec![&field["type"]], |kinds| kinds.iter().collect());
            if kinds.iter().any(|kind| is_time(kind)) {
                found.insert(field["name"].as_str().unwrap().to_owned());
            }
            for kind in kinds {
                times_of(kind, found);
                times_of(&kind["items"], found);
            }
        }
    }

    #[test]
    fn every_time_of_the_contract_is_shown_as_one() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/avro");
        let mut found = std::collections::BTreeSet::new();
        for topic in std::fs::read_dir(folder).unwrap() {
            for file in std::fs::read_dir(topic.unwrap().path()).unwrap() {
                let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
                times_of(&serde_json::from_str(&text).unwrap(), &mut found);
            }
        }
        assert_eq!(found, TIME_FIELDS.map(str::to_owned).into());
    }

    #[test]
    fn times_within_a_message_are_shown_and_an_attribute_of_their_name_is_left_as_it_is() {
        let hold = schemas::Hold { reason_code: "R".to_owned(), until: Time::from_micros(1) };
        let story = crate::story::Story::of(PlaceOrder {
            attributes: [("at".to_owned(), "5".to_owned())].into(),
            ..crate::story::place_order()
        });
        let OrderEvent::OrderPlaced(placed) = story.events[0].clone() else { panic!("no order was placed") };
        let body = body_json(&schemas::OrderPlaced { hold: Some(hold), ..placed }.into());
        assert_eq!(body["hold"]["until"], "1970-01-01T00:00:00.000001Z");
        assert_eq!((&body["attributes"]["at"], &body["at"]), (&json!("5"), &json!("1970-01-01T00:00:01.000000Z")));
    }

    #[test]
    fn what_is_shown_is_read_back() {
        let story = crate::story::Story::paid(PlaceOrder {
            attributes: [("at".to_owned(), "1970-01-01T00:00:00Z".to_owned())].into(),
            fulfilment: Some("on_command".to_owned()),
            ..crate::story::place_order()
        });
        for event in story.events {
            let message = Message::from(event);
            assert_eq!(message_of(message.message_type(), body_json(&message)).unwrap(), message);
        }
    }

    #[test]
    fn details_say_how_many() {
        let (sku, command_id) = (Sku::new("s").unwrap(), CommandId::new("c").unwrap());
        assert_eq!(detail(&ReceiveStock::of(sku.clone(), command_id.clone(), 7).into()), "7 pieces");
        let by = Some("ann".to_owned());
        assert_eq!(
            detail(&AdjustStock { sku, command_id, delta: -1, by, note: Some("counted".into()) }.into()),
            "-1 piece, by ann: counted"
        );
    }

    /// A value of a schema's type, of which there are several: also one of each list and map, and what a text may have.
    fn any_of(kind: &Value, turn: usize) -> Value {
        let with_items = || (0..turn % 3).map(|nth| any_of(&kind["items"], turn + nth)).collect();
        match kind {
            Value::Array(kinds) => any_of(&kinds[turn % kinds.len()], turn),
            Value::String(name) if name == "null" => Value::Null,
            Value::String(name) if name == "string" => format!("ä\"\\{turn}").into(),
            Value::String(name) if name == "boolean" => turn.is_multiple_of(2).into(),
            Value::String(_) => (1_483_271_606_000_001 % (1 + i64::try_from(turn).unwrap() * 1_000_000)).into(),
            Value::Object(_) => match kind["type"].as_str().unwrap() {
                "record" => {
                    let fields = kind["fields"].as_array().unwrap().iter().enumerate();
                    let value = |(nth, field): (usize, &Value)| {
                        (field["name"].as_str().unwrap().to_owned(), any_of(&field["type"], turn + nth))
                    };
                    Value::Object(fields.map(value).collect())
                }
                "array" => Value::Array(with_items()),
                "enum" => kind["symbols"][turn % kind["symbols"].as_array().unwrap().len()].clone(),
                "map" => json!({ "payment_token": "a\u{1}", "at": "b", "\"": "c" }),
                simple => any_of(&simple.into(), turn),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) => panic!("{kind} is no type"),
        }
    }

    #[test]
    fn the_text_of_any_message_is_that_of_its_json_without_the_payment_token() {
        let (mut kinds, mut tokens) = (0, 0);
        for kind in MessageType::ALL {
            let (topic, name) = (kind.topic().as_str(), kind.name());
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/avro");
            let file = format!("{folder}/{topic}/{name}.v{}.avsc", kind.schema_version());
            let schema = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
            for turn in 0..7 {
                let message = kind.deserialize(any_of(&schema, turn)).unwrap();
                let mut body = body_json(&message);
                tokens += usize::from(body.as_object_mut().unwrap().remove("payment_token").is_some());
                assert_eq!(shown_text(&message), body.to_string());
            }
            kinds += 1;
        }
        assert!(kinds > 30 && tokens > 0, "{kinds} kinds, {tokens} with a token");
    }
}
