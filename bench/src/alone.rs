//! The program `bench-outbox`: the outbox without the pipeline, beside what Kafka and Postgres do without it.
//!
//! The work is the one on which other outboxes were measured (docs/performance.md): events of 400 B with 10,000 keys to
//! six partitions. The relay is a process of its own, this program again, so that its CPU and memory are its alone.

mod bed;
mod ceiling;
mod drain;
mod events;
mod figures;
mod latency;
mod live;
mod peers;
mod recovery;
mod relay;
mod singles;
mod topic;
mod writer;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use crate::error::{Doing, Result};
use crate::figures::{Figures, Report};
use crate::peers::Beside;
use crate::program;
use crate::report::Machine;
use crate::servers::Servers;
use bed::Work;
use figures::judge;
use peers::{Loads, OutboxPeers, beside_table};

/// Measure the outbox alone: drain, latency, sustained load, cost, recovery.
#[derive(Debug, Parser)]
#[command(name = "bench-outbox", version)]
struct Arguments {
    /// Events that wait when the relay of `drain` starts
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u32).range(1000..=100_000_000))]
    events: u32,
    /// Length of each sustained load in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(2..=3600))]
    seconds: u64,
    /// Run only these parts
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Partitions of the topic
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=1000))]
    partitions: i32,
    /// Put the outboxes of `bench/peers` under R1, R2 and R3 too, on the same servers, and print them beside
    #[arg(long)]
    peers: bool,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the relay of an outbox (used by the benchmark itself)
    #[command(hide = true)]
    Relay {
        /// Postgres
        #[arg(long)]
        database_url: String,
        /// Kafka
        #[arg(long)]
        brokers: String,
    },
}

/// What can be run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Produce only, the same records with the same settings.
    Ceiling,
    /// R1 and R4: a backlog, then the relay; and reading the same rows only.
    Drain,
    /// R2: single-event transactions at 1,000/s, the relay in the writer's process and in its own.
    Latency,
    /// R3: eight writers, the relay live.
    Live,
    /// R5: the same with a transaction held open from beginning to end.
    Held,
    /// The relay killed and started again.
    Recovery,
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("bench-outbox", None, || {
        match &arguments.command {
            Some(Command::Relay { database_url, brokers }) => relay::serve(database_url, brokers)?,
            None => bench(&arguments)?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The outcome, and what the peers reached where they were asked for.
#[derive(Serialize)]
struct WithPeers {
    #[serde(flatten)]
    report: Report,
    peers: Vec<Beside<Figures>>,
}

impl WithPeers {
    fn text(&self) -> String {
        self.report.text() + &beside_table(&self.report.figures, &self.peers)
    }
}

fn bench(arguments: &Arguments) -> Result<()> {
    let began = Timestamp::now().to_string();
    let command = std::env::args().skip(1).fold("cargo bench-outbox".to_owned(), |line, word| line + " " + &word);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("starting the runtime")?;
    let mut figures = Figures::default();
    let peers = runtime.block_on(run(arguments, &mut figures))?;
    let goals = judge(&figures);
    let report = Report { began, command, machine: Machine::here(), figures, goals };
    program::show(&WithPeers { report, peers }, WithPeers::text, arguments.json)
}

async fn run(arguments: &Arguments, figures: &mut Figures) -> Result<Vec<Beside<Figures>>> {
    let wants = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let peers = arguments.peers.then(OutboxPeers::build).transpose()?;
    let servers = Servers::start_with(if peers.is_some() { &peers::POSTGRES } else { &[] })?;
    let work = Work { servers: &servers, partitions: arguments.partitions };
    let length = Duration::from_secs(arguments.seconds);
    // Whoever comes first would otherwise pay for what the broker's compiler does in its first seconds.
    announce("warming up Kafka");
    ceiling::produce(&work, 200_000).await?;
    if wants(Part::Ceiling) {
        announce("produce only");
        figures.extend(ceiling::measure(&work, arguments.events).await?);
    }
    if wants(Part::Drain) {
        announce("R1: a backlog");
        figures.extend(drain::run(&work, arguments.events).await?);
    }
    if wants(Part::Latency) {
        announce("R2: single events, relay in the writer's process");
        figures.extend(latency::run(&work, latency::Where::WriterProcess, length).await?);
        announce("R2: single events, relay in a process of its own");
        figures.extend(latency::run(&work, latency::Where::OwnProcess, length).await?);
    }
    if wants(Part::Live) {
        announce("R3: eight writers");
        figures.extend(live::run(&work, live::Held::Nothing, length).await?);
    }
    if wants(Part::Held) {
        announce("R5: eight writers and an open transaction");
        figures.extend(live::run(&work, live::Held::Transaction, length).await?);
    }
    if wants(Part::Recovery) {
        announce("kill -9 of the relay");
        figures.extend(recovery::run(&work).await?);
    }
    let mut beside = Vec::new();
    if let Some(peers) = peers {
        let drain = wants(Part::Drain).then_some(arguments.events);
        let loads = Loads { drain, latency: wants(Part::Latency), live: wants(Part::Live), length };
        beside = peers.run(&work, loads).await?;
    }
    servers.stop()?;
    Ok(beside)
}

/// Progress goes to standard error; standard output is for the outcome.
fn announce(what: &str) {
    eprintln!("bench-outbox: {what}");
}
