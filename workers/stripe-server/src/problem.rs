//! What is answered instead of an object: the provider's errors.

use serde_json::{Value, json};

/// An error, as the provider says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) code: Option<&'static str>,
    pub(crate) param: Option<&'static str>,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let kind = "invalid_request_error";
        Problem { status, kind, code: Some(code), param: None, message: message.into() }
    }

    /// A card that is refused.
    pub(crate) fn of_card(code: &'static str) -> Self {
        Problem { kind: "card_error", ..Problem::new(402, code, "Your card was declined.") }
    }

    pub(crate) fn about(self, param: &'static str) -> Self {
        Problem { param: Some(param), ..self }
    }

    /// Something that is not there.
    pub(crate) fn missing(what: &str, id: &str) -> Self {
        Problem::new(404, "resource_missing", format!("No such {what}: '{id}'")).about("id")
    }

    /// A parameter that is not there, or is wrong.
    pub(crate) fn parameter(param: &'static str) -> Self {
        Problem::new(400, "parameter_missing", format!("Missing or wrong required param: {param}.")).about(param)
    }

    /// A payment that is in another state.
    pub(crate) fn state(status: &str) -> Self {
        let message = format!("This PaymentIntent could not be changed because it has a status of {status}.");
        Problem::new(400, "payment_intent_unexpected_state", message)
    }

    pub(crate) fn body(&self) -> Value {
        let Problem { kind, code, param, message, .. } = self;
        json!({ "error": { "type": kind, "code": code, "param": param, "message": message } })
    }
}
