//! What the pipeline stands on: its topics and its services' schemas, made, upgraded and checked; and the way to a database.
//!
//! The daemons work with what is made here; the checker, a rebuild and a restore look at it or make it anew, without them.
//! Deliberately absent: rows and messages. What is in the tables is the stores', what is in the topics the contract's.

pub mod grants;
pub mod migrate;
pub mod schema;
pub mod topics;

pub use consumer::{Database, DatabaseError, DatabaseUrlError};
