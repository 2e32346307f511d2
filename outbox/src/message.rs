//! What a program hands to the outbox: one message for one topic.
//!
//! The crate carries bytes. It knows nothing of Avro or of what a key means; it only knows two shapes: an event, whose
//! CloudEvents headers are built when it is published, and a raw record, whose headers are passed on untouched.
//! Deliberately absent: any serialisation of payloads.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

/// One message to be published once the transaction that appends it has committed.
#[derive(Debug, Clone)]
pub struct OutboxMessage {
    /// Full topic name; it must be one of those the outbox was opened with.
    pub topic: Arc<str>,
    /// Which partition of the topic.
    pub partition: Target,
    /// Identity of the message: `ce_id` of an event, `outbox-id` of a raw record.
    pub id: Uuid,
    /// How it is published.
    pub kind: Kind,
    /// Record key; none is allowed only together with [`Target::Given`].
    pub key: Option<Bytes>,
    /// Record value; none is a null value.
    pub payload: Option<Bytes>,
    /// When it happened (`ce_time`), kept to the microsecond.
    pub time: jiff::Timestamp,
    /// Further headers: after those built for an event; all of a raw record's, in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// How the partition is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// By murmur2 of the key, as Java producers do.
    ByKey,
    /// This one.
    Given(i32),
}

/// How a message is published.
#[derive(Debug, Clone)]
pub enum Kind {
    /// With CloudEvents headers in binary mode; the subject is the key.
    Event {
        /// `ce_type`, for instance `shop.order.OrderPlaced.v1`; never empty.
        ce_type: Cow<'static, str>,
        /// `ce_causationid`: id of the message that caused this one; a text with U+0000, which no column holds, is dropped.
        causation: Option<Causation>,
        /// W3C `traceparent`; one that is not of version 00 is dropped, as the standard asks of receivers.
        trace_parent: Option<String>,
    },
    /// With the given headers only, plus `outbox-id` and `outbox-position` at the end: for dead letters.
    Raw,
}

/// Identity of the message that caused another; foreign messages may bring ids that are not UUIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Causation {
    /// The usual case; stored in 16 bytes.
    Id(Uuid),
    /// Any other text.
    Text(String),
}

/// The causation as it is stored and published: none where it is a text that no column can hold. A stranger's id may be
/// one, and that is no fault of the message that it caused.
pub(crate) fn stored_causation(given: Option<&Causation>) -> Option<&Causation> {
    given.filter(|causation| match causation {
        Causation::Id(_) => true,
        Causation::Text(text) => !text.contains('\0'),
    })
}

impl From<Uuid> for Causation {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<&str> for Causation {
    /// Only the canonical lower-case spelling becomes [`Causation::Id`], so that the text survives unchanged.
    fn from(text: &str) -> Self {
        match Uuid::try_parse(text) {
            Ok(id) if id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text => Self::Id(id),
            Ok(_) | Err(_) => Self::Text(text.to_owned()),
        }
    }
}

/// A `traceparent` of version 00 in the 25 bytes that it carries: trace id, parent id, flags.
pub(crate) type CompactTrace = [u8; 25];

/// Packs a `traceparent`; `None` when it is not a valid one of version 00.
pub(crate) fn pack_trace(text: &str) -> Option<CompactTrace> {
    let bytes = text.as_bytes();
    if bytes.len() != 55 || !text.starts_with("00-") || bytes[35] != b'-' || bytes[52] != b'-' {
        return None;
    }
    let mut packed = [0_u8; 25];
    let digits = bytes[3..35].chunks_exact(2).chain(bytes[36..52].chunks_exact(2)).chain(bytes[53..55].chunks_exact(2));
    for (slot, pair) in packed.iter_mut().zip(digits) {
        *slot = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    let empty_trace = packed[..16].iter().all(|b| *b == 0);
    let empty_parent = packed[16..24].iter().all(|b| *b == 0);
    (!empty_trace && !empty_parent).then_some(packed)
}

/// Writes a packed `traceparent` as text.
pub(crate) fn unpack_trace(packed: &[u8], text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push_str("00-");
    for (index, byte) in packed.iter().enumerate() {
        if index == 16 || index == 24 {
            text.push('-');
        }
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Lower case only, as the standard demands.
fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_parent_survives_packing() {
        let packed = pack_trace(TRACE).unwrap();
        let mut text = String::new();
        unpack_trace(&packed, &mut text);
        assert_eq!(text, TRACE);
    }

    #[test]
    fn a_bad_trace_parent_is_dropped() {
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319céb7ad6b716920333-01",
        ] {
            assert_eq!(pack_trace(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_causation_keeps_its_spelling() {
        let id = "6fa459ea-ee8a-3ca4-894e-db77e160355e";
        assert!(matches!(Causation::from(id), Causation::Id(_)));
        assert_eq!(Causation::from(id.to_uppercase().as_str()), Causation::Text(id.to_uppercase()));
        assert_eq!(Causation::from("42"), Causation::Text("42".to_owned()));
    }
}
