//! Runs `replay-tool` on a pipeline.

use std::process::Command;

use tests::{Outcome, Pipeline};
pub(crate) use tests::{Run, run_command};

use crate::REPLAY;

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
