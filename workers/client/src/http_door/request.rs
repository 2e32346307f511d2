//! A command as a request: the path, the body, and the key by which a repetition is known.
//!
//! The body is the command's own, under the names that it has on the wire: an API's document has the same.

use schemas::{CommandId, Message, OrderCommand, StockCommand};
use serde_json::{Map, Value};

use super::HttpError;
use crate::body_json;

/// One request that asks for a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
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
            Message::StockCommand(command) => {
                let what = match command {
                    StockCommand::ReceiveStock(_) => "receipts",
                    StockCommand::AdjustStock(_) => "adjustments",
                };
                let path = ["stock", what].map(str::to_owned).to_vec();
                Ok(Request { path, body: body(message, &["command_id"]), key: Some(command.command_id().clone()) })
            }
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
            return Ok(Request { path: vec!["orders".to_owned()], body: body(message, &[]), key: None });
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
    if by.is_some() {
        return Err(not_over_http("the name of the key says who asks, and no --by".to_owned()));
    }
    let path = vec!["orders".to_owned(), command.key().to_string(), verb.to_owned()];
    Ok(Request { path, body: body(message, &["order_id", "command_id"]), key: command.command_id().cloned() })
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
    use schemas::{HoldOrder, OrderId, ReceiveStock, ResolveOrder, Sku, Time};
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
        let receipt = Request::of(&ReceiveStock { sku, command_id, quantity: 7 }.into()).unwrap();
        assert_eq!(
            (receipt.path.join("/"), receipt.body),
            ("stock/receipts".to_owned(), json!({ "sku": "s", "quantity": 7 }))
        );
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
