//! A transactional outbox for Postgres and Kafka.
//!
//! A program appends messages in the transaction that changes its own tables; a relay publishes them, per topic partition
//! in commit order, gapless, each with its position in a header; a consumer proves by that position that nothing is
//! missing, doubled or reordered. The crate carries bytes and knows nothing of their meaning.
//!
//! ```text
//!  begin ─ queries ─ commit(messages)          Relay (one leader per outbox)
//!     │       one transaction │  rows of this process, from memory  │
//!     ▼                       └────────────────────────────────────►│
//!  your tables + outbox_messages ── cursor by primary key ─────────►│──► Kafka ──► inbox::judge
//! ```

mod append;
mod database;
pub mod epochs;
mod error;
mod headers;
mod hint;
pub mod inbox;
mod lanes;
mod message;
pub mod metrics;
mod migrate;
pub mod operate;
mod partitioner;
mod pipeline;
pub mod planted;
pub mod position;
mod relay;
mod sql;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod transaction;

pub use database::{Database, connect};
pub use deadpool_postgres::ClientWrapper as Client;
pub use epochs::{Epoch, Epochs};
pub use error::{Class, OutboxError, SQLSTATE_CONFLICT, SQLSTATE_GUARD, class_of};
pub use lanes::{Lane, TopicSpec};
pub use message::{Causation, Kind, OutboxMessage, Target};
pub use migrate::{migrate, prepare_connection};
pub use position::Position;
pub use relay::{Announcer, HeldLane, Relay, RelayConfig, RelayError, RelayReport, RelayStatus, Role};
pub use store::{Outbox, OutboxConfig};
#[cfg(feature = "tls")]
pub use tls::{DatabaseUrlError, parse_url};
pub use transaction::{Committed, Expect, Param, Place, Transaction};
