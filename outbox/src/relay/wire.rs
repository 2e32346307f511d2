//! A message as it goes to Kafka: its headers, built when it is published.
//!
//! Rows keep fields, not headers, because headers are most of a small event's bytes. Both ways to the broker (rows from
//! the table, messages from memory) meet in [`Record`], so they cannot differ.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use rdkafka::message::{Header, OwnedHeaders};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::epochs::Epochs;
use crate::error::OutboxError;
use crate::headers;
use crate::message::{Causation, CompactTrace, Kind, OutboxMessage, pack_trace, stored_causation, unpack_trace};
use crate::position::{ID_HEADER, LAST_EQUAL_HEADER, POSITION_HEADER};

/// One message on its way out.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) sequence: i64,
    pub(crate) id: Uuid,
    /// None for a raw record.
    pub(crate) ce_type: Option<&'a str>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) payload: Option<&'a [u8]>,
    pub(crate) time: jiff::Timestamp,
    pub(crate) causation: Option<Uuid>,
    pub(crate) causation_text: Option<&'a str>,
    pub(crate) trace: Option<CompactTrace>,
    pub(crate) headers: ExtraHeaders<'a>,
}

/// Further headers, as they are at hand.
#[derive(Debug)]
pub(crate) enum ExtraHeaders<'a> {
    Packed(&'a [u8]),
    Listed(&'a [(String, Option<Vec<u8>>)]),
}

/// Columns that [`Record::from_row`] reads, from the second on; the first is the slot of the lane.
pub(crate) const COLUMNS: &str =
    "m.sequence, m.id, m.type, m.key, m.payload, m.time, m.causation, m.causation_text, m.trace, m.headers";

impl<'a> Record<'a> {
    pub(crate) fn from_row(row: &'a Row) -> Result<Self, OutboxError> {
        let failed = || OutboxError::database("reading an outbox row");
        let trace: Option<&[u8]> = row.try_get(9).map_err(failed())?;
        let packed: Option<&[u8]> = row.try_get(10).map_err(failed())?;
        Ok(Self {
            sequence: row.try_get(1).map_err(failed())?,
            id: row.try_get(2).map_err(failed())?,
            ce_type: row.try_get(3).map_err(failed())?,
            key: row.try_get(4).map_err(failed())?,
            payload: row.try_get(5).map_err(failed())?,
            time: row.try_get(6).map_err(failed())?,
            causation: row.try_get(7).map_err(failed())?,
            causation_text: row.try_get(8).map_err(failed())?,
            trace: trace.and_then(|bytes| bytes.try_into().ok()),
            headers: ExtraHeaders::Packed(packed.unwrap_or_default()),
        })
    }

    pub(crate) fn from_message(sequence: i64, message: &'a OutboxMessage) -> Self {
        let (ce_type, causation, trace) = match &message.kind {
            Kind::Event { ce_type, causation, trace_parent } => {
                (Some(&**ce_type), stored_causation(causation.as_ref()), trace_parent.as_deref().and_then(pack_trace))
            }
            Kind::Raw => (None, None, None),
        };
        let (causation, causation_text) = match causation {
            None => (None, None),
            Some(Causation::Id(id)) => (Some(*id), None),
            Some(Causation::Text(text)) => (None, Some(text.as_str())),
        };
        Self {
            sequence,
            id: message.id,
            ce_type,
            key: message.key.as_deref(),
            payload: message.payload.as_deref(),
            time: message.time,
            causation,
            causation_text,
            trace,
            headers: ExtraHeaders::Listed(&message.headers),
        }
    }
}

/// A digest of what two equal messages have in common besides their id.
pub(crate) fn digest(key: Option<&[u8]>, payload: Option<&[u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, payload).hash(&mut hasher);
    hasher.finish()
}

/// A digest of headers in their order.
pub(crate) fn headers_digest<'h>(headers: impl Iterator<Item = Header<'h, &'h [u8]>>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for header in headers {
        (header.key, header.value).hash(&mut hasher);
    }
    hasher.finish()
}

/// Builds headers; keeps what does not change from one message to the next.
pub(crate) struct Wire {
    source: String,
    content_type: String,
    text: String,
    clock: Clock,
}

impl Wire {
    pub(crate) fn new(source: &str, content_type: &str) -> Self {
        Self {
            source: source.to_owned(),
            content_type: content_type.to_owned(),
            text: String::with_capacity(128),
            clock: Clock::default(),
        }
    }

    /// All headers of a record of a lane with these epochs; the position is the last.
    pub(crate) fn headers(&mut self, record: &Record<'_>, epochs: &Epochs) -> Result<OwnedHeaders, OutboxError> {
        let mut id = Uuid::encode_buffer();
        let id: &str = record.id.hyphenated().encode_lower(&mut id);
        let mut built = match record.ce_type {
            Some(ce_type) => {
                let built = self.event(OwnedHeaders::new_with_capacity(12), record, ce_type, id);
                extra(built, &record.headers)?
            }
            None => put(extra(OwnedHeaders::new_with_capacity(16), &record.headers)?, ID_HEADER, id.as_bytes()),
        };
        // Writing to a string cannot fail.
        if let Some(last_equal) = epochs.last_equal_of(record.sequence) {
            self.text.clear();
            let _ = write!(self.text, "{last_equal}");
            built = put(built, LAST_EQUAL_HEADER, self.text.as_bytes());
        }
        let (epoch, first) = epochs.of(record.sequence);
        self.text.clear();
        let _ = write!(self.text, "{}:{epoch}:{first}:{}", self.source, record.sequence);
        Ok(put(built, POSITION_HEADER, self.text.as_bytes()))
    }

