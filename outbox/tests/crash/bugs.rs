//! Every planted bug is found by the crash proof: the same program, which here plants one bug after the other and must find
//! what is wrong each time.
//!
//! A test program of its own, because it takes as long as the proof itself: `cargo test -p outbox --test crash-bugs`.

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
    program::main("crash-bugs")
}
