//! Runs `orders` on a pipeline.

use std::process::{Command, Output};

use client::Connection;
use serde_json::Value;
use tests::{Outcome, Pipeline, trouble};

use crate::ORDERS;

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

/// Runs it to its end, with Kafka.
pub(crate) async fn run(pipeline: &Pipeline, arguments: &[&str]) -> Outcome<Run> {
    run_with(pipeline, arguments, &[]).await
}

/// The same with this in its environment.
pub(crate) async fn run_with(pipeline: &Pipeline, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome<Run> {
    let mut command = Command::new(ORDERS);
    command.args(arguments).args(["--brokers", &pipeline.servers().stack().brokers()]);
    command.args(["--topic-prefix", pipeline.prefix()]).env_remove("PIPELINE_CONFIG").current_dir(pipeline.folder());
    for name in ["ORDERS_API", "ORDERS_API_KEY", "ORDERS_API_KEY_FILE"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    let output: Output = tokio::task::spawn_blocking(move || command.output()).await??;
    Ok(Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The pipeline's topics, for the client's library.
pub(crate) fn connection(pipeline: &Pipeline) -> Connection {
    Connection::new(pipeline.servers().stack().brokers()).with_topic_prefix(pipeline.prefix())
}
