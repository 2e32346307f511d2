//! A command as a request: the path, the body, and the key by which a repetition is known.
//!
//! The body is the command's own, under the names that it has on the wire: an API's document has the same.

use reqwest::Method;
use schemas::{CommandId, Message, OrderCommand, StockCommand};
use serde_json::{Map, Value};

use super::HttpError;
use crate::body_json;

/// One request that asks for a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub(super) method: Method,
    pub(super) path: Vec<String>,
    pub(super) body: Value,
    pub(super) key: Option<CommandId>,
}

impl Request {
    /// For this command.
    ///
    /// # Errors
    /// It is none that anybody can ask for over HTTP.
    pub fn of(message: &Message) -> Result<Self, HttpError> {
        match message {
            Message::OrderCommand(command) => of_order(command, message),
            Message::StockCommand(command) => of_stock(command, message),
            Message::OrderEvent(_)
            | Message::InventoryCommand(_)
            | Message::InventoryEvent(_)
            | Message::StockEvent(_)
            | Message::PaymentCommand(_)
            | Message::PaymentEvent(_) => Err(not_over_http(format!("nobody can send {}", message.name()))),
        }
    }
}

fn of_order(command: &OrderCommand, message: &Message) -> Result<Request, HttpError> {
    let (verb, by): (&[&str], _) = match command {
        OrderCommand::RedriveDeadLetter(_) => {
            let words = "a dead letter is redriven in the console, or by `replay-tool dead-letters`";
            return Err(not_over_http(words.to_owned()));
        }
        OrderCommand::PlaceOrder(_) => {
            let (method, path) = (Method::POST, vec!["orders".to_owned()]);
            return Ok(Request { method, path, body: body(message, &[]), key: None });
        }
        OrderCommand::ShipOrder(m) => (&["ship"], &m.by),
        OrderCommand::CancelOrder(m) => (&["cancel"], &m.by),
        OrderCommand::RefundOrder(m) => (&["refunds"], &m.by),
        OrderCommand::RequestReturn(m) => (&["returns"], &m.by),
        OrderCommand::ReceiveReturn(m) => (&["returns", m.return_id.as_str(), "receipt"], &m.by),
        OrderCommand::HoldOrder(m) => (&["hold"], &m.by),
        OrderCommand::ReleaseOrder(m) => (&["release"], &m.by),
        OrderCommand::RejectOrder(m) => (&["reject"], &m.by),
        OrderCommand::RetryOrder(m) => (&["retry"], &m.by),
        OrderCommand::SkipOrderStep(m) => (&["skip"], &m.by),
        OrderCommand::ResolveOrder(m) => (&["resolve"], &m.by),
    };
    the_key_says(by.as_deref())?;
    let path = ["orders", command.key().as_str()].iter().chain(verb).map(|part| (*part).to_owned()).collect();
    let body = body(message, &["order_id", "command_id", "return_id"]);
    Ok(Request { method: Method::POST, path, body, key: command.command_id().cloned() })
}

fn of_stock(command: &StockCommand, message: &Message) -> Result<Request, HttpError> {
    let (method, path, by) = match command {
        StockCommand::ReceiveStock(m) => (Method::POST, ["stock", "receipts"], &m.by),
        StockCommand::AdjustStock(m) => (Method::POST, ["stock", "adjustments"], &m.by),
        StockCommand::DescribeProduct(m) => (Method::PUT, ["products", m.sku.as_str()], &m.by),
    };
    the_key_says(by.as_deref())?;
    let elsewhere: &[&str] = if method == Method::PUT { &["sku", "command_id"] } else { &["command_id"] };
    let (path, body) = (path.map(str::to_owned).to_vec(), body(message, elsewhere));
    Ok(Request { method, path, body, key: Some(command.command_id().clone()) })
}

/// Who asks is the key's to say.
fn the_key_says(by: Option<&str>) -> Result<(), HttpError> {
    match by {
        None => Ok(()),
        Some(_) => Err(not_over_http("the name of the key says who asks, and no --by".to_owned())),
    }
}

fn not_over_http(what: String) -> HttpError {
    HttpError::NotOverHttp { what }
}

