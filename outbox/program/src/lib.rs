//! `outbox-relay`: the relay as a program of its own, and the operator's verbs.
//!
//! A thin shell around [`outbox::Relay`] and [`outbox::operate`]: reads flags and environment, connects, writes what came
//! of it. Any number may run as relays; one leads, the others stand by. What a person meets in every program of this
//! repository is in `grammar`.

mod arguments;
mod relay;
mod signals;
mod text;
mod verbs;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::CommandFactory as _;
use grammar::{Exit, complain};

use crate::arguments::{Arguments, LogFormat, Verb};

/// The program's name.
const NAME: &str = "outbox-relay";

/// What ends the program with a message.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Setting(#[from] grammar::SettingError),
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
    #[error("signals: {0}")]
    Signals(io::Error),
    #[error("the result cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Runs the program with these arguments, its own name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Arguments = match grammar::parse(arguments) {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    arguments.color.apply();
    // Who asks a question wants its answer and not the relay's diary.
    let is_daemon = matches!(arguments.verb, None | Some(Verb::Run | Verb::Migrate { .. }));
    start_logging(arguments.log_format, is_daemon);
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(carry_out(&arguments)));
    let exit = match ended {
        Ok(exit) => exit,
        // Whoever read the result has gone, and has not seen all of it.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Failed,
        Err(failure) => {
            complain(NAME, failure);
            Exit::Failed
        }
    };
    exit.into()
}

async fn carry_out(arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.verb {
        None | Some(Verb::Run) => relay::run(arguments).await.map(|()| Exit::Done),
        Some(Verb::Migrate { grants, work }) => verbs::migrate(&arguments.at, grants.as_deref(), work).await,
        Some(Verb::Status { output }) => verbs::status(&arguments.at, *output).await,
        Some(Verb::Audit(audit)) => verbs::audit(&arguments.at, audit).await,
        Some(Verb::Rebase { lanes, after, change, output }) => {
            verbs::rebase(&arguments.at, lanes, *after, change, *output).await
        }
        Some(Verb::Doctor(doctor)) => verbs::doctor(&arguments.at, doctor).await,
        Some(Verb::Shell(verb)) => {
            verb.run(grammar::layout(Arguments::command()))?;
            Ok(Exit::Done)
        }
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
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(grammar::is_colored_log());
    match format {
        LogFormat::Text => tracing_subscriber::registry().with(layer).with(filter).init(),
        LogFormat::Json => tracing_subscriber::registry().with(layer.json()).with(filter).init(),
    }
}
