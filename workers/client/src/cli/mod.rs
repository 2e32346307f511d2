//! The `orders` program: publish orders, receive stock, and see what became of them.
//!
//! What was asked for goes to stdout (text, or JSON with `--json`), everything else to stderr; progress is shown on a
//! terminal only. Options, words and exit codes are those of all programs (`grammar`); 3, 4 and 5 are `publish`'s own.

mod changes;
mod fates;
mod history;
mod list;
mod options;
mod output;
mod publish;
mod settings;
mod stock;
mod watch;
mod way;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;
use grammar::{Exit, complain};

use self::list::ListOptions;
use self::options::{ENDED_OTHERWISE, LINES_REFUSED, NOT_ENDED, Options, StockVerb, StuckVerb, Verb};
use self::output::{Failure, Output};
use self::way::Way;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As any program may.
    Shared(Exit),
    /// Done, but for lines that could not be encoded.
    LinesRefused,
    /// All orders have ended, and not all well.
    EndedOtherwise,
    /// Not all orders have ended in time.
    NotEnded,
}

impl End {
    const DONE: End = End::Shared(Exit::Done);
    const NO: End = End::Shared(Exit::No);
    const FAILED: End = End::Shared(Exit::Failed);
    const INTERRUPTED: End = End::Shared(Exit::Interrupted);
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Shared(exit) => exit.into(),
            End::LinesRefused => ExitCode::from(LINES_REFUSED),
            End::EndedOtherwise => ExitCode::from(ENDED_OTHERWISE),
            End::NotEnded => ExitCode::from(NOT_ENDED),
        }
    }
}

/// The program's name.
const NAME: &str = "orders";

/// Everything that a verb needs beside its own options.
struct Session {
    way: Way,
    output: Output,
    patience: Duration,
}

/// Runs the program with these arguments (the first is the program's name).
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (options, file) = match settings::read(args) {
        Ok(read) => read,
        Err(exit) => return exit.into(),
    };
    options.color.apply();
    match run(options, &file) {
        Ok(end) => end.into(),
        // Whoever read stdout has gone, and has not seen all of it.
        Err(Failure::OutputClosed) => Exit::Failed.into(),
        Err(failure) => {
            complain(NAME, failure);
            Exit::Failed.into()
        }
    }
}

fn run(options: Options, file: &grammar::SettingsFile) -> Result<End, Failure> {
    if let Verb::Shell(verb) = &options.verb {
        return Ok(verb.run(grammar::layout(Options::command())).map(|()| End::DONE)?);
    }
    let way = settings::way(&options, file)?;
    let output = Output::new(options.output.json);
    let session = Session { way, output, patience: options.wait.limit() };
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
        Verb::Stock(StockVerb::Adjust(options)) => stock::adjust(session, options).await,
        Verb::Stock(StockVerb::Describe(options)) => stock::describe(session, options).await,
        Verb::Stock(StockVerb::Show(options)) => or_interrupted(stock::show(session, options)).await,
        Verb::Show(options) => or_interrupted(history::run(session, options)).await,
        Verb::Watch(options) => or_interrupted(watch::run(session, options)).await,
        Verb::List(options) => or_interrupted(list::run(session, options)).await,
        Verb::Change(verb) => or_interrupted(changes::run(session, verb.change())).await,
        Verb::Stuck(StuckVerb::List(listing)) => or_interrupted(list::run(session, ListOptions::stuck(listing))).await,
        Verb::Stuck(StuckVerb::Show(options)) => or_interrupted(history::run(session, options)).await,
        Verb::Stuck(StuckVerb::Free(verb)) => or_interrupted(changes::run(session, verb.change())).await,
        Verb::Shell(_) => Ok(End::DONE),
    }
}

/// Gives up at Ctrl-C. Not for publishing, which then still says how far it came.
async fn or_interrupted(work: impl Future<Output = Result<End, Failure>>) -> Result<End, Failure> {
    tokio::select! {
        end = work => end,
        _ = tokio::signal::ctrl_c() => Ok(End::INTERRUPTED),
    }
}
