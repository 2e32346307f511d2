//! The events: 400 bytes each, 10,000 keys, numbered.
//!
//! A payload begins with the event's number, so that a reader knows which one it has; the rest is text that compresses
//! about as well as ids and amounts do.

use std::sync::Arc;

use bytes::Bytes;
use outbox::OutboxMessage;
use uuid::Uuid;

/// Bytes of a payload.
pub(crate) const PAYLOAD_BYTES: usize = 400;
/// Different keys.
const KEYS: u64 = 10_000;
/// What stands around key, number and text of a payload that is JSON.
const JSON_BEGINS: &[u8] = br#"{"key":""#;
const JSON_NUMBER: &[u8] = br#"","body":""#;
const JSON_ENDS: &[u8] = br#""}"#;
/// Digits of the number there.
const DIGITS: usize = 16;
/// Text from which payloads are cut.
const POOL_BYTES: usize = 64 * 1024;

/// Makes events for one topic; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    topic: Arc<str>,
    keys: Arc<[Bytes]>,
    pool: Bytes,
}

impl Events {
    pub(crate) fn new(topic: &str) -> Self {
        let keys = (0..KEYS).map(|key| Bytes::from(format!("key-{key:05}"))).collect();
        let digit = |n: usize| b"0123456789abcdefghijklmnopqrstuv"[usize::from(mixed(n as u64).to_le_bytes()[0] % 32)];
        let pool = (0..POOL_BYTES + PAYLOAD_BYTES).map(digit).collect::<Vec<u8>>();
        Self { topic: topic.into(), keys, pool: pool.into() }
    }

    /// The key of an event.
    pub(crate) fn key(&self, number: u64) -> Bytes {
        let index = usize::try_from(mixed(number) % KEYS).unwrap_or(0);
        self.keys.get(index).cloned().unwrap_or_default()
    }

    /// The payload of an event.
    pub(crate) fn payload(&self, number: u64) -> Vec<u8> {
        let from = usize::try_from(mixed(number) >> 32).unwrap_or(0) % POOL_BYTES;
        let mut payload = Vec::with_capacity(PAYLOAD_BYTES);
        payload.extend_from_slice(&number.to_be_bytes());
        payload.extend_from_slice(&self.pool[from..from + PAYLOAD_BYTES - size_of::<u64>()]);
        payload
    }

    /// The same number of bytes as JSON, for who takes nothing else: the key, the event's number, text.
    pub(crate) fn json(&self, number: u64) -> Vec<u8> {
        let mut payload = JSON_BEGINS.to_vec();
        payload.extend_from_slice(&self.key(number));
        payload.extend_from_slice(JSON_NUMBER);
        payload.extend_from_slice(format!("{number:0DIGITS$x}").as_bytes());
        let from = usize::try_from(mixed(number) >> 32).unwrap_or(0) % POOL_BYTES;
        payload.extend_from_slice(&self.pool[from..from + PAYLOAD_BYTES - payload.len() - JSON_ENDS.len()]);
        payload.extend_from_slice(JSON_ENDS);
        payload
    }

    /// The event with this number, as the outbox takes it.
    pub(crate) fn message(&self, number: u64) -> OutboxMessage {
        let topic = Arc::clone(&self.topic);
        OutboxMessage::event_of(id(number), jiff::Timestamp::now(), topic, "bench.Event.v1")
            .key(self.key(number))
            .payload(self.payload(number))
    }
}

/// The id of an event.
pub(crate) fn id(number: u64) -> Uuid {
    Uuid::from_u64_pair(mixed(number), mixed(!number))
}

/// The number in a payload, of either form: one of bytes begins with the number's first byte, which is 0.
pub(crate) fn number_of(payload: &[u8]) -> Option<u64> {
    let Some(json) = payload.strip_prefix(JSON_BEGINS) else {
        return payload.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    };
    let digits = json.split(|byte| *byte == b'"').nth(4)?.get(..DIGITS)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Spreads numbers evenly over all 64 bits.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_size_and_its_number() {
        let events = Events::new("t");
        let message = events.message(77);
        let payload = message.payload.unwrap();
        assert_eq!((payload.len(), number_of(&payload)), (PAYLOAD_BYTES, Some(77)));
        assert_ne!(events.key(1), events.key(2));
    }

    #[test]
    fn an_event_as_json_has_the_same_size_and_its_number() {
        let payload = Events::new("t").json(0xabcd_ef01_2345);
        assert_eq!((payload.len(), number_of(&payload)), (PAYLOAD_BYTES, Some(0xabcd_ef01_2345)));
        let read: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert!(read["key"].as_str().unwrap().starts_with("key-"));
    }
}
