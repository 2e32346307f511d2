//! The program's arguments: one verb, one file. How a run ends is in `exit`.
//!
//! A verb is a subcommand's options and a function `run(options, &Interrupt)`. Ctrl-C raises the interrupt; blocking
//! readers see it between two records. A verb that leaves nothing half done wherever it stands is dropped at once, one
//! that publishes or copies may end what it has in hand, and is dropped when that takes long.

mod archive;
mod dead_letters;
mod exit;
mod moment;
mod rebuild;
mod reconcile;
mod source;
mod tables;
mod trace;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use grammar::{ColorOptions, Exit, ShellVerb, complain};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::ReplayError;
use crate::interrupt::Interrupt;

/// How long an interrupted verb may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// Looks at the order pipeline from outside: reads topics and tables, changes nothing unless a verb says so.
#[derive(Debug, Parser)]
#[command(name = "replay-tool", version, after_help = exit::exit_codes())]
struct Arguments {
    #[command(flatten)]
    color: ColorOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Hold topics, or an archive of them, and tables against each other and against everything that must always hold.
    Verify(verify::Options),
    /// Everything that happened to an order, over all topics and outboxes, and what it is waiting for.
    Trace(trace::Options),
    /// Records that nobody could take: look at them, publish them again, settle them.
    DeadLetters(dead_letters::Options),
    /// Fold the topics into tables: beside the live ones, in their place, into files, or only counted.
    Rebuild(rebuild::Options),
    /// Hold the payment provider's balance transactions against the ledger, order by order.
    Reconcile(reconcile::Options),
    /// Tell the state of an order, a SKU or the whole shop as it was at a time.
    At(moment::AtOptions),
    /// Tell what changed between two times.
    Diff(moment::DiffOptions),
    /// Copy all topics to files that outlive Kafka's retention, and look after them.
    #[command(subcommand)]
    Archive(archive::Verb),
    #[command(flatten)]
    Shell(ShellVerb),
}

impl Verb {
    async fn run(self, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
        match self {
            Verb::Verify(options) => interrupt.or_done(verify::run(options, interrupt)).await,
            Verb::Trace(options) => interrupt.or_done(trace::run(options, interrupt)).await,
            Verb::DeadLetters(options) => dead_letters::run(options, interrupt).await,
            // What it writes, it writes in transactions, and under another name until it is whole.
            Verb::Rebuild(options) => interrupt.or_done(rebuild::run(options, interrupt)).await,
            Verb::Reconcile(options) => interrupt.or_done(reconcile::run(options)).await,
            Verb::At(options) => interrupt.or_done(moment::at(options, interrupt)).await,
            Verb::Diff(options) => interrupt.or_done(moment::diff(options, interrupt)).await,
            Verb::Archive(verb) => archive::run(verb, interrupt).await,
            Verb::Shell(verb) => {
                let written = verb.run(grammar::layout(Arguments::command()));
                written.map(|()| Exit::Done).map_err(ReplayError::output("it"))
            }
        }
    }
}

/// Run the program with these arguments, the program's own name first.
pub fn main(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
    let arguments: Arguments = match grammar::parse(arguments.into_iter().map(Into::into)) {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    arguments.color.apply();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(exit::NAME, error);
            return Exit::Failed.into();
        }
    };
    let ended = runtime.block_on(interruptible(arguments.verb));
    // A thread that still blocks has nothing that anybody waits for.
    runtime.shutdown_background();
    exit::code(ended).into()
}

/// Run the verb until it ends, or until it was interrupted and its time to end by itself is over.
async fn interruptible(verb: Verb) -> Result<Exit, ReplayError> {
    let interrupt = Interrupt::default();
    // Before anything else is done: from here on a signal asks, and does not kill.
    let mut signals =
        Signals::listen().map_err(|error| ReplayError::arguments(format!("listening for signals: {error}")))?;
    let running = verb.run(&interrupt);
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended,
        () = signals.next() => interrupt.raise(),
    }
    tokio::select! {
        ended = &mut running => ended,
        () = signals.next() => Err(ReplayError::Interrupted),
        () = tokio::time::sleep(GRACE) => Err(ReplayError::Interrupted),
    }
}

/// Ctrl-C, and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent_and_the_pages_of_help_are_the_kept_ones() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/help.txt");
        assert_eq!(grammar::help_is_kept(Arguments::command(), kept.as_ref()), Ok(()));
    }
}
