//! What a shop is told of by webhooks.

use serde_json::{Value, json};

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) kind: &'static str,
    pub(crate) order_id: String,
    pub(crate) object: Value,
    pub(crate) created_ms: i64,
}

impl Event {
    /// As it is sent.
    pub(crate) fn body(&self) -> String {
        let Event { id, kind, object, .. } = self;
        let event = json!({
            "id": id, "object": "event", "type": kind, "created": self.created_ms / 1_000, "livemode": false,
            "data": { "object": object },
        });
        event.to_string()
    }
}
