//! `cargo bench-replay`: rebuilding state, beside what memory, Postgres and Kafka do without it.
//!
//! Not a test: it fails only when something breaks, never because a goal is missed.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::replay_main()
}
