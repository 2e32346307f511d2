//! The pipeline's door: an HTTP order API over a read model, for everybody without a Kafka client.
//!
//! It writes only by publishing commands (`client::Publisher`), and reads only `view`, which folds the services' events with their
//! own `evolve`; so nothing here can break what the services hold. Any number of instances run beside one another: they keep
//! nothing but the rows of the view. `daemon` is the entry, `settings` what it is told; `http` is `/v1`, and
//! `console` the pages for people.
//!
//! Deliberately absent: decisions, which are the services'; users and carts; a cache.

pub mod console;
pub mod daemon;
pub mod daemons;
pub mod http;
pub mod key_file;
pub mod keys;
pub mod lag;
pub mod metrics;
mod open_files;
mod outgoing;
pub mod pace;
mod payment_actions;
pub mod placed;
pub mod position;
mod probes;
mod serving;
pub mod settings;
pub mod tail;
pub mod tokens;
pub mod view;
pub mod who;
