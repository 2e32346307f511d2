//! A program that ends by itself: what it printed, and how it ended.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{Outcome, trouble};

/// What a run printed, and how it ended.
#[derive(Debug)]
pub struct Run {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Run {
    /// The one JSON object that it printed.
    pub fn json(&self) -> Outcome<Value> {
        serde_json::from_str(&self.stdout).map_err(|error| trouble(format!("no JSON ({error}): {self:?}")))
    }

    /// Fails unless it ended with this code.
    pub fn expect(self, code: i32) -> Outcome<Self> {
        if self.code == Some(code) { Ok(self) } else { Err(trouble(format!("it should end with {code}: {self:#?}"))) }
    }
}

/// Runs a command line to its end.
pub async fn run_command(mut command: Command) -> Outcome<Run> {
    let output: Output = tokio::task::spawn_blocking(move || command.output()).await??;
    Ok(Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
