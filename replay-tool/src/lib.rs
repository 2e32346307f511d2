//! What the pipeline's topics and tables say, read from outside: nothing here decides, writes or calls anyone.
//!
//! [`check`] holds topics against tables and both against the invariants of the product, while the daemons run or after
//! they have stopped. It folds the topics with the daemons' own `evolve` functions; `decide` is out of its reach.
//! `log` reads topics, `fold` makes state of them, `snapshot` reads tables at one cut, `invariant` compares, `report`
//! tells. Deliberately absent: any repair.

mod archive;
mod check;
pub mod cli;
mod dead_letters;
mod error;
mod fold;
mod interrupt;
mod log;
mod progress;
mod rebuild;
mod rows;
mod snapshot;
mod source;
mod table_text;
mod trace;

pub use archive::{ArchiveStore, Codec};
pub use check::{CheckConfig, Comparison, Invariant, MessageCounts, Note, Report, Violation, check};
pub use error::{Refusal, ReplayError, UnreadableRun};
pub use fold::OrderCounts;
pub use log::{MemoryLog, OpenTransaction};
pub use rebuild::{
    Problem, Problems, ReadCounts, RebuildConfig, RebuildReport, ServiceReport, TableReport, Target, Vector, rebuild,
    rehearse,
};
pub use rows::{Differences, RowDifference};
pub use snapshot::ServiceTables;
pub use source::Records;
