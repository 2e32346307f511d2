//! A client that ends inside its transaction: what waits behind it is told by whoever would seem to say that all is there.

use std::time::Duration;

use dev_stack::Child;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use schemas::ServiceName;
use serde_json::Value;
use tests::{LONG, Outcome, Pipeline, Sent, Servers, order, trouble};

use crate::archive::follow;
use crate::program::run;
use crate::rested::rested;

const TOPIC: &str = "order.commands.v1";
const PARTITION: i32 = 1;
const ANSWER: Duration = Duration::from_secs(30);

/// A producer under this transactional id; one that comes later ends the transaction that an earlier one has left open.
async fn producer(pipeline: &Pipeline, id: &str) -> Outcome<FutureProducer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", pipeline.servers().stack().brokers());
    config.set("transactional.id", format!("{}{id}", pipeline.prefix())).set("transaction.timeout.ms", "600000");
    let producer: FutureProducer = config.create()?;
    let init = producer.clone();
    tokio::task::spawn_blocking(move || init.init_transactions(ANSWER)).await??;
    Ok(producer)
}

/// One order in a transaction that nobody ends.
async fn abandon(pipeline: &Pipeline, id: &str, topic: &str, key: &str) -> Outcome<i64> {
    let producer = producer(pipeline, id).await?;
    producer.begin_transaction()?;
    let value = Sent::of(order(key, &["a"])?)?.value.unwrap_or_default();
    let headers = OwnedHeaders::new().insert(Header { key: "ce_source", value: Some("/shop") });
    let topic = format!("{}{topic}", pipeline.prefix());
    let record = FutureRecord::to(&topic).partition(PARTITION).key(key).payload(&value).headers(headers);
    Ok(producer.send(record, ANSWER).await.map_err(|(error, _)| error)?.offset)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_behind_an_open_transaction_is_told_and_is_no_violation() -> Outcome {
    let (pipeline, orders) = rested(&Servers::shared().await?, 6).await?;
    let (url, archive) = (pipeline.database_url().to_owned(), pipeline.folder().join("archive").display().to_string());
    let verify = ["verify", "--json", "--database-url", &url];
    let before = run(&pipeline, &verify).await?.expect(0)?.json()?;
    assert_eq!(before["notes"], Value::Array(Vec::new()));

    let first = abandon(&pipeline, "shop", TOPIC, "o-open").await?;
    let behind = Sent { partition: Some(PARTITION), ..Sent::of(order("o-behind", &["a"])?)? };
    pipeline.broker().send(&behind).await?;

    let told = run(&pipeline, &verify).await?.expect(0)?.json()?;
    let note = &told["notes"][0];
    let topic = format!("{}{TOPIC}", pipeline.prefix());
    assert_eq!((&note["kind"], &note["topic"]), (&"open-transaction".into(), &topic.clone().into()), "{told:#}");
    assert_eq!((note["partition"].as_i64(), note["first"].as_i64()), (Some(1), Some(first)));
    assert_eq!(note["last"].as_i64(), Some(first + 1), "the record behind it waits too: {note}");
    assert_eq!((&note["key"], &note["source"]), (&"o-open".into(), &"/shop".into()));
    assert!(note["since"].is_string() && told["notes"].as_array().map(Vec::len) == Some(1), "{told:#}");
    let text = run(&pipeline, &["verify", "--database-url", &url]).await?.expect(0)?.stdout;
    for words in ["notes             1   open transactions 1", "describe-producers --topic", "that can be read holds"] {
        assert!(text.contains(words), "{words} in {text}");
    }

    // Neither order is unknown: both lie there, and wait.
    for id in ["o-behind", "o-open"] {
        let trace = run(&pipeline, &["trace", id, "--json"]).await?.expect(1)?.json()?;
        assert_eq!((&trace["hops"][0]["mark"], &trace["hops"][0]["counts"]), (&"waiting".into(), &false.into()));
        assert_eq!(trace["open_transactions"][0]["first"].as_i64(), Some(first), "{trace:#}");
    }
    let text = run(&pipeline, &["trace", "o-behind"]).await?.expect(1)?.stdout;
    assert!(text.contains("[waiting] PlaceOrder") && text.contains("waits behind an open transaction"), "{text}");
    let other = run(&pipeline, &["trace", orders[0].order_id.as_str(), "--json"]).await?.json()?;
    assert_eq!(other["open_transactions"], Value::Array(Vec::new()));

    let copied = run(&pipeline, &["archive", "run", "--to", &archive]).await?.expect(0)?.stdout;
    assert!(copied.contains(&format!("left out until it ends: {topic}[1]: 2 offsets, {first}")), "{copied}");
    following_tells_when_it_begins_and_ends(&pipeline, &archive).await?;
    let after = run(&pipeline, &verify).await?.expect(0)?.json()?;
    assert_eq!(after["notes"], Value::Array(Vec::new()));
    let trace = run(&pipeline, &["trace", "o-behind", "--json"]).await?.expect(1)?.json()?;
    assert_eq!(trace["hops"][0]["mark"], Value::Null, "{trace:#}");
    pipeline.accept();
    Ok(())
}

/// The transaction is still open; here it ends.
async fn following_tells_when_it_begins_and_ends(pipeline: &Pipeline, archive: &str) -> Outcome {
    let archiver = follow(pipeline, archive, &[])?;
    let archiver = await_line(archiver, "left out for now: ").await?;
    drop(producer(pipeline, "shop").await?);
    let archiver = await_line(archiver, "order.commands.v1[1] resumes").await?;
    archiver.terminate()?;
    let ended = tokio::task::spawn_blocking(move || archiver.wait_timeout(LONG)).await??;
    assert_eq!(ended.and_then(|ended| ended.code()), Some(0));
    Ok(())
}

async fn await_line(child: Child, words: &'static str) -> Outcome<Child> {
    let waiting = move || child.wait_for_line(words, LONG).map(|line| (line, child));
    let (line, child) = tokio::task::spawn_blocking(waiting).await??;
    if line.is_some() { Ok(child) } else { Err(trouble(format!("no {words:?}: {}", child.tail()))) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tables_are_swapped_while_a_service_topic_cannot_be_read_to_its_end() -> Outcome {
    let (pipeline, _) = rested(&Servers::shared().await?, 6).await?;
    let first = abandon(&pipeline, "stranger", "order.events.v1", "stranger").await?;
    let swap = ["rebuild", "--swap", "--service", "order", "--database-url", pipeline.database_url()];
    let refused = run(&pipeline, &swap).await?.expect(2)?;
    let words = format!("order.events.v1[1]: 1 offsets, {first} to {first}, wait behind a transaction");
    assert!(refused.stderr.contains("not swapped") && refused.stderr.contains(&words), "{refused:?}");
    assert!(pipeline.tables().number("select count(*) from orders.orders").await? > 0, "{}", ServiceName::Order);
    drop(producer(&pipeline, "stranger").await?);
    run(&pipeline, &swap).await?.expect(0)?;
    pipeline.accept();
    Ok(())
}
