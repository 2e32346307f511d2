//! `cargo bench-pipeline`: the pipeline under load beside the reference ceiling, on real servers that it starts itself.
//!
//! Not a test: it fails only when something breaks or an order stays unfinished, never because a goal is missed.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::pipeline_main()
}
