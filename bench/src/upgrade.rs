//! The program `upgrade`: workers of an older build are replaced by this build's, one after another, while orders come, and then
//! the other way round; in the end the checker looks at everything.
//!
//! As `docs/wire-contract.md` has it: the older build gets the new folder of schemas first, then the tables are migrated, then who
//! is asked is upgraded before who asks. Rolled back is in the opposite order, and the tables stay as they are. After each step
//! every order that was placed until then has to end before the next one.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rdkafka::ClientConfig;
use replay_tool::{CheckConfig, Records};
use schemas::ServiceName;
use serde::Serialize;

use crate::error::{BenchError, Doing, Result};
use crate::pipeline::{Board, Orders, Pipeline, Workers};
use crate::program::{self, Command};
use crate::report::table;
use crate::servers::Servers;

/// In the ids of orders, and the name of database and topics.
const NAME: &str = "upgrade";
/// The default of `topics create`.
const PARTITIONS: u32 = 6;
/// Who is asked comes before who asks.
const SEQUENCE: [ServiceName; 3] = [ServiceName::Inventory, ServiceName::Payment, ServiceName::Order];
/// How long orders come between two steps.
const CALM: Duration = Duration::from_secs(3);
/// How long orders that were placed may take to end, whatever happens meanwhile: longer than their own deadline.
const LIMIT: Duration = Duration::from_secs(120);
/// How long nothing may come of what the outboxes hold.
const PATIENCE: Duration = Duration::from_secs(60);

/// Upgrade an older build under load, daemon by daemon, roll it back, and verify everything.
#[derive(Debug, Parser)]
#[command(name = "upgrade", version, subcommand_negates_reqs = true)]
struct Arguments {
    /// The program `bench` of the older build
    #[arg(long, value_name = "PROGRAM", required = true)]
    from: Option<PathBuf>,
    /// Orders a second meanwhile
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// Instances of each worker
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=6))]
    instances: u32,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// One step.
#[derive(Debug, Serialize)]
struct Step {
    what: String,
    /// From its beginning until the new worker is ready.
    took_s: f64,
    /// From there until every order that was placed before had ended.
    settled_s: f64,
}

