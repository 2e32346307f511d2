//! The records of the topics: where they come from, what a record says, and what its position makes of it.

mod channel;
mod ends;
mod kafka;
mod lane;
mod letter_headers;
mod memory;
mod print;
mod reader;
mod record;
mod source;
mod spot;
mod tail;
mod walk;
#[cfg(test)]
mod written;

pub(crate) use channel::{Channel, reader_of};
pub(crate) use ends::{Ends, find_ends};
pub(crate) use kafka::{Fed, KafkaLog};
pub use memory::MemoryLog;

pub(crate) use lane::{Lane, Place};
pub(crate) use letter_headers::LetterHeaders;
pub(crate) use print::{Envelope, Print, body, headers_digest};
pub(crate) use reader::{Reading, wait_for_rest};
pub(crate) use record::{Header, Record, TimestampType};
pub(crate) use source::{Bounds, Range, Sink, Source};
pub(crate) use spot::Spot;
pub(crate) use walk::Walk;
#[cfg(test)]
pub(crate) use written::Written;
