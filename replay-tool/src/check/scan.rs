//! State made of the topics: every record goes through its topic's scan, once.
//!
//! A scan does two things that must not be mixed up. Up to the *writer's* cut it folds what the service committed, each
//! message once, into state. Up to the *reader's* resume offset it notes what the reading service has taken, so that it can
//! be asked afterwards what became of it.

mod commands;
mod counts;
mod delivered;
mod letters;
mod orders;
mod payments;
mod reader;
mod replies;
mod requests;
mod reservations;
mod stock;
mod told;
mod topic_scan;
mod topics;
mod versions;

pub(crate) use commands::{Command, SentCommand};
pub use counts::MessageCounts;
pub(crate) use letters::{Broken, Letter};
pub use orders::ByHand;
pub(crate) use orders::OrdersSeen;
pub(crate) use reader::{Reading, wait_for_rest};
pub(crate) use replies::Replies;
pub(crate) use requests::{Caused, Request, RequestKind, Requests};
pub(crate) use topic_scan::{Scan, ScanPlan};
pub(crate) use topics::{ReadPartition, Topics};
