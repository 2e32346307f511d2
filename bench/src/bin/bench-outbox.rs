//! `cargo bench-outbox`: the outbox alone, on the same work as the peers in docs/performance.md.
//!
//! Not a test: it fails only when something breaks or messages are lost, doubled or out of order, never because a goal
//! is missed.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::outbox_main()
}
