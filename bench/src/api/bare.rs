//! The bare handlers: what any program of this shape has to do for one request, and nothing else.
//!
//! `POST /orders/{id}` produces the body, which is the record's value already, under the key in the path, with the contract's
//! headers, and answers once Kafka has it; `POST /at-once/{id}` does not wait for that. `GET /orders/{id}` looks up one row by its
//! primary key in the read model's table. The same web library, threads, producer and acknowledgement as the door.
//!
//! Deliberately absent: keys, JSON that is read, checks, limits, what was placed before, positions, tags of content, metrics.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as Named, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use clap::Args;
use dev_stack::Daemon;
use rdkafka::ClientConfig;
use rdkafka::message::Header;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_postgres::{Client, Statement};

use crate::error::{BenchError, Doing, Result};
use crate::measure::connect;
use crate::pipeline::headers_of;

/// What the process prints once it answers, with its address.
const ANSWERS: &str = "the bare handlers answer";
/// How long it may take to get there.
const PATIENCE: Duration = Duration::from_secs(30);
/// As many connections as the door's pool has.
const CONNECTIONS: usize = 4;
/// How long Kafka may take.
const PUBLISH_LIMIT: Duration = Duration::from_secs(10);
/// As the door's producer has it by itself.
const LINGER_MS: u32 = 5;
/// What it names as the messages' origin; as long as the door's.
const SOURCE: &str = "/bench-api";
/// The row, by its primary key.
const ONE_ORDER: &str =
    "select order_id, version, stage, customer_id, total_minor from view.orders where order_id = $1";

/// Where it works.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// Kafka
    #[arg(long)]
    brokers: String,
    /// The full name of the topic
    #[arg(long)]
    topic: String,
    /// The type of the messages
    #[arg(long)]
    type_name: String,
    /// Postgres
    #[arg(long)]
    database_url: String,
    /// How long the producer gathers records
    #[arg(long)]
    linger_ms: u32,
}

impl Place {
    /// Of brokers, topic, type and database.
    pub(crate) fn new(words: [&str; 4], linger_ms: Option<u32>) -> Self {
        let [brokers, topic, type_name, database_url] = words.map(str::to_owned);
        let linger_ms = linger_ms.unwrap_or(LINGER_MS);
        Place { brokers, topic, type_name, database_url, linger_ms }
    }

    /// Starts it as a process of its own: this program again.
    pub(crate) fn start(&self, logs: &Path) -> Result<Daemon> {
        let program = std::env::current_exe().doing("finding this program")?;
        let mut command = Command::new(program);
        command.args(["bare", "--brokers", &self.brokers, "--topic", &self.topic, "--type-name", &self.type_name]);
        command.args(["--database-url", &self.database_url, "--linger-ms", &self.linger_ms.to_string()]);
        Daemon::spawn_announced(command, "bare", &logs.join("bare.log"), ANSWERS, PATIENCE).map_err(BenchError::other)
    }
}

struct Bare {
    producer: FutureProducer,
    topic: String,
    type_name: String,
    clients: Vec<(Client, Statement)>,
    turn: AtomicUsize,
}

/// Is the bare handlers, until SIGTERM.
pub(crate) fn serve(place: &Place) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.doing("starting the runtime")?.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).doing("waiting for signals")?;
        let bare = Arc::new(Bare::open(place).await?);
        let listener = TcpListener::bind("127.0.0.1:0").await.doing("listening")?;
        println!("{ANSWERS} address={}", listener.local_addr().doing("listening")?);
        let router = Router::new()
            .route("/orders/{id}", get(look).post(place_and_wait))
            .route("/at-once/{id}", post(place_at_once))
            .with_state(bare);
        let ended = async move {
            terminate.recv().await;
        };
        axum::serve(listener, router).with_graceful_shutdown(ended).await.doing("answering")
    })
}

impl Bare {
    async fn open(place: &Place) -> Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = connect(&place.database_url).await?;
            let statement = client.prepare(ONE_ORDER).await.doing("preparing the look-up")?;
            clients.push((client, statement));
        }
        let producer = producer_config(place).create().doing("making the producer")?;
        let (topic, type_name) = (place.topic.clone(), place.type_name.clone());
        Ok(Bare { producer, topic, type_name, clients, turn: AtomicUsize::new(0) })
    }

    fn record<'r>(&'r self, id: &'r str, value: &'r [u8]) -> FutureRecord<'r, str, [u8]> {
        let trace = client::new_trace_parent();
        let headers =
            headers_of(&self.type_name, id, SOURCE).insert(Header { key: "traceparent", value: Some(trace.as_str()) });
        FutureRecord::to(&self.topic).key(id).payload(value).headers(headers)
    }
}

/// As the door's producer is set.
fn producer_config(place: &Place) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &place.brokers)
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", place.linger_ms.to_string())
        .set("max.in.flight.requests.per.connection", "1");
    config
}

async fn place_and_wait(State(bare): State<Arc<Bare>>, Named(id): Named<String>, value: Bytes) -> (StatusCode, String) {
    match bare.producer.send(bare.record(&id, &value), PUBLISH_LIMIT).await {
        Ok(delivery) => (StatusCode::ACCEPTED, format!("{}/{}", delivery.partition, delivery.offset)),
        Err((error, _)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

async fn place_at_once(State(bare): State<Arc<Bare>>, Named(id): Named<String>, value: Bytes) -> (StatusCode, String) {
    match bare.producer.send_result(bare.record(&id, &value)) {
        // Nobody waits for what becomes of it.
        Ok(_) => (StatusCode::ACCEPTED, id),
        Err((error, _)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

async fn look(State(bare): State<Arc<Bare>>, Named(id): Named<String>) -> (StatusCode, String) {
    let turn = bare.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
    let (client, statement) = &bare.clients[turn];
    match client.query_opt(statement, &[&id]).await {
        Ok(Some(row)) => {
            let (id, version, stage): (&str, i64, &str) = (row.get(0), row.get(1), row.get(2));
            let (customer, total): (&str, i64) = (row.get(3), row.get(4));
            let body = format!(
                "{{\"order_id\":\"{id}\",\"version\":{version},\"state\":\"{stage}\",\"customer_id\":\"{customer}\",\"total_minor\":{total}}}"
            );
            (StatusCode::OK, body)
        }
        Ok(None) => (StatusCode::NOT_FOUND, id),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}
