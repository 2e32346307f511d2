//! The crash proof: relays, writers and a consumer as processes, killed and paused at random moments together with their
//! servers, and after each cycle everything compared with everything.
//!
//! `cargo test -p outbox --test crash` runs each fault once; `-- --cycles 1000 --seed 7 --verbose` as many as wanted.
//! It ends with `N cycles: 0 lost, 0 reordered, 0 phantom, D duplicates`, or with an account of what is wrong, and 1.

mod body;
mod book;
mod chance;
mod check;
mod consumer;
mod control;
mod cycle;
mod fault;
mod foreign;
mod inject;
mod journal;
mod log;
mod options;
mod planted;
mod program;
mod relay;
mod settings;
mod summary;
mod table;
mod world;
mod writer;

use std::process::ExitCode;

use crate::program::Outcome;

fn main() -> ExitCode {
    program::main("crash")
}
