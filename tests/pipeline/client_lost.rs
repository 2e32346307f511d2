//! A Kafka client that is lost without a word, as the library's may be after an outage: nothing comes from it any more, no
//! error and no statistics, and its group goes on without it.

use std::time::Duration;

use schemas::{ServiceName, TopicName};
use tests::{Outcome, Pipeline, Sent, Servers, Settings, sample, stock_for, trouble, until};

use crate::DAEMON;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_whose_client_is_lost_says_so_and_takes_a_new_one() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings {
        instances: 1,
        partitions: 2,
        planted_bug: Some((ServiceName::Order, "client-lost")),
        ..Settings::default()
    };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(7_000, 40)?;
    let (before, after) = orders.split_at(20);
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(before).await?;
    pipeline.await_terminal(before).await?;

    let topic = TopicName::OrderCommands.as_str().to_owned();
    let loss = Sent { topic, partition: Some(0), key: Some(b"client-lost-1".into()), ..Sent::default() };
    pipeline.broker().send(&loss).await?;
    let order = pipeline.daemon(ServiceName::Order, 0)?;
    until("it says that it is not ready", Duration::from_secs(30), async || match order.readiness().await? {
        (503, _) => Ok(()),
        (_, body) => Err(trouble(body)),
    })
    .await?;
    pipeline.publish(after).await?;
    pipeline
        .until("the lanes without owner are counted", async || {
            match order.metric("worker_unowned_lanes", &[]).await? {
                lanes if (1.9..2.1).contains(&lanes) => Ok(()),
                lanes => Err(trouble(format!("{lanes} lanes"))),
            }
        })
        .await?;
    assert_eq!(order.get("/livez").await?.0, 200, "there is no need of a restart yet");
    // By itself: the process is the same.
    pipeline.await_terminal(&orders).await?;
    pipeline.await_all_ready().await?;
    assert!(order.metric("worker_client_renewals_total", &[]).await? > 0.9);
    order.await_log("a new one joins the group").await?;
    pipeline.check_clean().await
}
