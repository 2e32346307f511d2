//! Orders that go as they should: completed, or undone for an ordinary reason.

use std::collections::BTreeMap;

use schemas::{Message, OrderEvent, ServiceName, TopicName};
use tests::{Outcome, Pipeline, Servers, Settings, is_sound, sample, stock_for};
use workers::payment::simulator::{SimulatorConfig, StatementOutcome};

use crate::DAEMON;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_orders_are_completed_or_undone_and_nothing_is_wrong() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { decline_per_million: 50_000, latency_max_ms: 20, ..SimulatorConfig::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    let orders = sample(0, 400)?;
    let mut stock = stock_for(&orders);
    // Of every 100th SKU there is nothing: the orders that want it find too little.
    stock.values_mut().step_by(100).for_each(|quantity| *quantity = 0);
    stock.retain(|_, quantity| *quantity > 0);
    pipeline.receive(&stock).await?;
    pipeline.publish(&orders).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    let sound = orders.iter().filter(|order| is_sound(order)).count();
    assert_eq!(rows.len(), sound, "an unsound order makes no row");
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows.values() {
        *reasons.entry(row.cancel_reason.clone().unwrap_or_else(|| row.stage.clone())).or_default() += 1;
    }
    let declined = pipeline.statement()?.iter().filter(|line| line.outcome == StatementOutcome::Refused).count();
    assert_eq!(reasons.get("PaymentDeclined").copied().unwrap_or(0), declined, "{reasons:?}");
    assert!(declined > 0 && reasons["OutOfStock"] > 0 && reasons["completed"] > sound / 2, "{reasons:?}");
    let rejected = pipeline.messages(TopicName::OrderEvents).await?;
    let rejected = rejected.iter().filter(|r| matches!(&r.message, Message::OrderEvent(OrderEvent::OrderRejected(_))));
    assert_eq!(rejected.count(), orders.len() - sound, "every unsound order is refused by an event");
    let lanes = pipeline.daemon(ServiceName::Order, 0)?.lanes().await?.len()
        + pipeline.daemon(ServiceName::Order, 1)?.lanes().await?.len();
    assert_eq!(lanes, 3, "both instances share the partitions");
    Ok(())
}