/// What is said in other places is left out, and what is not said.
fn body(message: &Message, elsewhere: &[&str]) -> Value {
    let Value::Object(fields) = body_json(message) else { return Value::Null };
    let said = fields.into_iter().filter(|(name, value)| !value.is_null() && !elsewhere.contains(&name.as_str()));
    Value::Object(said.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use schemas::{
        DescribeProduct, HoldOrder, OrderId, ReceiveReturn, ReceiveStock, ResolveOrder, RetryOrder, ReturnedLine,
        SkipOrderStep, Sku, Time,
    };
    use serde_json::json;

    use super::*;
    use crate::story::{Story, id, place_order};

    fn hold() -> HoldOrder {
        let (order_id, until) = (OrderId::new("a/b").unwrap(), Some(Time::from_micros(0)));
        HoldOrder { order_id, command_id: id("h"), reason_code: "R".to_owned(), until, by: None, note: None }
    }

    #[test]
    fn a_command_has_its_path_its_key_and_what_is_left_to_say() {
        let request = Request::of(&hold().into()).unwrap();
        assert_eq!(request.path, ["orders", "a/b", "hold"]);
        assert_eq!(request.body, json!({ "reason_code": "R", "until": "1970-01-01T00:00:00.000000Z" }));
        assert_eq!(request.key, Some(id("h")));
        let placing = Request::of(&place_order().into()).unwrap();
        assert_eq!((placing.path, placing.key), (vec!["orders".to_owned()], None));
        assert_eq!((&placing.body["order_id"], placing.body.get("if_short")), (&json!("o-1"), None));
        let (sku, command_id) = (Sku::new("s").unwrap(), CommandId::new("r").unwrap());
        let receipt = Request::of(&ReceiveStock::of(sku.clone(), command_id.clone(), 7).into()).unwrap();
        assert_eq!(
            (receipt.path.join("/"), receipt.body),
            ("stock/receipts".to_owned(), json!({ "sku": "s", "quantity": 7 }))
        );
        let (title, currency) = ("Pen".to_owned(), "EUR".to_owned());
        let describe = DescribeProduct { sku, command_id, title, price_minor: 250, currency, by: None, note: None };
        let described = Request::of(&describe.into()).unwrap();
        assert_eq!((described.method, described.path.join("/")), (Method::PUT, "products/s".to_owned()));
        assert_eq!(described.body, json!({ "title": "Pen", "price_minor": 250, "currency": "EUR" }));
    }

    #[test]
    fn a_return_that_is_received_and_what_frees_an_order_have_paths_of_their_own() {
        let (order_id, command_id, by) = (OrderId::new("o").unwrap(), id("k"), None);
        let note = Some("n".to_owned());
        let lines = vec![ReturnedLine { line: 1, quantity: 2, disposition: "restock".to_owned() }];
        let came = json!([{ "line": 1, "quantity": 2, "disposition": "restock" }]);
        let receive = ReceiveReturn {
            order_id: order_id.clone(),
            command_id: command_id.clone(),
            return_id: id("r/1"),
            lines,
            refund_minor: Some(0),
            by: by.clone(),
            note: note.clone(),
        };
        let retry = RetryOrder {
            order_id: order_id.clone(),
            command_id: command_id.clone(),
            step: None,
            by: by.clone(),
            note: None,
        };
        let skip = SkipOrderStep {
            order_id: order_id.clone(),
            command_id: command_id.clone(),
            step: Some("PaymentVoid".to_owned()),
            by: by.clone(),
            note: note.clone(),
        };
        let resolve = ResolveOrder { order_id, command_id, outcome: "cancelled".to_owned(), by, note };
        for (command, path, said) in [
            (
                OrderCommand::from(receive),
                &["returns", "r/1", "receipt"][..],
                json!({ "lines": came, "refund_minor": 0, "note": "n" }),
            ),
            (retry.into(), &["retry"], json!({})),
            (skip.into(), &["skip"], json!({ "step": "PaymentVoid", "note": "n" })),
            (resolve.into(), &["resolve"], json!({ "outcome": "cancelled", "note": "n" })),
        ] {
            let request = Request::of(&command.into()).unwrap();
            assert_eq!(request.path, [&["orders", "o"][..], path].concat());
            assert_eq!((request.body, request.key), (said, Some(id("k"))), "{path:?}");
        }
    }

    #[test]
    fn what_nobody_can_ask_for_is_said() {
        let by = Request::of(&HoldOrder { by: Some("ann".to_owned()), ..hold() }.into()).unwrap_err().to_string();
        assert!(by.starts_with("over HTTP the name of the key says who asks"), "{by}");
        let event = Message::from(Story::of(place_order()).events[0].clone());
        assert!(Request::of(&event).unwrap_err().to_string().contains("nobody can send OrderPlaced"));
    }
}
