//! The servers die or stand still under load; when they are back, everything goes on.

use domain::simulator::SimulatorConfig;
use schemas::ServiceName;
use std::time::Duration;
use tests::{Outcome, Pipeline, Servers, Settings, sample, stock_for, trouble};

use crate::DAEMON;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_and_a_database_that_are_killed_lose_nothing() -> Outcome {
    let servers = Servers::own().await?;
    let simulator = SimulatorConfig { decline_per_million: 60_000, latency_max_ms: 300, ..SimulatorConfig::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    let orders = sample(5_300, 400)?;
    pipeline.receive(&stock_for(&orders)).await?;
    for (round, part) in orders.chunks(100).enumerate() {
        let publishing = pipeline.trickle(part, 80);
        pipeline.await_ended(20 + 80 * round).await?;
        let stack = servers.clone();
        tokio::task::spawn_blocking(move || {
            let server = if round % 2 == 0 { stack.stack().kafka()? } else { stack.stack().postgres()? };
            server.kill()?;
            Outcome::Ok(server.restart()?)
        })
        .await??;
        publishing.await??;
    }
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_everything_dies_at_once_everything_goes_on_afterwards() -> Outcome {
    let servers = Servers::own().await?;
    let simulator = SimulatorConfig { latency_min_ms: 100, latency_max_ms: 900, ..SimulatorConfig::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    let orders = sample(5_900, 200)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    let ended = pipeline.await_ended(20).await?;
    assert!(ended < 180, "{ended} had ended: it was not in the middle");
    let stack = servers.clone();
    tokio::task::spawn_blocking(move || {
        stack.stack().postgres()?.kill()?;
        Outcome::Ok(stack.stack().kafka()?.kill()?)
    })
    .await??;
    for service in ServiceName::ALL {
        pipeline.kill9_all(service)?;
    }
    let stack = servers.clone();
    tokio::task::spawn_blocking(move || {
        stack.stack().kafka()?.restart()?;
        Outcome::Ok(stack.stack().postgres()?.restart()?)
    })
    .await??;
    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once_what_cannot_drain() -> Outcome {
    let servers = Servers::own().await?;
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let orders = sample(5_800, 50)?;
    pipeline.receive(&stock_for(&orders)).await?;
    // Both instances get work that they cannot finish: first it waits for a table, then for the server.
    let tables = pipeline.tables();
    tables
        .script("set idle_in_transaction_session_timeout = 0; begin; lock table orders.orders in exclusive mode")
        .await?;
    pipeline.publish(&orders).await?;
    pipeline
        .until("both instances wait for the table", async || {
            let waiting =
                "select count(distinct pid) from pg_locks where not granted and relation = 'orders.orders'::regclass";
            match tables.number(waiting).await? {
                2 => Ok(()),
                found => Err(trouble(format!("{found} wait"))),
            }
        })
        .await?;
    let stack = servers.clone();
    tokio::task::spawn_blocking(move || Outcome::Ok(stack.stack().postgres()?.pause()?)).await??;
    // One is asked to end.
    let draining = pipeline.take(ServiceName::Order, 0)?;
    draining.terminate()?;
    draining.await_log("draining").await?;
    // What comes within a second is an echo of the first one.
    draining.terminate()?;
    let insisting = tokio::time::Instant::now() + Duration::from_millis(1_100);
    tokio::time::sleep_until(insisting).await;
    assert!(draining.is_running(), "{}", draining.tail());
    draining.terminate()?;
    let finished = draining.finish(Duration::from_secs(15)).await?;
    assert_eq!(finished.code, Some(2), "{}", finished.output);
    assert!(finished.output.contains("second signal"), "{}", finished.output);
    let stack = servers.clone();
    tokio::task::spawn_blocking(move || Outcome::Ok(stack.stack().postgres()?.resume()?)).await??;
    pipeline.tables().script("rollback").await?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    pipeline.await_terminal(&orders).await?;
    let (status, body) = pipeline.daemon(ServiceName::Order, 1)?.get("/livez").await?;
    if status != 200 {
        return Err(trouble(body));
    }
    pipeline.check_clean().await
}
