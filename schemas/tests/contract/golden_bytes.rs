//! What was once on a topic stays readable, and what we write today is what we always wrote.

use std::collections::BTreeSet;

use schemas::{Codec, MessageType, Time};

use crate::samples::{self, hex};

#[test]
fn every_golden_payload_is_read_as_its_written_out_body() {
    let codec = Codec::embedded();
    for sample in samples::all() {
        let ce_type = sample.released.ce_type();
        let message =
            codec.decode(sample.topic(), &sample.payload).unwrap_or_else(|error| panic!("{ce_type}: {error}"));
        assert_eq!(message, sample.message(), "{ce_type}");
        assert_eq!(codec.type_of(&sample.payload), Some(ce_type.as_str()));
    }
}

#[test]
fn every_body_of_a_current_type_is_written_as_its_golden_payload() {
    let codec = Codec::embedded();
    let mut written = BTreeSet::new();
    for sample in samples::all() {
        let message = sample.message();
        if !sample.is_current() {
            continue; // an older version: read for ever, written no more
        }
        assert_eq!(hex(&codec.encode(&message).unwrap()), hex(&sample.payload), "{}", message.type_name());
        written.insert(message.type_name());
    }
    let types = MessageType::ALL.map(MessageType::type_name);
    assert_eq!(written, BTreeSet::from(types), "a type has no golden file");
}

#[test]
fn a_message_says_of_itself_what_its_body_says_and_is_written_as_it() {
    for sample in samples::all() {
        let message = sample.message();
        let key = if sample.body.get("order_id").is_some() { "order_id" } else { "sku" };
        assert_eq!(Some(message.key()), sample.body[key].as_str());
        assert_eq!(message.version(), sample.body.get("version").map(|version| version.as_i64().unwrap()));
        assert_eq!(message.topic(), sample.topic());
        assert_eq!(message.name(), sample.released.full_name.rsplit('.').next().unwrap());
        assert_eq!(message.at().map(Time::as_micros), sample.body.get("at").map(|at| at.as_i64().unwrap()));
        assert_eq!(serde_json::to_value(&message).unwrap(), sample.body_of_today(), "{}", message.type_name());
    }
}
