//! An edited copy of a letter: what `show --json` prints, with another body.

use client::{FieldError, TIME_FIELDS, unique_keys};
use schemas::{Codec, EncodeError, Message, MessageType, Time, TopicName};
use serde::Deserialize;
use serde::de::DeserializeSeed as _;
use serde_json::Value;
use serde_path_to_error::{Deserializer, Error, Track};

/// A message in place of a letter's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The message.
    pub message: Message,
    /// The same, encoded by its schema.
    pub payload: Vec<u8>,
}

/// Why a file is no edited copy.
#[derive(Debug, thiserror::Error)]
pub enum EditedError {
    /// Not JSON, or with a key that is there twice: nobody could say which of the two is meant.
    #[error("{0}")]
    Json(FieldError),
    /// Without the two fields.
    #[error("it is not a JSON object with \"type\" and \"body\": {0}")]
    Shape(Error<serde_json::Error>),
    /// The body lacks a field, or has one of another kind.
    #[error("the body is no {name}: {source}")]
    Body {
        /// The type.
        name: String,
        /// Which field, and why.
        source: Error<serde_json::Error>,
    },
    /// A time that is none.
    #[error("{field} is not a time (RFC 3339, as 2026-11-21T12:00:00Z): {text:?}")]
    Time {
        /// Which field.
        field: &'static str,
        /// What stands there.
        text: String,
    },
    /// A type that nobody may send to this topic.
    #[error("{name} is not a message for {topic}; it takes {}", names(*topic))]
    Type {
        /// What the file says.
        name: String,
        /// The letter's topic.
        topic: TopicName,
    },
    /// The contract has no room for it.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

#[derive(Deserialize)]
struct Copy {
    #[serde(rename = "type")]
    name: String,
    body: Value,
}

impl Edited {
    /// From a file's text, for a letter of this topic.
    pub(crate) fn read(text: &str, topic: TopicName, codec: &Codec) -> Result<Edited, EditedError> {
        let whole = unique_keys::parse(text.as_bytes()).map_err(EditedError::Json)?;
        let Copy { name, body } = serde_path_to_error::deserialize(whole).map_err(EditedError::Shape)?;
        Edited::made(name, body, topic, codec)
    }

    /// Of a type's name and a body's text.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn of(name: &str, body: &str, topic: TopicName, codec: &Codec) -> Result<Edited, EditedError> {
        let body = unique_keys::parse(body.as_bytes()).map_err(EditedError::Json)?;
        Edited::made(name.to_owned(), body, topic, codec)
    }

    fn made(name: String, mut body: Value, topic: TopicName, codec: &Codec) -> Result<Edited, EditedError> {
        read_times(&mut body)?;
        let Some(kind) = open_kinds(topic).find(|kind| kind.name() == name) else {
            return Err(EditedError::Type { name, topic });
        };
        let mut track = Track::new();
        let message = kind
            .deserialize(Deserializer::new(body, &mut track))
            .map_err(|source| EditedError::Body { name, source: Error::new(track.path(), source) })?;
        let payload = codec.encode(&message)?;
        Ok(Edited { message, payload })
    }
}

/// What anyone may send to a topic.
pub fn open_kinds(topic: TopicName) -> impl Iterator<Item = MessageType> {
    MessageType::on(topic).filter(move |_| topic.written_by().is_none())
}

/// Times are shown for people; messages hold microseconds.
fn read_times(body: &mut Value) -> Result<(), EditedError> {
    let Value::Object(fields) = body else { return Ok(()) };
    for field in TIME_FIELDS {
        if let Some(value) = fields.get_mut(field)
            && let Value::String(text) = value
        {
            let time = text.parse::<Time>();
            let time = time.map_err(|_| EditedError::Time { field, text: std::mem::take(text) })?;
            *value = Value::from(time.as_micros());
        }
    }
    Ok(())
}

fn names(topic: TopicName) -> String {
    let names: Vec<&str> = open_kinds(topic).map(MessageType::name).collect();
    if names.is_empty() { "only what its service writes".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use client::body_json;

    use super::*;

    fn order() -> Value {
        serde_json::json!({
            "order_id": "o", "customer_id": "c", "placed_at": "2017-01-01T11:53:26.000001Z", "currency": "USD",
            "lines": [{ "sku": "s", "quantity": 2, "unit_price_minor": 50 }],
        })
    }

    fn read(name: &str, body: Value, topic: TopicName) -> Result<Edited, EditedError> {
        let text = serde_json::json!({ "type": name, "body": body, "letter": "ignored" }).to_string();
        Edited::read(&text, topic, &Codec::embedded())
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let edited = read("PlaceOrder", order(), TopicName::OrderCommands).unwrap();
        let shown = body_json(&edited.message);
        for (field, value) in order().as_object().unwrap() {
            assert_eq!(shown.get(field), Some(value), "{field}");
        }
        // With all that may be left out.
        assert_eq!(read("PlaceOrder", shown, TopicName::OrderCommands).unwrap(), edited);
        assert_eq!(Codec::embedded().decode(TopicName::OrderCommands, &edited.payload), Ok(edited.message));
    }

    #[test]
    fn mistakes_are_named_by_their_place() {
        let mistake = |from: &str, to: &str| {
            let text = serde_json::json!({ "type": "PlaceOrder", "body": order() }).to_string();
            assert!(text.contains(from), "{text}");
            let edited = Edited::read(&text.replace(from, to), TopicName::OrderCommands, &Codec::embedded());
            edited.unwrap_err().to_string()
        };
        let words = mistake(r#""quantity":2"#, r#""quantity":"2""#);
        assert!(words.starts_with("the body is no PlaceOrder: lines[0].quantity: invalid type: string"), "{words}");
        let words = mistake(r#""order_id":"o""#, r#""order_id":"""#);
        assert!(words.starts_with("the body is no PlaceOrder: order_id: "), "{words}");
        assert_eq!(
            mistake(r#""quantity":2"#, r#""quantity":2,"quantity":100"#),
            "body.lines[0].quantity: is there twice"
        );
        assert!(mistake(r#"{"body""#, r#""body""#).starts_with("not JSON: "));
    }

    #[test]
    fn mistakes_are_told_in_words() {
        let topic = TopicName::OrderCommands;
        let mut body = order();
        body["placed_at"] = "yesterday".into();
        assert!(read("PlaceOrder", body, topic).unwrap_err().to_string().contains("yesterday"));
        let mut body = order();
        body["order_id"] = "".into();
        assert!(read("PlaceOrder", body, topic).unwrap_err().to_string().contains("no PlaceOrder"));
        assert!(read("OrderPlaced", order(), topic).unwrap_err().to_string().contains("CancelOrder"));
        assert!(read("PlaceOrder", order(), TopicName::PaymentEvents).unwrap_err().to_string().contains("its service"));
        assert!(Edited::read("[]", topic, &Codec::embedded()).is_err());
    }
}
