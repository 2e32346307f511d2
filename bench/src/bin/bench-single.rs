//! `cargo bench-single`: single orders on an idle pipeline, hop by hop.
//!
//! Not a test: it fails only when something breaks or an order stays unfinished, never because a goal is missed.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::single_main()
}
