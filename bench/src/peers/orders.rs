//! The peers of the pipeline: programs that take the same orders all the way, in a database of their own.
//!
//! Each load of each peer is a process of its own with empty tables. CPU is that of Postgres and of all processes of the
//! peer; Kafka, which none of them uses, is left out. Latency is from placing the order (at a rate: from when it was due) to
//! the end of its last transaction, which confirms it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Beside, Outcome, PeerProcess, Programs, first_line};
use crate::error::{BenchError, Doing, Result};
use crate::goals::quotient;
use crate::measure::{Meter, Quantiles, connect};
use crate::pipeline::{Arrivals, Load};
use crate::plan::announce;
use crate::report::{dash, table};
use crate::run::Run;
use crate::servers::Servers;

/// The peers: what they are called, and their programs.
const PEERS: [(&str, &str); 3] =
    [("synchronous program", "peer-synchronous"), ("DBOS", "peer-dbos"), ("Restate", "peer-restate")];
/// How long a peer may take to fetch what it needs and to start.
const START: Duration = Duration::from_secs(600);
/// How long the orders that are under way at the end, and the check of all, may take.
const END: Duration = Duration::from_secs(180);

/// The built peers.
pub(crate) struct PipelinePeers(Programs);

/// What a peer is told; `Task` of `bench/peers/work` reads it.
#[derive(Serialize)]
struct Task<'a> {
    name: &'a str,
    database_url: String,
    per_second: Option<f64>,
    warm_up: u64,
    seconds: u64,
    cache: PathBuf,
    folder: PathBuf,
}

/// What a peer says of its window.
#[derive(Deserialize)]
struct Window {
    latency: Quantiles,
}

impl PipelinePeers {
    /// Builds them, before anything else runs.
    pub(crate) fn build() -> Result<Self> {
        announce("building the peers");
        Programs::build(&PEERS.map(|(_, program)| program)).map(PipelinePeers)
    }

    /// Puts each of them under each of the loads.
    pub(crate) async fn run(&self, servers: &Servers, loads: &[Load]) -> Result<Vec<Beside<Run>>> {
        let mut all = Vec::new();
        for (system, name) in PEERS {
            let program = match self.0.find(name) {
                Ok(program) => program,
                Err(reason) => {
                    announce(&format!("{system}: {}", first_line(&reason)));
                    let outcome = Outcome::NotRun { reason };
                    all.push(Beside { system: system.to_owned(), load: "all".to_owned(), outcome });
                    continue;
                }
            };
            for load in loads {
                announce(&format!("{system}, load {}: {}", load.name, pace(load.pace)));
                let database = format!("{}_{}", name.replace('-', "_"), servers.next_number());
                let url = servers.create_database(&database)?;
                let outcome = match measure(servers, name, Command::new(&program), load, url).await {
                    Ok((version, reached)) => Outcome::Ran { version, reached },
                    Err(error) => Outcome::NotRun { reason: error.to_string() },
                };
                servers.drop_database(&database).await?;
                all.push(Beside { system: system.to_owned(), load: load.name.clone(), outcome });
            }
        }
        Ok(all)
    }
}

/// The peers beside our runs of the same loads; each second column is the peer's figure by ours.
pub(crate) fn beside_table(ours: &[Run], peers: &[Beside<Run>]) -> String {
    let header = ["load", "system", "orders/s", "", "p50 ms", "", "p99 ms", "", "CPU-ms", "", "WAL B", "", "tx"];
    let mut rows = Vec::new();
    for run in ours.iter().filter(|run| peers.iter().any(|peer| peer.load == run.name)) {
        rows.push(row("this pipeline", run, run));
        rows.extend(peers.iter().filter(|peer| peer.load == run.name).map(|peer| match &peer.outcome {
            Outcome::Ran { reached, .. } => row(&peer.system, reached, run),
            Outcome::NotRun { .. } => vec![run.name.clone(), peer.system.clone(), "did not run".to_owned()],
        }));
    }
    let title =
        "Peers in the same run (after each figure: by ours; CPU of all processes of a system, per completed order)";
    let mut text = table(title, &header, rows);
    let mut said: Vec<String> = peers
        .iter()
        .map(|peer| match &peer.outcome {
            Outcome::Ran { version, .. } => format!("{}: {version}\n", peer.system),
            Outcome::NotRun { reason } => format!("{}, {}: NOT RUN: {reason}\n", peer.system, peer.load),
        })
        .collect();
    said.dedup();
    text.extend(said);
    if !peers.is_empty() {
        text.push('\n');
    }
    text
}

