//! One cargo call for all programs, and then this process becomes one of them.
//!
//! The programs are chosen with `--bin` and never with `-p`: cargo unifies features over the chosen packages, and
//! another choice would compile half of the dependencies once more.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use crate::machine::{is_executable, said, Machine};

/// What the README uses; the demo first.
const PROGRAMS: [&str; 9] = [
    "demo",
    "orders",
    "order-worker",
    "inventory-worker",
    "payment-worker",
    "order-api",
    "replay-tool",
    "outbox-relay",
    "dev-stack",
];

/// How the programs are built, and the folder in `target` where they lie: see the root's Cargo.toml.
const PROFILE: &str = "quick";

/// CPU minutes of everything from nothing, measured; only to tell how long it takes.
const PROGRAMS_CPU_MIN: usize = 10;
const TESTS_CPU_MIN: usize = 25;
/// What a build from nothing leaves on the disk.
const PROGRAMS_GIB: u64 = 2;
const TESTS_GIB: u64 = 8;

/// What only asks a demo that runs: the program that started it is there, and nothing is looked at or built.
const ASKING: [&str; 2] = ["env", "stop"];

/// Becomes the demo at once if it is only asked; returns if not.
pub(crate) fn ask_kept_demo(machine: &Machine, arguments: &[OsString]) -> Result<(), String> {
    let demo = target(machine).join(PROFILE).join("demo");
    let asks = arguments.first().map_or(false, |verb| ASKING.iter().any(|asking| verb == asking));
    if asks && is_executable(&demo) {
        become_program(Command::new(demo).args(arguments))
    } else {
        Ok(())
    }
}

/// A build that costs more than this is told.
const TOLD_CPU_S: u64 = 10;

/// What the demo starts only with words among its arguments, and the words: nobody else shall build it.
const ON_DEMAND: [(&[&str], &str); 3] = [
    (&["--with-loyalty"], "loyalty-service"),
    (&["--provider", "stripe"], "stripe-server"),
    (&["--provider=stripe"], "stripe-server"),
];

/// The programs that a demo with these arguments needs.
fn programs(arguments: &[OsString]) -> Vec<&'static str> {
    let asked = |words: &[&str]| arguments.windows(words.len()).any(|window| window.iter().eq(words));
    let on_demand = ON_DEMAND.iter().filter(|(words, _)| asked(words)).map(|(_, program)| *program);
    PROGRAMS.iter().copied().chain(on_demand).collect()
}

/// Builds the programs and becomes the demo.
pub(crate) fn demo(machine: &Machine, arguments: &[OsString]) -> Result<(), String> {
    announce(machine, PROFILE, "the programs", PROGRAMS_CPU_MIN, PROGRAMS_GIB)?;
    let mut cargo = cargo();
    cargo.args(["build", "--profile", PROFILE, "--message-format=json-render-diagnostics"]);
    for program in programs(arguments) {
        cargo.args(["--bin", program]);
    }
    let before = children_cpu_s();
    let mut process =
        cargo.stdout(Stdio::piped()).spawn().map_err(|error| format!("cargo cannot be run: {}", error))?;
    let messages = process.stdout.take().into_iter().flat_map(|output| BufReader::new(output).lines());
    let demo = demo_of(messages.flatten());
    let status = process.wait().map_err(|error| format!("cargo cannot be watched: {}", error))?;
    let cpu_s = children_cpu_s().unwrap_or_default().saturating_sub(before.unwrap_or_default());
    if cpu_s > TOLD_CPU_S {
        eprintln!("setup: built with {} s of CPU", cpu_s);
    }
    match demo {
        Some(demo) if status.success() => become_program(Command::new(demo).args(arguments)),
        Some(_) | None => Err(format!("the programs could not be built ({})", status)),
    }
}

/// Runs this program's own tests, then becomes the workspace's.
pub(crate) fn tests(machine: &Machine, arguments: &[OsString]) -> Result<(), String> {
    let own =
        cargo().args(["test", "--manifest-path", "dev/setup/Cargo.toml", "--target-dir", "target/setup"]).status();
    match own {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("the tests of dev/setup failed ({})", status)),
        Err(error) => return Err(format!("cargo cannot be run: {}", error)),
    }
    announce(machine, "debug", "everything with its tests", TESTS_CPU_MIN, TESTS_GIB)?;
    become_program(cargo().args(["test", "--workspace"]).args(arguments))
}

