//! The records of the topics, as the brokers or memory hold them: what a record says, how it is read, and what of it cannot
//! be read. The ground floor: nothing here knows of archives, tables or state.

mod channel;
mod client;
mod feed;
mod kafka;
mod lane;
mod letter_headers;
mod memory;
mod open_transaction;
mod operator_note;
mod print;
mod range;
mod record;
mod spot;
mod unreadable;
mod walk;
mod witness;
#[cfg(test)]
mod written;

pub use channel::Channel;
pub(crate) use feed::{Fed, Feed};
pub(crate) use kafka::KafkaLog;
pub(crate) use lane::{Lane, Sequencing};
pub use memory::MemoryLog;
pub use open_transaction::OpenTransaction;

pub(crate) use letter_headers::{DROPPED, LetterHeaders};
pub(crate) use open_transaction::Lookout;
pub(crate) use operator_note::{ACTION_HEADER, REDRIVE_BY_HEADER, REDRIVE_COUNT_HEADER, REDRIVE_OF_HEADER};
pub use operator_note::{Action, Note};
pub(crate) use print::{Envelope, Print, body, headers_digest};
pub(crate) use range::{Bounds, Range, Sink};
pub(crate) use record::{Header, Headers, Record, TimestampType};
pub use spot::Spot;
pub(crate) use unreadable::{Span, past_spans};
pub(crate) use walk::Walk;
pub(crate) use witness::{Witness, check_topic, mark};
#[cfg(test)]
pub(crate) use written::Written;
