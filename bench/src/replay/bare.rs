//! What the servers do without a rebuild: the same rows copied, the same records published and only read.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, TryStreamExt as _};
use outbox::position::POSITION_HEADER;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use replay_tool::MemoryLog;
use schemas::TopicName;
use tokio_postgres::Client;

use crate::error::{BenchError, Doing, Result};

/// The tables of state, by the schema that they were rebuilt into.
const TABLES: [(&str, &[&str]); 3] = [
    ("order_rebuilt", &["orders", "order_contents"]),
    ("inventory_rebuilt", &["reservations", "stock", "stock_receipts", "products"]),
    ("payment_rebuilt", &["payments", "ledger"]),
];
/// How long the brokers may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
const FLUSH: Duration = Duration::from_secs(120);

/// Copy all rows into tables of the same shape, with nothing but the protocol's own bytes in hand; the seconds it takes.
#[expect(clippy::float_arithmetic, reason = "a duration, not an amount")]
pub(super) async fn copy_again(client: &Client) -> Result<f64> {
    let mut seconds = 0.0;
    client.batch_execute("create schema bare").await.doing("making a schema")?;
    for (schema, tables) in TABLES {
        for table in tables {
            let (from, to) = (format!("{schema}.{table}"), format!("bare.{table}"));
            let make = format!("create table {to} (like {from} including all)");
            client.batch_execute(&make).await.doing("making a table")?;
            let rows = client.copy_out(&format!("copy {from} to stdout binary")).await.doing("reading rows")?;
            let rows: Vec<Bytes> = rows.try_collect().await.doing("reading rows")?;
            let begun = Instant::now();
            let sink = client.copy_in::<_, Bytes>(&format!("copy {to} from stdin binary")).await.doing("copying")?;
            let mut sink = std::pin::pin!(sink);
            for chunk in merged(rows) {
                sink.send(chunk).await.doing("copying")?;
            }
            sink.finish().await.doing("copying")?;
            seconds += begun.elapsed().as_secs_f64();
        }
    }
    Ok(seconds)
}

/// In pieces as large as those that a rebuild sends.
fn merged(rows: Vec<Bytes>) -> Vec<Bytes> {
    const PIECE: usize = 64 * 1024;
    let (mut pieces, mut piece) = (Vec::new(), Vec::with_capacity(2 * PIECE));
    for row in rows {
        piece.extend_from_slice(&row);
        if piece.len() >= PIECE {
            pieces.push(Bytes::from(std::mem::replace(&mut piece, Vec::with_capacity(2 * PIECE))));
        }
    }
    pieces.push(Bytes::from(piece));
    pieces
}

/// Publish all records of these topics.
pub(super) async fn publish(brokers: &str, log: &MemoryLog, topics: &[TopicName]) -> Result<()> {
    let (brokers, log, topics) = (brokers.to_owned(), log.clone(), topics.to_vec());
    let published = tokio::task::spawn_blocking(move || {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("linger.ms", "20")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.messages", "500000")
            .create()
            .doing("making a producer")?;
        for topic in topics {
            for (partition, key, payload, position) in log.records(topic) {
                let header = Header { key: POSITION_HEADER, value: Some(position) };
                let mut record = BaseRecord::to(topic.as_str())
                    .partition(i32::try_from(partition).map_err(BenchError::other)?)
                    .key(key)
                    .payload(payload)
                    .headers(OwnedHeaders::new().insert(header));
                while let Err((error, back)) = producer.send(record) {
                    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                        return Err(error).doing("publishing");
                    }
                    record = back;
                    producer.poll(Duration::from_millis(10));
                }
            }
            producer.poll(Duration::ZERO);
        }
        producer.flush(FLUSH).doing("publishing")
    });
    published.await.map_err(BenchError::other)?
}

/// Read all records and look at none; the seconds it takes.
pub(super) fn read_all(brokers: &str, topics: &[String], records: u64) -> Result<f64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench-replay")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "20")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.queue.backoff.ms", "2")
        .create()
        .doing("making a consumer")?;
    let mut list = TopicPartitionList::new();
    for topic in topics {
        for partition in (0_i32..).take(super::PARTITIONS) {
            list.add_partition_offset(topic, partition, Offset::Beginning).doing("choosing partitions")?;
        }
    }
    let begun = Instant::now();
    consumer.assign(&list).doing("assigning partitions")?;
    let (mut read, mut heard) = (0, Instant::now());
    while read < records {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(_)) => (read, heard) = (read + 1, Instant::now()),
            Some(Err(KafkaError::PartitionEOF(_))) | None => {}
            Some(Err(error)) => return Err(error).doing("reading"),
        }
        if heard.elapsed() > PATIENCE {
            return Err(BenchError::other(format!("{read} of {records} records came")));
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}