/// Says how long it will take; fails where the disk is too small for it.
fn announce(machine: &Machine, profile: &str, what: &str, cpu_min: usize, gib: u64) -> Result<(), String> {
    if target(machine).join(profile).join("deps").is_dir() {
        eprintln!("setup: building what has changed of {}", what);
        return Ok(());
    }
    let free = said(Command::new("df").args(["-Pk", "."])).as_deref().and_then(free_kib);
    if free.map_or(false, |kib| kib < gib * 1024 * 1024) {
        return Err(format!("the build needs {} GiB, and fewer are free on the disk of this folder", gib));
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    eprintln!(
        "setup: building {}: the first time it takes about {} minutes on {} cores, later only what has changed",
        what,
        (cpu_min / cores).max(2),
        cores
    );
    Ok(())
}

fn target(machine: &Machine) -> PathBuf {
    machine.variable("CARGO_TARGET_DIR").map_or_else(|| machine.in_clone("target"), PathBuf::from)
}

/// The free space, in KiB, out of the second line of `df -Pk`.
fn free_kib(df: &str) -> Option<u64> {
    df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// CPU seconds of all processes that this one has started and seen end, with theirs.
fn children_cpu_s() -> Option<u64> {
    // A hundred ticks a second on every Linux.
    Some(children_ticks(&fs::read_to_string("/proc/self/stat").ok()?)? / 100)
}

/// `cutime` and `cstime`, the 16th and 17th field of proc(5)'s stat; the second field may hold anything.
fn children_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(13);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()? + ticks()?)
}

/// The demo's program, out of all messages of cargo: it gives up its build when nobody reads them to the end.
fn demo_of(messages: impl Iterator<Item = String>) -> Option<String> {
    messages.filter_map(|message| executable(&message)).filter(|path| path.ends_with("/demo")).last()
}

/// The program that one of cargo's messages names.
fn executable(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("\"executable\":\"")?;
    let (path, _) = rest.split_once('"')?;
    // A path with a quote or a backslash would be escaped; nobody has one.
    Some(path.to_owned()).filter(|path| !path.contains('\\'))
}

/// The cargo that started us, without what it told us about ourselves.
fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    clear(&mut command);
    command
}

fn clear(command: &mut Command) {
    let ours = |name: &OsStr| {
        let name = name.to_string_lossy();
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|start| name.starts_with(start))
    };
    for (name, _) in env::vars_os().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
}

fn become_program(command: &mut Command) -> Result<(), String> {
    clear(command);
    let error = command.exec();
    Err(format!("{:?} cannot be run: {}", command.get_program(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_read_out_of_cargos_messages() {
        let message =
            r#"{"reason":"compiler-artifact","filenames":["/t/quick/demo"],"executable":"/t/quick/demo","fresh":true}"#;
        assert_eq!(executable(message).as_deref(), Some("/t/quick/demo"));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null,"fresh":true}"#), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn messages_are_read_to_their_end_whichever_program_is_built_last() {
        let message = |program: &str| format!(r#"{{"reason":"compiler-artifact","executable":"/t/quick/{program}"}}"#);
        let mut messages = ["orders", "demo", "replay-tool"].iter().map(|program| message(program));
        assert_eq!(demo_of(&mut messages).as_deref(), Some("/t/quick/demo"));
        assert_eq!(messages.next(), None);
    }

    #[test]
    fn a_program_on_demand_is_built_on_demand() {
        let arguments = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(programs(&arguments(&["--limit", "5"])), PROGRAMS);
        let with = programs(&arguments(&["--limit", "5", "--with-loyalty"]));
        assert_eq!((with.len(), with.last()), (PROGRAMS.len() + 1, Some(&"loyalty-service")));
        for words in [&["--provider", "stripe"][..], &["--provider=stripe"]] {
            assert_eq!(programs(&arguments(words)).last(), Some(&"stripe-server"));
        }
        assert_eq!(programs(&arguments(&["--provider", "simulator"])), PROGRAMS);
    }

    #[test]
    fn what_children_have_cost_is_read_out_of_stat() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 100 200 0 0 11 22 333 44 20 0 1 0 5 6 7";
        assert_eq!(children_ticks(stat), Some(377));
        assert!(children_cpu_s().is_some());
    }

    #[test]
    fn free_space_is_read_out_of_df() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 264 100 164 38% /\n";
        assert_eq!(free_kib(df), Some(164));
        assert_eq!(free_kib(""), None);
    }
}
