//! The pipeline end to end: real orders, real servers, the daemons as processes, and faults.

mod happy;
mod mistakes;

/// The daemons' program.
const DAEMON: &str = env!("CARGO_BIN_EXE_pipeline-daemon");
