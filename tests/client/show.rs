//! `orders show` and `orders cancel` of orders that do not lie where murmur2 puts them, or are not to be seen at all.

use std::time::Duration;

use client::open_transaction;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use schemas::{CancelOrder, CommandId, OrderId, ServiceName, TopicName, partitioner};
use serde_json::json;
use tests::{LONG, Outcome, Pipeline, Sent, Servers, Settings, order, stock_for, trouble};

use crate::DAEMON;
use crate::program::{Run, connection, run};

const PARTITIONS: i32 = 3;
const PATIENCE: Duration = Duration::from_secs(30);

/// On the partition behind the one that murmur2 gives.
fn elsewhere(sent: Sent) -> Sent {
    let usual = partitioner::partition_of(sent.key.as_deref().unwrap_or_default(), PARTITIONS);
    Sent { partition: Some((usual + 1) % PARTITIONS), ..sent }
}

fn types(shown: &serde_json::Value) -> Vec<&str> {
    shown["history"].as_array().into_iter().flatten().filter_map(|record| record["type"].as_str()).collect()
}

async fn show(pipeline: &Pipeline, order_id: &str) -> Outcome<Run> {
    run(pipeline, &["show", order_id, "--json"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_another_partitioner_is_shown_whole_and_cancelled_where_it_lies() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, settings).await?;
    let (foreign, usual) = (order("foreign-1", &["a"])?, order("usual-1", &["a"])?);
    let placed = pipeline.broker().send(&elsewhere(Sent::of(foreign.clone())?)).await?;
    pipeline.publish(std::slice::from_ref(&usual)).await?;
    // Before any service has seen it, the cancel has to go behind it.
    run(&pipeline, &["cancel", "foreign-1", "--id", "cancel-1", "--no-wait"]).await?.expect(0)?;
    let shown = show(&pipeline, "foreign-1").await?.expect(0)?;
    assert_eq!(types(&shown.json()?), ["PlaceOrder", "CancelOrder"], "{shown:?}");
    for record in shown.json()?["history"].as_array().into_iter().flatten() {
        assert_eq!(record["partition"], placed.0, "{record}");
    }
    assert!(shown.stderr.contains("other partitions"), "{shown:?}");
    let shown = show(&pipeline, "usual-1").await?.expect(0)?;
    assert!(types(&shown.json()?) == ["PlaceOrder"] && shown.stderr.is_empty(), "no more was read: {shown:?}");

    pipeline.start_services(&[ServiceName::Order, ServiceName::Inventory]).await?;
    let cancelled = run(&pipeline, &["cancel", "foreign-1", "--id", "cancel-1"]).await?.expect(0)?;
    assert!(cancelled.stdout.contains("foreign-1 is cancelled"), "{cancelled:?}");

    // A command that its sender has put elsewhere is found too, once an event answers it.
    let late = CancelOrder::new(OrderId::new("usual-1")?, CommandId::new("late-1")?);
    let late = elsewhere(Sent::of(late)?);
    pipeline.broker().send(&late).await?;
    pipeline
        .until("the late cancel is shown", async || {
            let shown = show(&pipeline, "usual-1").await?.json()?;
            if types(&shown).contains(&"CancelOrder") { Ok(()) } else { Err(trouble(shown.to_string())) }
        })
        .await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_set_aside_is_told_with_the_letter() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, settings).await?;
    pipeline.start_services(&[ServiceName::Order, ServiceName::Inventory]).await?;
    let json = Sent {
        topic: TopicName::OrderCommands.as_str().into(),
        partition: Some(1),
        key: Some(b"json-1".to_vec()),
        value: Some(br#"{"order_id":"json-1"}"#.to_vec()),
        ..Sent::default()
    };
    pipeline.broker().send(&json).await?;
    let placed = order("placed-1", &["a"])?;
    let wrong_key =
        Sent { key: Some(b"another".to_vec()), partition: Some(2), ..Sent::of(order("keyless-1", &["a"])?)? };
    pipeline.broker().send(&wrong_key).await?;
    pipeline.receive(&stock_for(std::slice::from_ref(&placed))).await?;
    pipeline.publish(std::slice::from_ref(&placed)).await?;
    let garbage = Sent { key: Some(b"placed-1".to_vec()), ..json.clone() };
    pipeline.broker().send(&garbage).await?;
    pipeline.await_read(TopicName::OrderCommands).await?;
    pipeline.await_quiet_outboxes().await?;

    for (order_id, partition, cause, code) in
        [("json-1", 1, "undecodable", 1), ("keyless-1", 2, "key", 1), ("placed-1", 1, "undecodable", 0)]
    {
        let shown = show(&pipeline, order_id).await?.expect(code)?.json()?;
        let letters = shown["set_aside"].as_array().ok_or_else(|| trouble(shown.to_string()))?;
        let [letter] = letters.as_slice() else { panic!("{order_id}: {shown}") };
        assert_eq!((&letter["cause"], &letter["partition"]), (&json!(cause), &json!(partition)), "{shown}");
        let text = run(&pipeline, &["show", order_id]).await?.expect(code)?;
        let name = letter["letter"].as_str().unwrap_or_default();
        assert!(text.stdout.contains(&format!("replay-tool dead-letters show '{name}'")), "{text:?}");
    }
    let shown = show(&pipeline, "unheard-of").await?.expect(1)?;
    assert!(shown.stdout.is_empty() && shown.stderr.contains("no topic says anything"), "{shown:?}");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_behind_an_open_transaction_is_said_to_wait() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let pipeline = Pipeline::prepare(DAEMON, &servers, settings).await?;
    let order = order("behind-1", &["a"])?;
    let partition = partitioner::partition_of(b"behind-1", PARTITIONS);
    let topic = format!("{}{}", pipeline.prefix(), TopicName::OrderCommands);
    let connection = connection(&pipeline);
    assert_eq!(open_transaction(&connection, &topic, partition).await?, None);

    let stranger: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers.stack().brokers())
        .set("transactional.id", format!("{}stranger", pipeline.prefix()))
        .create()?;
    stranger.init_transactions(PATIENCE)?;
    stranger.begin_transaction()?;
    let record = BaseRecord::to(&topic).partition(partition).key("stranger").payload("garbage");
    stranger.send(record).map_err(|(error, _)| error)?;
    stranger.flush(PATIENCE)?;
    pipeline.publish(std::slice::from_ref(&order)).await?;

    let found = open_transaction(&connection, &topic, partition).await?.ok_or_else(|| trouble("there is one"))?;
    assert_eq!((found.from_offset, found.end, found.since.is_some()), (0, 2, true), "{found:?}");
    let shown = run(&pipeline, &["show", "behind-1"]).await?.expect(1)?;
    let words = format!("{topic}[{partition}]: the records from offset 0 to 1 wait behind an open transaction since ");
    assert!(shown.stdout.contains(&words), "{shown:?}");
    assert_eq!(show(&pipeline, "behind-1").await?.json()?["open_transactions"][0]["from_offset"], 0);

    stranger.abort_transaction(PATIENCE)?;
    tests::until("the broker has ended the transaction", LONG, async || {
        match open_transaction(&connection, &topic, partition).await? {
            None => Ok(()),
            Some(open) => Err(trouble(open.to_string())),
        }
    })
    .await?;
    let shown = show(&pipeline, "behind-1").await?.expect(0)?.json()?;
    assert_eq!((types(&shown), shown["open_transactions"].as_array().map(Vec::len)), (vec!["PlaceOrder"], Some(0)));
    pipeline.accept();
    Ok(())
}
