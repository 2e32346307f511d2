//! Place an order from your own program: `cargo run --example publish` (KAFKA_BROKERS and TOPIC_PREFIX say where).

use client::{Connection, Publisher};
use schemas::{CustomerId, OrderId, OrderLine, PlaceOrder, Sku};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let brokers = std::env::var("KAFKA_BROKERS").unwrap_or_else(|_| "localhost:9092".to_owned());
    let prefix = std::env::var("TOPIC_PREFIX").unwrap_or_default();
    let publisher = Publisher::open(&Connection::new(brokers).with_topic_prefix(&prefix), "/example")?;
    let placed_at = jiff::Timestamp::now().into();
    let (order_id, customer_id) = (OrderId::new(uuid::Uuid::now_v7().to_string())?, CustomerId::new("900")?);
    let line = OrderLine { sku: Sku::new("1095275")?, quantity: 1, unit_price_minor: 50 };
    let order = PlaceOrder::new(order_id, customer_id, placed_at, "USD", vec![line]);
    let delivered = publisher.place(order.clone()).await?;
    println!("order {} is at {delivered:?}; see `orders watch {0}`", order.order_id);
    Ok(())
}
