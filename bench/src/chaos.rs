//! The program `chaos`: everything is killed, paused and restarted under load, by a seeded course; then all is counted.
//!
//! It starts its own servers and two processes of each worker, publishes real orders with cancels, and lets a provider with
//! faults answer. After each fault it waits until everything works again and notes how long that took. At the end the
//! load stops, the pipeline comes to rest, and acknowledgements, topics, tables and the provider's statement are held against
//! each other. Deliberately absent: garbage, restores, changed topics; those have tests of their own.

mod audit;
mod course;
mod fleet;
mod load;
mod outcome;
mod recovery;
mod site;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Parser;
use client::{Connection, Publisher};
use dev_stack::Server;
use schemas::{CommandId, ReceiveStock};
use tokio::runtime::Runtime;

use crate::error::{BenchError, Doing, Result};
use crate::pipeline::{Orders, PIECES};
use crate::program::{self, Command, sample_data};
use audit::{Audit, audit};
use course::{Course, Fault, Strike};
use fleet::Fleet;
use load::Load;
use outcome::{End, Notes, Outcome};
use recovery::{Observer, Recovery};
use site::Site;

/// How long everything may take to work for the first time.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long the receipts may take to be published.
const RECEIPT_LIMIT: Duration = Duration::from_secs(60);

