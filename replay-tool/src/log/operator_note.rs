//! What an operator did about a dead letter, as a record on the dead-letter topic itself.
//!
//! A note has the letter's key and lies on its partition, behind it. Its value is JSON, so that any Kafka client shows it.
//! It has no outbox position, so that nobody takes it for a letter.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::Record;

/// Marks a record as a note.
pub(crate) const ACTION_HEADER: &str = "operator-action";

/// On a redriven record: the letter that it was made of.
pub(crate) const REDRIVE_OF_HEADER: &str = "redrive-of";

/// On a redriven record: how often it was redriven, this time included, whatever letters lay between.
pub(crate) const REDRIVE_COUNT_HEADER: &str = "redrive-count";

/// On a redriven record: who did it.
pub(crate) const REDRIVE_BY_HEADER: &str = "redrive-by";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is about to be published again.
    RedriveBegun,
    /// It was published again.
    Redriven,
    /// It is settled without being published again.
    Discarded,
}

impl Action {
    /// As in the header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::RedriveBegun => "redrive-begun",
            Action::Redriven => "redriven",
            Action::Discarded => "discarded",
        }
    }
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What was done.
    pub action: Action,
    /// The letter's offset in this partition.
    pub letter_offset: i64,
    /// Who did it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which time this letter is redriven, from 1; 0 where it is not.
    #[serde(default)]
    pub attempt: u32,
    /// Whether an edited copy was published.
    #[serde(default)]
    pub is_edited: bool,
    /// The partition of the original topic that it went, or was to go, to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_partition: Option<i32>,
    /// Where it lies there; of a redrive that has only begun: it cannot lie before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_offset: Option<i64>,
}

impl Note {
    /// The note in a record; none where it is no note.
    pub(crate) fn read(record: &Record<'_>) -> Option<Note> {
        record.header(ACTION_HEADER)?;
        serde_json::from_slice(record.payload?).ok()
    }

    /// What the note says beside its action.
    pub fn in_words(&self) -> String {
        let mut words = format!("by {}", self.by);
        if self.is_edited {
            words.push_str(", edited");
        }
        if let (Action::Redriven, Some(partition), Some(offset)) = (self.action, self.to_partition, self.to_offset) {
            words.push_str(&format!(", to partition {partition} offset {offset}"));
        }
        if let Some(reason) = &self.reason {
            words.push_str(&format!(": {reason}"));
        }
        words
    }
}
