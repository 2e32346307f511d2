//! The program `bench-replay`: rebuilding state, beside what memory, Postgres and Kafka do without it.
//!
//! Synthetic orders that are all completed, over the topics of all three services, in the proportions of the pipeline.
//! Every comparison is with the same bytes in the same run: rows with the same rows copied, records with the same records
//! only read.

mod bare;
mod caught_up;
mod synthetic;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use jiff::Timestamp;
use replay_tool::{
    ArchiveStore, Codec, MemoryLog, RebuildConfig, RebuildReport, Records, ServiceTables, Target, rebuild,
};
use schemas::{ServiceName, TopicName};
use serde::Serialize;

use crate::error::{BenchError, Doing, Result};
use crate::goals::{Goal, at_least, at_most, mebibytes, quotient};
use crate::measure::connect;
use crate::program;
use crate::report::{Machine, goal_table, table};
use crate::servers::Servers;

/// Parts that are held at once where not one core is measured but the machine: the program's default.
const PARALLEL: usize = 3;
/// Partitions of every topic.
const PARTITIONS: usize = 6;

/// Measure rebuilding: fold, write to Postgres, read from Kafka.
#[derive(Debug, Parser)]
#[command(name = "bench-replay", version)]
struct Arguments {
    /// Events of all topics together
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1000..=100_000_000))]
    events: u64,
    /// Run only these parts
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// The most records whose state is held at once
    #[arg(long, default_value_t = 100_000)]
    unit_records: u64,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

/// What can be run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Decode and fold, from memory.
    Fold,
    /// Into Postgres, beside a binary COPY of the same rows.
    Postgres,
    /// From Kafka, beside a consumer that only reads.
    Kafka,
    /// The read model from nothing, beside a service that takes a backlog.
    View,
}

/// One measurement.
#[derive(Debug, Clone, Serialize)]
struct Figure {
    what: &'static str,
    /// Events, rows or records.
    count: u64,
    seconds: f64,
    per_second: f64,
}

/// Everything measured in one run.
#[derive(Debug, Serialize)]
struct Report {
    began: String,
    command: String,
    machine: Machine,
    figures: Vec<Figure>,
    goals: Vec<Goal>,
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("bench-replay", None, || bench(&arguments).map(|()| ExitCode::SUCCESS))
}

fn bench(arguments: &Arguments) -> Result<()> {
    let began = Timestamp::now().to_string();
    let command = std::env::args().skip(1).fold("cargo bench-replay".to_owned(), |line, word| line + " " + &word);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("starting the runtime")?;
    let (figures, goals) = runtime.block_on(run(arguments))?;
    let report = Report { began, command, machine: Machine::here(), figures, goals };
    program::show(&report, Report::text, arguments.json)
}

async fn run(arguments: &Arguments) -> Result<(Vec<Figure>, Vec<Goal>)> {
    let wants = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let (mut figures, mut goals) = (Vec::new(), Vec::new());
    announce("making events");
    let log = synthetic::events(arguments.events, PARTITIONS)?;
    if wants(Part::Fold) {
        announce("folding from memory");
        let report = rebuild(config(&log, arguments, Target::Memory)).await.map_err(BenchError::other)?;
        let (events, fold_s) = folded(&report);
        figures.push(figure("decode and fold, one core", events, fold_s));
        figures.push(figure("the same with rows and their digest", events, report.elapsed_s));
        announce("folding from an archive in memory");
        let archived = from_archive(arguments, &log, Codec::Deflate, "from an archive in memory, one core").await?;
        goals.push(at_least(
            "events/s folded from an archive in memory, per core",
            "",
            1_000_000.0,
            archived.per_second,
        ));
        figures.push(archived);
        figures.push(from_archive(arguments, &log, Codec::Zstandard, "the same with --codec zstandard").await?);
    }
    if !wants(Part::Postgres) && !wants(Part::Kafka) && !wants(Part::View) {
        return Ok((figures, goals));
    }
    let servers = Servers::start()?;
    if wants(Part::Postgres) {
        postgres(arguments, &servers, &log, &mut figures, &mut goals).await?;
    }
    if wants(Part::Kafka) || wants(Part::View) {
        servers.create_topics(&TopicName::all_names(), i32::try_from(PARTITIONS).map_err(BenchError::other)?).await?;
    }
    // Before the events are there: a service whose topics say more than its database takes nothing.
    let backlog = match wants(Part::View) {
        true => Some(caught_up::backlog(&servers, arguments.events).await?),
        false => None,
    };
    if wants(Part::Kafka) || wants(Part::View) {
        publish(&servers, &log).await?;
    }
    if wants(Part::Kafka) {
        kafka(arguments, &servers, &log, &mut figures, &mut goals).await?;
    }
    if let Some(backlog) = backlog {
        caught_up::read_model(&servers, &log, backlog, &mut figures, &mut goals).await?;
    }
    servers.stop()?;
    Ok((figures, goals))
}

/// Decompress, decode and fold; all of it on one core.
async fn from_archive(arguments: &Arguments, log: &MemoryLog, codec: Codec, what: &'static str) -> Result<Figure> {
    let archive = ArchiveStore::in_memory();
    let (filled, records) = (archive.clone(), log.clone());
    let filled = tokio::task::spawn_blocking(move || filled.fill(&records, codec)).await;
    filled.map_err(BenchError::other)?.map_err(BenchError::other)?;
    let mut config = config(log, arguments, Target::Memory);
    config.records = Records::Archive { archive, prefix: String::new() };
    // A partition a part, as far as that goes: a slice would decompress all of its partition once more.
    config.unit_records = arguments.unit_records.max(200_000);
    let (events, fold_s) = folded(&rebuild(config).await.map_err(BenchError::other)?);
    Ok(figure(what, events, fold_s))
}

