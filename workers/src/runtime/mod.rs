//! An exactly-once consumer: feeds, the transaction, dead letters, holds, timers.
//!
//! `engine` drives a service; `gather` takes what Kafka has; `intake` judges each record; `process` runs the one transaction
//! (the only place in this crate that opens one); `feeds` owns what is ours, how far it is and what is held;
//! `log_look` and `log_watch` see to it that an offset is only believed in its own log. `survey` asks the brokers
//! on a thread of its own, so that the loop never waits for them; `watch` judges by it whether the feeds and the client get on.
//! A service is a `Service`: what it loads, decides and saves. Messages are a `Contract`. Nothing here knows what an order is.

mod assignment;
mod background;
mod client_errors;
mod complaints;
mod consumer;
mod contract;
mod dead_letter;
mod emitter;
mod engine;
mod failure;
mod feed;
mod feeds;
mod gather;
mod inquiry;
mod intake;
mod item;
mod layout;
mod log_look;
mod log_watch;
mod membership;
mod pace;
mod process;
mod progress;
mod ranges;
mod reception;
mod rivalry;
mod service;
mod standstill;
mod survey;
#[cfg(test)]
mod test_contract;
mod timers;
mod topic_id;
mod topic_names;
mod watch;
mod watchdog;
mod witness;
mod working;

pub use contract::{Contract, Origin};
pub use emitter::Emitter;
pub use engine::{Engine, EngineConfig, Halted};
pub use failure::Failure;
pub use feed::FeedId;
pub use feeds::Lanes;
pub use item::{Body, Cause};
pub use service::{Service, Signal, Wanted};
pub use working::Working;
