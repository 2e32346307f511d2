//! A transactional outbox for Postgres and Kafka: what a service commits is what its topics get, nothing else, in order.
//!
//! A program appends messages in the transaction that changes its own tables; a relay publishes them, per topic partition
//! in commit order, gapless, each with its position in a header; a consumer proves by that position that nothing is
//! missing, doubled or reordered. No replication slot, no `wal_level`, no superuser, no row that is ever updated or
//! deleted. The crate carries bytes and knows nothing of their meaning.
//!
//! ```text
//!   your service                                            a relay (one leads per outbox, others stand by)
//!  ┌──────────────────────────────────────────┐            ┌────────────────────────────────────────────┐
//!  │ begin ─ your statements ─ commit(messages)│            │                                            │
//!  └──────────────────────┬─────────────┬──────┘            │  next expected sequence of each lane?      │
//!        one transaction  │             │ rows just committed, from memory ──►│      yes ──► send        │
//!                         ▼             │ (same process)    │      no  ──► read the table                │
//!  ┌──────────────────────────────┐     └── NOTIFY ────────►│                                            │
//!  │ Postgres                     │       (other process)   └──────▲────────────────────────┬────────────┘
//!  │  your tables                 │                                │                        │
//!  │  outbox: one row per message ├── cursor by primary key ───────┘                        ▼
//!  │  (lane, sequence) gapless    │                                              Kafka: one topic partition
//!  └──────────────────────────────┘                                              per lane, with the header
//!                                                              outbox-position: source:epoch:first:sequence
//!  ┌──────────────────────────────────────────┐                                             │
//!  │ begin ─ inbox ─ your statements ─ commit │◄──── judge: next, duplicate, stale, gap ◄───┘
//!  └──────────────────────────────────────────┘
//!   the consumer's transaction: work, cursor and offset together
//! ```
//!
//! # Why it loses nothing
//!
//! A *lane* is a topic partition. The commit locks its lanes, ascending, as the last thing before it draws sequences,
//! inserts and commits; Postgres makes a commit visible before it releases its locks. So per lane sequence order = commit
//! order = visibility order, and a plain `sequence > position` misses nothing, waits for no stranger's transaction, and is
//! gapless. The relay sends only the next expected sequence of a lane, whichever source brings it. One that takes over
//! reads each topic partition to its end and continues after the last unbroken sequence. What is left to the consumer are
//! the duplicates of a relay that was paused and woke up: [`inbox::judge`] drops them by sequence.
//!
//! # Quick start
//!
//! ```no_run
//! use outbox::{Database, Expect, Outbox, OutboxConfig, OutboxMessage, Relay, RelayConfig, TopicSpec, params};
//! use tokio_postgres::NoTls;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let database = Database::new("postgres://localhost/shop".parse()?, NoTls);
//! let mut client = database.connect().await?;
//! // Once per version, for instance at start: makes the outbox's tables in the schema `shop`.
//! outbox::migrate(&mut client, "shop").await?;
//!
//! // Once per process. The topic must exist with that many partitions.
//! let topics = vec![TopicSpec { name: "shop.orders".to_owned(), partitions: 6 }];
//! let outbox = Outbox::open(&client, OutboxConfig::new("shop", "/shop", topics)).await?;
//!
//! // The relay, as a task of this process (or run the program `outbox-relay` beside it).
//! let mut kafka = rdkafka::ClientConfig::new();
//! kafka.set("bootstrap.servers", "localhost:9092");
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let relay = Relay::new(&outbox, RelayConfig::new(database, kafka));
//! let relay = tokio::spawn(relay.run(async { drop(stopped.await) }));
//!
//! // An order and its message: both are committed, or neither.
//! let mut transaction = outbox.begin(&mut client).await?;
//! transaction.defer("insert into shop.orders (id) values ($1)", params!["A-1".to_owned()], Expect::Rows(1));
//! let placed = OutboxMessage::event("shop.orders", "shop.OrderPlaced.v1").key("A-1").payload(r#"{"order":"A-1"}"#);
//! transaction.commit(vec![placed]).await?;
//!
//! drop(stop);
//! relay.await??;
//! # Ok(())
//! # }
//! ```
//!
//! `cargo run -p outbox --example shop` runs two whole services, a writing one and a consuming one, on servers that it
//! starts itself, and lets both die and a record come twice.
//!
//! # Where to look
//!
//! | you want to | see |
//! |---|---|
//! | write | [`Outbox::begin`], [`Transaction::change`], [`Transaction::defer`], [`Transaction::commit`] |
//! | write in a transaction of your own, with any driver | [`Outbox::send`]; [`send_sql`] and [`SendColumns`] |
//! | publish | [`Relay`], [`RelayConfig`], [`RelayStatus`]; the program `outbox-relay` |
//! | look after it | [`operate`]; the program's subcommands `status`, `audit`, `rebase`, `doctor` |
//! | wake a relay in another process | [`Announcer`] |
//! | hear notifications of your own | [`Listening`] |
//! | consume | [`inbox`]: [`inbox::judge`] for any store, [`inbox::Inbox`] for tables of yours in Postgres |
//! | compare tables with topics | [`cut`]; [`migrate::check`](mod@migrate) first |
//! | move positions by hand, after a rebuild or a restore | [`inbox::Inbox`], [`operate::adopt`] |
//! | know what to do after an error | [`OutboxError::class`]; [`Backoff`] for how long to wait |
//! | get into a secured cluster, and know why not | [`kafka`] |
//! | read what topic partitions hold, without a group | [`log`](mod@log) |
//! | watch | [`metrics`], [`Relay::status`] |
//! | know what a restored database did to the topics | [`epochs`] |
//! | know how far the protocol is proved, and what is not | [`proof`] |
//! | send from another language | `select outbox_send(…)` in SQL, see the README |
//!
//! # Features
//!
//! Both are on by default. `relay`: [`Relay`], [`operate`], [`kafka`] and [`log`](mod@log), and with
//! them librdkafka. `tls`: [`ConnectionString`]
//! and the system's OpenSSL. A program that only writes or keeps an inbox turns the default off, and needs neither. The program
//! `outbox-relay` is a package of its own.
//!
//! # What it needs, and what it does not do
//!
//! Postgres ≥ 14 with READ COMMITTED and `synchronous_commit` on (the commit refuses anything else); Kafka ≥ 3.7, topics
//! made beforehand and never repartitioned; direct connections for the relay, not through a transaction pooler. Writers of
//! one lane commit one after the other. It is not a queue with priorities or delays, does not create topics, and does not
//! touch payloads. The crate's README has the guarantees, the limits and how to operate it.

