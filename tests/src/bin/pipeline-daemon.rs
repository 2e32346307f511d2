//! `pipeline-daemon <order|inventory|payment|order-api> …`: the daemons' own entry, as a program that tests can start.
//!
//! Nothing else is different from `order-worker` and its sisters.

use std::process::ExitCode;

use schemas::ServiceName;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next();
    let named = arguments.next();
    if named.as_deref().is_some_and(|named| named == "order-api") {
        return order_api::daemon::main(program.into_iter().chain(arguments));
    }
    let service = named.as_deref().and_then(std::ffi::OsStr::to_str).and_then(ServiceName::parse);
    match service {
        Some(service) => workers::daemon::main(service, program.into_iter().chain(arguments)),
        None => {
            eprintln!("usage: pipeline-daemon <order|inventory|payment|order-api> [arguments of the daemon]");
            ExitCode::from(2)
        }
    }
}
