//! `cargo bench-scale`: what so many orders a second need, as `docs/scale.md` has it. It measures nothing.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::scale_main()
}
