//! What can go wrong between messages, payloads and schema files.
//!
//! Texts are bounded: they end up in headers and in the log, and what they quote may come from a stranger.

use std::path::PathBuf;

use apache_avro::error::Details;

use crate::{MessageType, TopicName, limits};

/// Why a message cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload would be larger than `limits::MAX_PAYLOAD_BYTES`.
    #[error("a {message_type} of {bytes} bytes is too large; at most {} are allowed", limits::MAX_PAYLOAD_BYTES)]
    TooLarge {
        /// What was to be encoded.
        message_type: MessageType,
        /// What it would have, framing included.
        bytes: usize,
    },
    /// The type can hold a value that may not travel (a text with U+0000).
    #[error("a {message_type} cannot be written: {detail}")]
    Unrepresentable {
        /// What was to be encoded.
        message_type: MessageType,
        /// Which field, and why; at most `limits::MAX_DETAIL_BYTES`.
        detail: String,
    },
}

/// Why a payload is no message of its topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More bytes than `limits::MAX_PAYLOAD_BYTES`.
    #[error("the payload has {bytes} bytes; at most {} are allowed", limits::MAX_PAYLOAD_BYTES)]
    TooLarge {
        /// What it has.
        bytes: usize,
    },
    /// It does not begin with a zero byte and four bytes of schema id.
    #[error("the payload is not framed: it must begin with a zero byte and a schema id of four bytes")]
    NotFramed,
    /// No schema with this id is known.
    #[error("no schema with the id {id} is known")]
    UnknownSchema {
        /// As framed.
        id: u32,
    },
    /// The schema is known, but this program has no type for it.
    #[error("{ce_type} is not a message that this version of the program knows")]
    UnknownType {
        /// The record's full name and its schema version.
        ce_type: String,
    },
    /// A message of another topic.
    #[error("{ce_type} belongs on {belongs_on}, not on {found_on}")]
    WrongTopic {
        /// The record's full name and its schema version.
        ce_type: String,
        /// The topic that carries it.
        belongs_on: TopicName,
        /// The topic asked about.
        found_on: TopicName,
    },
    /// The bytes after the schema id are no datum of that schema, or hold an id that is none.
    #[error("the payload is no {ce_type}: {detail}")]
    Malformed {
        /// The record's full name and its schema version.
        ce_type: String,
        /// Why; at most `limits::MAX_DETAIL_BYTES`.
        detail: String,
    },
    /// The datum is complete, and more bytes follow.
    #[error("{bytes} bytes follow after the end of the {ce_type}")]
    TrailingBytes {
        /// The record's full name and its schema version.
        ce_type: String,
        /// How many.
        bytes: usize,
    },
}

impl DecodeError {
    /// The kind of mistake in one word, for metrics and headers.
    pub const fn code(&self) -> &'static str {
        match self {
            DecodeError::TooLarge { .. } => "too-large",
            DecodeError::NotFramed => "not-framed",
            DecodeError::UnknownSchema { .. } => "unknown-schema",
            DecodeError::UnknownType { .. } => "unknown-type",
            DecodeError::WrongTopic { .. } => "wrong-topic",
            DecodeError::Malformed { .. } => "malformed",
            DecodeError::TrailingBytes { .. } => "trailing-bytes",
        }
    }
}

/// Why a directory of schemas cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of the lock file is none.
    #[error("line {line} of the lock file is not `<id> <topic>-<record name> <version> <sha-256>`: {text}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
    /// Two lines, or a line and what is compiled in, claim the same id or the same version of a subject.
    #[error("schema id {id} ({subject} version {version}) contradicts another entry with that id or version")]
    Conflict {
        /// The later entry's id.
        id: u32,
        /// Its subject.
        subject: String,
        /// Its version.
        version: u32,
    },
    /// The file is not the one that was released.
    #[error("{} was changed after its release: its SHA-256 is {found}, the lock file says {locked}", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
        /// What it has.
        found: String,
        /// What it should have.
        locked: String,
    },
    /// The file holds no schema that a payload can be read with.
    #[error("{} cannot be used as a schema: {detail}", path.display())]
    Schema {
        /// Which file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// What the schema describes cannot always be read as the type that is compiled in.
    #[error("{} cannot be read as a {message_type}: {detail}", path.display())]
    Incompatible {
        /// Which file.
        path: PathBuf,
        /// The type compiled in.
        message_type: MessageType,
        /// Why.
        detail: String,
    },
}

/// What an Avro error says, without the schema that it quotes, bounded.
pub(crate) fn reason(error: apache_avro::Error) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum of two hundred variants; four quote a schema")]
    let text = match error.into_details() {
        Details::DeserializeValue(text) | Details::SerializeValue(text) => text,
        Details::SerializeRecordFieldWithSchema { field_name, error, .. } => format!("field {field_name}: {error}"),
        Details::DeserializeSchemaAware { value_type, value, .. } => format!("expected a {value_type}: {value}"),
        Details::SerializeValueWithSchema { value_type, value, .. } => format!("expected a {value_type}: {value}"),
        other => other.to_string(),
    };
    limits::detail(text)
}