    fn event(&mut self, built: OwnedHeaders, record: &Record<'_>, ce_type: &str, id: &str) -> OwnedHeaders {
        let mut built = put(built, "ce_specversion", b"1.0");
        built = put(built, "ce_id", id.as_bytes());
        built = put(built, "ce_source", self.source.as_bytes());
        built = put(built, "ce_type", ce_type.as_bytes());
        built = put(built, "ce_time", self.clock.text(record.time).as_bytes());
        if let Some(subject) = record.key.filter(|key| std::str::from_utf8(key).is_ok()) {
            built = put(built, "ce_subject", subject);
        }
        if let Some(causation) = record.causation {
            let mut text = Uuid::encode_buffer();
            built = put(built, "ce_causationid", causation.hyphenated().encode_lower(&mut text).as_bytes());
        } else if let Some(text) = record.causation_text {
            built = put(built, "ce_causationid", text.as_bytes());
        }
        built = put(built, "content-type", self.content_type.as_bytes());
        if let Some(trace) = &record.trace {
            self.text.clear();
            unpack_trace(trace, &mut self.text);
            built = put(built, "traceparent", self.text.as_bytes());
        }
        built
    }
}

fn put(headers: OwnedHeaders, key: &str, value: &[u8]) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}

fn extra(mut built: OwnedHeaders, headers: &ExtraHeaders<'_>) -> Result<OwnedHeaders, OutboxError> {
    match headers {
        ExtraHeaders::Packed(packed) => {
            for header in headers::unpack(packed) {
                let (key, value) = header?;
                built = built.insert(Header { key, value });
            }
        }
        ExtraHeaders::Listed(listed) => {
            for (key, value) in *listed {
                built = built.insert(Header { key, value: value.as_deref() });
            }
        }
    }
    Ok(built)
}

/// Prints times; most messages share their second with the one before.
#[derive(Default)]
struct Clock {
    second: Option<i64>,
    text: String,
}

impl Clock {
    /// RFC 3339 in UTC with six digits.
    fn text(&mut self, time: jiff::Timestamp) -> &str {
        const PREFIX: usize = "2026-01-01T00:00:00".len();
        let micros = time.as_microsecond();
        let second = micros.div_euclid(1_000_000);
        if self.second == Some(second) && self.text.len() > PREFIX {
            self.text.truncate(PREFIX);
            let _ = write!(self.text, ".{:06}Z", micros.rem_euclid(1_000_000));
        } else {
            self.text.clear();
            let _ = write!(self.text, "{time:.6}");
            // Years outside four digits are printed longer; they are rare enough to be printed in full each time.
            self.second = (self.text.len() == PREFIX + ".000000Z".len()).then_some(second);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rdkafka::message::Headers;

    use super::*;
    use crate::epochs::Epoch;

    #[test]
    fn an_event_carries_its_headers_in_order() {
        let record = Record {
            sequence: 41,
            id: Uuid::nil(),
            ce_type: Some("shop.order.OrderPlaced.v1"),
            key: Some(b"o-1"),
            payload: None,
            time: jiff::Timestamp::from_microsecond(1_700_000_000_000_001).unwrap(),
            causation: None,
            causation_text: Some("because"),
            trace: pack_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            headers: ExtraHeaders::Listed(&[("x".to_owned(), None)]),
        };
        let epochs = Epochs::new(vec![Epoch { epoch: 2, first: 40, last_equal: 31 }]);
        let headers = Wire::new("/order", "application/avro").headers(&record, &epochs).unwrap();
        let read: Vec<(String, Option<String>)> = headers
            .iter()
            .map(|h| (h.key.to_owned(), h.value.map(|v| String::from_utf8(v.to_vec()).unwrap())))
            .collect();
        let expected = [
            ("ce_specversion", Some("1.0")),
            ("ce_id", Some("00000000-0000-0000-0000-000000000000")),
            ("ce_source", Some("/order")),
            ("ce_type", Some("shop.order.OrderPlaced.v1")),
            ("ce_time", Some("2023-11-14T22:13:20.000001Z")),
            ("ce_subject", Some("o-1")),
            ("ce_causationid", Some("because")),
            ("content-type", Some("application/avro")),
            ("traceparent", Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
            ("x", None),
            ("outbox-last-equal", Some("31")),
            ("outbox-position", Some("/order:2:40:41")),
        ];
        let expected: Vec<_> = expected.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect();
        assert_eq!(read, expected);
    }

    proptest! {
        #[test]
        fn the_kept_second_changes_nothing(times in proptest::collection::vec(-4_000_000_i64..4_000_000, 1..20)) {
            let mut clock = Clock::default();
            for micros in times {
                let time = jiff::Timestamp::from_microsecond(micros).unwrap();
                prop_assert_eq!(clock.text(time), format!("{time:.6}"));
            }
        }
    }
}
