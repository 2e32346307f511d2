//! The headers of a message that a client publishes, and what a reader takes from those that it finds.
//!
//! CloudEvents 1.0 in Kafka binary mode plus `content-type` and W3C `traceparent`. No `outbox-position`: a client has no
//! outbox; and no validation of what strangers send, beyond being UTF-8.

use jiff::Timestamp;
use rdkafka::message::{BorrowedMessage, Header, OwnedHeaders};
use schemas::{Message, Time};
use uuid::Uuid;

use outbox::kafka::record_headers;

/// The headers of one message.
pub(super) fn outgoing(message: &Message, id: Uuid, source: &str, now: Timestamp, trace_parent: &str) -> OwnedHeaders {
    let id = id.to_string();
    let time = Time::from(now).to_string();
    [
        ("ce_specversion", "1.0"),
        ("ce_id", id.as_str()),
        ("ce_source", source),
        ("ce_type", message.type_name()),
        ("ce_time", time.as_str()),
        ("ce_subject", message.key()),
        ("content-type", "application/avro"),
        ("traceparent", trace_parent),
    ]
    .into_iter()
    .fold(OwnedHeaders::new_with_capacity(8), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    })
}

/// A `traceparent` that begins a new trace, sampled.
pub fn new_trace_parent() -> String {
    let trace = Uuid::now_v7();
    let [.., a, b, c, d, e, f, g, h] = *Uuid::now_v7().as_bytes();
    let span = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    format!("00-{}-{span:016x}-01", trace.simple())
}

/// The value of the last header of this name as text, when there is one and it is UTF-8.
pub(super) fn text<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
    let mut found = None;
    record_headers::visit(message, |each, value| {
        if each == name {
            found = value;
        }
    });
    std::str::from_utf8(found?).ok()
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers;

    use super::*;
    use schemas::{CancelOrder, CommandId, OrderId};

    #[test]
    fn every_header_of_the_contract_is_there_in_its_form() {
        let command = CancelOrder::new(OrderId::new("o-1").unwrap(), CommandId::new("c-1").unwrap());
        let now: Timestamp = "2017-01-01T11:53:26.000123Z".parse().unwrap();
        let id = Uuid::from_u128(7);
        let headers = outgoing(&command.into(), id, "/orders", now, "00-0-0-01");
        let found: Vec<(String, String)> =
            headers.iter().map(|h| (h.key.to_owned(), String::from_utf8(h.value.unwrap().to_vec()).unwrap())).collect();
        let expected = [
            ("ce_specversion", "1.0"),
            ("ce_id", "00000000-0000-0000-0000-000000000007"),
            ("ce_source", "/orders"),
            ("ce_type", "shop.order.CancelOrder.v2"),
            ("ce_time", "2017-01-01T11:53:26.000123Z"),
            ("ce_subject", "o-1"),
            ("content-type", "application/avro"),
            ("traceparent", "00-0-0-01"),
        ];
        assert_eq!(found, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_new_trace_parent_has_the_w3c_form_and_is_new() {
        let one = new_trace_parent();
        let parts: Vec<&str> = one.split('-').collect();
        assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{one}");
        assert!(parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())));
        assert_ne!(one, new_trace_parent());
    }
}
