//! The simulated provider's statement: what it did, one JSON object per line, appended.
//!
//! It is evidence that does not come from us, for a check that no order is charged twice. The provider has no memory, so a
//! key that was sent again after a crash can stand in it twice: that is one effect. Two keys are two effects.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use schemas::OrderId;
use serde::{Deserialize, Serialize};

use crate::payment::provider::{IdempotencyKey, ProviderRequest, operation_name};

/// One effective operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    /// The effect's name.
    pub key: IdempotencyKey,
    /// For which order.
    pub order_id: OrderId,
    /// `authorize`, `capture` or `void`.
    pub operation: String,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How it ended.
    pub outcome: StatementOutcome,
}

/// How an operation ended at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementOutcome {
    /// It was done.
    Succeeded,
    /// It was refused for good.
    Refused,
}

impl StatementLine {
    /// That this request ended so.
    pub fn of(request: &ProviderRequest, outcome: StatementOutcome) -> Self {
        StatementLine {
            key: request.key.clone(),
            order_id: request.order_id.clone(),
            operation: operation_name(request.operation).to_owned(),
            amount_minor: request.amount_minor,
            currency: request.currency.clone(),
            outcome,
        }
    }
}

/// Why the statement cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The file cannot be opened, written or read.
    #[error("cannot {action} the provider's statement {path}", path = .path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no statement line.
    #[error("line {number} of the provider's statement {path} cannot be understood", path = .path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        number: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
}

/// A statement that is being written. Several processes may append to one file: a line is one write.
#[derive(Debug)]
pub struct Statement {
    path: PathBuf,
    file: File,
}

impl Statement {
    /// Open for appending; created where missing.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, StatementError> {
        let opened = OpenOptions::new().create(true).append(true).open(path);
        let file = opened.map_err(|source| StatementError::File { action: "open", path: path.to_owned(), source })?;
        Ok(Statement { path: path.to_owned(), file })
    }

    /// Append a line.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&self, line: &StatementLine) -> Result<(), StatementError> {
        let failed = |source| StatementError::File { action: "write", path: self.path.clone(), source };
        let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        (&self.file).write_all(&text).map_err(failed)
    }

    /// All lines of a statement. A last line without its end is one that a crash cut off before it took effect; it is left
    /// out.
    ///
    /// # Errors
    /// The file cannot be read, or a line is no statement line.
    pub fn read(path: &Path) -> Result<Vec<StatementLine>, StatementError> {
        let read = std::fs::read_to_string(path);
        let text = read.map_err(|source| StatementError::File { action: "read", path: path.to_owned(), source })?;
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete
            .lines()
            .enumerate()
            .map(|(index, line)| {
                let line = serde_json::from_str(line);
                line.map_err(|source| StatementError::Line { path: path.to_owned(), number: index + 1, source })
            })
            .collect()
    }
}
