//! The bounds on ids, lines and texts keep whatever a service derives far below what a topic takes.

use std::collections::BTreeMap;

use apache_avro::Schema;
use schemas::*;
use serde::de::DeserializeSeed as _;
use serde_json::Value;

use crate::released;

const LONGEST_ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn size(message: impl Into<Message>) -> usize {
    Codec::embedded().encode(&message.into()).unwrap().len()
}

fn order_id() -> OrderId {
    OrderId::new(LONGEST_ID).unwrap()
}

/// The longest that a text of a message gets, by the field's name: identifiers by their own bound, what a person or a
/// provider says by `limits`, codes and ways by the words that are taken for them.
fn longest(field: &str) -> usize {
    match field {
        "order_id" | "customer_id" | "sku" | "command_id" | "refund_id" | "return_id" | "replaces_order_id"
        | "payment_provider" | "part" => LONGEST_ID.len(),
        "detail" | "by" | "note" | "carrier" | "tracking" | "payment_token" | "provider_reference" | "reason"
        | "dispute_id" | "status" | "letter" => limits::MAX_DETAIL_BYTES,
        "title" => limits::MAX_TITLE_BYTES,
        "attributes" => limits::MAX_ATTRIBUTE_BYTES,
        "reason_code" => limits::MAX_REASON_CODE_BYTES,
        "currency" => "USD".len(),
        "kind" => "discount".len(),
        "disposition" => "write_off".len(),
        "outcome" => "taken_back".len(),
        "step" => "PaymentAuthorization".len(),
        "message" | "request" => "PaymentRefundReversed".len(),
        "request_id" => "642089e0-2bc2-5900-a9a3-5334a332f18e".len(),
        "command" => "DescribeProduct".len(),
        "capture" | "fulfilment" | "if_short" => "at_shipment".len(),
        unknown => panic!("how long does {unknown} get?"),
    }
}

/// The most items of an array. A line may come back in two parts: what can be sold again and what cannot.
fn most(items_of: &str, record: &str) -> usize {
    match (items_of, record) {
        ("lines", "ReturnedLine") => limits::MAX_LINES * 2,
        ("lines", _) => limits::MAX_LINES,
        ("adjustments", _) => limits::MAX_ADJUSTMENTS,
        ("reasons" | "shortages", _) => limits::MAX_REASONS,
        unknown => panic!("how many are {unknown:?}?"),
    }
}

/// The largest body of a schema within the bounds.
fn largest(schema: &Schema, field: &str) -> Value {
    if let Schema::Record(record) = schema {
        record.fields.iter().map(|field| (field.name.clone(), largest(&field.schema, &field.name))).collect()
    } else if let Schema::Array(array) = schema {
        let record = array.items.name().unwrap().name();
        vec![largest(&array.items, field); most(field, record)].into()
    } else if let Schema::Map(map) = schema {
        let name = |number| format!("{number:0width$}", width = limits::MAX_ATTRIBUTE_BYTES);
        (0..limits::MAX_ATTRIBUTES).map(|number| (name(number), largest(&map.types, field))).collect()
    } else if let Schema::Union(union) = schema {
        largest(union.variants().last().unwrap(), field)
    } else if let Schema::Enum(symbols) = schema {
        symbols.symbols.last().unwrap().as_str().into()
    } else if matches!(schema, Schema::String) {
        LONGEST_ID.chars().cycle().take(longest(field)).collect::<String>().into()
    } else if matches!(schema, Schema::Int) {
        i32::MAX.into()
    } else if matches!(schema, Schema::TimestampMicros) {
        Time::MAX.as_micros().into()
    } else {
        assert!(matches!(schema, Schema::Long), "no largest {schema:?}");
        i64::MAX.into()
    }
}

fn largest_bytes(message_type: MessageType) -> usize {
    let body = largest(&released::newest(message_type).schema(), "");
    size(message_type.deserialize(body).unwrap())
}

#[test]
fn the_largest_order_that_is_accepted_is_small() {
    let bytes = largest_bytes(MessageType::OrderPlaced);
    assert!((50_000..60_000).contains(&bytes), "{bytes}");
}

