//! Why a service's database or schema cannot be worked with.
//!
//! Absent: what becomes of a batch that met it; see `failure`.

/// Why a service's database or schema cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It may be there later.
    #[error("{0}")]
    Away(String),
    /// Only a person can mend it.
    #[error("{0}")]
    Unusable(String),
    /// The outbox' part of the schema.
    #[error(transparent)]
    Outbox(#[from] outbox::OutboxError),
    /// A statement failed.
    #[error("{}", outbox::explain(.0))]
    Statement(#[from] tokio_postgres::Error),
}
