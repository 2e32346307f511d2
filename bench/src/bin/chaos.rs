//! `cargo chaos`: kills, pauses and restarts everything under load, and says what was lost by it.
//!
//! Not a test: it takes as long as it is told to, and fails when anything is lost, doubled, held, stuck or stays away.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::chaos_main()
}
