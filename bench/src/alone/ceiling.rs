//! What Kafka and Postgres do by themselves: producing the same records with the relay's settings, reading the same rows
//! with the relay's statement. Nothing else happens meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use outbox::position::POSITION_HEADER;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};

use super::bed::{Bed, SCHEMA, Work};
use super::drain::per_second;
use super::events::{self, Events};
use crate::error::{BenchError, Doing, Result};
use crate::figures::Figures;

/// How long the last records may take.
const FLUSH: Duration = Duration::from_secs(60);
/// Rows of a lane that are read at a time: the relay's 1,000 over six lanes.
const ROWS: i64 = 166;

/// Measures producing.
pub(crate) async fn measure(work: &Work<'_>, events: u32) -> Result<Figures> {
    let elapsed = produce(work, events).await?;
    let mut figures = Figures::default();
    let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    figures.add("ceiling", "produce only", per_second(u64::from(events), nanos), "/s");
    Ok(figures)
}

/// Produces so many records to a topic of its own; how long it took until all were acknowledged.
pub(crate) async fn produce(work: &Work<'_>, events: u32) -> Result<Duration> {
    let topic = format!("outbox.produce.{}", work.servers.next_number());
    work.servers.create_topics(std::slice::from_ref(&topic), work.partitions).await?;
    let (brokers, partitions) = (work.servers.brokers().to_owned(), work.partitions);
    let producing = tokio::task::spawn_blocking(move || produce_all(&brokers, &topic, partitions, u64::from(events)));
    producing.await.map_err(BenchError::other)?
}

/// Counts deliveries, as the relay's context does.
struct Count(Arc<AtomicU64>);

impl ClientContext for Count {}

impl ProducerContext<NoCustomPartitioner> for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }
}

fn produce_all(brokers: &str, topic: &str, partitions: i32, count: u64) -> Result<Duration> {
    let delivered = Arc::new(AtomicU64::new(0));
    let producer: ThreadedProducer<Count, NoCustomPartitioner> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "0")
        .set("queue.buffering.max.messages", "10000")
        .create_with_context(Count(Arc::clone(&delivered)))
        .doing("making a producer")?;
    let events = Events::new(topic);
    // Made beforehand: the relay does not make its payloads either.
    let payloads: Vec<Vec<u8>> = (0..1024).map(|number| events.payload(number)).collect();
    let began = Instant::now();
    for (number, payload) in (0..count).zip(payloads.iter().cycle()) {
        let partition = i32::try_from(number % u64::from(partitions.unsigned_abs())).unwrap_or(0);
        let key = events.key(number);
        let mut record = BaseRecord::to(topic).key(&key[..]).payload(payload).partition(partition);
        record = record.headers(headers(number, &key));
        while let Err((error, refused)) = producer.send(record) {
            if !matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
                return Err(error).doing("producing");
            }
            record = refused;
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    producer.flush(FLUSH).doing("waiting for acknowledgements")?;
    let elapsed = began.elapsed();
    match delivered.load(Ordering::Acquire) {
        all if all == count => Ok(elapsed),
        some => Err(BenchError::other(format!("Kafka took {some} of {count} records"))),
    }
}

/// The headers that the relay builds.
fn headers(number: u64, key: &[u8]) -> OwnedHeaders {
    let id = events::id(number).to_string();
    let position = format!("/bench:1:1:{number}");
    let list: [(&str, &[u8]); 8] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", id.as_bytes()),
        ("ce_source", b"/bench"),
        ("ce_type", b"bench.Event.v1"),
        ("ce_time", b"2026-01-01T00:00:00.000000Z"),
        ("ce_subject", key),
        ("content-type", b"application/octet-stream"),
        (POSITION_HEADER, position.as_bytes()),
    ];
    let start = OwnedHeaders::new_with_capacity(list.len());
    list.into_iter().fold(start, |built, (key, value)| built.insert(Header { key, value: Some(value) }))
}

/// Reads all rows of the outbox with the relay's statement and discards them; how many there were.
pub(crate) async fn read_only(bed: &Bed<'_>, partitions: i32) -> Result<u64> {
    let client = bed.client().await?;
    let lanes_sql = format!("select lane from {SCHEMA}.outbox_lanes order by lane");
    let lanes: Vec<i32> =
        client.query(&lanes_sql, &[]).await.doing("listing lanes")?.iter().map(|r| r.get(0)).collect();
    let settings = "set enable_seqscan = off; set enable_bitmapscan = off";
    client.batch_execute(settings).await.doing("setting up a connection")?;
    let sql = format!(
        "select g.slot, m.sequence, m.id, m.type, m.key, m.payload, m.time, m.causation, m.causation_text, m.trace, m.headers \
         from unnest($1::int4[], $2::int4[], $3::int8[]) as g (slot, lane, after) \
         cross join lateral (select * from {SCHEMA}.outbox_messages r where r.lane = g.lane and r.sequence > g.after \
           order by r.lane, r.sequence limit $4) m"
    );
    let statement = client.prepare(&sql).await.doing("preparing the read")?;
    let slots: Vec<i32> = (0..partitions).collect();
    let mut after = vec![0_i64; slots.len()];
    let mut rows = 0;
    loop {
        let read = client.query(&statement, &[&slots, &lanes, &after, &ROWS]).await.doing("reading rows")?;
        if read.is_empty() {
            return Ok(rows);
        }
        for row in &read {
            let slot = usize::try_from(row.get::<_, i32>(0)).map_err(BenchError::other)?;
            after[slot] = row.get(1);
        }
        rows += u64::try_from(read.len()).map_err(BenchError::other)?;
    }
}
