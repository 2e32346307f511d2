//! The messages of one transaction as the columns that the append statement takes.
//!
//! Everything that can be refused without the database is refused here, before anything is sent: unknown topics, missing
//! keys, oversize, headers that Kafka cannot carry. Sequences are not known yet: the statement adds each message's place
//! in its lane to the lane's head.

use std::collections::BTreeMap;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::error::OutboxError;
use crate::headers;
use crate::lanes::{Lane, Lanes};
use crate::message::{self, Causation, Kind, OutboxMessage};

/// What a dead letter may be larger than the message that it carries: its extra headers.
pub(crate) const RAW_EXTRA_BYTES: usize = 64 * 1024;

/// How many parameters the append takes.
pub(crate) const PARAMETERS: usize = 12;

/// Columns of the rows to insert, parallel to the messages.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    /// The lanes written to, ascending, each once.
    pub(crate) lanes: Vec<Lane>,
    /// Index into `lanes`, from 1.
    pub(crate) slots: Vec<i32>,
    /// Appended among this transaction's messages of the same lane, from 1.
    pub(crate) ordinals: Vec<i64>,
    pub(crate) ids: Vec<Uuid>,
    pub(crate) types: Vec<Option<&'a str>>,
    pub(crate) keys: Vec<Option<&'a [u8]>>,
    pub(crate) payloads: Vec<Option<&'a [u8]>>,
    pub(crate) times: Vec<jiff::Timestamp>,
    pub(crate) causations: Vec<Option<Uuid>>,
    pub(crate) causation_texts: Vec<Option<&'a str>>,
    pub(crate) traces: Vec<Option<Vec<u8>>>,
    pub(crate) headers: Vec<Option<Vec<u8>>>,
}

impl<'a> Batch<'a> {
    /// The parameters of the append, in its order.
    pub(crate) fn parameters(&self) -> [&(dyn ToSql + Sync); PARAMETERS] {
        [
            &self.lanes,
            &self.slots,
            &self.ordinals,
            &self.ids,
            &self.types,
            &self.keys,
            &self.payloads,
            &self.times,
            &self.causations,
            &self.causation_texts,
            &self.traces,
            &self.headers,
        ]
    }

    /// Lays the messages out. `limit` is the largest record in bytes, `fixed` what an event's constant headers take.
    pub(crate) fn new(
        messages: &'a [OutboxMessage],
        lanes: &Lanes,
        limit: usize,
        fixed: usize,
    ) -> Result<Self, OutboxError> {
        let mut batch = Self::default();
        let of_messages = messages.iter().map(|m| lanes.of(m)).collect::<Result<Vec<_>, _>>()?;
        batch.lanes.clone_from(&of_messages);
        batch.lanes.sort_unstable();
        batch.lanes.dedup();
        let mut counts: BTreeMap<Lane, (i32, i64)> = BTreeMap::new();
        for (lane, slot) in batch.lanes.iter().zip(1_i32..) {
            counts.insert(*lane, (slot, 0));
        }
        for (message, lane) in messages.iter().zip(of_messages) {
            let Some((slot, count)) = counts.get_mut(&lane) else { continue };
            *count += 1;
            batch.push(message, *slot, *count, limit, fixed)?;
        }
        Ok(batch)
    }

    fn push(
        &mut self,
        message: &'a OutboxMessage,
        slot: i32,
        ordinal: i64,
        limit: usize,
        fixed: usize,
    ) -> Result<(), OutboxError> {
        let packed = headers::pack(&message.headers)?;
        let (ce_type, causation, trace, limit) = match &message.kind {
            Kind::Event { ce_type, causation, trace_parent } => {
                if ce_type.is_empty() || ce_type.chars().any(char::is_control) {
                    return Err(OutboxError::Header { name: ce_type.chars().take(64).collect() });
                }
                let trace = trace_parent.as_deref().and_then(message::pack_trace);
                (Some(&**ce_type), message::stored_causation(causation.as_ref()), trace, limit)
            }
            Kind::Raw => (None, None, None, limit.saturating_add(RAW_EXTRA_BYTES)),
        };
        let (causation, causation_text) = match causation {
            None => (None, None),
            Some(Causation::Id(id)) => (Some(*id), None),
            Some(Causation::Text(text)) => (None, Some(text.as_str())),
        };
        let key = message.key.as_deref();
        let payload = message.payload.as_deref();
        let varying = 2 * key.map_or(0, <[u8]>::len)
            + payload.map_or(0, <[u8]>::len)
            + packed.as_ref().map_or(0, Vec::len)
            + ce_type.map_or(0, str::len)
            + causation_text.map_or(0, str::len);
        let bytes = varying + fixed;
        if bytes > limit {
            return Err(OutboxError::TooLarge { topic: message.topic.to_string(), bytes, limit });
        }
        self.slots.push(slot);
        self.ordinals.push(ordinal);
        self.ids.push(message.id);
        self.types.push(ce_type);
        self.keys.push(key);
        self.payloads.push(payload);
        self.times.push(to_micros(message.time));
        self.causations.push(causation);
        self.causation_texts.push(causation_text);
        self.traces.push(trace.map(|t| t.to_vec()));
        self.headers.push(packed);
        Ok(())
    }
}

/// Bytes that framing and the constant headers of an event add to a record, at most: names and values of all headers
/// that are built, the longest numbers in the position and in what an epoch says, and the record's own lengths.
pub(crate) fn fixed_bytes(source: &str, content_type: &str) -> usize {
    520 + 2 * source.len() + content_type.len()
}

/// Postgres keeps microseconds; a hint must publish exactly what the table holds.
fn to_micros(time: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::TopicSpec;

    fn raw(partition: i32, bytes: usize) -> OutboxMessage {
        OutboxMessage::raw("t").partition(partition).payload(vec![0; bytes])
    }

    fn lanes() -> Lanes {
        Lanes::new([(1, TopicSpec { name: "t".to_owned(), partitions: 6 })])
    }

    #[test]
    fn lanes_ascend_and_places_count_per_lane() {
        let messages = [raw(4, 1), raw(1, 1), raw(4, 1), raw(0, 1)];
        let batch = Batch::new(&messages, &lanes(), 1000, 0).unwrap();
        assert_eq!(batch.lanes, [1 << 16, 1 << 16 | 1, 1 << 16 | 4]);
        assert_eq!(batch.slots, [3, 2, 3, 1]);
        assert_eq!(batch.ordinals, [1, 1, 2, 1]);
    }

    #[test]
    fn a_causation_that_no_column_holds_is_dropped_and_the_message_stays() {
        let caused = |text: &str| OutboxMessage::event("t", "t.V1").partition(0).caused_by(text);
        let messages = [caused("ab\0cd"), caused("abcd")];
        let lanes = lanes();
        let batch = Batch::new(&messages, &lanes, 1000, 0).unwrap();
        assert_eq!(batch.causation_texts, [None, Some("abcd")]);
    }

    #[test]
    fn an_oversize_message_is_refused_with_the_limit() {
        let limit = 1000 + RAW_EXTRA_BYTES;
        assert!(Batch::new(&[raw(0, limit)], &lanes(), 1000, 0).is_ok());
        let messages = [raw(0, limit + 1)];
        let lanes = lanes();
        let refused = Batch::new(&messages, &lanes, 1000, 0);
        assert!(matches!(refused, Err(OutboxError::TooLarge { limit: named, .. }) if named == limit));
    }
}
