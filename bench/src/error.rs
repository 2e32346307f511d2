//! What stops a benchmark run, with what it was doing at the time.
//!
//! A benchmark has no recovery: every error ends the run, so there is one type and no classification.

use std::fmt::Display;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// Postgres refused or went away.
    #[error("{doing}: {source}{}", postgres_detail(source))]
    Postgres {
        /// What the run was doing.
        doing: &'static str,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// Kafka refused or went away.
    #[error("{doing}: {source}")]
    Kafka {
        /// What the run was doing.
        doing: &'static str,
        /// The client's error.
        source: rdkafka::error::KafkaError,
    },
    /// A file, a process or `/proc`.
    #[error("{doing}: {source}")]
    Io {
        /// What the run was doing.
        doing: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

/// Shorthand of this package.
pub(crate) type Result<T> = std::result::Result<T, BenchError>;

/// Says what failed.
pub(crate) trait Doing<T> {
    /// The error, with what was being done.
    fn doing(self, doing: &'static str) -> Result<T>;
}

impl<T> Doing<T> for std::result::Result<T, tokio_postgres::Error> {
    fn doing(self, doing: &'static str) -> Result<T> {
        self.map_err(|source| BenchError::Postgres { doing, source })
    }
}

impl<T> Doing<T> for std::result::Result<T, rdkafka::error::KafkaError> {
    fn doing(self, doing: &'static str) -> Result<T> {
        self.map_err(|source| BenchError::Kafka { doing, source })
    }
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T> {
        self.map_err(|source| BenchError::Io { doing: doing.to_owned(), source })
    }
}

impl BenchError {
    /// An error in words.
    pub(crate) fn other(text: impl Display) -> Self {
        BenchError::Other(text.to_string())
    }
}

/// The server's own words; the driver's `Display` says only "db error".
fn postgres_detail(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(detail) => format!(" ({}: {})", detail.code().code(), detail.message()),
        None => String::new(),
    }
}
