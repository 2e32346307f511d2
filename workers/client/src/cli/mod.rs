//! The `orders` program: publish orders, receive stock, and see what became of them.
//!
//! What was asked for goes to stdout (text, or JSON with `--json`), everything else to stderr; progress is shown on a
//! terminal only. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but for refused lines, 4 and 5 what `--wait` found,
//! 130 interrupted.

mod cancel;
mod fates;
mod history;
mod options;
mod output;
mod publish;
mod settings;
mod stock;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

use self::options::{Options, StockVerb, Verb};
use self::output::{Failure, Output};
use super::Connection;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Everything that was asked for is done.
    Done,
    /// What was asked for did not come about, as stdout says: an unknown order, a refused cancel.
    Negative,
    /// Done, but for lines that could not be encoded.
    LinesRefused,
    /// All orders have ended, and not all well.
    EndedOtherwise,
    /// Not all orders have ended in time.
    NotEnded,
    /// Interrupted by a signal.
    Interrupted,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Done => ExitCode::SUCCESS,
            End::Negative => ExitCode::from(1),
            End::LinesRefused => ExitCode::from(3),
            End::EndedOtherwise => ExitCode::from(4),
            End::NotEnded => ExitCode::from(5),
            End::Interrupted => ExitCode::from(130),
        }
    }
}

/// Everything that a verb needs beside its own options.
struct Session {
    connection: Connection,
    output: Output,
    patience: Duration,
}

/// Runs the program with these arguments (the first is the program's name).
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match Options::try_parse_from(args) {
        Ok(options) => options,
        Err(error) => {
            // Help and version go to stdout and are no mistake; there is nothing to do when stdout is closed.
            drop(error.print());
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
    };
    match run(options) {
        Ok(end) => end.into(),
        Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("orders: {failure}");
            ExitCode::from(1)
        }
    }
}

fn run(options: Options) -> Result<End, Failure> {
    let connection = settings::connection(&options.kafka)?;
    let output = Output::new(options.json);
    let session = Session { connection, output, patience: Duration::from_secs(options.timeout) };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::Words(format!("cannot start the runtime: {error}")))?;
    let end = runtime.block_on(perform(&session, options.verb));
    // A thread that waits for standard input may never end; nothing is lost by leaving it.
    runtime.shutdown_timeout(Duration::from_millis(200));
    end
}

async fn perform(session: &Session, verb: Verb) -> Result<End, Failure> {
    match verb {
        Verb::Publish(options) => publish::run(session, options).await,
        Verb::Stock(StockVerb::Receive(options)) => stock::receive(session, options).await,
        Verb::Stock(StockVerb::Show(options)) => or_interrupted(stock::show(session, options)).await,
        Verb::Show(options) => or_interrupted(history::run(session, options)).await,
        Verb::Watch(options) => or_interrupted(watch::run(session, options)).await,
        Verb::Cancel(options) => or_interrupted(cancel::run(session, options)).await,
    }
}

/// Gives up at Ctrl-C. Not for publishing, which then still says how far it came.
async fn or_interrupted(work: impl Future<Output = Result<End, Failure>>) -> Result<End, Failure> {
    tokio::select! {
        end = work => end,
        _ = tokio::signal::ctrl_c() => Ok(End::Interrupted),
    }
}
