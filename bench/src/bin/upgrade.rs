//! `cargo upgrade`: an older build becomes this one under load, daemon by daemon, and this one the older one again.
//!
//! Not a test: it needs the other build. It fails when an order stays unfinished, or `verify` finds anything.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::upgrade_main()
}
