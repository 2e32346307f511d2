//! The archive: every record of the topics in Avro object container files, which outlive Kafka's retention.
//!
//! `<topic>/<partition>/<first offset>.avro`, and what a listing does not tell: `topic.json` beside the partitions, and in
//! `runs/` how far all was archived. A segment appears whole or not at all, under a name that only one writer can take: the
//! next segment begins where the last one ended, so none can overlap. What the listing says is the truth, so an object
//! store serves as well as a folder.
//! Beside segments lie notes of runs that could not be read (`run_note`).
//! Deliberately absent: deletion, and any file that must be updated.

mod adopt;
#[cfg_attr(not(feature = "s3"), path = "archive/bucket/absent.rs")]
mod bucket;
mod catalog;
mod check;
mod codec;
mod container;
mod copy;
mod foreign;
mod kept;
mod library;
mod location;
mod log;
mod mapping;
mod merge;
mod notes;
mod renumbering;
mod repartition;
mod resettle;
mod restore;
mod row;
mod run_note;
mod segment;
mod store;

pub(crate) use adopt::{Adopted, Moved, adopt};
pub(crate) use check::{Checked, CheckedPartition, check};
pub use codec::Codec;
pub(crate) use copy::{Copied, CopyPlan, copy};
pub(crate) use log::{ArchiveLog, Archived};
pub(crate) use repartition::Repartition;
pub(crate) use resettle::{check_rest, resettle, restorations};
pub(crate) use restore::{RestorePlan, Restored, partitions, restore};
pub(crate) use segment::SEGMENT_BYTES;
pub use store::ArchiveStore;

#[cfg(test)]
mod tests;
