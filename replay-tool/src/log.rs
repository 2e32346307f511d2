//! The topics, read once from their beginning: by an own consumer without a group, to where a cut says.

mod broker;
mod channel;
mod lane;
mod print;
mod reader;
mod record;

pub(crate) use broker::{Ends, find_ends};
pub(crate) use channel::{Channel, reader_of};
pub(crate) use lane::{Lane, Place};
pub(crate) use print::{Envelope, Print, body, headers_digest};
pub(crate) use reader::{Source, read};
pub(crate) use record::{Headers, Record};
