//! A message's print: enough of it to tell whether a record is the row that was committed, in the same few bytes for all.

use jiff::Timestamp;
use outbox::position::{ID_HEADER, LAST_EQUAL_HEADER, POSITION_HEADER};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What a message's envelope says, as a row and as headers alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Envelope<'a> {
    /// An event with CloudEvents headers. The trace is left out: it is for people.
    Event {
        /// `ce_source`.
        source: &'a str,
        /// `ce_type`.
        ce_type: &'a str,
        /// `ce_subject`.
        subject: Option<&'a str>,
        /// `ce_time`; none where it cannot be read.
        time: Option<Timestamp>,
        /// `ce_causationid`.
        cause: Option<String>,
    },
    /// A record whose headers were passed on (a dead letter).
    Raw,
}

/// A message's print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Print {
    pub(crate) sequence: i64,
    /// `ce_id`, or `outbox-id`; none where the record has none that is a UUID.
    pub(crate) id: Option<Uuid>,
    /// Of key and payload.
    pub(crate) body: u128,
    /// Of what the envelope says, and of headers beyond it.
    pub(crate) envelope: u128,
}

/// Headers that the outbox builds, or that say where the record stands.
const BUILT: [&str; 12] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_subject",
    "ce_causationid",
    "content-type",
    "traceparent",
    POSITION_HEADER,
    LAST_EQUAL_HEADER,
    ID_HEADER,
];

impl Print {
    /// `headers`: of an event, any; of a raw record, those that were passed on.
    pub(crate) fn of(
        sequence: i64,
        id: Option<Uuid>,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        envelope: &Envelope<'_>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> Self {
        Print { sequence, id, body: body(key, payload), envelope: envelope_digest(envelope, headers) }
    }

    /// In what this message differs from another of the same sequence; none where it does not.
    pub(crate) fn difference(&self, other: &Print) -> Option<&'static str> {
        if self.id != other.id {
            Some("id")
        } else if self.body != other.body {
            Some("key or payload")
        } else if self.envelope != other.envelope {
            Some("headers")
        } else {
            None
        }
    }
}

/// Of a record's key and payload.
pub(crate) fn body(key: Option<&[u8]>, payload: Option<&[u8]>) -> u128 {
    let mut hash = Sha256::new();
    put(&mut hash, key);
    put(&mut hash, payload);
    first_half(hash)
}

/// Of all of a record's headers, in their order.
pub(crate) fn headers_digest(headers: &[(&str, Option<&[u8]>)]) -> u128 {
    let mut hash = Sha256::new();
    put_headers(&mut hash, headers.iter());
    first_half(hash)
}

fn envelope_digest(envelope: &Envelope<'_>, headers: &[(&str, Option<&[u8]>)]) -> u128 {
    let mut hash = Sha256::new();
    match envelope {
        Envelope::Event { source, ce_type, subject, time, cause } => {
            put(&mut hash, Some(source.as_bytes()));
            put(&mut hash, Some(ce_type.as_bytes()));
            put(&mut hash, subject.map(str::as_bytes));
            let micros = time.map(|time| time.as_microsecond().to_be_bytes());
            put(&mut hash, micros.as_ref().map(<[u8; 8]>::as_slice));
            put(&mut hash, cause.as_ref().map(String::as_bytes));
            put_headers(&mut hash, headers.iter().filter(|(name, _)| !BUILT.contains(name)));
        }
        Envelope::Raw => put_headers(&mut hash, headers.iter()),
    }
    first_half(hash)
}

fn put_headers<'h>(hash: &mut Sha256, headers: impl Iterator<Item = &'h (&'h str, Option<&'h [u8]>)>) {
    for (name, value) in headers {
        put(hash, Some(name.as_bytes()));
        put(hash, *value);
    }
}

/// Every value with its length, null unlike empty.
fn put(hash: &mut Sha256, value: Option<&[u8]>) {
    match value {
        None => hash.update(u64::MAX.to_be_bytes()),
        Some(value) => {
            hash.update((value.len() as u64).to_be_bytes());
            hash.update(value);
        }
    }
}

fn first_half(hash: Sha256) -> u128 {
    let digest: [u8; 32] = hash.finalize().into();
    digest.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(id: u128, payload: &[u8], ce_type: &str, headers: &[(&str, Option<&[u8]>)]) -> Print {
        let time = Some(Timestamp::UNIX_EPOCH);
        let envelope = Envelope::Event { source: "/s", ce_type, subject: None, time, cause: None };
        Print::of(1, Some(Uuid::from_u128(id)), Some(b"k"), Some(payload), &envelope, headers)
    }

    #[test]
    fn a_difference_is_named() {
        let base = print(1, b"p", "t", &[("ce_id", None)]);
        assert_eq!(base.difference(&print(1, b"p", "t", &[])), None);
        assert_eq!(base.difference(&print(2, b"p", "t", &[])), Some("id"));
        assert_eq!(base.difference(&print(1, b"q", "t", &[])), Some("key or payload"));
        assert_eq!(base.difference(&print(1, b"p", "u", &[])), Some("headers"));
        assert_eq!(base.difference(&print(1, b"p", "t", &[("more", None)])), Some("headers"));
    }

    #[test]
    fn null_is_not_empty_and_borders_count() {
        assert_ne!(body(None, Some(b"")), body(Some(b""), None));
        assert_ne!(body(Some(b"ab"), Some(b"c")), body(Some(b"a"), Some(b"bc")));
    }
}
