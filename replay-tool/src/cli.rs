//! The program's arguments and what it prints. Exit codes: 0 everything holds, 1 something does not, 2 it could not be
//! checked.

mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What does not hold was found.
const EXIT_VIOLATIONS: u8 = 1;
/// It could not be checked.
const EXIT_FAILED: u8 = 2;

/// Looks at the order pipeline from outside: reads topics and tables, changes nothing.
#[derive(Debug, Parser)]
#[command(name = "replay-tool", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Hold topics and tables against each other and against everything that must always hold.
    Verify(verify::Options),
}

/// Run the program with these arguments, the program's own name first.
pub fn main(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are asked for, not a mistake.
            let code = if error.use_stderr() { EXIT_FAILED } else { 0 };
            return if error.print().is_ok() { code.into() } else { EXIT_FAILED.into() };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return EXIT_FAILED.into();
        }
    };
    let ended = match arguments.verb {
        Verb::Verify(options) => runtime.block_on(verify::run(options)),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => EXIT_VIOLATIONS.into(),
        Err(error) => {
            eprintln!("error: {error}");
            EXIT_FAILED.into()
        }
    }
}
