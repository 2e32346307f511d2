//! The broker goes away and comes back, with every connection lost, silent or refused; no worker is left behind.
//!
//! Being ready is not believed alone: it must say which partitions are whose, and orders must come to their end.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::simulator::SimulatorConfig;
use schemas::{PlaceOrder, ServiceName};
use tests::{Outcome, Passage, Pipeline, Servers, Settings, is_sound, sample, stock_for, trouble, until};
use tokio::time::Instant;

use crate::DAEMON;

/// Within so long after an outage every instance works again by itself.
const BACK_AFTER_RESTART: Duration = Duration::from_secs(60);
const BACK_AFTER_SILENCE: Duration = Duration::from_secs(30);
/// Within so long an instance without a broker says so.
const NOTICED: Duration = Duration::from_secs(30);
/// How many orders a part of the load has: more than enough for every partition.
const PART: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_restarted_ten_times_under_load_leaves_no_worker_behind() -> Outcome {
    let servers = Servers::own().await?;
    let mut pipeline = Pipeline::start(DAEMON, &servers, settings()).await?;
    let orders = sample(6_100, 20 * PART)?;
    pipeline.receive(&stock_for(&orders)).await?;
    for round in orders.chunks(2 * PART) {
        let (before, after) = round.split_at(PART);
        // They are at all stages when the broker goes.
        pipeline.publish(before).await?;
        pipeline.await_stage("placed", 1).await?;
        let stack = servers.clone();
        tokio::task::spawn_blocking(move || Outcome::Ok(stack.stack().kafka()?.restart()?)).await??;
        let back = Instant::now() + BACK_AFTER_RESTART;
        pipeline.renew_publisher()?;
        pipeline.publish(after).await?;
        await_at_work(&pipeline, round, back).await?;
    }
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_silent_for_a_minute_is_noticed_and_lost_nothing_by_it() -> Outcome {
    go_through(Passage::Swallow, Duration::from_secs(60)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_refuses_connections_is_noticed_and_lost_nothing_by_it() -> Outcome {
    go_through(Passage::Refuse, NOTICED + Duration::from_secs(5)).await
}

/// The workers lose their broker for so long, while orders are under way and others come in; nobody restarts anything.
async fn go_through(passage: Passage, length: Duration) -> Outcome {
    let (servers, proxy) = Servers::own_behind_proxy().await?;
    let settings = Settings { brokers: Some(proxy.address().to_string()), ..settings() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(7_000, 3 * PART)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders[..PART]).await?;
    pipeline.await_ended(1).await?;
    proxy.set(passage);
    let over = Instant::now() + length;
    pipeline.publish(&orders[PART..2 * PART]).await?;
    until("every instance says that it cannot work", NOTICED, async || none_is_ready(&pipeline).await).await?;
    while Instant::now() < over {
        none_is_ready(&pipeline).await?;
        tokio::time::sleep_until(over.min(Instant::now() + Duration::from_secs(1))).await;
    }
    proxy.set(Passage::Open);
    let back = Instant::now() + BACK_AFTER_SILENCE;
    pipeline.publish(&orders[2 * PART..]).await?;
    await_at_work(&pipeline, &orders, back).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await
}

/// A provider that takes its time, so that orders are under way whenever something happens.
fn settings() -> Settings {
    let simulator = SimulatorConfig { latency_min_ms: 100, latency_max_ms: 1_500, ..SimulatorConfig::default() };
    Settings { simulator, ..Settings::default() }
}

async fn none_is_ready(pipeline: &Pipeline) -> Outcome {
    for daemon in pipeline.daemons() {
        if let (200, body) = daemon.readiness().await? {
            return Err(trouble(format!("{} says {body:?}", daemon.name())));
        }
    }
    Ok(())
}

/// Waits until all instances are ready, every partition of every service has an owner, and these orders have ended.
async fn await_at_work(pipeline: &Pipeline, orders: &[PlaceOrder], deadline: Instant) -> Outcome {
    let limit = deadline.saturating_duration_since(Instant::now());
    until("every worker is back by itself", limit, async || {
        for service in ServiceName::ALL {
            let mut owned = BTreeSet::new();
            for instance in 0..2 {
                let daemon = pipeline.daemon(service, instance)?;
                if !daemon.is_running() {
                    return Err(trouble(format!("{} has ended", daemon.name())));
                }
                owned.extend(daemon.lanes().await.map_err(|error| error.during(daemon.name()))?);
            }
            if owned != BTreeSet::from([0, 1, 2]) {
                return Err(trouble(format!("of the {service} service only {owned:?} have an owner")));
            }
        }
        let rows = pipeline.tables().orders().await?;
        let open = orders.iter().filter(|order| is_sound(order)).find(|order| {
            let row = rows.get(order.order_id.as_str());
            !row.is_some_and(tests::OrderRow::has_ended)
        });
        open.map_or(Ok(()), |order| Err(trouble(format!("{} has not ended", order.order_id))))
    })
    .await
}
