//! The demo's own entry, as a program that the test of the README can start.

use std::process::ExitCode;

fn main() -> ExitCode {
    demo::main()
}
