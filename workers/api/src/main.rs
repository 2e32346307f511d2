//! The door's daemon; see `order_api::daemon`.

use std::process::ExitCode;

fn main() -> ExitCode {
    order_api::daemon::main(std::env::args_os())
}
