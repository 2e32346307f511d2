//! A real Kafka broker and a real Postgres on this machine, for development, tests, the demo and benchmarks.
//!
//! No container engine, no imitation. [`Stack::start`] brings both up in about two seconds on free loopback ports,
//! with everything in the git-ignored folder `.dev` of the workspace; they end with the process that started them,
//! however it ends. [`Child`] supervises other processes in the same way, and [`Daemon`] those that say over HTTP whether they
//! are ready. This package starts and stops servers and knows nothing of what they are used for.

mod access;
mod artefacts;
mod certificates;
mod child;
mod daemon;
mod detached;
mod error;
mod http;
mod kafka;
mod kafka_acls;
mod kafka_probe;
mod kafka_wire;
mod pause;
mod ports;
mod postgres;
mod postgres_data;
mod postgres_probe;
mod process_table;
mod programs;
mod project;
mod server;
mod spawner;
mod sql;
mod stack;

pub use access::Access;
pub use child::Child;
pub use daemon::Daemon;
pub use detached::{Detached, Report};
pub use error::{Error, Result};
pub use http::get;
pub use kafka::start_broker_with;
pub use ports::free_port;
pub use project::{dev_folder, workspace};
pub use server::Server;
pub use stack::{Profile, SecondListener, Stack, StackConfig};
