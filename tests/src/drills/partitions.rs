//! A topic gets more partitions under running workers; the road back is the archive, in other topics.

use schemas::{ServiceName, TopicName};
use tokio::time::Instant;

use super::scene::Scene;
use super::{Shown, archive};
use crate::{LONG, Outcome, Servers, trouble, until};

const TOPIC: &str = TopicName::OrderCommands.as_str();

/// The topic that clients send orders to.
pub(super) async fn added(program: &str) -> Outcome<Shown> {
    let settings = Scene::settings();
    let (before, after) = (settings.partitions, settings.partitions + 1);
    let mut scene = Scene::open(program, &Servers::shared().await?, settings).await?;
    let archive = archive::follow(&scene).await?;
    scene.more_orders_end().await?;
    scene.pipeline.broker().raise_partitions(TOPIC, usize::try_from(after)?).await?;
    scene.loses(&format!("{TOPIC} gets {after} partitions instead of {before}"));
    let words = format!("has {after} partitions now and had {before} when this worker started");
    scene.sees(&[ServiceName::Order], &[TOPIC, &words]).await?;
    scene.sees_metric(ServiceName::Order, "worker_changed_topics", 1).await?;
    let begun = Instant::now();
    scene.clients_start_anew().await?;
    scene.waits_in_new_partitions(before).await?;
    scene.does("stop the clients, and wait until the old partitions are at rest");
    scene.end_load().await?;
    old_partitions_are_at_rest(&scene, before).await?;
    scene.stop(&ServiceName::ALL).await?;
    let refused = scene.worker(ServiceName::Order, &["run"], 2).await?;
    if !refused.contains("was its count raised?") {
        return Err(trouble(refused));
    }
    archive::end(&scene, archive).await?;
    archive::restore(&mut scene).await?;
    scene.start(&ServiceName::ALL).await?;
    let untaken = scene.untaken().await?;
    // Not these alone: what was taken after the archive's end is in no topic any more. The same order twice is one order.
    let all = scene.confirmed();
    scene.send_again(&all).await?;
    scene.works(begun).await?;
    scene.rests().await?;
    let lost = format!("{} of {} confirmed orders, until they were sent again", untaken.len(), scene.placed());
    scene.holds(&lost).await
}

/// Everything in the old partitions is taken, and what it led to has ended and is published.
async fn old_partitions_are_at_rest(scene: &Scene, partitions: i32) -> Outcome {
    let pipeline = &scene.pipeline;
    let name = format!("{}{TOPIC}", pipeline.prefix());
    until("the old partitions are read", LONG, async || {
        let ends = pipeline.broker().ends(&[TOPIC.to_owned()]).await?;
        let rows = pipeline
            .tables()
            .query("select partition, coalesce(next_offset, 0) from orders.inbox_offsets where topic = $1", &[&name])
            .await?;
        for row in rows {
            let (partition, next): (i32, i64) = (row.get(0), row.get(1));
            let (_, end) = ends.get(&(TOPIC.to_owned(), partition)).copied().unwrap_or_default();
            if partition < partitions && next < end {
                return Err(trouble(format!("{partition} is read up to {next} of {end}")));
            }
        }
        Ok(())
    })
    .await?;
    pipeline.await_terminal(&scene.taken().await?).await?;
    pipeline.await_quiet_outboxes().await
}
