//! Topics that are gone: one that was deleted and made anew, and all of them.

use schemas::{ServiceName, TopicName};
use tokio::time::Instant;

use super::scene::Scene;
use super::{Shown, archive};
use crate::{Outcome, Servers, only_of_lost_commands};

/// The topic that clients send orders to.
pub(super) async fn made_anew(program: &str) -> Outcome<Shown> {
    let (service, topic, settings) = (ServiceName::Order, TopicName::OrderCommands.as_str(), Scene::settings());
    let mut scene = Scene::open(program, &Servers::shared().await?, settings.clone()).await?;
    scene.end_load().await?;
    scene.pipeline.broker().make_anew(topic, settings.partitions).await?;
    scene.loses(&format!("{topic} is deleted, and made anew under its name"));
    scene.begin_load();
    for partition in 0..settings.partitions {
        scene.sees(&[service], &[&format!("held: {topic}[{partition}] at offset "), "another log"]).await?;
    }
    let begun = Instant::now();
    for partition in 0..settings.partitions {
        let partition = partition.to_string();
        scene.worker(service, &["accept-gap", "--topic", topic, "--partition", &partition, "--offset", "0"], 0).await?;
    }
    scene.works(begun).await?;
    scene.end_load().await?;
    let untaken = scene.untaken().await?;
    scene.send_again(&untaken).await?;
    scene.rests().await?;
    let verified = scene.replay_live(&["verify", "--json"], 1).await?.json()?;
    only_of_lost_commands(&verified)?;
    let untaken = untaken.len();
    scene.ends(&format!(
        "{untaken} confirmed orders, until they were sent again; the commands that lay in the old topic"
    ))
}

/// All of them; the archive is there.
pub(super) async fn lost(program: &str) -> Outcome<Shown> {
    let mut scene = Scene::open(program, &Servers::shared().await?, Scene::settings()).await?;
    let archive = archive::follow(&scene).await?;
    scene.more_orders_end().await?;
    scene.pipeline.broker().delete_topics();
    scene.loses("all topics are deleted");
    scene.sees(&ServiceName::ALL, &[]).await?;
    let begun = Instant::now();
    scene.end_load().await?;
    scene.stop(&ServiceName::ALL).await?;
    archive::end(&scene, archive).await?;
    archive::restore(&mut scene).await?;
    scene.start(&ServiceName::ALL).await?;
    let all = scene.confirmed();
    scene.send_again(&all).await?;
    scene.works(begun).await?;
    scene.rests().await?;
    scene.holds("what clients had sent after the archive's end, until they sent it again").await
}
