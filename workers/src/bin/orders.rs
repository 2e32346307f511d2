//! The `orders` program: see `workers::client::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    workers::client::cli::main(std::env::args_os())
}
