//! Feeds that stand although their log goes on: each is named, none is passed over unseen.

use schemas::{ServiceName, TopicName};
use tests::{Daemon, Outcome, Pipeline, Sent, Servers, Settings, sample, stock_for, trouble};

use crate::DAEMON;

const COMMANDS: &str = "order.commands.v1";

async fn small(planted_bug: Option<(ServiceName, &'static str)>) -> Outcome<Pipeline> {
    let servers = Servers::shared().await?;
    Pipeline::start(DAEMON, &servers, Settings { instances: 1, partitions: 1, planted_bug, ..Settings::default() })
        .await
}

/// Waits until `/readyz` has a line with all these words.
async fn await_told(pipeline: &Pipeline, daemon: &Daemon, words: &[&str]) -> Outcome<String> {
    pipeline
        .until(&format!("/readyz says {words:?}"), async || {
            let (_, body) = daemon.readiness().await?;
            let told = body.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned);
            told.ok_or_else(|| trouble(body))
        })
        .await
}

/// Waits until a metric of the order service has a value that will do.
async fn await_metric(pipeline: &Pipeline, name: &str, labels: &[&str], will_do: fn(f64) -> bool) -> Outcome {
    let daemon = pipeline.daemon(ServiceName::Order, 0)?;
    pipeline
        .until(&format!("{name} {labels:?}"), async || match daemon.metric(name, labels).await? {
            value if will_do(value) => Ok(()),
            value => Err(trouble(format!("it is {value}"))),
        })
        .await
}

/// At rest lag is 0, by the worker's own metric and by what a lag tool reads.
async fn await_no_lag(pipeline: &Pipeline) -> Outcome {
    await_metric(pipeline, "worker_consumer_lag_messages", &["topic="], |lag| lag.abs() < 0.1).await?;
    let (_, end) = pipeline.broker().ends(&[COMMANDS.to_owned()]).await?[&(COMMANDS.to_owned(), 0)];
    pipeline
        .until("the group's offset is at the end", async || {
            match pipeline.broker().stored_offset("order-worker", COMMANDS, 0).await? {
                Some(stored) if stored == end => Ok(()),
                stored => Err(trouble(format!("{stored:?} of {end}"))),
            }
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_is_named_while_it_lasts_and_leaves_no_lag() -> Outcome {
    let pipeline = small(None).await?;
    let orders = sample(7_200, 30)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders[..10]).await?;
    pipeline.await_terminal(&orders[..10]).await?;
    await_no_lag(&pipeline).await?;

    let open = pipeline.broker().begin().await?;
    let (_, at) = open.send(&Sent { partition: Some(0), ..Sent::of(orders[10].clone())? }).await?;
    pipeline.publish(&orders[11..]).await?;
    let key = format!("key {:?}", orders[10].order_id.as_str());
    let words = [&*format!("{COMMANDS}[0] stands at offset {at} for"), "a producer's transaction is open since", &key];
    await_told(&pipeline, pipeline.daemon(ServiceName::Order, 0)?, &words).await?;
    let labels = ["cause=\"open_transaction\""];
    await_metric(&pipeline, "worker_feed_standing_seconds", &labels, |seconds| seconds > 2.0).await?;

    open.commit().await?;
    pipeline.await_terminal(&orders).await?;
    await_metric(&pipeline, "worker_feed_standing_seconds", &labels, |seconds| seconds.abs() < 0.1).await?;
    pipeline.await_all_ready().await?;
    let (_, body) = pipeline.daemon(ServiceName::Order, 0)?.readiness().await?;
    assert!(!body.contains("stands"), "{body}");
    await_no_lag(&pipeline).await?;

    let aborted = pipeline.broker().begin().await?;
    for order in sample(7_300, 20)? {
        aborted.send(&Sent { partition: Some(0), ..Sent::of(order)? }).await?;
    }
    aborted.abort().await?;
    await_no_lag(&pipeline).await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_a_stranger_that_cannot_be_read_are_passed_over_with_one_dead_letter() -> Outcome {
    let pipeline = small(Some((ServiceName::Order, "record-unreadable"))).await?;
    let orders = sample(7_400, 30)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders[..10]).await?;
    let mut offsets = Vec::new();
    for number in 0..3 {
        let key = Some(format!("unreadable-{number}").into_bytes());
        let bad = Sent { topic: COMMANDS.into(), partition: Some(0), key, value: Some(vec![1]), ..Sent::default() };
        offsets.push(pipeline.broker().send(&bad).await?.1);
    }
    pipeline.publish(&orders[10..]).await?;
    let (first, last) = (offsets[0], offsets[2]);
    let words = format!("cannot read the records at offsets {first} to {last}");
    await_told(&pipeline, pipeline.daemon(ServiceName::Order, 0)?, &[&format!("{COMMANDS}[0] stands"), &words]).await?;
    // What lies behind them is taken.
    pipeline.await_terminal(&orders).await?;
    pipeline.await_quiet_outboxes().await?;
    let letters = pipeline.broker().read(&[TopicName::OrderCommands.dead_letter()]).await?;
    let [letter] = letters.as_slice() else { return Err(trouble(format!("one letter for the run: {letters:?}"))) };
    assert_eq!((&letter.key, &letter.value), (&None, &None));
    assert_eq!(letter.text("kafka_dlt-exception-fqcn"), "unreadable");
    assert_eq!(letter.header("kafka_dlt-original-offset"), Some(&first.to_be_bytes()[..]));
    assert_eq!(letter.header("kafka_dlt-original-last-offset"), Some(&last.to_be_bytes()[..]));
    assert!(letter.text("kafka_dlt-exception-message").contains(&words), "{letter:?}");
    pipeline.await_all_ready().await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_on_a_services_topic_that_cannot_be_read_holds_until_a_person_passes_it() -> Outcome {
    let pipeline = small(Some((ServiceName::Order, "record-unreadable"))).await?;
    let orders = sample(7_500, 20)?;
    let (before, after) = orders.split_at(10);
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(before).await?;
    pipeline.await_terminal(before).await?;
    pipeline.await_quiet().await?;
    let topic = TopicName::InventoryEvents.as_str();
    let key = Some(b"unreadable-1".to_vec());
    let bad = Sent { topic: topic.into(), partition: Some(0), key, value: Some(vec![1]), ..Sent::default() };
    let (_, offset) = pipeline.broker().send(&bad).await?;
    pipeline.publish(after).await?;
    let words = [&*format!("held: {topic}[0] at offset {offset} for"), "cannot read the records at offsets"];
    await_told(&pipeline, pipeline.daemon(ServiceName::Order, 0)?, &words).await?;
    let letters = pipeline.broker().read(&[TopicName::InventoryEvents.dead_letter()]).await?;
    assert!(letters.is_empty(), "a service's message is not set aside: {letters:?}");
    let next = (offset + 1).to_string();
    let accept = ["accept-gap", "--topic", topic, "--partition", "0", "--offset", &next];
    let accepted = pipeline.run(ServiceName::Order, &accept).await?;
    assert_eq!(accepted.code, Some(0), "{}", accepted.output);
    pipeline.await_terminal(&orders).await?;
    pipeline.await_all_ready().await?;
    pipeline.accept();
    Ok(())
}
