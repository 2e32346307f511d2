//! `cargo demo`, `cargo test-all` and `cargo setup` begin here: see what this machine lacks before anything heavy compiles.
//!
//! Everything that is missing is named in one line with this distribution's package names, and installed where that is
//! allowed: for root, or with `--install`. Then all programs that the README uses are built in one cargo call, because
//! every other choice of packages would be another set of features and compile half the world again. Then this process
//! becomes the demo, or the tests. What servers are fetched is the development stack's work, not this program's.

mod build;
mod distribution;
mod install;
mod machine;
mod needs;
mod toolchain;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use crate::machine::Machine;
use crate::needs::Purpose;

const USAGE: &str = "\
usage: cargo demo [--install] [OPTIONS OF THE DEMO]     build everything, run the demo; cargo demo --help
       cargo test-all [--install] [OPTIONS OF cargo test]
       cargo setup [--install]                          only see to what is missing";

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Demo,
    TestAll,
    Setup,
}

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let verb = match arguments.next().as_deref().and_then(|verb| verb.to_str()) {
        Some("demo") => Verb::Demo,
        Some("test-all") => Verb::TestAll,
        Some("setup") => Verb::Setup,
        Some(_) | None => return usage(),
    };
    let (install, rest) = take_install(arguments);
    if verb == Verb::Setup && !rest.is_empty() {
        return usage();
    }
    match run(verb, install, &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("setup: {}", words);
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{}", USAGE);
    ExitCode::from(2)
}

/// Our own option, and what is for the program behind us. What stands after `--` is not ours.
fn take_install(arguments: impl Iterator<Item = OsString>) -> (bool, Vec<OsString>) {
    let (mut install, mut ours) = (false, true);
    let mut rest = Vec::new();
    for argument in arguments {
        ours &= argument != "--";
        if ours && argument == "--install" {
            install = true;
        } else {
            rest.push(argument);
        }
    }
    (install, rest)
}

fn run(verb: Verb, install: bool, rest: &[OsString]) -> Result<(), String> {
    let machine = Machine::this();
    if verb == Verb::Demo {
        build::ask_kept_demo(&machine, rest)?;
    }
    toolchain::check()?;
    install::see_to(&machine, &purposes(verb, &machine), install)?;
    match verb {
        Verb::Demo => build::demo(&machine, rest),
        Verb::TestAll => build::tests(&machine, rest),
        Verb::Setup => {
            eprintln!("setup: nothing is missing");
            Ok(())
        }
    }
}

/// The demo takes servers that are given; the tests also kill some, which have to be their own.
fn purposes(verb: Verb, machine: &Machine) -> Vec<Purpose> {
    let mut purposes = vec![Purpose::Build];
    let is_demo = verb == Verb::Demo;
    if !(is_demo && machine.variable("KAFKA_BROKERS").is_some()) {
        purposes.push(Purpose::Kafka);
    }
    if !(is_demo && machine.variable("DATABASE_URL").is_some()) {
        purposes.push(Purpose::Postgres);
    }
    if !is_demo {
        purposes.push(Purpose::Tests);
    }
    purposes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn given_servers_need_not_be_fetched_for_the_demo() {
        let given = [("KAFKA_BROKERS", "b:1"), ("DATABASE_URL", "postgres://h/d")];
        let machine = Machine::in_folder(Path::new("/nowhere"), &given);
        assert_eq!(purposes(Verb::Demo, &machine), [Purpose::Build]);
        assert_eq!(purposes(Verb::TestAll, &machine).len(), 4);
        let none = Machine::in_folder(Path::new("/nowhere"), &[]);
        assert_eq!(purposes(Verb::Demo, &none), [Purpose::Build, Purpose::Kafka, Purpose::Postgres]);
    }

    fn taken(arguments: &[&str]) -> (bool, Vec<String>) {
        let (install, rest) = take_install(arguments.iter().map(OsString::from));
        (install, rest.into_iter().map(|argument| argument.into_string().unwrap()).collect())
    }

    #[test]
    fn install_is_taken_out_and_the_rest_goes_on_as_it_is() {
        assert_eq!(taken(&["--limit", "5", "--install"]), (true, vec!["--limit".to_owned(), "5".to_owned()]));
        assert_eq!(taken(&["stop"]), (false, vec!["stop".to_owned()]));
        let behind = (false, vec!["--".to_owned(), "--install".to_owned()]);
        assert_eq!(taken(&["--", "--install"]), behind);
    }
}