#[test]
fn the_largest_refusal_is_small() {
    for message_type in [MessageType::OrderRejected, MessageType::OrderCommandRefused, MessageType::StockCommandRefused]
    {
        let bytes = largest_bytes(message_type);
        assert!((5_000..6_000).contains(&bytes), "{message_type}: {bytes}");
    }
}

#[test]
fn no_message_of_an_accepted_order_is_larger_than_its_first() {
    let placed = largest_bytes(MessageType::OrderPlaced);
    for message_type in MessageType::ALL {
        let bytes = largest_bytes(message_type);
        assert!(bytes <= placed, "{message_type}: {bytes}");
        // What an order carries and what made it happen, but no lines.
        let body = largest(&released::newest(message_type).schema(), "");
        if body.get("lines").is_none() && body.get("shortages").is_none() {
            assert!(bytes < 10_000, "{message_type}: {bytes}");
        }
    }
}

#[test]
fn a_total_and_the_one_above_it_are_exact_where_numbers_are_doubles() {
    // From there on a double does not tell a whole number from the next one.
    assert_eq!(limits::MAX_TOTAL_MINOR + 2, 1 << f64::MANTISSA_DIGITS);
}

#[test]
fn a_payload_beyond_the_limit_is_not_written() {
    let declined = |bytes: usize| PaymentDeclined {
        order_id: order_id(),
        version: 1,
        at: Time::MAX,
        customer_id: CustomerId::new(LONGEST_ID).unwrap(),
        currency: "USD".to_owned(),
        amount_minor: 1,
        detail: "x".repeat(bytes),
    };
    let around = size(declined(0));
    let fits = declined(limits::MAX_PAYLOAD_BYTES - around - 2); // two more bytes for the text's length
    let payload = Codec::embedded().encode(&fits.clone().into()).unwrap();
    assert_eq!(payload.len(), limits::MAX_PAYLOAD_BYTES);
    assert_eq!(Codec::embedded().decode(TopicName::PaymentEvents, &payload), Ok(fits.into()));

    let bytes = limits::MAX_PAYLOAD_BYTES + 1;
    let error = Codec::embedded().encode(&declined(limits::MAX_PAYLOAD_BYTES - around - 1).into());
    assert_eq!(error, Err(EncodeError::TooLarge { message_type: MessageType::PaymentDeclined, bytes }));
}

#[test]
fn the_first_and_the_last_of_the_years_1_to_9999_travel() {
    let confirmed = |at| OrderConfirmed {
        order_id: order_id(),
        version: 1,
        at,
        attributes: BTreeMap::new(),
        origin: None,
        ship_by: Some(at),
    };
    let codec = Codec::embedded();
    for at in [Time::EARLIEST, Time::MAX, "9999-12-31T23:59:59Z".parse().unwrap()] {
        let message = Message::from(confirmed(at));
        let payload = codec.encode(&message).unwrap();
        assert_eq!(codec.decode(TopicName::OrderEvents, &payload), Ok(message), "{at}");
    }
}

#[test]
fn a_text_that_may_not_travel_is_not_written_and_the_field_is_named() {
    let stuck = |detail: &str, name: &str, value: &str, step: &str| OrderStuck {
        order_id: order_id(),
        version: 1,
        at: Time::EARLIEST,
        awaiting: Awaiting::StockCommit,
        detail: detail.to_owned(),
        attributes: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        origin: None,
        step: Some(step.to_owned()),
    };
    assert!(size(stuck("a", "b", "c", "d")) > 0);
    for (field, stuck) in [
        ("detail", stuck("a\0b", "", "", "")),
        ("attributes", stuck("", "a\0b", "", "")),
        ("attributes", stuck("", "", "a\0b", "")),
        ("step", stuck("", "", "", "a\0b")),
    ] {
        let error = Codec::embedded().encode(&stuck.into()).unwrap_err();
        let EncodeError::Unrepresentable { message_type: MessageType::OrderStuck, detail } = error else {
            panic!("{error}")
        };
        assert!(detail.contains(&format!("field {field}")) && detail.contains("U+0000"), "{detail}");
    }
}
