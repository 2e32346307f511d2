//! `replay-tool`'s own entry, as a program that tests can start and kill.

use std::process::ExitCode;

fn main() -> ExitCode {
    replay_tool::cli::main(std::env::args_os())
}
