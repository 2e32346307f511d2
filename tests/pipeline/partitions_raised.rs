//! A topic whose partition count is raised while the workers run: said at once, the new partitions wait, nothing is lost.

use schemas::{ServiceName, TopicName};
use tests::{Outcome, Pipeline, Sent, Servers, Settings, is_sound, sample, stock_for, trouble};

use crate::DAEMON;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_partitions_are_held_and_the_topic_that_changed_is_named() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { instances: 1, partitions: 2, ..Settings::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders: Vec<_> = sample(7_100, 200)?.into_iter().filter(is_sound).collect();
    let (orders, late) = orders.split_at(150);
    pipeline.receive(&stock_for(&[orders, late].concat())).await?;
    let topic = TopicName::OrderCommands.as_str();
    let load = pipeline.trickle(&orders[..100], 50);
    pipeline.await_ended(5).await?;
    pipeline.broker().raise_partitions(topic, 3).await?;
    load.await??;

    let words = format!("topic {}{topic} has 3 partitions now and had 2 when this worker started", pipeline.prefix());
    let told = async |pipeline: &Pipeline, service| {
        pipeline
            .until("the worker names the topic that changed", async || {
                let daemon = pipeline.daemon(service, 0)?;
                match daemon.readiness().await? {
                    (503, body) if body.contains(&words) => Ok(()),
                    (_, body) => Err(trouble(body)),
                }
            })
            .await
    };
    told(&pipeline, ServiceName::Order).await?;
    let order = pipeline.daemon(ServiceName::Order, 0)?;
    assert!((0.9..1.1).contains(&order.metric("worker_changed_topics", &[]).await?));
    order.await_log(&words).await?;
    // One record for each of the partitions; those of the two that were there go on, the third waits.
    let spread = (0..3).cycle().zip(&orders[100..]);
    let sent: Vec<Sent> = spread
        .clone()
        .map(|(partition, order)| Ok(Sent { partition: Some(partition), ..Sent::of(order.clone())? }))
        .collect::<Outcome<_>>()?;
    pipeline.broker().send_all(&sent).await?;
    let (waiting, going): (Vec<_>, Vec<_>) = spread.partition(|(partition, _)| *partition == 2);
    let going: Vec<_> = going.into_iter().map(|(_, order)| order.clone()).collect();
    pipeline.await_terminal(&going).await?;
    // The consumer hears of the partition only after a while; one that joins anew has it at once.
    pipeline.stop(ServiceName::Order, 0).await?;
    let rows = pipeline.tables().orders().await?;
    assert!(waiting.iter().all(|(_, order)| !rows.contains_key(order.order_id.as_str())), "nobody takes them");
    let (first, end) = pipeline.broker().ends(&[topic.to_owned()]).await?[&(topic.to_owned(), 2)];
    assert!(first == 0 && end >= i64::try_from(waiting.len())?, "and they are all there: {first} to {end}");
    assert!(pipeline.broker().read(&[TopicName::OrderCommands.dead_letter()]).await?.is_empty());

    let refused = pipeline.run(ServiceName::Order, &["run"]).await?;
    assert_eq!(refused.code, Some(2), "{}", refused.output);
    let blame =
        format!("topic {}{topic} has 3 partitions, not 2 as the other 15: was its count raised?", pipeline.prefix());
    assert!(refused.output.contains(&blame), "{}", refused.output);
    let lines = refused.output.lines().filter(|line| line.contains("partitions, not")).count();
    assert_eq!(lines, 1, "the others are not to blame: {}", refused.output);
    pipeline.accept();
    Ok(())
}
