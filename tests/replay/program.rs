//! Runs `replay-tool` on a pipeline.

use std::process::{Command, Output};

use serde_json::Value;
use tests::{Outcome, Pipeline, trouble};

use crate::REPLAY;

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The one JSON object that it printed.
    pub(crate) fn json(&self) -> Outcome<Value> {
        serde_json::from_str(&self.stdout).map_err(|error| trouble(format!("no JSON ({error}): {self:?}")))
    }

    /// Fails unless it ended with this code.
    pub(crate) fn expect(self, code: i32) -> Outcome<Self> {
        if self.code == Some(code) { Ok(self) } else { Err(trouble(format!("it should end with {code}: {self:#?}"))) }
    }
}

/// The command line: the verb's words, and where the pipeline's topics are.
pub(crate) fn command(pipeline: &Pipeline, arguments: &[&str]) -> Command {
    let mut command = Command::new(REPLAY);
    command.args(arguments).args(["--brokers", &pipeline.servers().stack().brokers()]);
    command.args(["--topic-prefix", pipeline.prefix()]);
    command.env_remove("DATABASE_URL").env_remove("KAFKA_BROKERS").env("USER", "the-operator");
    command
}

/// The command line on an archive alone: there might be no broker at all.
pub(crate) fn offline(pipeline: &Pipeline, archive: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(REPLAY);
    command.args(arguments).args(["--archive", archive, "--topic-prefix", pipeline.prefix()]);
    command.env_remove("DATABASE_URL").env_remove("KAFKA_BROKERS");
    command
}

/// Runs that to its end.
pub(crate) async fn run_offline(pipeline: &Pipeline, archive: &str, arguments: &[&str]) -> Outcome<Run> {
    run_command(offline(pipeline, archive, arguments)).await
}

/// Runs it to its end.
pub(crate) async fn run(pipeline: &Pipeline, arguments: &[&str]) -> Outcome<Run> {
    run_command(command(pipeline, arguments)).await
}

/// Runs a command line to its end.
pub(crate) async fn run_command(mut command: Command) -> Outcome<Run> {
    let output: Output = tokio::task::spawn_blocking(move || command.output()).await??;
    Ok(Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