async fn postgres(
    arguments: &Arguments,
    servers: &Servers,
    log: &MemoryLog,
    figures: &mut Vec<Figure>,
    goals: &mut Vec<Goal>,
) -> Result<()> {
    announce("rebuilding into Postgres");
    let url = servers.create_database("replay")?;
    let before = resident_bytes();
    forget_peak()?;
    let mut config = config(log, arguments, Target::Schema);
    config.parallel = PARALLEL;
    config.tables = ServiceName::ALL.map(|service| (service.into(), tables(&url, service))).to_vec();
    let begun = Instant::now();
    let report = rebuild(config).await.map_err(BenchError::other)?;
    let rebuilt_s = begun.elapsed().as_secs_f64();
    let grown = peak_bytes().saturating_sub(before);
    let rows = report.services.iter().flat_map(|service| &service.tables).map(|table| table.rows).sum();
    announce("copying the same rows");
    let client = connect(&url).await?;
    let copied = bare::copy_again(&client).await?;
    let (rebuilt, copied) =
        (figure("rebuild into Postgres", rows, rebuilt_s), figure("binary COPY of the same rows", rows, copied));
    let ratio = quotient(rebuilt.per_second, copied.per_second);
    goals.push(at_least("rows/s into Postgres, by those of a binary COPY of the same rows", "", 0.8, ratio));
    goals.push(at_most("memory that a rebuild into Postgres adds to the events'", "MiB", 256.0, mebibytes(grown)));
    figures.extend([rebuilt, copied]);
    drop(client);
    servers.drop_database("replay").await
}

async fn publish(servers: &Servers, log: &MemoryLog) -> Result<()> {
    announce("publishing the events");
    bare::publish(servers.brokers(), log, &TopicName::of_state().collect::<Vec<_>>()).await
}

async fn kafka(
    arguments: &Arguments,
    servers: &Servers,
    log: &MemoryLog,
    figures: &mut Vec<Figure>,
    goals: &mut Vec<Goal>,
) -> Result<()> {
    let names: Vec<String> = TopicName::of_state().map(|topic| topic.as_str().to_owned()).collect();
    let records = u64::try_from(log.len()).map_err(BenchError::other)?;
    announce("only reading them");
    let brokers = servers.brokers().to_owned();
    let read = tokio::task::spawn_blocking(move || bare::read_all(&brokers, &names, records));
    let read = figure("a consumer that only reads", records, read.await.map_err(BenchError::other)??);
    announce("rebuilding from Kafka");
    let mut config = config(log, arguments, Target::Memory);
    config.parallel = PARALLEL;
    let mut kafka = rdkafka::ClientConfig::new();
    kafka.set("bootstrap.servers", servers.brokers());
    config.records = Records::Kafka { config: kafka, prefix: String::new(), patience: Duration::from_secs(60) };
    // The program's default.
    config.unit_records = config.unit_records.max(500_000);
    let report = rebuild(config).await.map_err(BenchError::other)?;
    let rebuilt = figure("rebuild from Kafka", records, report.elapsed_s);
    let ratio = quotient(rebuilt.per_second, read.per_second);
    goals.push(at_least("records/s rebuilt from Kafka, by those of a consumer that only reads", "", 0.7, ratio));
    figures.extend([read, rebuilt]);
    Ok(())
}

fn config(log: &MemoryLog, arguments: &Arguments, target: Target) -> RebuildConfig {
    let mut config = RebuildConfig::new(Records::Memory(log.clone()), target);
    config.unit_records = arguments.unit_records;
    config.parallel = 1;
    config
}

fn tables(url: &str, service: ServiceName) -> ServiceTables {
    ServiceTables { database_url: url.to_owned(), schema: service.to_string() }
}

/// Events, and how long one core was busy with them.
fn folded(report: &RebuildReport) -> (u64, f64) {
    let events = report.services.iter().map(|service| service.counts.folded).sum();
    (events, report.services.iter().map(|service| service.fold_s).sum())
}

#[expect(clippy::float_arithmetic, reason = "a rate, not an amount")]
fn figure(what: &'static str, count: u64, seconds: f64) -> Figure {
    Figure { what, count, seconds, per_second: count as f64 / seconds }
}

/// What this process holds now, and what it held at most.
fn resident_bytes() -> u64 {
    status("VmRSS:")
}

fn peak_bytes() -> u64 {
    status("VmHWM:")
}

/// What was held at most counts from now on; the kernel documents it with `clear_refs` in proc(5).
fn forget_peak() -> Result<()> {
    std::fs::write("/proc/self/clear_refs", "5").doing("forgetting the peak of memory")
}

fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

impl Report {
    fn text(&self) -> String {
        let rows = self.figures.iter().map(|figure| {
            let Figure { what, count, seconds, per_second } = figure;
            vec![(*what).to_owned(), count.to_string(), format!("{seconds:.2}"), format!("{per_second:.0}")]
        });
        let figures = table("Replay", &["what", "count", "s", "per second"], rows.collect());
        format!("{}\n\n{figures}{}", self.machine.text(), goal_table(&self.goals))
    }
}

/// Progress goes to standard error; standard output is for the outcome.
fn announce(what: &str) {
    eprintln!("bench-replay: {what}");
}
