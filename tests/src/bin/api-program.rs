//! The daemon `order-api`, as a program that tests can start.

use std::process::ExitCode;

fn main() -> ExitCode {
    order_api::daemon::main(std::env::args_os())
}
