//! Records for tests: written down, and read as from a log.

use schemas::{Codec, Message, ServiceName};
use uuid::Uuid;

use super::record::{Record, TimestampType};

/// A record with all that it owns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Written {
    /// A message under its key.
    pub(crate) fn of(offset: i64, message: impl Into<Message>) -> Self {
        let message = message.into();
        let (key, payload) = (message.key().as_bytes().to_vec(), Codec::embedded().encode(&message).unwrap());
        Written { offset, key: Some(key), payload: Some(payload), ..Written::default() }
    }

    /// The same with one header more.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), Some(value.as_ref().to_vec())));
        self
    }

    /// The same as from an outbox, at this epoch, its first sequence, and sequence.
    pub(crate) fn at(self, writer: ServiceName, (epoch, first, sequence): (i64, i64, i64)) -> Self {
        let id = Uuid::from_u128(u128::from(sequence.unsigned_abs())).to_string();
        self.with("ce_id", id).with("outbox-position", format!("{}:{epoch}:{first}:{sequence}", writer.source()))
    }

    /// As it is read.
    pub(crate) fn record(&self) -> Record<'_> {
        Record {
            partition: self.partition,
            offset: self.offset,
            timestamp_ms: self.offset,
            timestamp_type: TimestampType::Create,
            key: self.key.as_deref(),
            payload: self.payload.as_deref(),
            headers: Some(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect()),
        }
    }
}
