//! What the three services share: lanes, the transaction, dead letters, holds, timers.
//!
//! `engine` drives a service; `gather` takes what Kafka has; `intake` judges each record; `process` runs the one transaction
//! (the only place in this crate that opens one); `feed` remembers how far each topic partition is;
//! `log_look` and `log_watch` see to it that an offset is only believed in its own log. `survey` asks the brokers
//! on a thread of its own, so that the loop never waits for them; `watch` judges by it whether the feeds and the client get on.
//! A service is a `Service`: what it loads, decides and saves. Nothing here knows what an order is.

mod assignment;
mod background;
mod client_errors;
mod complaints;
mod consumer;
mod dead_letter;
mod emitter;
mod engine;
mod failure;
mod feed;
mod gather;
mod inquiry;
mod intake;
mod item;
mod lanes;
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
mod timers;
mod topic_id;
mod watch;
mod watchdog;
mod witness;
mod working;

pub use emitter::Emitter;
pub use engine::{Engine, EngineConfig, Halted};
pub use failure::Failure;
pub use feed::FeedId;
pub use item::{Body, Cause};
pub use service::{Lanes, Service, Wanted};
pub use working::Working;
