//! Everything comes twice: what a client publishes again, on whatever partition, has no second effect.

use std::collections::HashMap;

use domain::simulator::SimulatorConfig;
use schemas::{Message, OrderEvent, StockEvent, TopicName};
use tests::{Outcome, Pipeline, Sent, Servers, Settings, is_sound, sample, stock_for};

use crate::DAEMON;

const PARTITIONS: i32 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_published_twice_even_on_two_partitions_at_once_has_one_effect() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { decline_per_million: 50_000, ..SimulatorConfig::default() };
    let settings = Settings { partitions: PARTITIONS, simulator, ..Settings::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(400, 300)?;
    let stock = stock_for(&orders);
    pipeline.receive(&stock).await?;
    pipeline.receive(&stock).await?;
    // The second copy of each order goes to another partition, so that two instances meet in one order.
    let mut copies = Vec::with_capacity(orders.len());
    for order in &orders {
        let sent = Sent::of(order.clone())?;
        let own = schemas::partitioner::partition_of(order.order_id.as_str().as_bytes(), PARTITIONS);
        copies.push(Sent { partition: Some((own + 1) % PARTITIONS), ..sent });
    }
    let (first, second) = tokio::join!(pipeline.publish(&orders), pipeline.broker().send_all(&copies));
    first?;
    second?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    assert_eq!(rows.len(), orders.iter().filter(|order| is_sound(order)).count());
    let mut placed: HashMap<String, usize> = HashMap::new();
    for record in pipeline.messages(TopicName::OrderEvents).await? {
        if let Message::OrderEvent(OrderEvent::OrderPlaced(event)) = record.message {
            *placed.entry(event.order_id.as_str().to_owned()).or_default() += 1;
        }
    }
    assert!(placed.len() == rows.len() && placed.values().all(|times| *times == 1), "an order is placed once");
    // A repeated receipt is answered again, word for word under the same id, and booked once.
    let mut received: HashMap<String, i64> = HashMap::new();
    for record in pipeline.messages(TopicName::StockEvents).await? {
        let Message::StockEvent(StockEvent::StockReceived(event)) = record.message else { panic!("{record:?}") };
        received.insert(record.id.unwrap_or_default(), event.quantity);
    }
    assert_eq!(received.values().sum::<i64>(), stock.values().sum::<i64>(), "stock is received once");
    let booked = pipeline.tables().number("select sum (received)::bigint from inventory.stock").await?;
    assert_eq!(booked, stock.values().sum::<i64>());
    Ok(())
}
