//! How far topics are folded: to their ends, to a vector of offsets, or to a time.
//!
//! A time becomes a vector: of each partition, everything before the first record whose own timestamp is later. The
//! relay stamps records when it publishes them, in the order of their sequences, so what a time cuts off is always the end
//! of a partition. Decisions' own times (`ce_time`) cut nothing: the clocks of two workers may disagree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Offsets by topic, without prefix, and partition: everything below them is folded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vector(BTreeMap<String, Vec<i64>>);

impl Vector {
    /// The offsets of a topic's partitions; none where the vector does not name the topic.
    pub fn of(&self, topic: &str) -> Option<&[i64]> {
        self.0.get(topic).map(Vec::as_slice)
    }

    /// Name a topic's offsets.
    pub fn set(&mut self, topic: &str, offsets: Vec<i64>) {
        self.0.insert(topic.to_owned(), offsets);
    }

    /// From JSON: a vector, or a whole report of a rebuild, of which the services' vectors are taken together.
    pub(crate) fn of_json(value: &serde_json::Value) -> Result<Vector, String> {
        let Some(services) = value.get("services").and_then(serde_json::Value::as_array) else {
            let value = value.get("vector").unwrap_or(value);
            return serde_path_to_error::deserialize(value).map_err(|error| error.to_string());
        };
        let mut whole = Vector::default();
        for service in services {
            whole.join(Vector::of_json(service)?);
        }
        Ok(whole)
    }

    /// Take over the other one's topics.
    pub(crate) fn join(&mut self, other: Vector) {
        self.0.extend(other.0);
    }

    pub(crate) fn extend(&mut self, topic: &str, partition: i32, offset: i64) {
        let offsets = self.0.entry(topic.to_owned()).or_default();
        let index = usize::try_from(partition).unwrap_or(0);
        if offsets.len() <= index {
            offsets.resize(index + 1, 0);
        }
        offsets[index] = offset;
    }
}

/// How far to fold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Until {
    /// To where the topics end when the run begins.
    #[default]
    End,
    /// Below these offsets.
    Vector(Vector),
    /// To this time of the records, in milliseconds since 1970, itself included.
    TimeMs(i64),
}
