//! A writer's own account of what it did, outside the database: one file per task, one line per step, written before the
//! step that it announces and after the one that it reports.
//!
//! A line is in the file once `write` has returned, whatever kills the process then. Times are the machine's clock in
//! microseconds: all processes share it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;

use crate::Outcome;
use crate::body::Body;

/// The writing side.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
}

impl Journal {
    pub(crate) fn create(folder: &Path, name: &str) -> Outcome<Self> {
        let file = OpenOptions::new().create(true).append(true).open(folder.join("journal").join(name))?;
        Ok(Self { file })
    }

    fn line(&mut self, text: &str) -> Outcome<()> {
        // One call of `write`, so that a line is whole or, at the end of a killed process, missing.
        Ok(self.file.write_all(format!("{text}\n").as_bytes())?)
    }

    /// About to do transaction `number`: these events if it commits, those whatever happens not.
    pub(crate) fn begin(&mut self, number: u64, will: &[Body], never: &[Body]) -> Outcome<()> {
        self.line(&format!("begin {number} {} {} {}", now(), list(will), list(never)))
    }

    pub(crate) fn committed(&mut self, number: u64) -> Outcome<()> {
        self.line(&format!("committed {number} {}", now()))
    }

    /// The answer to COMMIT did not come.
    pub(crate) fn unknown(&mut self, number: u64) -> Outcome<()> {
        self.line(&format!("unknown {number} {}", now()))
    }

    /// Certainly not committed.
    pub(crate) fn undone(&mut self, number: u64) -> Outcome<()> {
        self.line(&format!("undone {number} {}", now()))
    }

    /// Something that must not happen.
    pub(crate) fn broken(&mut self, what: &str) -> Outcome<()> {
        self.line(&format!("broken {}", what.replace('\n', " ")))
    }

    /// Rests, as asked in this round of asking.
    pub(crate) fn rests(&mut self, asked: u64) -> Outcome<()> {
        self.line(&format!("rests {asked}"))
    }

    /// A relay's role, when it has changed.
    pub(crate) fn role(&mut self, role: &str) -> Outcome<()> {
        self.line(&format!("role {role} {}", now()))
    }
}

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

fn list(bodies: &[Body]) -> String {
    if bodies.is_empty() {
        return "-".to_owned();
    }
    bodies.iter().map(Body::to_string).collect::<Vec<_>>().join(",")
}
