//! What went wrong with a batch, and what becomes of it: one classification for every error of a lane transaction.

use crate::database_error::DatabaseError;
use tokio_postgres::error::SqlState;

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The same batch may succeed later: the server was away, or another transaction was in the way.
    #[error("{0}")]
    Retry(String),
    /// Something in the batch cannot be taken: bisect.
    #[error("{0}")]
    Poison(String),
    /// The surroundings are not as they have to be, and no batch is at fault: a table or a right is missing. Nothing is consumed,
    /// and the same batch is tried again, with pauses, until a person has mended it.
    #[error("{0}")]
    Environment(String),
    /// No batch can succeed until a person acts: the process ends.
    #[error("{0}")]
    Halt(String),
}

impl Failure {
    /// As a metric label.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Failure::Retry(_) => "retry",
            Failure::Poison(_) => "poison",
            Failure::Environment(_) => "environment",
            Failure::Halt(_) => "halt",
        }
    }

    /// Sort a database error by its SQL state.
    /// Classes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    pub fn of_database(error: &tokio_postgres::Error) -> Failure {
        let text = outbox::explain(error);
        let Some(state) = error.code() else {
            return Failure::Retry(text);
        };
        // The schema's version was right when the program began (`migrate::check`): `migrate` would not help.
        if *state == SqlState::UNDEFINED_TABLE
            || *state == SqlState::UNDEFINED_COLUMN
            || *state == SqlState::UNDEFINED_FUNCTION
            || *state == SqlState::INVALID_SCHEMA_NAME
        {
            return Failure::Environment(format!(
                "{text}; it was there at the start: somebody changed the schema since, or the connection is no longer one \
                 session (a transaction pooler)"
            ));
        }
        if *state == SqlState::INSUFFICIENT_PRIVILEGE {
            return Failure::Environment(format!("{text}; give the role of DATABASE_URL the missing grant"));
        }
        // A unique violation is another lane's insert of the same aggregate: the rerun will find its row.
        if *state == SqlState::UNIQUE_VIOLATION {
            return Failure::Retry(text);
        }
        match state.code().get(..2) {
            // data exceptions, constraint violations, program limits: this content can never be saved
            Some("22" | "23" | "54") => Failure::Poison(text),
            _ => Failure::Retry(text),
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Failure::of_database(&error)
    }
}

/// A text that cannot be read as JSON never can.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Failure::Poison(format!("JSON: {error}"))
    }
}

impl From<outbox::OutboxError> for Failure {
    fn from(error: outbox::OutboxError) -> Self {
        Failure::of_outbox(error)
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Away(words) => Failure::Retry(words),
            DatabaseError::Unusable(words) => Failure::Halt(words),
            DatabaseError::Outbox(error) => Failure::of_outbox(error),
            DatabaseError::Statement(error) => Failure::of_database(&error),
        }
    }
}

impl Failure {
    /// What becomes of a batch that met this error of the outbox.
    pub fn of_outbox(error: outbox::OutboxError) -> Failure {
        use outbox::{Class, OutboxError};
        match (error.class(), error) {
            (_, error @ (OutboxError::Schema { .. } | OutboxError::Configuration { .. })) => {
                Failure::Halt(error.to_string())
            }
            // An unknown outcome is found out by running the batch again: its positions will have moved.
            (Class::Retry | Class::Conflict | Class::Unknown, error) => Failure::Retry(error.to_string()),
            (Class::Permanent, OutboxError::Database { source, .. }) => Failure::of_database(&source),
            (Class::Permanent, error) => Failure::Poison(error.to_string()),
        }
    }
}
