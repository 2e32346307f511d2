//! The archive: every record of the topics in Avro object container files, which outlive Kafka's retention.
//!
//! `<topic>/<partition>/<first offset>.avro`, and beside the partitions `topic.json` with what a listing does not tell. A
//! segment appears whole or not at all, under a name that only one writer can take: the next segment begins where the
//! last one ended, so none can overlap. What the listing says is the truth, so an object store serves as well as a folder.
//! Deliberately absent: deletion, and any file that must be updated.

mod catalog;
mod check;
mod container;
mod copy;
mod foreign;
mod library;
mod log;
mod row;
mod segment;
mod store;

pub(crate) use check::{Checked, CheckedPartition, check};
pub(crate) use copy::{Copied, CopyPlan, copy};
pub(crate) use log::{ArchiveLog, Archived};
pub(crate) use segment::{SEGMENT_BYTES, mark};
pub use store::ArchiveStore;

#[cfg(test)]
mod tests;
