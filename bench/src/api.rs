//! The program `bench-api`: the door over HTTP, beside bare handlers in the same run.
//!
//! Door and bare handlers take short windows in turn, several times, and the medians count, so whatever drifts in the machine meets
//! both. Callers are tasks of this process; what they cost is told, because they share the cores with who is measured.

mod bare;
mod caller;
mod console;
mod load;
mod parts;
mod site;
mod streams;
mod waiting;

pub(crate) use streams::make_room;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use jiff::Timestamp;

use crate::error::{BenchError, Doing, Result};
use crate::figures::{Figures, Report};
use crate::program;
use crate::report::Machine;
use crate::servers::Servers;
use parts::{Plan, judge};
use site::{Deployed, Site};

const NAME: &str = "bench-api";

/// Measure the HTTP door: accepted orders, latencies, look-ups, memory, streams.
#[derive(Debug, Parser)]
#[command(name = "bench-api", version)]
struct Arguments {
    /// Length of each window in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// How often door and bare handlers take their turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The fixed rate of the part `latency`, in requests a second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Connections that are kept alive
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// How long the producers of both sides gather records (linger.ms); without it as long as the door's does
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    linger_ms: Option<u32>,
    /// Orders that are there before anything is measured; the look-ups go to them, and each stream follows one of them
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    orders: u64,
    /// Orders of the part `wait`, ten a second
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    waits: u64,
    /// Streams of the part `streams`
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    streams: u64,
    /// Orders that the read model has besides in the part `console`, made in the database
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    filled: u64,
    /// Consoles that are open in the part `console`
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    consoles: u64,
    /// Run only these parts
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Partitions of every topic; by default one per core
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    partitions: Option<u32>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Service(program::Command),
    /// Be the door (used by the benchmark itself)
    #[command(hide = true)]
    Door {
        /// The door's own arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Be the bare handlers (used by the benchmark itself)
    #[command(hide = true)]
    Bare(bare::Place),
}

/// What can be run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Orders that are waited for, on a pipeline that has nothing else to do.
    Wait,
    /// Orders at a fixed rate, answered once Kafka has them.
    Latency,
    /// As many orders as are accepted.
    Accept,
    /// As many look-ups of one order as are answered.
    Look,
    /// As many orders as are accepted, without and with many open streams.
    Streams,
    /// The console's pages, beside orders at a rate; and orders without and with open consoles.
    Console,
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Door { arguments }) => {
            order_api::daemon::main(std::iter::once("order-api".into()).chain(arguments.iter().cloned()))
        }
        Some(Command::Service(service)) => program::run(NAME, Some(service), || Ok(ExitCode::SUCCESS)),
        Some(Command::Bare(place)) => program::run(NAME, None, || bare::serve(place).map(|()| ExitCode::SUCCESS)),
        None => program::run(NAME, None, || bench(&arguments).map(|()| ExitCode::SUCCESS)),
    }
}

fn bench(arguments: &Arguments) -> Result<()> {
    let streams = arguments.wants(Part::Streams).then_some(arguments.streams);
    let consoles = arguments.wants(Part::Console).then_some(arguments.consoles);
    if streams.is_some_and(|streams| streams > arguments.orders) {
        return Err(BenchError::other("each stream follows an order of its own: give as many --orders as --streams"));
    }
    make_room(streams.max(consoles).unwrap_or(0))?;
    let began = Timestamp::now().to_string();
    let command = std::env::args().skip(1).fold("cargo bench-api".to_owned(), |line, word| line + " " + &word);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("starting the runtime")?;
    let figures = runtime.block_on(run(arguments))?;
    let goals = judge(&figures).into_iter().chain(console::judge(&figures)).collect();
    let report = Report { began, command, machine: Machine::here(), figures, goals };
    program::show(&report, Report::text, arguments.json)
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

async fn run(arguments: &Arguments) -> Result<Figures> {
    announce("starting Kafka, Postgres, the services, the door and the bare handlers");
    let servers = Servers::start()?;
    let deployed = Deployed {
        partitions: arguments.partitions.unwrap_or_else(program::cores),
        linger_ms: arguments.linger_ms,
        orders: arguments.orders,
    };
    let site = Site::start(&servers, &deployed).await?;
    let plan = Plan {
        window: Duration::from_secs(arguments.seconds),
        rounds: arguments.rounds,
        rate: arguments.rate,
        connections: arguments.connections,
    };
    let mut figures = Figures::default();
    if arguments.wants(Part::Wait) {
        announce("orders that are waited for");
        figures.extend(waiting::run(&site, arguments.waits).await?);
    }
    if arguments.wants(Part::Latency) {
        announce("orders at a fixed rate");
        figures.extend(plan.latency(&site).await?);
    }
    if arguments.wants(Part::Look) {
        announce("look-ups");
        figures.extend(plan.look(&site).await?);
    }
    if arguments.wants(Part::Accept) {
        announce("as many orders as are accepted");
        figures.extend(plan.accept(&site).await?);
    }
    figures.extend(parts::memory(&site)?);
    if arguments.wants(Part::Streams) {
        announce("streams");
        figures.extend(plan.streams(&site, arguments.streams).await?);
    }
    // The last one: it fills the read model with what no topic has.
    if arguments.wants(Part::Console) {
        announce("the console");
        figures.extend(console::run(&site, arguments.filled, plan.window * plan.rounds).await?);
        figures.extend(plan.consoles(&site, arguments.consoles).await?);
    }
    site.stop().await?;
    servers.stop()?;
    Ok(figures)
}

/// Progress goes to standard error; standard output is for the outcome.
fn announce(what: &str) {
    eprintln!("bench-api: {what}");
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
