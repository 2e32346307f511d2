//! Orders that go as they should: completed, or undone for an ordinary reason.

use std::collections::BTreeMap;

use client::Record;
use domain::simulator::SimulatorConfig;
use domain::statement::StatementOutcome;
use schemas::{Message, OrderEvent, ServiceName, TopicName};
use tests::{Outcome, Pipeline, Servers, Settings, is_sound, sample, stock_for, trouble};

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

/// The trace that a `traceparent` belongs to.
fn trace(record: &Record) -> String {
    record.trace_parent.as_deref().and_then(|parent| parent.split('-').nth(1)).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_from_the_command_to_everything_that_follows_and_metrics_tell_of_it() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let orders = sample(6_200, 30)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    let commands = pipeline.messages(TopicName::OrderCommands).await?;
    let begun: BTreeMap<&str, String> = commands.iter().map(|record| (record.message.key(), trace(record))).collect();
    assert!(begun.values().all(|trace| trace.len() == 32) && begun.len() == orders.len());
    for topic in [
        TopicName::OrderEvents,
        TopicName::InventoryCommands,
        TopicName::InventoryEvents,
        TopicName::PaymentCommands,
        TopicName::PaymentEvents,
    ] {
        let records = pipeline.messages(topic).await?;
        assert!(records.len() >= orders.len() / 2, "{topic}: {}", records.len());
        for record in records {
            assert_eq!(Some(&trace(&record)), begun.get(record.message.key()), "{record:?}");
        }
    }
    for service in ServiceName::ALL {
        let what = format!("the metrics of {service}");
        pipeline.until(&what, async || missing_metrics(&pipeline, service).await).await?;
    }
    Ok(())
}

/// Fails with the metrics that no instance of the service shows.
async fn missing_metrics(pipeline: &Pipeline, service: ServiceName) -> Outcome {
    let mut shown = String::new();
    for instance in [0, 1] {
        let (status, text) = pipeline.daemon(service, instance)?.get("/metrics").await?;
        assert_eq!(status, 200);
        shown.push_str(&text);
    }
    let mut names = vec![
        "worker_messages_total{",
        "worker_batch_items_bucket{",
        "worker_process_duration_seconds_bucket{",
        "worker_commit_duration_seconds_bucket{",
        "worker_consumer_lag_messages{",
        "worker_held_partitions{",
        "worker_lanes{",
        "outbox_backlog",
        "outbox_oldest",
    ];
    match service {
        ServiceName::Order => names.push("saga_transitions_total{"),
        ServiceName::Payment => names.push("payment_provider_calls_total{"),
        ServiceName::Inventory => {}
    }
    names.retain(|name| !shown.contains(name));
    if names.is_empty() { Ok(()) } else { Err(trouble(format!("{names:?} are missing from\n{shown}"))) }
}