fn row(system: &str, run: &Run, ours: &Run) -> Vec<String> {
    let cpu = |run: &Run| run.cpu_ms_per_order.get("total").copied().unwrap_or_default();
    let latency = |run: &Run, of: fn(&Quantiles) -> f64| run.confirm_latency_ms.as_ref().map(of);
    let figures = [
        (Some(run.orders_per_second), Some(ours.orders_per_second), 0),
        (latency(run, |found| found.p50), latency(ours, |found| found.p50), 1),
        (latency(run, |found| found.p99), latency(ours, |found| found.p99), 1),
        (Some(cpu(run)), Some(cpu(ours)), 3),
        (Some(run.wal_bytes_per_order), Some(ours.wal_bytes_per_order), 0),
    ];
    let mut cells = vec![run.name.clone(), system.to_owned()];
    for (figure, our, digits) in figures {
        cells.push(figure.map_or_else(dash, |value| format!("{value:.digits$}")));
        cells.push(
            figure
                .zip(our.filter(|our| *our > 0.0))
                .map_or_else(dash, |(value, our)| format!("{:.2}x", quotient(value, our))),
        );
    }
    cells.push(format!("{:.2}", run.transactions_per_order));
    cells
}

async fn measure(
    servers: &Servers,
    name: &str,
    mut program: Command,
    load: &Load,
    database_url: String,
) -> Result<(String, Run)> {
    let folder = servers.logs().join(format!("{name}-{}", load.name));
    fs::create_dir_all(&folder).doing("making a folder for a peer")?;
    let client = connect(&database_url).await?;
    let per_second = match load.pace {
        Arrivals::PerSecond(rate) => Some(rate),
        Arrivals::InFlight(_) => None,
    };
    let task = Task {
        name: &load.name,
        database_url,
        per_second,
        warm_up: load.warm_up.as_secs(),
        seconds: load.window.as_secs(),
        cache: Programs::cache(),
        folder: folder.clone(),
    };
    program.arg(serde_json::to_string(&task).map_err(BenchError::other)?);
    let peer = PeerProcess::start(name, program, &folder.join("peer.log"))?;
    peer.says("window begins", START + load.warm_up)?;
    let mut targets = servers.targets();
    targets.retain(|target| target.name == "postgres");
    targets.extend(peer.targets()?);
    let meter = Meter::start(targets, &client).await?;
    let said = peer.says("window ends: ", load.window + END)?;
    let usage = meter.finish(&client).await?;
    peer.ends(END)?;
    let (_, window) = said.split_once("window ends: ").unwrap_or_default();
    let Window { latency } = serde_json::from_str(window).map_err(BenchError::other)?;
    let mut run = Run::of(load.name.as_str(), 5.0, latency.count, &usage);
    run.offered_per_second = per_second;
    run.confirm_latency_ms = Some(latency);
    Ok((peer.version()?, run))
}

/// At full speed each peer has as many orders under way as it is best at.
fn pace(pace: Arrivals) -> String {
    match pace {
        Arrivals::InFlight(_) => "full speed".to_owned(),
        Arrivals::PerSecond(rate) => format!("{rate:.0} orders/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Usage;

    fn run(completed: u64) -> Run {
        let usage = Usage {
            elapsed: Duration::from_secs(1),
            processes: Vec::new(),
            commits: 0,
            wal_bytes: 1000,
            buffers: 0,
            descents: 0,
        };
        Run::of("max5", 5.0, completed, &usage)
    }

    #[test]
    fn peers_stand_beside_ours_with_ratios_and_an_absent_one_has_its_reason() {
        let beside = |system: &str, outcome| Beside { system: system.to_owned(), load: "max5".to_owned(), outcome };
        let ran = Outcome::Ran { version: "a 1.0".to_owned(), reached: run(100) };
        let absent = Outcome::NotRun { reason: "the registry has no b".to_owned() };
        let text = beside_table(&[run(400)], &[beside("A", ran), beside("B", absent)]);
        assert!(text.contains("0.25x") && text.contains("A: a 1.0"), "{text}");
        assert!(text.contains("B, max5: NOT RUN: the registry has no b"), "{text}");
        assert!(beside_table(&[run(400)], &[]).is_empty());
    }
}
