//! `cargo bench-provider`: what a payment provider over HTTP costs the pipeline, beside the simulator in the same run.
//!
//! Not a test: it fails only when something breaks or an order stays unfinished, never because a goal is missed.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::provider_main()
}
