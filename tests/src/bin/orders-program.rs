//! The program `orders`, as a program that tests can start.

use std::process::ExitCode;

fn main() -> ExitCode {
    client::cli::main(std::env::args_os())
}