/// Kill, pause and restart everything under load, and say what was lost, doubled, held, stuck or did not come back.
#[derive(Debug, Parser)]
#[command(name = "chaos", version)]
struct Arguments {
    /// Length of the course in minutes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// The same seed gives the same course
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Orders per second
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=2000))]
    rate: u32,
    /// Partitions of every topic
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=100))]
    partitions: u16,
    /// How long after healing something counts as not back, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    back_within: u64,
    /// The orders: a .jsonl or .jsonl.zst file
    #[arg(long, value_name = "FILE")]
    orders: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("chaos", arguments.command.as_ref(), || {
        let outcome = chaos(&arguments)?;
        print(&outcome, arguments.json);
        Ok(if outcome.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

fn print(outcome: &Outcome, json: bool) {
    match serde_json::to_string(outcome) {
        Ok(text) if json => println!("{text}"),
        Ok(_) => print!("{}", outcome.text()),
        Err(error) => eprintln!("chaos: the outcome cannot be printed: {error}"),
    }
}

fn chaos(arguments: &Arguments) -> Result<Outcome> {
    // Read before anything starts, so that a missing file costs no minutes.
    let file = arguments.orders.clone().unwrap_or_else(sample_data);
    let orders = Orders::sample(&file)?.sound();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("starting the runtime")?;
    announce("starting Kafka and Postgres");
    let site = Site::start(arguments.seed, arguments.partitions)?;
    let outcome = run(arguments, &site, orders, &runtime);
    let keep_logs = !outcome.as_ref().is_ok_and(Outcome::is_clean);
    if keep_logs {
        announce(&format!("logs are in {}", site.folder().display()));
    }
    site.stop(keep_logs)?;
    outcome
}

fn run(arguments: &Arguments, site: &Site, orders: Orders, runtime: &Runtime) -> Result<Outcome> {
    announce("starting two processes of each worker");
    let fleet = Fleet::start(site)?;
    runtime.block_on(receive_stock(site, &orders))?;
    let began = Instant::now();
    let load = Load::start(site.brokers(), orders, arguments.rate)?;
    let mut notes = Notes::default();
    let mut observer = Observer { site, fleet: &fleet, load: &load, runtime, held: BTreeSet::new() };
    match observer.wait(START_LIMIT)? {
        Recovery::Complete(after) => announce(&format!("everything works after {after:.1?}")),
        Recovery::Missing(missing) => return Err(BenchError::other(format!("no start: {}", missing.join("; ")))),
    }
    let at_begin = fleet.memory();
    let limit = Duration::from_secs(arguments.back_within);
    let over = Instant::now() + Duration::from_secs(arguments.minutes * 60);
    for step in Course::new(arguments.seed).take_while(|_| Instant::now() < over) {
        take(&step, &mut observer, limit, &mut notes)?;
    }
    announce("the course is over; the load stops, and everything comes to rest");
    let held = std::mem::take(&mut observer.held);
    let acknowledged = load.stop()?;
    let Audit { findings, report } = runtime.block_on(audit(site, &acknowledged))?;
    let held =
        held.into_iter().chain(recovery::holds(&fleet.obstacles())).collect::<BTreeSet<_>>().into_iter().collect();
    let memory = [at_begin, fleet.memory()];
    let surprises = fleet.stop()?;
    let (seed, took) = (arguments.seed, began.elapsed());
    Ok(Outcome::new(notes, End { seed, took, acknowledged, findings, report, held, surprises, memory }))
}

/// One step: rest, fault, healing, recovery. What is not back by itself is restarted, as an operator would.
fn take(step: &Strike, observer: &mut Observer<'_>, limit: Duration, notes: &mut Notes) -> Result<()> {
    sleep(step.rest);
    let victim = victim(step, observer).to_owned();
    let what = format!("step {}: {} of {victim}", step.number, step.fault.as_str());
    let log_bytes = observer.site.kafka_log_bytes()?;
    suffer(step, observer.site, observer.fleet)?;
    let missing = match observer.wait(limit)? {
        Recovery::Complete(after) => {
            announce(&format!("{what}, lasting {:.1?}; everything works {after:.1?} after healing", step.length));
            notes.recovered(step.fault, after);
            return Ok(());
        }
        Recovery::Missing(missing) => missing,
    };
    if let Some(fault) = observer.site.coordinator_fault(log_bytes)? {
        announce(&format!("{what}: Kafka's own coordinator is out of order, its broker is started again: {fault}"));
        notes.broker_fault(step, &victim, &fault);
        site::take_down(observer.site.kafka()?, Server::stop, Duration::ZERO)?;
    } else {
        announce(&format!("{what}: NOT BACK after {limit:?}: {}", missing.join("; ")));
        notes.not_back(step, &victim, &missing);
        observer.fleet.restart_all()?;
    }
    match observer.wait(START_LIMIT)? {
        Recovery::Complete(after) => announce(&format!("restarted by hand; everything works after {after:.1?}")),
        Recovery::Missing(missing) => {
            notes.not_back(step, "all, restarted by hand", &missing);
            announce(&format!("NOT BACK although restarted by hand: {}", missing.join("; ")));
        }
    }
    Ok(())
}

/// To whom it happens.
fn victim<'f>(step: &Strike, observer: &Observer<'f>) -> &'f str {
    match step.fault {
        Fault::WorkerKill | Fault::WorkerAway | Fault::WorkerPause | Fault::WorkerTerminate => {
            observer.fleet.name(step.pick)
        }
        Fault::KafkaKill | Fault::KafkaPause | Fault::KafkaTerminate => "the broker",
        Fault::PostgresImmediate | Fault::PostgresKill | Fault::PostgresPause => "the database",
    }
}

/// The fault and its healing: returns when the server answers again, or the worker may run again.
fn suffer(step: &Strike, site: &Site, fleet: &Fleet) -> Result<()> {
    let length = step.length;
    match step.fault {
        Fault::WorkerKill | Fault::WorkerAway => fleet.kill(step.pick, length),
        Fault::WorkerPause => fleet.pause(step.pick, length),
        Fault::WorkerTerminate => fleet.terminate(step.pick),
        Fault::KafkaKill => site::take_down(site.kafka()?, Server::kill, length),
        Fault::KafkaPause => site::pause(site.kafka()?, length),
        Fault::KafkaTerminate => site::take_down(site.kafka()?, Server::stop, length),
        Fault::PostgresImmediate => site::take_down(site.postgres()?, Server::stop_at_once, length),
        Fault::PostgresKill => site::take_down(site.postgres()?, Server::kill, length),
        Fault::PostgresPause => site::pause(site.postgres()?, length),
    }
}

/// Receipts come before orders in time only; the first orders may still be refused, which is an end like any other.
async fn receive_stock(site: &Site, orders: &Orders) -> Result<()> {
    let publisher = Publisher::open(&Connection::new(site.brokers()), "/chaos").map_err(BenchError::other)?;
    for sku in orders.skus()? {
        let command_id = CommandId::new(format!("chaos-{sku}")).map_err(BenchError::other)?;
        let receipt = ReceiveStock::of(sku, command_id, PIECES);
        publisher.send(&receipt.into()).await.map_err(BenchError::other)?;
    }
    let deliveries = publisher.flush(RECEIPT_LIMIT).await.map_err(BenchError::other)?;
    if deliveries.failed > 0 {
        return Err(BenchError::other(format!("{} receipts of stock were not published", deliveries.failed)));
    }
    Ok(())
}

/// Progress goes to standard error; standard output is for the outcome.
fn announce(what: &str) {
    eprintln!("chaos: {}: {what}", jiff::Timestamp::now().strftime("%H:%M:%S"));
}
