//! The order service's daemon; see `workers::daemon`.

use std::process::ExitCode;

use schemas::ServiceName;

fn main() -> ExitCode {
    workers::daemon::main(ServiceName::Order, std::env::args_os())
}
