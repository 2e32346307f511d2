//! Asks a broker, over its own protocol, how many live brokers it knows.
//!
//! An open port is not readiness: after a crash the broker listens while it is still fenced, and then its Metadata
//! answer names no broker.

use std::io;
use std::time::Duration;

use crate::kafka_wire::{Door, Request};

const METADATA: i16 = 3;
/// The last version without tagged fields.
const METADATA_VERSION: i16 = 4;

/// Number of brokers that the broker behind this door would send clients to.
pub(crate) fn live_brokers(door: &Door, limit: Duration) -> io::Result<i32> {
    // No topics, and none to be created.
    let mut body = 0_i32.to_be_bytes().to_vec();
    body.push(0);
    let answer = door.ask(&Request { key: METADATA, version: METADATA_VERSION, body }, limit)?;
    // Throttle time, number of brokers.
    match answer.get(4..8) {
        Some(&[a, b, c, d]) => Ok(i32::from_be_bytes([a, b, c, d])),
        Some(_) | None => Err(io::Error::new(io::ErrorKind::InvalidData, "not a Metadata answer")),
    }
}
