//! The records of the topics: where they come from, what a record says, and what its position makes of it.

mod channel;
mod client;
mod ends;
mod feed;
mod kafka;
mod lane;
mod letter_headers;
mod memory;
mod open_transaction;
mod print;
mod reader;
mod record;
mod source;
mod spot;
mod tail;
mod unreadable;
mod walk;
#[cfg(test)]
mod written;

pub(crate) use channel::Channel;
pub(crate) use ends::{Ends, find_ends};
pub(crate) use feed::{Fed, Feed};
pub(crate) use kafka::KafkaLog;
pub use memory::MemoryLog;
pub use open_transaction::OpenTransaction;
pub use unreadable::UnreadableRun;
pub(crate) use unreadable::{Span, past_spans};

pub(crate) use lane::{Lane, Place};
pub(crate) use letter_headers::LetterHeaders;
pub(crate) use open_transaction::Lookout;
pub(crate) use print::{Envelope, Print, body, headers_digest};
pub(crate) use reader::{Reading, wait_for_rest};
pub(crate) use record::{Header, Headers, Record, TimestampType};
pub(crate) use source::{Bounds, Range, Sink, Source};
pub(crate) use spot::Spot;
pub(crate) use walk::Walk;
#[cfg(test)]
pub(crate) use written::Written;
