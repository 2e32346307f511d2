//! `cargo bench-replay`: rebuilding state, beside what memory, Postgres and Kafka do without it.
//!
//! Not a test: it fails only when something breaks, never because a goal is missed.

use std::process::ExitCode;

/// As `replay-tool` has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bench::replay_main()
}
