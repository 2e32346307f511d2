//! The program `replay-tool`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    replay_tool::cli::main(std::env::args_os())
}
