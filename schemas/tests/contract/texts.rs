//! What the codec accepts can be stored: no text of any message has a character that a column cannot hold.

use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use schemas::{Codec, DecodeError, Message, MessageType, OrderCommand, text};

use crate::released;
use crate::round_trip::datum;

/// Texts as strangers send them: mostly an identifier, sometimes with a control character anywhere, U+0000 first of all.
fn any_text() -> BoxedStrategy<String> {
    let control =
        ("[a-z]{0,3}", prop_oneof![Just('\0'), prop::char::range('\u{1}', '\u{1f}'), Just('\u{7f}')], "[a-z]{0,3}");
    prop_oneof![9 => "[a-zA-Z0-9_./-]{1,8}", 1 => control.prop_map(|(before, c, after)| format!("{before}{c}{after}"))]
        .boxed()
}

/// Every text in a message, for whoever stores it. The currency of a `PlaceOrder` is judged before anything is stored.
fn texts(message: &Message, datum: &apache_avro::types::Value) -> Vec<String> {
    use apache_avro::types::Value;
    let is_placing = matches!(message, Message::OrderCommand(OrderCommand::PlaceOrder(_)));
    let mut found = Vec::new();
    let mut left = vec![("", datum)];
    while let Some((name, value)) = left.pop() {
        if let Value::Record(fields) = value {
            left.extend(fields.iter().map(|(name, value)| (name.as_str(), value)));
        } else if let Value::Array(items) = value {
            left.extend(items.iter().map(|item| (name, item)));
        } else if let Value::Map(items) = value {
            found.extend(items.keys().cloned());
            left.extend(items.values().map(|item| (name, item)));
        } else if let Value::Union(_, inner) = value {
            left.push((name, inner));
        } else if let Value::String(text) = value
            && !(is_placing && name == "currency")
        {
            found.push(text.clone());
        }
    }
    found
}

#[test]
fn whatever_is_read_can_be_stored_and_the_rest_is_refused_with_the_field_s_reason() {
    let codec = Codec::embedded();
    for released in released::all() {
        let message_type = MessageType::of_ce_type(&released.ce_type()).unwrap();
        let schema = released.schema();
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) };
        let outcome = TestRunner::new(config).run(&datum(&schema, &any_text()), |value| {
            let mut payload = vec![0];
            payload.extend(released.id.to_be_bytes());
            payload.extend(writer.write_value_to_vec(value.clone()).unwrap());
            match codec.decode(released.topic(), &payload) {
                Ok(message) => {
                    let texts = texts(&message, &value);
                    prop_assert!(texts.iter().all(|text| text::is_storable(text)), "{texts:?}");
                    prop_assert_eq!(codec.encode(&message).map(|_| ()), Ok(()));
                }
                Err(DecodeError::Malformed { detail, .. }) => {
                    prop_assert!(detail.contains("U+0000") || detail.contains("control character"), "{detail}");
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{message_type}: {error}"));
    }
}
