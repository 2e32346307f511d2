//! The client's side of the pipeline: publish commands, read what became of them, and the `orders` program over both.
//!
//! Talks to Kafka, or, for who is outside its network, to the API that stands for it (`http_door`); the program's lists come from
//! the order service's tables (`listing`). What a command means and whether it is allowed is decided by the services; here it is encoded,
//! delivered once and found again. Any other Kafka client that keeps `schemas/` and the headers can do the same.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use schemas::{CommandId, OrderId};
//! use client::{Connection, Publisher};
//!
//! let publisher = Publisher::open(&Connection::new("localhost:9092"), "/my-shop")?;
//! publisher.cancel(OrderId::new("31198570044")?, CommandId::new("cancel-1")?).await?;
//! # Ok(())
//! # }
//! ```

pub mod cli;
mod connection;
mod error;
mod file_format;
mod headers;
mod http_door;
mod json_object;
mod line_file;
mod open_transaction;
mod order_file;
mod order_history;
mod order_place;
mod outlet;
mod publication;
mod publisher;
mod rendering;
mod set_aside;
mod standing;
mod stock_file;
mod stock_levels;
#[cfg(test)]
mod story;
mod topic_reader;
pub mod unique_keys;

use std::collections::BTreeSet;

use schemas::TopicName;

pub use connection::Connection;
pub use error::{ClientError, words};
pub use file_format::FileFormat;
pub use headers::new_trace_parent;
pub use http_door::{
    HttpDoor, HttpError, HttpOutlet, HttpRefusal, ListedCancellation, ListedHold, ListedOrder, OrderEvents, Problem,
    Reason, Refusals, Request, Told,
};
pub use json_object::FieldError;
pub use line_file::{Line, LineFile, MAX_LINE_BYTES};
pub use open_transaction::{OpenTransaction, open_transaction, open_transactions};
pub use order_file::{Entry, LineError, OrderFile};
pub use order_history::OrderHistory;
pub use order_place::OrderPlace;
pub use outlet::Outlet;
pub use publication::{Entries, Observation, PublishPlan, Published, publish_entries};
pub use publisher::{Delivered, Deliveries, IN_FLIGHT_MAX, Publisher};
pub use rendering::{
    Manner, TIME_FIELDS, body_json, currency_of, detail, detail_in, message_of, record_json, shown_text,
    stage_in_words, symbol,
};
pub use set_aside::{AllSetAside, SetAside};
pub use standing::{Standing, Wait, WaitKind};
pub use stock_file::StockFile;
pub use stock_levels::{Level, StockLevels};
pub use topic_reader::{Came, Glimpse, Record, Selection, TopicReader};

/// The topics that looking reads, without a deployment's prefix: what became of orders, of what was set aside, of stock.
pub fn reads() -> Vec<String> {
    let topics: BTreeSet<TopicName> = TopicName::by_order().chain(stock_levels::TOPICS).collect();
    let dead = TopicName::by_order().map(TopicName::dead_letter);
    topics.iter().map(|topic| topic.as_str().to_owned()).chain(dead).collect()
}
