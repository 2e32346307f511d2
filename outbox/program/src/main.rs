//! The program `outbox-relay`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    outbox_relay::main(std::env::args_os())
}
