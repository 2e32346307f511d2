//! A contract for the unit tests: topics by name, texts as messages.

use crate::contract::Contract;

/// Letters of text; the key is the text's first word.
pub(crate) struct Letters;

impl Contract for Letters {
    type Topic = &'static str;
    type Message = String;

    const TOPICS: &'static [&'static str] = &["order.commands.v1"];

    fn topic_name(topic: &'static str) -> &'static str {
        topic
    }

    fn written_by(_: &'static str) -> Option<&'static str> {
        None
    }

    fn topic(_: &String) -> &'static str {
        Self::TOPICS[0]
    }

    fn key(message: &String) -> &str {
        message.split(' ').next().unwrap_or_default()
    }

    fn name(_: &String) -> &'static str {
        "Letter"
    }

    fn decode(&self, _: &'static str, payload: &[u8]) -> Result<String, String> {
        String::from_utf8(payload.to_vec()).map_err(|error| error.to_string())
    }

    fn encode(&self, message: &String) -> Result<Vec<u8>, String> {
        Ok(message.clone().into_bytes())
    }
}
