//! A contract for the unit tests: topics by name, texts as messages.

use outbox::inbox::place::Place;
use uuid::Uuid;

use crate::contract::{Contract, Origin};

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

    fn message_id(service: &str, origin: Origin<'_>, _: Option<&String>, index: u32) -> Uuid {
        let name = match origin {
            Origin::Version { aggregate, version } => format!("{service}/{aggregate}/{version}/{index}"),
            Origin::Record { topic, place: Place { partition, offset } } => {
                format!("{service}/{topic}/{partition}/{offset}/{index}")
            }
        };
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
    }

    fn decode(&self, _: &'static str, payload: &[u8]) -> Result<String, String> {
        String::from_utf8(payload.to_vec()).map_err(|error| error.to_string())
    }

    fn encode(&self, message: &String) -> Result<Vec<u8>, String> {
        Ok(message.clone().into_bytes())
    }
}
