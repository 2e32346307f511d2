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

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
