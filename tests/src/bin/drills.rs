//! `cargo drills`: carries out the drills of docs/runbook.md on servers of its own, and prints what is seen and done.
//!
//! The daemons and `replay-tool` run as processes of their own: this program again, with the service's name or `replay-tool` as
//! its first word. Exit code 1 when a drill does not end as the runbook says.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};
use schemas::ServiceName;
use tests::drills::{Drill, SMALL_DISK};
use tests::{Outcome, Servers, trouble};

/// Megabytes of the disk that is filled: room for a drill's tables.
const SMALL_DISK_MIB: u32 = 160;
/// Makes a disk in a folder, which only this program and what it starts can see, and becomes the program again.
const WITH_SMALL_DISK: &str = "mount -t tmpfs -o size=\"$1\"m none \"$2\" || exit 1; shift 2; exec \"$@\"";

/// Carry out the drills of docs/runbook.md: what is seen, what is done, how long it takes, what is lost.
#[derive(Debug, Parser)]
#[command(name = "drills", version)]
struct Arguments {
    /// Only these; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<Drill>,
    /// Print their names and end
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let first = env::args().nth(1).unwrap_or_default();
    if let Some(service) = ServiceName::parse(&first) {
        return workers::daemon::main(service, env::args_os().skip(1));
    }
    if first == "replay-tool" {
        return replay_tool::cli::main(env::args_os().skip(1));
    }
    match drills(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("drills: {error}");
            ExitCode::FAILURE
        }
    }
}

fn drills(arguments: &Arguments) -> Outcome<bool> {
    let chosen = if arguments.only.is_empty() { Drill::value_variants() } else { &arguments.only };
    if arguments.list {
        chosen.iter().for_each(|drill| println!("{:<28}{}", name(*drill), about(*drill)));
        return Ok(true);
    }
    if chosen.contains(&Drill::DatabaseFull) && env::var_os(SMALL_DISK).is_none() {
        return Err(with_small_disk()?.into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(chosen))
}

/// All of these, on servers that they share as far as they do not harm them.
async fn run(chosen: &[Drill]) -> Outcome<bool> {
    let program = env::current_exe()?.display().to_string();
    let servers = Servers::shared().await?;
    let mut table = String::new();
    let mut is_fine = true;
    for drill in chosen {
        println!("== {}: {}", name(*drill), about(*drill));
        let line = match drill.run(&program).await {
            Ok(shown) => {
                let (noticed, back) = (shown.noticed.as_secs_f64(), shown.back.as_secs_f64());
                format!("noticed after {noticed:5.1} s, back after {back:5.1} s, lost: {}", shown.lost)
            }
            Err(error) => {
                is_fine = false;
                format!("NOT AS THE RUNBOOK SAYS: {error}")
            }
        };
        println!("   {line}\n");
        table += &format!("{:<28}{}\n", name(*drill), line.lines().next().unwrap_or_default());
    }
    drop(servers);
    print!("{table}");
    Ok(is_fine)
}

/// Becomes this program again, with a small disk; returns only the reason why not.
fn with_small_disk() -> Outcome<std::io::Error> {
    let disk = dev_stack::dev_folder().join(format!("small-disk-{}", std::process::id()));
    std::fs::create_dir_all(&disk).map_err(|error| trouble(format!("{}: {error}", disk.display())))?;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", WITH_SMALL_DISK, "sh"]);
    command.arg(SMALL_DISK_MIB.to_string()).arg(&disk).arg(env::current_exe()?).args(env::args_os().skip(1));
    Ok(command.env(SMALL_DISK, &disk).exec())
}

fn name(drill: Drill) -> String {
    drill.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn about(drill: Drill) -> String {
    drill.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
}
