//! An offset and the log that it belongs to: a topic that was made anew, or has other records than before, is held until a
//! person says where to go on; one that only lost what was read already goes on by itself.

use schemas::{PlaceOrder, ServiceName, TopicName};
use tests::{Outcome, Pipeline, Servers, Settings, sample, stock_for, trouble};

use crate::DAEMON;

const COMMANDS: &str = TopicName::OrderCommands.as_str();

/// One partition and one instance of each service, with these orders done; nothing is under way.
async fn pipeline_after(done: &[PlaceOrder], later: &[PlaceOrder]) -> Outcome<Pipeline> {
    let servers = Servers::shared().await?;
    let settings = Settings { partitions: 1, instances: 1, ..Settings::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    pipeline.receive(&stock_for(&[done, later].concat())).await?;
    pipeline.publish(done).await?;
    pipeline.await_terminal(done).await?;
    pipeline.await_quiet().await?;
    Ok(pipeline)
}

async fn restart(pipeline: &mut Pipeline) -> Outcome {
    pipeline.kill9_all(ServiceName::Order)?;
    pipeline.spawn(ServiceName::Order, 0).await
}

/// Waits until the order service has held its commands for so long; what it says about them.
async fn held(pipeline: &Pipeline, seconds: u64) -> Outcome<String> {
    let words = format!("held: {COMMANDS}[0] at offset ");
    pipeline
        .until("the commands are held", async || {
            let (status, body) = pipeline.daemon(ServiceName::Order, 0)?.readiness().await?;
            let line = body.lines().find(|line| line.starts_with(&words)).ok_or_else(|| trouble(body.clone()))?;
            let since = line.split_once(" for ").and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
            if since.is_none_or(|since| since < seconds) {
                return Err(trouble(line.to_owned()));
            }
            assert_eq!(status, 503, "{body}");
            Ok(line.to_owned())
        })
        .await
}

async fn taken(pipeline: &Pipeline, orders: &[PlaceOrder]) -> Outcome<usize> {
    let rows = pipeline.tables().orders().await?;
    Ok(orders.iter().filter(|order| rows.contains_key(order.order_id.as_str())).count())
}

async fn go_on_at(pipeline: &Pipeline, offset: &str) -> Outcome<String> {
    let accept = ["accept-gap", "--topic", COMMANDS, "--partition", "0", "--offset", offset];
    let accepted = pipeline.run(ServiceName::Order, &accept).await?;
    if accepted.code == Some(0) { Ok(accepted.output) } else { Err(trouble(accepted.output)) }
}

/// The row of the commands knows no id of its topic, as from brokers that tell none.
async fn forget_id(pipeline: &Pipeline) -> Outcome {
    let topic = format!("{}{COMMANDS}", pipeline.prefix());
    let forget = "update orders.inbox_offsets set topic_id = null where topic = $1 and witness_digest is not null";
    assert_eq!(pipeline.tables().execute(forget, &[&topic]).await?, 1, "the row has a witness");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_while_nobody_reads_is_held_over_restarts_until_a_person_says_where_to_go_on() -> Outcome {
    let orders = sample(5_000, 50)?;
    let (before, after) = orders.split_at(15);
    let mut pipeline = pipeline_after(before, after).await?;
    pipeline.kill9_all(ServiceName::Order)?;
    pipeline.broker().make_anew(COMMANDS, 1).await?;
    pipeline.publish(after).await?;
    pipeline.spawn(ServiceName::Order, 0).await?;
    let told = held(&pipeline, 0).await?;
    assert!(told.contains("this is another log: the topic's id is "), "{told}");
    assert!(told.contains(&format!("accept-gap --topic {COMMANDS} --partition 0 --offset ")), "{told}");
    held(&pipeline, 11).await?;
    restart(&mut pipeline).await?;
    held(&pipeline, 11).await?;
    assert_eq!(taken(&pipeline, after).await?, 0, "nothing of the other log is taken");

    let refused = go_on_at(&pipeline, "-1").await;
    assert!(refused.is_err_and(|refused| refused.to_string().contains("offset -1 is none")));
    let said = go_on_at(&pipeline, "0").await?;
    assert!(
        said.contains("resumes at offset 0 of the log that is there now, not at 15: takes 0 to 14 again"),
        "{said}"
    );
    pipeline.await_terminal(after).await?;
    pipeline.await_all_ready().await?;
    // What the tables have of the first log cannot be folded from the second.
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_while_it_is_read_is_held_however_long_it_grows() -> Outcome {
    let orders = sample(5_100, 80)?;
    let (before, after) = orders.split_at(10);
    let (at_once, later) = after.split_at(40);
    let pipeline = pipeline_after(before, after).await?;
    pipeline.broker().make_anew(COMMANDS, 1).await?;
    pipeline.publish(at_once).await?;
    held(&pipeline, 0).await?;
    let taken_at_first = taken(&pipeline, after).await?;
    pipeline.publish(later).await?;
    // Held feeds are tried again every five seconds.
    let told = held(&pipeline, 16).await?;
    assert!(told.contains("this is another log"), "{told}");
    assert_eq!(taken(&pipeline, after).await?, taken_at_first, "nothing is taken while it is held");
    go_on_at(&pipeline, "0").await?;
    pipeline.await_terminal(after).await?;
    pipeline.await_all_ready().await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_record_before_the_offset_was_deleted_the_topics_id_decides() -> Outcome {
    let orders = sample(5_200, 60)?;
    let (before, after) = orders.split_at(20);
    let (with_id, without_id) = after.split_at(20);
    let mut pipeline = pipeline_after(before, after).await?;
    let delete_all = async |pipeline: &Pipeline| {
        let (_, end) = pipeline.broker().ends(&[COMMANDS.to_owned()]).await?[&(COMMANDS.to_owned(), 0)];
        pipeline.broker().delete_before(COMMANDS, 0, end).await
    };
    pipeline.kill9_all(ServiceName::Order)?;
    delete_all(&pipeline).await?;
    pipeline.spawn(ServiceName::Order, 0).await?;
    pipeline.publish(with_id).await?;
    pipeline.await_terminal(with_id).await?;
    pipeline.await_quiet().await?;

    pipeline.kill9_all(ServiceName::Order)?;
    forget_id(&pipeline).await?;
    delete_all(&pipeline).await?;
    pipeline.spawn(ServiceName::Order, 0).await?;
    pipeline.publish(without_id).await?;
    let told = held(&pipeline, 6).await?;
    assert!(told.contains("neither the record before offset 40 nor the topic's id can be compared"), "{told}");
    assert_eq!(taken(&pipeline, without_id).await?, 0);
    let said = go_on_at(&pipeline, "40").await?;
    assert!(said.contains("resumes at offset 40 of the log that is there now, as before"), "{said}");
    pipeline.await_terminal(without_id).await?;
    pipeline.await_all_ready().await?;
    // The topic has lost its beginning, so that nothing can be rebuilt from it: the checker would say so.
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_record_at_the_same_offset_is_another_log() -> Outcome {
    let orders = sample(5_300, 40)?;
    let (before, after) = orders.split_at(15);
    let mut pipeline = pipeline_after(before, after).await?;
    pipeline.kill9_all(ServiceName::Order)?;
    // With the same record in the same place it is the log, id or not.
    forget_id(&pipeline).await?;
    pipeline.spawn(ServiceName::Order, 0).await?;
    pipeline.daemon(ServiceName::Order, 0)?.await_ready().await?;
    pipeline.kill9_all(ServiceName::Order)?;
    pipeline.broker().make_anew(COMMANDS, 1).await?;
    // First shorter, then as long, then longer than before.
    let (first, second) = after.split_at(5);
    pipeline.publish(first).await?;
    pipeline.spawn(ServiceName::Order, 0).await?;
    let told = held(&pipeline, 0).await?;
    assert!(told.contains("offset 15 is outside the log, which holds 0 to 5"), "{told}");
    pipeline.publish(&second[..10]).await?;
    pipeline
        .until("the other record is seen", async || {
            let told = held(&pipeline, 0).await?;
            let words = "at offset 14 it has another record than the one that was taken";
            if told.contains(words) { Ok(()) } else { Err(trouble(told)) }
        })
        .await?;
    pipeline.publish(&second[10..]).await?;
    held(&pipeline, 16).await?;
    restart(&mut pipeline).await?;
    held(&pipeline, 0).await?;
    assert_eq!(taken(&pipeline, after).await?, 0);
    go_on_at(&pipeline, "0").await?;
    pipeline.await_terminal(after).await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_remember_no_log_go_on_and_remember_it_from_then_on() -> Outcome {
    let orders = sample(5_400, 30)?;
    let (before, after) = orders.split_at(15);
    let mut pipeline = pipeline_after(before, after).await?;
    let services = ServiceName::ALL.map(|service| (service, service.default_schema()));
    for (service, schema) in services {
        pipeline.kill9_all(service)?;
        let forget =
            format!("update {schema}.inbox_offsets set witness_offset = null, witness_digest = null, topic_id = null");
        assert!(pipeline.tables().execute(&forget, &[]).await? > 0);
    }
    pipeline.start_services(&ServiceName::ALL).await?;
    for (_, schema) in services {
        let unknown = format!("select count(*) from {schema}.inbox_offsets where next_offset > 0 and topic_id is null");
        pipeline
            .until("the ids are remembered", async || match pipeline.tables().number(&unknown).await? {
                0 => Ok(()),
                rows => Err(trouble(format!("{rows} rows of {schema} have none"))),
            })
            .await?;
    }
    pipeline.publish(after).await?;
    pipeline.await_terminal(after).await?;
    pipeline.check_clean().await
}
