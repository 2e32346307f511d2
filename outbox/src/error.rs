//! What can go wrong when appending or reading, and which of it is worth another try.
//!
//! One enum for the crate and one classification ([`OutboxError::class`]), so that a caller needs no knowledge of
//! SQLSTATEs. Errors of the relay are in [`crate::relay`], because nobody but its owner handles them.

use tokio_postgres::error::SqlState;

/// SQLSTATE raised by the guards of the append (isolation, `synchronous_commit`).
pub const SQLSTATE_GUARD: &str = "OB001";

/// SQLSTATE raised by a compare-and-set that found another value than expected.
pub const SQLSTATE_CONFLICT: &str = "OB002";

/// SQLSTATE raised by `outbox_sends` for a message that cannot be published.
pub const SQLSTATE_REFUSED: &str = "OB004";

/// SQLSTATE raised when a topic is registered with another partition count.
pub(crate) const SQLSTATE_PARTITIONS: &str = "OB003";

/// Why an operation of this crate failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The database refused a statement or the connection broke before COMMIT was sent. Nothing was committed.
    #[error("{doing}: {}", explain(source))]
    Database {
        /// What was being done.
        doing: &'static str,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// The database did not answer in time.
    #[error("{doing}: no answer in time")]
    TimedOut {
        /// What was being done.
        doing: &'static str,
    },
    /// The connection broke after COMMIT was sent and before its answer came: it may have been committed or not.
    #[error("the outcome of a COMMIT is unknown: {}", explain(source))]
    OutcomeUnknown {
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// An earlier statement of this transaction failed, so it can only be rolled back.
    #[error("an earlier statement of this transaction failed; it was rolled back")]
    TransactionFailed,
    /// A deferred statement changed or returned another number of rows than it should. COMMIT had already been sent with
    /// it, so the transaction is committed: such a statement should raise by itself.
    #[error("a deferred statement gave {got} rows, not {expected}; the transaction is committed")]
    UnexpectedRows {
        /// Rows that were expected.
        expected: u64,
        /// Rows that came.
        got: u64,
    },
    /// A statement of a transaction gave another number of rows than its caller asked for. The transaction is still open.
    #[error("a statement gave {got} rows, not {expected}")]
    RowCount {
        /// How many were asked for.
        expected: &'static str,
        /// Rows that came.
        got: usize,
    },
    /// The message names a topic that this outbox was not opened with.
    #[error("topic `{topic}` is not registered with this outbox")]
    UnknownTopic {
        /// The topic's name.
        topic: String,
    },
    /// The message gives a partition that its topic does not have.
    #[error("topic `{topic}` has no partition {partition}")]
    UnknownPartition {
        /// The topic's name.
        topic: String,
        /// The partition asked for.
        partition: i32,
    },
    /// A message without a key must say its partition.
    #[error("a message for `{topic}` has neither key nor partition")]
    NoKey {
        /// The topic's name.
        topic: String,
    },
    /// The record would be larger than the configured limit.
    #[error("a message for `{topic}` would take {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// The topic's name.
        topic: String,
        /// Bytes of the record as it would be published.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A header's name or value cannot be carried by Kafka, or an event has an empty or unfit type.
    #[error("header or type `{name}` cannot be published")]
    Header {
        /// The beginning of the offending text.
        name: String,
    },
    /// A header cannot be sent by a statement of SQL; see [`crate::SendColumns::of`].
    #[error("header `{name}` cannot be sent by SQL: {reason}; a commit of this crate's own transaction takes it")]
    SentHeader {
        /// The beginning of its name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// A row of the outbox cannot be read.
    #[error("a row of the outbox is corrupt: {what}")]
    CorruptRow {
        /// What about it.
        what: &'static str,
    },
    /// A topic partition has no inbox row; it is created when the partition is assigned.
    #[error("a topic partition has no inbox row")]
    MissingInboxRow,
    /// The configuration cannot be used.
    #[error("outbox configuration: {reason}")]
    Configuration {
        /// What is wrong, in words for a person.
        reason: String,
    },
    /// The tables are missing, or newer than this program.
    #[error("schema `{schema}`: {reason}")]
    Schema {
        /// Name of the database schema.
        schema: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// What a caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Run the whole transaction again, on a new connection if this one is closed.
    Retry,
    /// A compare-and-set found another value: reload, decide again, run again.
    Conflict,
    /// Read the database before running it again: it may have been committed.
    Unknown,
    /// Running it again gives the same error.
    Permanent,
}

impl OutboxError {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Database { source, .. } => class_of(source),
            Self::OutcomeUnknown { .. } => Class::Unknown,
            Self::TransactionFailed | Self::TimedOut { .. } => Class::Retry,
            Self::MissingInboxRow => Class::Conflict,
            Self::UnexpectedRows { .. }
            | Self::RowCount { .. }
            | Self::UnknownTopic { .. }
            | Self::UnknownPartition { .. }
            | Self::NoKey { .. }
            | Self::TooLarge { .. }
            | Self::Header { .. }
            | Self::SentHeader { .. }
            | Self::CorruptRow { .. }
            | Self::Configuration { .. }
            | Self::Schema { .. } => Class::Permanent,
        }
    }

    pub(crate) fn database(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Database { doing, source }
    }
}

/// Classifies an error of the driver. Division by zero counts as a conflict, because `1 / (count(*) = n)::int` is the
/// usual way to make a compare-and-set raise without a function.
pub fn class_of(error: &tokio_postgres::Error) -> Class {
    let Some(code) = error.code() else {
        return if error.is_closed() || is_io(error) { Class::Retry } else { Class::Permanent };
    };
    match code.code() {
        SQLSTATE_CONFLICT => Class::Conflict,
        state if state == SqlState::DIVISION_BY_ZERO.code() => Class::Conflict,
        // 08 connection, 40 rollback (serialisation, deadlock), 53 resources, 55 object state (lock not available),
        // 57 operator (shutdown, cancel), 58 system; 25P03 is the time-out of an idle transaction.
        state if ["08", "40", "53", "55", "57", "58"].contains(&&state[..2]) => Class::Retry,
        "25P02" | "25P03" => Class::Retry,
        _ => Class::Permanent,
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>())
}

/// An error of the driver in words for a person, whose own `Display` says only "db error" or "error connecting to server":
/// the server's message and SQLSTATE if there is one, else every cause down to the last; and what is wrong with TLS.
pub fn explain(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", server.message(), server.code().code());
    }
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    let advice = TLS_ADVICE.iter().find(|(said, _)| words.contains(said));
    advice.map_or(words.clone(), |(_, advice)| format!("{words}, {advice}"))
}

/// What the driver and OpenSSL say when the two sides do not agree on TLS, and what it means.
const TLS_ADVICE: [(&str, &str); 3] = [
    ("server does not support TLS", "and sslmode (require, verify-ca or verify-full) forbids to go on without"),
    ("alert unknown ca", "for the server does not trust the authority that signed the certificate in sslcert"),
    ("alert bad certificate", "for the server does not accept the certificate in sslcert"),
];
