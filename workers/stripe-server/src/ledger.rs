//! What the server did: a line for each effect, in memory and in a file that `replay-tool verify` reads as a statement.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use domain::statement::{StatementLine, StatementOutcome};
use serde::{Deserialize, Serialize};

use crate::behaviour::Behaviour;

/// The file cannot be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("the ledger {path}: {source}", path = .path.display())]
pub struct LedgerError {
    path: PathBuf,
    source: std::io::Error,
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    lines: Vec<StatementLine>,
    /// What is done as soon as a customer confirms it, by payment.
    awaited: BTreeMap<String, StatementLine>,
    file: Option<(PathBuf, File)>,
    counts: Counts,
}

/// How often what was asked and answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests by what became of them: `done`, `again`, `lost`, `409`, `429`, `500`, …
    pub requests: BTreeMap<String, u64>,
}

impl Ledger {
    pub(crate) fn open(behaviour: &Behaviour) -> Result<Self, LedgerError> {
        let file = behaviour.statement.clone().map(|path| {
            let opened = OpenOptions::new().create(true).append(true).open(&path);
            opened.map(|file| (path.clone(), file)).map_err(|source| LedgerError { path, source })
        });
        Ok(Ledger { file: file.transpose()?, ..Ledger::default() })
    }

    /// That this was done.
    pub(crate) fn write(&mut self, line: StatementLine) -> Result<(), LedgerError> {
        if let Some((path, file)) = &mut self.file {
            let failed = |source| LedgerError { path: path.clone(), source };
            let mut text = serde_json::to_vec(&line).map_err(|error| failed(error.into()))?;
            text.push(b'\n');
            file.write_all(&text).map_err(failed)?;
        }
        self.lines.push(line);
        Ok(())
    }

    /// That this is done as soon as the customer confirms this payment.
    pub(crate) fn await_customer(&mut self, payment: &str, line: StatementLine) {
        self.awaited.insert(payment.to_owned(), line);
    }

    /// The customer has confirmed the payment.
    pub(crate) fn confirmed(&mut self, payment: &str) -> Result<(), LedgerError> {
        self.awaited.remove(payment).map_or(Ok(()), |line| self.write(line))
    }

    pub(crate) fn count(&mut self, what: &str) {
        *self.counts.requests.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn lines(&self) -> &[StatementLine] {
        &self.lines
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// How an answer's status ends a line.
pub(crate) fn outcome_of(status: u16) -> StatementOutcome {
    if status < 400 { StatementOutcome::Succeeded } else { StatementOutcome::Refused }
}
