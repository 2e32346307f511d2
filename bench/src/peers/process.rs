//! A peer's process and what it says: lines of `word: rest` on its output, among whatever it logs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dev_stack::Child;

use crate::error::{BenchError, Result};
use crate::measure::Target;

/// A running peer; it is killed when dropped, with all that it started.
pub(crate) struct PeerProcess {
    name: String,
    child: Child,
}

impl PeerProcess {
    /// Starts a program.
    pub(crate) fn start(name: &str, command: Command, log: &Path) -> Result<Self> {
        let child = Child::spawn(command, name, log).map_err(BenchError::other)?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Waits until it says these words, and returns that line; blocks the calling task only. An error with what it said last,
    /// when it ends or time is over.
    pub(crate) fn says(&self, words: &str, limit: Duration) -> Result<String> {
        let waited = tokio::task::block_in_place(|| self.child.wait_for_line(words, limit));
        waited.map_err(BenchError::other)?.ok_or_else(|| BenchError::other(self.reason()))
    }

    /// What it says after `version: `.
    pub(crate) fn version(&self) -> Result<String> {
        let said = self.child.output().map_err(BenchError::other)?;
        Ok(said.lines().find_map(|line| line.strip_prefix("version: ")).unwrap_or("unknown").to_owned())
    }

    /// What to measure: itself, and each process that it said it had started.
    pub(crate) fn targets(&self) -> Result<Vec<Target>> {
        let pid = u32::try_from(self.child.pid()).map_err(BenchError::other)?;
        let mut targets = vec![Target { name: self.name.clone(), pid, with_children: false }];
        let said = self.child.output().map_err(BenchError::other)?;
        for line in said.lines().filter_map(|line| line.strip_prefix("process: ")) {
            if let Some((name, pid)) = line.rsplit_once(' ') {
                targets.push(Target::tree(name, pid.parse().map_err(BenchError::other)?));
            }
        }
        Ok(targets)
    }

    /// Waits until it has ended by itself, and well.
    pub(crate) fn ends(&self, limit: Duration) -> Result<()> {
        let ended = tokio::task::block_in_place(|| self.child.wait_timeout(limit)).map_err(BenchError::other)?;
        match ended {
            Some(status) if status.success() => Ok(()),
            Some(_) | None => Err(BenchError::other(self.reason())),
        }
    }

    /// Asks it to end, and waits; kills it where that takes too long. It is measured: how it ends counts for nothing.
    pub(crate) fn stop(self, limit: Duration) -> Result<()> {
        self.child.terminate().map_err(BenchError::other)?;
        if tokio::task::block_in_place(|| self.child.wait_timeout(limit)).map_err(BenchError::other)?.is_none() {
            self.child.kill9().map_err(BenchError::other)?;
        }
        Ok(())
    }

    /// The error that it ended with, or its last words.
    fn reason(&self) -> String {
        let tail = self.child.tail();
        let error = tail.lines().rev().find_map(|line| line.strip_prefix("Error: "));
        error.or_else(|| tail.lines().next_back()).unwrap_or("it said nothing").to_owned()
    }
}
