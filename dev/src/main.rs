//! `dev-stack`: a Kafka and a Postgres that stay up for the work at hand.
//!
//! Thin: arguments in, words and an exit code out. Addresses go to stdout, all else to stderr.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use dev_stack::{Detached, Profile, Report, Result};

/// A real Kafka and a real Postgres on this machine, in this workspace's `.dev` folder.
#[derive(Debug, Parser)]
#[command(name = "dev-stack", version)]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
    /// The stack's folder [default: .dev/up of the workspace]
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start both servers and return when they answer; they stay up until `down`
    Up {
        /// What the servers are tuned for
        #[arg(long, value_enum, default_value_t = Tuning::Test)]
        profile: Tuning,
    },
    /// Stop both servers
    Down {
        /// Remove their data too
        #[arg(long)]
        remove_data: bool,
    },
    /// Say whether both servers answer; exit code 3 if not
    Status,
    /// Print lines for a shell: eval "$(dev-stack env)"
    Env,
    /// Hold the servers; started by `up`
    #[command(hide = true)]
    Supervise {
        #[arg(long, value_enum)]
        profile: Tuning,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tuning {
    /// Small and fast to start
    Test,
    /// For measurements
    Bench,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let stack = Detached::new(arguments.folder);
    match run(&stack, &arguments.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("dev-stack: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(stack: &Detached, verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Up { profile } => {
            let report = stack.up((*profile).into())?;
            print_environment(&report);
            eprintln!("Both servers are up. Stop them with: cargo dev-stack down");
        }
        Verb::Down { remove_data } => {
            let (before, was_up) = (stack.complaints(), stack.down(false)?);
            let after = stack.complaints();
            let told = after.strip_prefix(&before).unwrap_or(&after).trim();
            if !told.is_empty() {
                eprintln!("{told}");
            }
            if *remove_data {
                stack.down(true)?;
            }
            eprintln!("{}", if was_up { "Both servers are down." } else { "No stack was up." });
        }
        Verb::Status => return Ok(status(stack)),
        Verb::Env => match stack.report() {
            Some(report) => print_environment(&report),
            None => return Ok(not_up()),
        },
        Verb::Supervise { profile } => stack.supervise((*profile).into())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn status(stack: &Detached) -> ExitCode {
    let Some(report) = stack.report() else { return not_up() };
    let (kafka, postgres) = (report.kafka_answers(), report.postgres_answers());
    let word = |answers| if answers { "answers" } else { "does not answer" };
    println!("Kafka     {} (pid {}) {}", report.brokers, report.kafka_pid, word(kafka));
    println!("Postgres  {} (pid {}) {}", report.database_url, report.postgres_pid, word(postgres));
    if kafka && postgres { ExitCode::SUCCESS } else { ExitCode::from(3) }
}

fn not_up() -> ExitCode {
    eprintln!("No stack is up. Start one with: cargo dev-stack up");
    ExitCode::from(3)
}

fn print_environment(report: &Report) {
    // Neither value can hold a quote: addresses and a password of hexadecimal digits.
    println!("export KAFKA_BROKERS='{}'", report.brokers);
    println!("export DATABASE_URL='{}'", report.database_url);
}

impl From<Tuning> for Profile {
    fn from(tuning: Tuning) -> Self {
        match tuning {
            Tuning::Test => Profile::Test,
            Tuning::Bench => Profile::Bench,
        }
    }
}
