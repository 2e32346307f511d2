//! The golden files: for each schema version some bodies, written out, and the payloads that they became.
//!
//! The payloads were written by another Avro implementation (fastavro), so they show that the two agree.

use std::fs;

use schemas::*;
use serde::de::DeserializeSeed as _;
use serde_json::Value;

use crate::released::{self, Released};

/// One body and its payload.
pub(crate) struct Sample {
    pub(crate) released: Released,
    pub(crate) body: Value,
    pub(crate) payload: Vec<u8>,
}

impl Sample {
    pub(crate) fn topic(&self) -> TopicName {
        self.released.topic()
    }

    pub(crate) fn message_type(&self) -> MessageType {
        MessageType::of_ce_type(&self.released.ce_type()).unwrap()
    }

    /// Whether a message of this kind is still written so.
    pub(crate) fn is_current(&self) -> bool {
        self.message_type().type_name() == self.released.ce_type()
    }

    /// The body with what the version that is written has beyond the sample's, as that schema's defaults.
    pub(crate) fn body_of_today(&self) -> Value {
        let newest = released::newest(self.message_type());
        let mut body = self.body.clone();
        complete(&mut body, &serde_json::from_str(&newest.text()).unwrap());
        body
    }

    /// The message that the body is.
    pub(crate) fn message(&self) -> Message {
        self.message_type().deserialize(self.body.clone()).unwrap()
    }
}

/// Every sample of every released schema; fails if one has none.
pub(crate) fn all() -> Vec<Sample> {
    released::all().into_iter().flat_map(of).collect()
}

fn of(released: Released) -> Vec<Sample> {
    let path = released::folder().join("tests/golden").join(format!("{}.json", released.ce_type()));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["type"], released.ce_type());
    assert_eq!(file["topic"], released.topic);
    let samples = file["samples"].as_array().unwrap();
    assert!(!samples.is_empty(), "{} has no sample", path.display());
    let sample = |sample: &Value| Sample {
        released: released.clone(),
        body: sample["body"].clone(),
        payload: bytes(sample["payload"].as_str().unwrap()),
    };
    samples.iter().map(sample).collect()
}

/// Gives a body the defaults of the fields that it lacks, in the items of its arrays too.
fn complete(body: &mut Value, schema: &Value) {
    if let Some(record) = body.as_object_mut() {
        for field in schema["fields"].as_array().into_iter().flatten() {
            let name = field["name"].as_str().unwrap();
            if let Some(value) = record.get_mut(name) {
                complete(value, &field["type"]);
            } else {
                let default = field.get("default").unwrap_or_else(|| panic!("{name} has no default"));
                record.insert(name.to_owned(), default.clone());
            }
        }
    } else if let Some(items) = body.as_array_mut() {
        items.iter_mut().for_each(|item| complete(item, &schema["items"]));
    }
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