#![deny(missing_docs, rustdoc::broken_intra_doc_links, rustdoc::private_intra_doc_links)]

mod append;
mod backoff;
mod change;
#[cfg(feature = "tls")]
mod connection_string;
pub mod cut;
mod database;
#[cfg_attr(not(feature = "relay"), expect(dead_code, reason = "only a relay begins epochs"))]
pub mod epochs;
mod error;
pub mod grants;
mod headers;
#[cfg_attr(not(feature = "relay"), expect(dead_code, reason = "only a relay takes hints"))]
mod hint;
pub mod inbox;
#[cfg(feature = "relay")]
pub mod kafka;
mod lanes;
mod listening;
#[cfg(feature = "relay")]
pub mod log;
#[cfg_attr(not(feature = "relay"), expect(dead_code, reason = "only a relay unpacks"))]
mod message;
#[cfg_attr(not(feature = "relay"), expect(dead_code, reason = "most are a relay's"))]
pub mod metrics;
pub mod migrate;
#[cfg(feature = "relay")]
#[cfg(test)]
mod model;
#[cfg(feature = "relay")]
pub mod operate;
mod partitioner;
mod pipeline;
pub mod planted;
pub mod position;
#[doc = include_str!("../docs/model.md")]
pub mod proof {}
#[cfg(feature = "relay")]
mod relay;
mod repeats;
mod send;
#[cfg_attr(not(feature = "relay"), expect(dead_code, reason = "only a relay leads and listens"))]
mod sql;
mod statement;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod transaction;

pub use backoff::Backoff;
pub use change::Change;
#[cfg(feature = "tls")]
pub use connection_string::{ConnectionString, ConnectionStringError};
pub use database::{CONNECT_TIMEOUT, Database, connect, connect_limit};
pub use deadpool_postgres::ClientWrapper as Client;
pub use epochs::{Epoch, Epochs};
pub use error::{Class, OutboxError, SQLSTATE_CONFLICT, SQLSTATE_GUARD, SQLSTATE_REFUSED, class_of, explain};
pub use headers::HeaderRef;
pub use lanes::{Lane, TopicSpec};
pub use listening::Listening;
pub use message::{Causation, Kind, OutboxMessage, Target};
pub use migrate::{migrate, prepare_connection};
pub use position::Position;
#[cfg(feature = "relay")]
pub use relay::{
    Announcer, Comparison, HeldLane, NamedMessage, OnRestore, Relay, RelayConfig, RelayError, RelayReport, RelayStatus,
    Restored, Role, Stalled,
};
pub use send::{SendColumns, send_sql};
pub use sql::{check_schema_name, partition_sql};
pub use statement::{Param, ToStatement};
pub use store::{Outbox, OutboxConfig};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};
pub use transaction::{Appended, Committed, Expect, Transaction};
