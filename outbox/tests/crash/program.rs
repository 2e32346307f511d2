//! The parent's course, and the way into the other roles: the program runs itself again for every process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use dev_stack::{Stack, StackConfig};
use outbox::{Announcer, Database};
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

use crate::chance::Chance;
use crate::fault::Fault;
use crate::options::Options;
use crate::settings::Settings;
use crate::summary::{Summary, seconds};
use crate::world::{Round, World, tasks_of};
use crate::writer::Writer;
use crate::{consumer, cycle, planted, relay};

/// An error of this program or of the machine, in words.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Cycles on the same databases and topics; then all begins with fresh ones, so that a check stays short.
const ROUND: u64 = 12;
/// Lines of each process's log in an account.
const LOG_LINES: usize = 25;

/// Name of the test program that plants bugs.
const BUGS: &str = "crash-bugs";

/// The whole program, in the role that the environment names; for the parent the test program's name says what to do.
pub(crate) fn main(test: &str) -> ExitCode {
    let ended = match std::env::var("CRASH_ROLE") {
        Ok(name) => role(&name).map(|()| true),
        Err(_) => parent(test),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("crash: {error}");
            ExitCode::from(2)
        }
    }
}

/// What a process does that was started by the parent: the first letter of its name says it.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn role(name: &str) -> Outcome<()> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false).with_writer(std::io::stderr).init();
    let settings = Settings::take()?;
    match name.chars().next() {
        Some('r') => relay::run(settings, name).await,
        Some('w') => write(settings, name).await,
        _ => consumer::run(settings).await,
    }
}

/// Writers without a relay. Every second process announces what it commits; the other leaves it to the relay's poll.
async fn write(settings: Settings, name: &str) -> Outcome<()> {
    let database: tokio_postgres::Config = settings.writers_url.parse()?;
    let outbox = relay::open(&settings, &database).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in tasks_of(name) {
        tasks.spawn(Writer::new(&settings, &outbox, &format!("{name}.{task}"))?.run());
    }
    let announcer = Announcer::new(&outbox, Database::new(database, NoTls));
    if name.starts_with("w0") {
        tasks.spawn(async move {
            announcer.run(std::future::pending()).await;
            Ok(())
        });
    }
    match tasks.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}

fn parent(test: &str) -> Outcome<bool> {
    let options = Options::parse();
    if options.are_for_others(test) {
        return Ok(true);
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let stack = Stack::start(StackConfig::in_project())?;
    let clean = if test == BUGS {
        planted::all(&options, &stack, &runtime, &folder)
    } else {
        faults(&options, &stack, &runtime, &folder)
    };
    if matches!(clean, Ok(true)) {
        fs::remove_dir_all(&folder)?;
    }
    clean
}

fn faults(options: &Options, stack: &Stack, runtime: &Runtime, folder: &Path) -> Outcome<bool> {
    let began = Instant::now();
    let mut summary = Summary::default();
    let clean = all_rounds(options, stack, runtime, folder, &mut summary);
    if options.json {
        println!("{}", summary.json(options.seed, began.elapsed()));
    } else {
        println!("{}", summary.text(began.elapsed()));
    }
    clean
}

/// Runs round after round until a violation is found or all cycles are done.
fn all_rounds(
    options: &Options,
    stack: &Stack,
    runtime: &Runtime,
    folder: &Path,
    summary: &mut Summary,
) -> Outcome<bool> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut done = 0;
    let mut round = 0;
    while done < options.cycles() {
        round += 1;
        let mut chance = Chance::of(options.seed, &format!("round {round}"));
        let start = Round {
            number: round,
            folder: folder.join(format!("round-{round}")),
            bug: options.bug,
            chance: chance.clone(),
        };
        let mut world = World::new(stack, runtime, start)?;
        for _ in 0..ROUND.min(options.cycles() - done) {
            if faults.is_empty() {
                faults = options.faults();
                chance.shuffle(&mut faults);
            }
            let Some(fault) = faults.pop() else { break };
            done += 1;
            let report = cycle::run(&mut world, fault, &mut chance, options.patience())
                .map_err(|error| format!("cycle {done} ({fault}), seed {}: {error}\n{}", options.seed, logs(&world)))?;
            if options.verbose {
                println!(
                    "cycle {done:4} {fault:16} {:5} events {:5} duplicates  {:>6} s, settled in {} s",
                    report.events,
                    report.duplicates,
                    seconds(report.took),
                    seconds(report.settling)
                );
            }
            summary.add(&report);
            if !report.violations.is_empty() {
                account(options, done, &report, &world);
                return Ok(false);
            }
        }
        world.end()?;
    }
    Ok(summary.is_clean())
}

/// Everything a person needs to understand what went wrong, and to do it again.
fn account(options: &Options, cycle: u64, report: &cycle::Report, world: &World<'_>) {
    println!("cycle {cycle} ({}), seed {}: {} violations", report.fault, options.seed, report.violations.len());
    for violation in report.violations.iter().take(20) {
        println!("  {violation}");
    }
    println!("{}", logs(world));
    println!("all logs and journals: {}", world.settings.folder.display());
    println!(
        "to repeat the course of faults: cargo test -p outbox --test crash -- --seed {} --cycles {cycle}",
        options.seed
    );
}

/// The ends of the processes' logs.
fn logs(world: &World<'_>) -> String {
    let mut text = String::new();
    for process in world.processes.values() {
        let tail = process.child.tail();
        let lines: Vec<&str> = tail.lines().collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
        text.push_str(&format!("--- {}\n{}\n", process.name, last.join("\n")));
    }
    text
}
