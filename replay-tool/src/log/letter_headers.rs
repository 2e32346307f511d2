//! The headers of a dead letter, taken apart: what the record had brought, and what the service said about it.

use super::record::Header;

/// The cause under which a message that could be read lies among the dead letters because a person has given it up.
pub(crate) const DROPPED: &str = "dropped";

/// The headers of a dead letter.
#[derive(Debug, Clone)]
pub(crate) struct LetterHeaders<'h, 'r> {
    /// What the record had, also from an earlier life as a dead letter.
    pub(crate) before: &'h [Header<'r>],
    /// What the service said.
    after: &'h [Header<'r>],
}

impl<'h, 'r> LetterHeaders<'h, 'r> {
    /// Of headers without those that the relay has put behind them.
    pub(crate) fn of(headers: &'h [Header<'r>]) -> Self {
        let ours = headers.iter().rposition(|(name, _)| *name == "kafka_dlt-original-topic").unwrap_or(headers.len());
        let (before, after) = headers.split_at(ours);
        LetterHeaders { before, after }
    }

    /// What the service said under this name.
    pub(crate) fn value(&self, name: &str) -> Option<&'r [u8]> {
        self.after.iter().find(|(each, _)| *each == name).and_then(|(_, value)| *value)
    }

    /// The same as text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Partition and offset of the record.
    pub(crate) fn original(&self) -> Option<(i32, i64)> {
        let partition = self.value("kafka_dlt-original-partition")?.try_into().ok()?;
        let offset = self.value("kafka_dlt-original-offset")?.try_into().ok()?;
        Some((i32::from_be_bytes(partition), i64::from_be_bytes(offset)))
    }

    /// The record's timestamp.
    pub(crate) fn sent_at_ms(&self) -> Option<i64> {
        Some(i64::from_be_bytes(self.value("kafka_dlt-original-timestamp")?.try_into().ok()?))
    }
}
