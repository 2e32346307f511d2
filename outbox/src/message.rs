//! What a program hands to the outbox: one message for one topic.
//!
//! The crate carries bytes. It knows nothing of Avro or of what a key means; it only knows two shapes: an event, whose
//! CloudEvents headers are built when it is published, and a raw record, whose headers are passed on untouched.
//! Deliberately absent: any serialisation of payloads.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

/// One message to be published once the transaction that appends it has committed. Made by [`OutboxMessage::event`] or
/// [`OutboxMessage::raw`], completed by the methods; the fields may then be read and changed.
///
/// ```
/// let placed = outbox::OutboxMessage::event("shop.orders", "shop.OrderPlaced.v1").key("A-1").payload(r#"{"order":"A-1"}"#);
/// assert_eq!(placed.key.as_deref(), Some(&b"A-1"[..]));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
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

impl OutboxMessage {
    /// An event of this moment with a new id (UUID version 7), without key and payload, for the partition of its key.
    /// `ce_type` is its type, for instance `shop.OrderPlaced.v1`.
    pub fn event(topic: impl Into<Arc<str>>, ce_type: impl Into<Cow<'static, str>>) -> Self {
        Self::event_of(Uuid::now_v7(), jiff::Timestamp::now(), topic, ce_type)
    }

    /// An event whose id and time are given: for programs that derive ids, so that a repetition has the same one, and whose
    /// clock is an input.
    pub fn event_of(
        id: Uuid,
        time: jiff::Timestamp,
        topic: impl Into<Arc<str>>,
        ce_type: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(id, time, topic.into(), Kind::Event { ce_type: ce_type.into(), causation: None, trace_parent: None })
    }

    /// A raw record of this moment with a new id (UUID version 7), without key, payload and headers: for dead letters.
    pub fn raw(topic: impl Into<Arc<str>>) -> Self {
        Self::raw_of(Uuid::now_v7(), jiff::Timestamp::now(), topic)
    }

    /// A raw record whose id and time are given.
    pub fn raw_of(id: Uuid, time: jiff::Timestamp, topic: impl Into<Arc<str>>) -> Self {
        Self::new(id, time, topic.into(), Kind::Raw)
    }

    fn new(id: Uuid, time: jiff::Timestamp, topic: Arc<str>, kind: Kind) -> Self {
        Self { topic, partition: Target::ByKey, id, kind, key: None, payload: None, time, headers: Vec::new() }
    }

    /// The record's key, by which the partition is chosen too, unless [`OutboxMessage::partition`] is called.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The record's value.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = Some(payload.into());
        self
    }

    /// This partition, whatever the key.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Target::Given(partition);
        self
    }

    /// Another id.
    #[must_use]
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    /// Another time.
    #[must_use]
    pub fn time(mut self, time: jiff::Timestamp) -> Self {
        self.time = time;
        self
    }

    /// One more header, behind those that there are.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), Some(value.into())));
        self
    }

    /// The message that caused this event. A raw record says so in a header, if at all: here nothing changes.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Causation>) -> Self {
        if let Kind::Event { causation, .. } = &mut self.kind {
            *causation = Some(cause.into());
        }
        self
    }

    /// The W3C `traceparent` that this event belongs to. A raw record says so in a header, if at all: here nothing changes.
    #[must_use]
    pub fn trace_parent(mut self, text: impl Into<String>) -> Self {
        if let Kind::Event { trace_parent, .. } = &mut self.kind {
            *trace_parent = Some(text.into());
        }
        self
    }
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
    #[non_exhaustive]
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

impl fmt::Display for Causation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => fmt::Display::fmt(id, f),
            Self::Text(text) => f.write_str(text),
        }
    }
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
    fn what_is_not_said_of_a_message_has_a_default() {
        let event = OutboxMessage::event("t", "t.V1").key("k").header("a", "1").caused_by("c").trace_parent(TRACE);
        assert_eq!((&*event.topic, event.partition, event.id.get_version_num()), ("t", Target::ByKey, 7));
        assert_eq!((event.key.as_deref(), event.payload.as_deref()), (Some(&b"k"[..]), None));
        assert_eq!(event.headers, [("a".to_owned(), Some(b"1".to_vec()))]);
        let Kind::Event { ce_type, causation, trace_parent } = &event.kind else { panic!("{event:?}") };
        assert_eq!((&**ce_type, trace_parent.as_deref()), ("t.V1", Some(TRACE)));
        assert_eq!(causation, &Some(Causation::Text("c".to_owned())));
        let raw = OutboxMessage::raw_of(Uuid::nil(), jiff::Timestamp::UNIX_EPOCH, "d").partition(3).caused_by("c");
        assert!(matches!(raw.kind, Kind::Raw) && raw.partition == Target::Given(3) && raw.id.is_nil());
    }

    #[test]
    fn a_causation_keeps_its_spelling() {
        let id = "6fa459ea-ee8a-3ca4-894e-db77e160355e";
        assert!(matches!(Causation::from(id), Causation::Id(_)));
        assert_eq!(Causation::from(id.to_uppercase().as_str()), Causation::Text(id.to_uppercase()));
        assert_eq!(Causation::from("42"), Causation::Text("42".to_owned()));
    }
}
