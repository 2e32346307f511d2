//! `outbox-relay`: the relay as a program of its own, and the operator's verbs.
//!
//! A thin shell around [`outbox::Relay`] and [`outbox::operate`]: reads flags and environment, connects, writes what came
//! of it. Any number may run as relays; one leads, the others stand by.

mod arguments;
mod relay;
mod signals;
mod text;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, LogFormat, Verb};

/// What ends the program with a message.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Outbox(#[from] outbox::OutboxError),
    #[error(transparent)]
    Relay(#[from] outbox::RelayError),
    #[error(transparent)]
    Operate(#[from] outbox::operate::OperateError),
    #[error(transparent)]
    ConnectionString(#[from] outbox::ConnectionStringError),
    #[error(transparent)]
    Brokers(outbox::kafka::Unanswered),
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("signals: {0}")]
    Signals(std::io::Error),
}

/// What came of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All is well.
    Fine,
    /// Something was found.
    Found,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Who asks a question wants its answer and not the relay's diary.
    let is_daemon = matches!(arguments.verb, None | Some(Verb::Run | Verb::Migrate { .. }));
    start_logging(arguments.log_format, is_daemon);
    match carry_out(&arguments).await {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("outbox-relay: {failure}");
            ExitCode::from(2)
        }
    }
}

async fn carry_out(arguments: &Arguments) -> Result<Outcome, Failure> {
    match &arguments.verb {
        None | Some(Verb::Run) => relay::run(arguments).await.map(|()| Outcome::Fine),
        Some(Verb::Migrate { grants, work }) => verbs::migrate(&arguments.at, grants.as_deref(), work).await,
        Some(Verb::Status { output }) => verbs::status(&arguments.at, *output).await,
        Some(Verb::Audit(audit)) => verbs::audit(&arguments.at, audit).await,
        Some(Verb::Rebase { lanes, after, change, output }) => {
            verbs::rebase(&arguments.at, lanes, *after, change, *output).await
        }
        Some(Verb::Doctor(doctor)) => verbs::doctor(&arguments.at, doctor).await,
    }
}

fn start_logging(format: LogFormat, is_daemon: bool) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    let level = if is_daemon { LevelFilter::INFO } else { LevelFilter::WARN };
    // RUST_LOG is a level, or levels by target. What is none is no reason not to relay.
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(level));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => tracing_subscriber::registry().with(layer).with(filter).init(),
        LogFormat::Json => tracing_subscriber::registry().with(layer.json()).with(filter).init(),
    }
}