/// What came out.
#[derive(Debug, Serialize)]
struct Outcome {
    steps: Vec<Step>,
    completed: u64,
    ended_otherwise: u64,
    dead_letters: u64,
    violations: Vec<String>,
    is_clean: bool,
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("upgrade", arguments.command.as_ref(), || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("starting the runtime")?;
        let outcome = runtime.block_on(run(&arguments))?;
        program::show(&outcome, Outcome::text, arguments.json)?;
        Ok(if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

async fn run(arguments: &Arguments) -> Result<Outcome> {
    let from = arguments.from.clone().ok_or_else(|| BenchError::other("no older build: give --from"))?;
    let schemas = Some(dev_stack::workspace().join("schemas"));
    let workers =
        |program| Workers { instances: arguments.instances, schemas: schemas.clone(), ..Workers::of(program) };
    let (old, new) = (workers(from), workers(std::env::current_exe().doing("finding this program")?));
    let servers = Servers::start()?;
    announce("starting the older build");
    let orders = Orders::Synthetic { lines: 5 };
    let mut pipeline = Pipeline::start_of(old.clone(), &servers, NAME, orders, PARTITIONS).await?;
    let work = |pipeline: &mut Pipeline<'_>, board: &Board| there_and_back(pipeline, board, &old, &new);
    let (steps, counts) = pipeline.under_load(NAME, f64::from(arguments.rate), work).await?;
    announce("verifying");
    let mut kafka = ClientConfig::new();
    kafka.set("bootstrap.servers", servers.brokers());
    let records = Records::Kafka { config: kafka, prefix: pipeline.prefix().to_owned(), patience: PATIENCE };
    let mut config = CheckConfig::new(records, pipeline.database_url());
    (config.expect_quiescent, config.settle, config.patience) = (true, PATIENCE, PATIENCE);
    let report = replay_tool::check(config).await.map_err(BenchError::other)?;
    pipeline.stop().await?;
    servers.stop()?;
    let (_, completed, ended_otherwise, _) = counts.counts();
    Ok(Outcome {
        steps,
        completed,
        ended_otherwise,
        dead_letters: report.dead_lettered(),
        violations: report.violations.iter().map(ToString::to_string).collect(),
        is_clean: report.is_clean(),
    })
}

fn there_and_back(pipeline: &mut Pipeline<'_>, board: &Board, old: &Workers, new: &Workers) -> Result<Vec<Step>> {
    let mut steps = vec![step("orders come", pipeline, board, |_| Ok(()))?];
    let migrating = |pipeline: &mut Pipeline<'_>| SEQUENCE.into_iter().try_for_each(|it| pipeline.migrate(it, new));
    steps.push(step("the tables are migrated", pipeline, board, migrating)?);
    for service in SEQUENCE {
        let what = format!("{service}: upgraded");
        steps.push(step(&what, pipeline, board, |pipeline| pipeline.replace(service, new))?);
    }
    for service in SEQUENCE.into_iter().rev() {
        let what = format!("{service}: rolled back");
        steps.push(step(&what, pipeline, board, |pipeline| pipeline.replace(service, old))?);
    }
    Ok(steps)
}

/// Does it, and waits until orders go on as before.
fn step(
    what: &str,
    pipeline: &mut Pipeline<'_>,
    board: &Board,
    work: impl FnOnce(&mut Pipeline<'_>) -> Result<()>,
) -> Result<Step> {
    announce(what);
    let began = Instant::now();
    work(pipeline)?;
    let took = began.elapsed();
    let (placed, ..) = board.counts();
    while board.ended() < placed {
        pipeline.check()?;
        if began.elapsed() > LIMIT {
            let left = placed.saturating_sub(board.ended());
            return Err(BenchError::other(format!("{what}: {left} orders did not end within {LIMIT:?}")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let settled = began.elapsed().saturating_sub(took);
    std::thread::sleep(CALM);
    Ok(Step { what: what.to_owned(), took_s: took.as_secs_f64(), settled_s: settled.as_secs_f64() })
}

impl Outcome {
    /// Nothing is wrong, and nobody was told no.
    fn is_good(&self) -> bool {
        self.is_clean && self.dead_letters == 0 && self.ended_otherwise == 0
    }

    fn text(&self) -> String {
        let row =
            |step: &Step| vec![step.what.clone(), format!("{:.2}", step.took_s), format!("{:.2}", step.settled_s)];
        let rows = self.steps.iter().map(row).collect();
        let mut text = table("Steps", &["step", "took s", "orders placed before ended after s"], rows);
        let Outcome { completed, ended_otherwise, dead_letters, violations, .. } = self;
        text +=
            &format!("{completed} orders completed, {ended_otherwise} ended otherwise, {dead_letters} dead letters\n");
        violations.iter().for_each(|violation| text += &format!("violation: {violation}\n"));
        let verdict = if self.is_good() { "nothing was lost, doubled or turned away" } else { "NOT GOOD" };
        text + verdict + "\n"
    }
}

/// Progress goes to standard error; standard output is for the outcome.
fn announce(what: &str) {
    eprintln!("upgrade: {what}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_order_that_was_turned_away_or_set_aside_is_no_good_upgrade() {
        let outcome = |ended_otherwise, dead_letters, is_clean| Outcome {
            steps: Vec::new(),
            completed: 1,
            ended_otherwise,
            dead_letters,
            violations: Vec::new(),
            is_clean,
        };
        assert!(outcome(0, 0, true).is_good());
        let bad = [outcome(1, 0, true), outcome(0, 1, true), outcome(0, 0, false)];
        assert!(bad.iter().all(|outcome| !outcome.is_good() && outcome.text().contains("NOT GOOD")));
    }
}
