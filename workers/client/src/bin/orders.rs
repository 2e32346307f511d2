//! The `orders` program: see `client::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    client::cli::main(std::env::args_os())
}
