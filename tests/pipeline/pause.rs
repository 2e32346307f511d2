//! A worker that stands still (SIGSTOP) until its partitions have moved, and then goes on as if nothing had happened.

use domain::simulator::SimulatorConfig;
use schemas::ServiceName;
use tests::{Outcome, Pipeline, Sent, Servers, Settings, sample, stock_for, trouble};

use crate::DAEMON;

/// Records that nobody can take, for each partition of a topic that the service reads.
fn strangers(service: ServiceName) -> Vec<Sent> {
    let topic = service.inputs()[0];
    let record = |partition| Sent { topic: topic.as_str().to_owned(), partition: Some(partition), ..Sent::default() };
    [0, 1, 2].into_iter().flat_map(|partition| vec![record(partition); 400]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_worker_loses_its_partitions_and_does_no_harm_when_it_wakes() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { decline_per_million: 60_000, latency_max_ms: 50, ..SimulatorConfig::default() };
    let settings = Settings { simulator, session_timeout_ms: 3_000, max_batch_items: 10, ..Settings::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(2_200, 360)?;
    pipeline.receive(&stock_for(&orders)).await?;
    for (service, part) in ServiceName::ALL.into_iter().zip(orders.chunks(120)) {
        let publishing = pipeline.trickle(part, 200);
        pipeline
            .until("orders are under way", async || match pipeline.tables().orders().await?.len() {
                0 => Err(trouble("none")),
                _ => Ok(()),
            })
            .await?;
        let paused = pipeline.daemon(service, 0)?;
        // It falls asleep with a queue of strangers' records: each has to be set aside once, whoever does it.
        pipeline.broker().send_all(&strangers(service)).await?;
        paused.pause()?;
        let survivor = pipeline.daemon(service, 1)?;
        pipeline
            .until("the other instance has all partitions", async || match survivor.lanes().await?.as_slice() {
                [0, 1, 2] => Ok(()),
                lanes => Err(trouble(format!("it has {lanes:?}"))),
            })
            .await?;
        // The survivor alone brings them to their ends; then the sleeper wakes, with whatever it had in its hands.
        publishing.await??;
        pipeline.await_terminal(part).await?;
        paused.resume()?;
        pipeline
            .until("the woken instance has partitions again", async || match paused.lanes().await?.as_slice() {
                [] | [0, 1, 2] => Err(trouble("not yet")),
                _ => Ok(()),
            })
            .await?;
    }
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_paused_for_a_moment_go_on_where_they_were() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { latency_max_ms: 50, ..SimulatorConfig::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    let orders = sample(2_600, 240)?;
    pipeline.receive(&stock_for(&orders)).await?;
    let publishing = pipeline.trickle(&orders, 120);
    for (round, service) in ServiceName::ALL.into_iter().cycle().take(9).enumerate() {
        let paused = pipeline.daemon(service, round % 2)?;
        paused.pause()?;
        // As long as it takes the others to bring some more orders in.
        let orders_before = pipeline.tables().orders().await?.len();
        let come = pipeline.until("the others go on", async || {
            let now = pipeline.tables().orders().await?.len();
            if now >= orders_before + 4 || publishing.is_finished() { Ok(()) } else { Err(trouble("no new order")) }
        });
        // A paused leader of the order's outbox stops nothing: orders come in by the other instance.
        come.await?;
        paused.resume()?;
    }
    publishing.await??;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await
}
