//! Points for confirmed orders, taken back when an order is cancelled later: a service that knows of the pipeline what
//! everybody knows, its topics and schemas.
//!
//! `contract.rs` says what it reads and says, `points.rs` decides and writes, `book.rs` makes the tables again. The crate
//! `consumer` does the rest: the group, each record once, holds, dead letters, its own outbox and the relay.

pub mod book;
pub mod contract;
pub mod points;

use consumer::{Builder, Consumer, Database, Each, FromTo, JsonMessage};
use rdkafka::ClientConfig;

use crate::contract::Entry;
use crate::points::{Points, TABLES};

/// What goes wrong, in words.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The service, to be started.
pub fn service(database: &Database, kafka: ClientConfig, prefix: &str) -> Builder<Each<Points>> {
    let service = Consumer::builder(Each(Points), FromTo::default()).database(database).kafka(kafka).with_relay();
    let service = service.topic_prefix(prefix).group(format!("{prefix}loyalty"));
    service.sends(vec![format!("{prefix}{}", Entry::TOPIC)])
}

/// Makes its tables and topics; what is there already stays.
///
/// # Errors
/// When a server does not answer, or there are no orders to read.
pub async fn setup(database: &Database, kafka: ClientConfig, prefix: &str) -> Result<()> {
    let mut client = database.first_client().await?;
    outbox::migrate(&mut client, database.schema()).await?;
    client.batch_execute(TABLES).await?;
    Ok(service(database, kafka, prefix).create_topics().await?)
}
