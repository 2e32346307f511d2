//! What the pipeline's topics and tables say, read from outside: nothing here decides, writes or calls anyone.
//!
//! [`check`] holds topics against tables and both against the invariants of the product, while the daemons run or after
//! they have stopped. It folds the topics with the daemons' own `evolve` functions; `decide` is out of its reach.
//! `log` reads topics, `fold` makes state of them, `snapshot` reads tables at one cut, `invariant` compares, `report`
//! tells. Deliberately absent: any repair.

mod archive;
mod check;
pub mod cli;
mod config;
mod connection;
mod dead_letters;
mod error;
mod evidence;
mod fold;
mod interrupt;
mod invariant;
mod log;
mod progress;
mod rebuild;
mod records;
mod report;
mod snapshot;
mod table_text;
mod trace;

pub use archive::{ArchiveStore, Codec, Refusal};
pub use check::check;
pub use config::{CheckConfig, ServiceTables};
pub use error::ReplayError;
pub use log::{MemoryLog, OpenTransaction, UnreadableRun};
pub use rebuild::{
    Differences, Problem, Problems, ReadCounts, RebuildConfig, RebuildReport, RowDifference, ServiceReport,
    TableReport, Target, Vector, rebuild, rehearse,
};
pub use records::Records;
pub use report::{Comparison, Invariant, MessageCounts, Note, OrderCounts, Report, Violation};
