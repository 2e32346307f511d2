//! A run of records that the client library cannot read: an error where only a service writes, else a thing to be told.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Offsets, one after the other, whose records the client library cannot read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnreadableRun {
    /// The topic's full name.
    pub topic: String,
    /// Which partition.
    pub partition: i32,
    /// The first offset.
    pub first: i64,
    /// The last one.
    pub last: i64,
    /// What the client said of the first.
    pub cause: String,
}

impl fmt::Display for UnreadableRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnreadableRun { topic, partition, first, last, cause } = self;
        write!(f, "{topic}[{partition}]: offsets {first} to {last} cannot be read by the client library: {cause}")
    }
}
