//! `kill -9` of each worker in the middle, again and again, with a restart under the same instance id.

use domain::simulator::SimulatorConfig;
use schemas::ServiceName;
use tests::{Outcome, Pipeline, Servers, Settings, is_sound, sample, stock_for};

use crate::DAEMON;

/// Kills the instances of a service in turn, each time when some orders have ended and others are in its hands.
async fn survives_kills_of(service: ServiceName, skipped: usize) -> Outcome {
    let servers = Servers::shared().await?;
    // Calls long enough that a round of orders ends spread over seconds.
    let simulator = SimulatorConfig {
        decline_per_million: 60_000,
        capture_failure_per_million: 30_000,
        latency_min_ms: 100,
        latency_max_ms: 1_200,
        ..SimulatorConfig::default()
    };
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    let orders = sample(skipped, 320)?;
    pipeline.receive(&stock_for(&orders)).await?;
    let (mut published, mut ended) = (0, 0);
    for (round, part) in orders.chunks(80).enumerate() {
        pipeline.publish(part).await?;
        published += part.iter().filter(|order| is_sound(order)).count();
        ended = pipeline.await_ended(ended + 8).await?;
        pipeline.kill9(service, round % 2)?;
        assert!(ended < published, "round {round}: {ended} of {published} had ended, so it was not in the middle");
        pipeline.spawn(service, round % 2).await?;
    }
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_order_workers_lose_and_double_nothing() -> Outcome {
    survives_kills_of(ServiceName::Order, 1_000).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_inventory_workers_lose_and_double_nothing() -> Outcome {
    survives_kills_of(ServiceName::Inventory, 1_400).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_payment_workers_lose_and_double_nothing() -> Outcome {
    survives_kills_of(ServiceName::Payment, 1_800).await
}
