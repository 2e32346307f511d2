//! A record that outlives the buffer that it was read from.

use crate::log::{Headers, Record, TimestampType};

/// A header: its name, and its value.
pub(super) type KeptHeader = (String, Option<Vec<u8>>);

/// A record with all that it owns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp_ms: i64,
    pub(super) timestamp_type: TimestampType,
    pub(super) key: Option<Vec<u8>>,
    pub(super) payload: Option<Vec<u8>>,
    /// None where nobody could read them.
    pub(super) headers: Option<Vec<KeptHeader>>,
}

impl Kept {
    pub(super) fn of(record: &Record<'_>) -> Self {
        let owned = |(name, value): &(&str, Option<&[u8]>)| ((*name).to_owned(), value.map(<[u8]>::to_vec));
        Kept {
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            timestamp_type: record.timestamp_type,
            key: record.key.map(<[u8]>::to_vec),
            payload: record.payload.map(<[u8]>::to_vec),
            headers: record.headers.as_ref().map(|headers| headers.iter().map(owned).collect()),
        }
    }

    /// As it is read.
    pub(super) fn record(&self) -> Record<'_> {
        Record {
            partition: self.partition,
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            timestamp_type: self.timestamp_type,
            key: self.key.as_deref(),
            payload: self.payload.as_deref(),
            headers: self.headers.as_deref().map(borrowed),
        }
    }
}

fn borrowed(headers: &[KeptHeader]) -> Headers<'_> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect()
}
