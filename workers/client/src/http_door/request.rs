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
    let (verb, by) = match command {
        OrderCommand::PlaceOrder(_) => {
            let (method, path) = (Method::POST, vec!["orders".to_owned()]);
            return Ok(Request { method, path, body: body(message, &[]), key: None });
        }
        OrderCommand::ShipOrder(m) => ("ship", &m.by),
        OrderCommand::CancelOrder(m) => ("cancel", &m.by),
        OrderCommand::RefundOrder(m) => ("refunds", &m.by),
        OrderCommand::RequestReturn(m) => ("returns", &m.by),
        OrderCommand::HoldOrder(m) => ("hold", &m.by),
        OrderCommand::ReleaseOrder(m) => ("release", &m.by),
        OrderCommand::RejectOrder(m) => ("reject", &m.by),
        OrderCommand::ReceiveReturn(_)
        | OrderCommand::RetryOrder(_)
        | OrderCommand::SkipOrderStep(_)
        | OrderCommand::ResolveOrder(_) => {
            return Err(not_over_http(format!("nobody can ask for {}", command.name())));
        }
    };
    the_key_says(by.as_deref())?;
    let path = vec!["orders".to_owned(), command.key().to_string(), verb.to_owned()];
    let body = body(message, &["order_id", "command_id"]);
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
    use schemas::{DescribeProduct, HoldOrder, OrderId, ReceiveStock, ResolveOrder, Sku, Time};
    use serde_json::json;

    use super::*;
    use crate::story::{id, place_order};

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
    fn what_nobody_can_ask_for_is_said() {
        let by = Request::of(&HoldOrder { by: Some("ann".to_owned()), ..hold() }.into()).unwrap_err().to_string();
        assert!(by.starts_with("over HTTP the name of the key says who asks"), "{by}");
        let (order_id, command_id, outcome) = (place_order().order_id, id("r"), "cancelled".to_owned());
        let resolve = ResolveOrder { order_id, command_id, outcome, by: None, note: None };
        assert!(Request::of(&resolve.into()).unwrap_err().to_string().contains("ResolveOrder"));
    }
}
