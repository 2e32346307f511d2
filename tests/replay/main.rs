//! `replay-tool` as people run it, against a running pipeline: what its verbs print, and how they end.

mod archive;
mod archive_again;
mod archive_stopped;
mod dead_letters;
mod dead_letters_stopped;
mod drills;
mod held;
mod interrupt;
mod life;
mod made_again;
mod open_transaction;
mod program;
mod read_model;
mod rebuild;
mod rebuild_input;
mod rested;
mod restore;
mod restore_partitions;
mod restored;
mod retention;
mod swapped;
mod trace;
mod trace_answers;
mod unreadable;
mod verify;

/// The daemons' program.
const DAEMON: &str = env!("CARGO_BIN_EXE_pipeline-daemon");

/// The program `replay-tool`.
const REPLAY: &str = env!("CARGO_BIN_EXE_replay-program");
