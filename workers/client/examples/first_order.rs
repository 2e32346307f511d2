//! What a single order costs its client beside a plain producer: `cargo run --release --example first_order`
//! (KAFKA_BROKERS and TOPIC_PREFIX say where). Each round opens both anew, one after the other, so that a busy machine delays both.
//! The goal is a factor of at most 3; waiting for an idempotent producer's id makes it more than ten.

use std::time::{Duration, Instant};

use client::{Connection, Publisher};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::{CustomerId, OrderId, OrderLine, PlaceOrder, Sku};

const ROUNDS: usize = 50;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let brokers = std::env::var("KAFKA_BROKERS").unwrap_or_else(|_| "localhost:9092".to_owned());
    let prefix = std::env::var("TOPIC_PREFIX").unwrap_or_default();
    let connection = Connection::new(&brokers).with_topic_prefix(&prefix);
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(plain_message(&brokers, &format!("{prefix}order.commands.v1-dlt")).await?);
        let begun = Instant::now();
        Publisher::open(&connection, "/first-order")?.place(order()?).await?;
        ours.push(begun.elapsed());
    }
    let (ours, plain) = (median(ours), median(plain));
    println!("one order {ours:.1?}, a plain producer's message {plain:.1?}, medians of {ROUNDS}");
    Ok(())
}

/// A producer with the library's defaults, until its first message is acknowledged.
async fn plain_message(brokers: &str, topic: &str) -> Result<Duration, rdkafka::error::KafkaError> {
    let begun = Instant::now();
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let record = FutureRecord::to(topic).key("first-order").payload("beside it");
    producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
    Ok(begun.elapsed())
}

fn order() -> Result<PlaceOrder, Box<dyn std::error::Error>> {
    let (order_id, customer_id) = (OrderId::new(uuid::Uuid::now_v7().to_string())?, CustomerId::new("900")?);
    let line = OrderLine { sku: Sku::new("1095275")?, quantity: 1, unit_price_minor: 50 };
    let placed_at = jiff::Timestamp::now().into();
    Ok(PlaceOrder::new(order_id, customer_id, placed_at, "USD", vec![line]))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
