//! `api-daemon <order|inventory|payment> …`: the services' own entry, as a program that this crate's tests can start.

use std::process::ExitCode;

use schemas::ServiceName;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next();
    let named = arguments.next();
    match named.as_deref().and_then(std::ffi::OsStr::to_str).and_then(ServiceName::parse) {
        Some(service) => workers::daemon::main(service, program.into_iter().chain(arguments)),
        None => {
            eprintln!("usage: api-daemon <order|inventory|payment> [arguments of the daemon]");
            ExitCode::from(2)
        }
    }
}
