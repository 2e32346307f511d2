//! `dev-stack`: a Kafka and a Postgres that stay up for the work at hand.
//!
//! Thin: arguments in, words and an exit code out. Addresses go to stdout, all else to stderr.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use dev_stack::{Detached, Error, Profile, Report, Result};

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
        #[command(flatten)]
        users: Users,
    },
    /// Give a secured broker's users permissions: lines of Kafka's own `kafka-acls --add …`
    Acls {
        /// File with the lines; - for standard input
        file: PathBuf,
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
        #[command(flatten)]
        users: Users,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tuning {
    /// Small and fast to start
    Test,
    /// For measurements
    Bench,
    /// As test, with a broker that asks who comes, by password, certificate or token, and what they may
    Secure,
}

/// Whom a secured broker knows.
#[derive(Debug, clap::Args)]
struct Users {
    /// A user of a secured broker, repeatable; `admin` is always there and may do everything
    #[arg(long = "user", value_name = "NAME", default_values = USERS)]
    names: Vec<String>,
}

/// The names that `order-worker topics acls` gives to the programs of this workspace, and one that it does not know.
const USERS: [&str; 13] = [
    "order-worker",
    "inventory-worker",
    "payment-worker",
    "order-relay",
    "inventory-relay",
    "payment-relay",
    "publisher",
    "orders",
    "order-api",
    "replay-tool",
    "operator",
    "topic-admin",
    "stranger",
];

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
        Verb::Up { profile, users } => {
            let report = stack.up((*profile).into(), &users.names)?;
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
        Verb::Acls { file } => match stack.report() {
            Some(report) => println!("{} permissions added", report.add_acls(&read(file)?)?),
            None => return Ok(not_up()),
        },
        Verb::Supervise { profile, users } => stack.supervise((*profile).into(), &users.names)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<String> {
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        Some(_) | None => std::fs::read_to_string(file),
    };
    text.map_err(|source| Error::File { action: "read", path: file.to_path_buf(), source })
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
    // Addresses and a password of hexadecimal digits hold no quote.
    println!("export KAFKA_BROKERS='{}'", report.brokers);
    println!("export DATABASE_URL='{}'", report.database_url);
    if let Some(access) = &report.kafka_access {
        println!("export KAFKA_BROKERS_MUTUAL_TLS='{}'", access.mutual_tls_brokers());
        println!("export KAFKA_ACCESS='{}'", access.folder().display());
    }
}

impl From<Tuning> for Profile {
    fn from(tuning: Tuning) -> Self {
        match tuning {
            Tuning::Test => Profile::Test,
            Tuning::Bench => Profile::Bench,
            Tuning::Secure => Profile::Secure,
        }
    }
}
