//! What the end-to-end tests stand on: real servers, real daemons as processes, and ways to look at what they did.
//!
//! A [`Pipeline`] is the three services with topics, a database and instances of their own, on servers that the tests of
//! one binary share. Nothing here sleeps to let something happen: every wait is for a condition, and has an end.

mod backup;
mod broker;
mod credentials;
mod daemon;
mod database;
pub mod drills;
mod load;
mod orders;
mod patience;
mod pipeline;
mod pooler;
mod proxy;
mod quiet;
mod raw_produce;
mod run;
mod scrape;
mod secured;
mod servers;
mod settings;
mod transaction;
mod trouble;
mod verdict;
mod webhooks;

pub use broker::{Broker, Found, Sent};
pub use credentials::{Credentials, Mechanism};
pub use daemon::{Daemon, Finished};
pub use database::{OrderRow, Tables};
pub use load::Load;
pub use orders::{is_sound, order, sample, stock_for};
pub use patience::{LONG, until};
pub use pipeline::Pipeline;
pub use pooler::Pooler;
pub use proxy::{Passage, Proxy};
pub use raw_produce::RawRecord;
pub use run::{Run, run_command};
pub use scrape::{Series, reading};
pub use secured::orders_end_also_after_a_crash;
pub use servers::{Servers, USERS};
pub use settings::{ProviderSettings, Settings};
pub use transaction::Transaction;
pub use trouble::{Outcome, Trouble, trouble};
pub use verdict::only_of_lost_commands;
pub use webhooks::{STRIPE_KEY, STRIPE_TOKEN};
