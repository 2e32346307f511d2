//! The relay of oxide-outbox: reads `outbox_events` (tables.sql), publishes to Kafka, marks what was published.
//!
//! One process, one manager, as its README shows it. It publishes one event after the other and waits for each; more
//! managers are faster and out of order. What it takes is a JSON document: the key, and text up to the size of an event.

use std::sync::Arc;

use outbox_core::prelude::*;
use outbox_kafka::{KafkaKeyExtractable, KafkaTransport};
use outbox_postgres::PostgresOutbox;
use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use work::{Result, say};

/// Rows that are claimed at a time.
const BATCH: u32 = 1_000;

/// An event's payload.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Payload {
    key: String,
    body: String,
}

impl KafkaKeyExtractable for Payload {
    fn kafka_key(&self) -> Vec<u8> {
        self.key.clone().into_bytes()
    }
}

/// Where it reads and writes.
#[derive(Deserialize)]
struct Task {
    database_url: String,
    brokers: String,
    topic: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let text = std::env::args().nth(1).ok_or("the only argument is the task as JSON")?;
    let task: Task = serde_json::from_str(&text)?;
    say(&format!(
        "version: outbox-core 0.6.0, outbox-postgres 0.3.0, outbox-kafka 0.2.1, one manager, batches of {BATCH}"
    ));
    let mut terminate = signal(SignalKind::terminate())?;
    let pool = PgPoolOptions::new().max_connections(8).connect(&task.database_url).await?;
    let mut config = OutboxConfig::<Payload>::default();
    config.batch_size = BATCH;
    config.poll_interval_secs = 1;
    let config = Arc::new(config);
    let mut kafka = ClientConfig::new();
    kafka
        .set("bootstrap.servers", &task.brokers)
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "0");
    let (stop, stopped) = watch::channel(false);
    let manager = OutboxManagerBuilder::new()
        .storage(Arc::new(PostgresOutbox::new(pool, Arc::clone(&config))))
        .publisher(Arc::new(KafkaTransport::new(&task.topic, &kafka)?))
        .config(config)
        .shutdown_rx(stopped)
        .build()?;
    say("ready");
    tokio::select! {
        ended = manager.run() => ended?,
        _ = terminate.recv() => drop(stop),
    }
    Ok(())
}
