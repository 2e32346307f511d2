//! The program `bench-pipeline`: reads its arguments, runs the plan, prints the outcome.
//!
//! The services run as processes of their own: this program again, as `bench daemon <service> …`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use schemas::ServiceName;
use serde::Serialize;

use crate::comparison::{Compared, Comparison};
use crate::error::{BenchError, Doing, Result};
use crate::flash::FlashSale;
use crate::growth::Growth;
use crate::outcome::Report;
use crate::plan::{Part, Plan};

/// Measure the order pipeline against the reference ceiling of this machine, in one run.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Arguments {
    /// Length of each measured window in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Load before each window in seconds
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    warm_up: u64,
    /// Run only these parts; `flash` and what stands behind it run only where they are named
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// The fixed rates of the part `rates`, in orders per second
    #[arg(long, value_delimiter = ',', default_values_t = [20, 100, 450], value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rates: Vec<u32>,
    /// Tell where the time of orders at fixed rates goes, from message to message
    #[arg(long)]
    hops: bool,
    /// Unfinished orders at full speed
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    in_flight: u64,
    /// Partitions of every topic of the pipeline; by default one per core
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    partitions: Option<u32>,
    /// The sample data: a .jsonl or .jsonl.zst file of orders
    #[arg(long, value_name = "FILE")]
    orders: Option<PathBuf>,
    #[command(flatten)]
    flash: FlashSale,
    /// Put the peers of `bench/peers` under the same loads, on the same servers, and print them beside
    #[arg(long, conflicts_with = "against")]
    peers: bool,
    #[command(flatten)]
    growth: Growth,
    /// How long the part `memory` takes, without and with scrapes, in minutes each
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    memory_minutes: u64,
    /// Compare this build with another: the program `bench` of that build. Both take the loads in turn
    #[arg(long, value_name = "PROGRAM")]
    against: Option<PathBuf>,
    /// How often each load is run where builds, codecs, sizes or idle hours are compared
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What a benchmark's program is besides: a service, so that one build is enough.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Be one of the services (used by the benchmark itself)
    #[command(hide = true)]
    Daemon {
        /// order, inventory or payment
        service: String,
        /// The service's own arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run("bench", arguments.command.as_ref(), || bench(&arguments).map(|()| ExitCode::SUCCESS))
}

/// A benchmark's program of this name, or the service that it was asked to be.
pub(crate) fn run(name: &str, command: Option<&Command>, benchmark: impl FnOnce() -> Result<ExitCode>) -> ExitCode {
    if let Some(Command::Daemon { service, arguments }) = command {
        return daemon(service, arguments);
    }
    benchmark().unwrap_or_else(|error| {
        eprintln!("{name}: {error}");
        ExitCode::FAILURE
    })
}

fn daemon(service: &str, arguments: &[OsString]) -> ExitCode {
    match ServiceName::parse(service) {
        Some(known) => {
            let name = OsString::from(format!("{service}-worker"));
            workers::daemon::main(known, std::iter::once(name).chain(arguments.iter().cloned()))
        }
        None => {
            eprintln!("bench: no service is called {service}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<()> {
    let plan = Plan {
        parts: arguments.only.clone(),
        window: Duration::from_secs(arguments.seconds),
        warm_up: Duration::from_secs(arguments.warm_up),
        in_flight: arguments.in_flight,
        partitions: arguments.partitions.unwrap_or_else(cores),
        with_hops: arguments.hops,
        rates: arguments.rates.clone(),
        sample: arguments.orders.clone().unwrap_or_else(sample_data),
        flash: arguments.flash.clone(),
        peers: arguments.peers,
        growth: arguments.growth.clone(),
        memory: Duration::from_secs(arguments.memory_minutes * 60),
        rounds: arguments.rounds,
    };
    let began = Timestamp::now().to_string();
    let command = std::env::args().skip(1).fold("cargo bench-pipeline".to_owned(), |line, word| line + " " + &word);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("starting the runtime")?;
    if let Some(against) = arguments.against.clone() {
        let comparison = Comparison { plan, against };
        let (before, after) = runtime.block_on(comparison.run())?;
        let compared = Compared::of(began, command, arguments.seconds, before, after);
        return show(&compared, Compared::text, arguments.json);
    }
    let measured = runtime.block_on(plan.run())?;
    show(&Report::of(began, command, arguments.seconds, measured), Report::text, arguments.json)
}

/// Prints the report: as one JSON object, or as tables.
pub(crate) fn show<R: Serialize>(report: &R, text: impl FnOnce(&R) -> String, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string(report).map_err(BenchError::other)?);
    } else {
        print!("{}", text(report));
    }
    Ok(())
}

/// librdkafka sends a request per partition, so more partitions than cores cost requests and give nothing.
pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().ok().and_then(|cores| u32::try_from(cores.get()).ok()).unwrap_or(2)
}

/// The orders that come with the sources.
pub(crate) fn sample_data() -> PathBuf {
    dev_stack::workspace().join("tests/data/orders-2017-01.jsonl.zst")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }
}
