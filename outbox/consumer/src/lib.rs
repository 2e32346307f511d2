//! An exactly-once consumer with tables of its own: from Kafka into Postgres, and on through the outbox.
//!
//! Write a [`Contract`] (what your messages are: topics, keys, bytes; [`Json`] for one type on one topic, [`FromTo`]
//! for somebody else's topic and one of your own) and a [`Service`]
//! (what you load, decide and save; [`Each`] over a [`Handler`] for one function a message), and start it:
//!
//! ```no_run
//! # async fn start<S: consumer::Service>(service: S, contract: S::Contract) -> Result<(), Box<dyn std::error::Error>> {
//! use consumer::{Consumer, Database};
//!
//! let database = Database::open("postgres://localhost/shop", None, "mailer", "mailer")?;
//! let mut kafka = rdkafka::ClientConfig::new();
//! kafka.set("bootstrap.servers", "localhost:9092");
//! let mut mailer = Consumer::builder(service, contract).database(&database).kafka(kafka).start().await?;
//! // … until somebody asks it to end:
//! mailer.stop();
//! mailer.join().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Work, positions and what is sent are one transaction a batch, so a record counts exactly once, whatever is delivered twice
//! and whoever dies in between. You get with it: the consumer group and its rebalances, duplicates and gaps by sequence,
//! re-reading for a missing sequence, holds for what must not be dropped, dead letters for what strangers sent, bisection of
//! what cannot be saved, which is then parked with all that follows of its key ([`parked`]), deadlines behind the replies, metrics, and a status for health checks.
//!
//! # Where to look
//!
//! `engine` drives a service; `gather` takes what Kafka has; `intake` judges each record; `process` runs the one transaction
//! (the only place in this crate that opens one); `feeds` owns what is ours, how far it is and what is held;
//! `refused` rules on what cannot be committed; `lot` has the rules of what is parked, `parking` its place in the transaction, and
//! `unparking` tries it again.
//! `log_look` and `log_watch` see to it that an offset is only believed in its own log. `survey` asks the brokers
//! on a thread of its own, so that the loop never waits for them; `watch` judges by it whether the feeds and the client get on.
//! `restored` holds a service whose database was set back. [`rebuild`] makes a service's tables of its own events once more, and
//! compares.
//!
//! Deliberately absent: messages (a contract's), decisions (a service's), the relay (`outbox::Relay` publishes what a service
//! sends, dead letters among it), making tables, and topics that others write to.

mod assignment;
mod background;
mod builder;
mod client_errors;
mod complaints;
mod contract;
mod database;
mod database_error;
mod dead_letter;
mod emitter;
mod engine;
mod failure;
mod feed;
mod feeds;
mod from_to;
mod gather;
mod group_member;
mod handler;
mod health;
mod inquiry;
mod intake;
mod item;
mod json;
mod layout;
mod log_look;
mod log_watch;
mod lot;
mod membership;
mod memory;
pub mod metrics;
mod pace;
pub mod parked;
mod parking;
pub mod planted;
mod process;
mod progress;
mod ranges;
pub mod rebuild;
mod reception;
mod refused;
mod restored;
mod rivalry;
mod service;
mod standstill;
pub mod status;
mod survey;
#[cfg(test)]
mod test_contract;
pub mod testing;
mod text;
mod timers;
mod topic_id;
mod topic_names;
mod topics;
mod trust;
mod unparking;
mod watch;
mod watchdog;
mod witness;
mod working;

pub use builder::{Builder, Consumer, Handle};
pub use contract::{Contract, Origin};
pub use database::{Database, DatabaseUrlError, Guard};
pub use database_error::DatabaseError;
pub use emitter::Emitter;
pub use engine::Halted;
pub use failure::Failure;
pub use feed::FeedId;
pub use feeds::Lanes;
pub use from_to::{Either, FromTo, Reads};
pub use handler::{Each, Handler};
pub use health::Health;
pub use item::{Body, Cause};
pub use json::{Json, JsonMessage};
pub use lot::Parking;
pub use memory::Memory;
pub use restored::Roads;
pub use service::{MessageOf, Service, Signal, TopicOf, Wanted};
pub use working::{Working, Writes};
