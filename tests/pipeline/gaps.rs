//! A message that never comes: the partition behind it is held, everybody else goes on, and a person can let it go.

use schemas::{PlaceOrder, ServiceName, TopicName, partitioner};
use tests::{Outcome, Pipeline, Sent, Servers, Settings, is_sound, sample, stock_for, trouble};

use crate::DAEMON;

const PARTITIONS: i32 = 3;
const HELD: i32 = 1;

fn partition(order: &PlaceOrder) -> i32 {
    partitioner::partition_of(order.order_id.as_str().as_bytes(), PARTITIONS)
}

/// Sets the order service's position in a partition of the inventory's events back by one, as if it had never had the
/// last message; the sequence that it will then miss.
async fn forget_one(pipeline: &Pipeline) -> Outcome<i64> {
    let topic = format!("{}{}", pipeline.prefix(), TopicName::InventoryEvents);
    let back = "update orders.inbox_positions set sequence = sequence - 1 where topic = $1 and partition = $2";
    assert_eq!(pipeline.tables().execute(back, &[&topic, &HELD]).await?, 1);
    let sequence = "select sequence + 1 from orders.inbox_positions where topic = $1 and partition = $2";
    Ok(pipeline.tables().query(sequence, &[&topic, &HELD]).await?[0].get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_message_holds_its_partition_until_it_is_given_up() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(4_400, 150)?;
    let (before, after) = orders.split_at(75);
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(before).await?;
    pipeline.await_terminal(before).await?;
    pipeline.check_clean().await?;
    pipeline.kill9_all(ServiceName::Order)?;
    let missing = forget_one(&pipeline).await?;
    // The log no longer has it either.
    let events = TopicName::InventoryEvents.as_str();
    let (_, end) = pipeline.broker().ends(&[events.to_owned()]).await?[&(events.to_owned(), HELD)];
    pipeline.broker().delete_before(events, HELD, end).await?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    pipeline.publish(after).await?;

    let words = format!("held: {events}[{HELD}] at offset {end}");
    let obstacle = pipeline
        .until("a worker says that it is held", async || {
            let said = [0, 1].map(|instance| pipeline.daemon(ServiceName::Order, instance));
            for daemon in said {
                let (status, body) = daemon?.readiness().await?;
                if let Some(line) = body.lines().find(|line| line.starts_with(&words)) {
                    assert_eq!(status, 503);
                    return Ok(line.to_owned());
                }
            }
            Err(trouble("nobody does"))
        })
        .await?;
    assert!(obstacle.contains(&format!("sequence {missing} never came")), "{obstacle}");
    let others: Vec<PlaceOrder> = after.iter().filter(|order| partition(order) != HELD).cloned().collect();
    pipeline.await_terminal(&others).await?;
    let behind = after.iter().filter(|order| is_sound(order) && partition(order) == HELD).count();
    assert!(behind > 0, "some orders are behind it");
    assert_eq!(pipeline.tables().stages().await?["placed"], behind, "they wait, and are not lost");

    let (next, held) = ((missing + 1).to_string(), HELD.to_string());
    let accept = ["accept-gap", "--topic", events, "--partition", &held, "--epoch", "1", "--sequence", &next];
    let accepted = pipeline.run(ServiceName::Order, &accept).await?;
    assert_eq!(accepted.code, Some(0), "{}", accepted.output);
    let from = format!("moved from 1:{}; the record 1:{next} may come next", missing - 1);
    assert!(accepted.output.contains(&from), "{}", accepted.output);
    pipeline.await_terminal(after).await?;
    pipeline.await_quiet().await?;
    pipeline.await_all_ready().await?;
    let again = pipeline.run(ServiceName::Order, &accept).await?;
    assert_eq!(again.code, Some(2), "there is no gap any more: {}", again.output);
    // The topic has lost its beginning, so that nothing can be rebuilt from it: the checker would say so.
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_missed_but_is_in_the_log_is_found_there() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(4_600, 100)?;
    let (before, after) = orders.split_at(50);
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(before).await?;
    pipeline.await_terminal(before).await?;
    pipeline.await_quiet().await?;
    pipeline.kill9_all(ServiceName::Order)?;
    forget_one(&pipeline).await?;
    // A stranger's record in between is set aside once, also when the log is read again.
    let stranger = Sent { partition: Some(HELD), value: Some(vec![1]), ..Sent::default() };
    let stranger = Sent { topic: TopicName::InventoryEvents.as_str().into(), ..stranger };
    pipeline.broker().send(&stranger).await?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    pipeline.publish(after).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_of_our_own_wrote_and_nobody_can_read_is_held_and_not_dropped() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { partitions: 1, ..Settings::default() }).await?;
    let orders = sample(4_700, 60)?;
    let (before, after) = orders.split_at(30);
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(before).await?;
    pipeline.await_terminal(before).await?;
    pipeline.await_quiet().await?;
    // A message of a type that this version has, in a schema version that it does not know: half an upgrade.
    let events = TopicName::PaymentEvents.as_str();
    let topic = format!("{}{events}", pipeline.prefix());
    let insert = "insert into payments.outbox_messages_0 (sequence, time, lane, id, type, key, payload) \
                  select max(m.sequence) + 1, clock_timestamp(), l.lane, gen_random_uuid(), \
                      'shop.payment.PaymentVoided.v2', 'k', '\\x0000ffffff00'::bytea \
                  from payments.outbox_messages m join payments.outbox_lanes l using (lane) \
                  join payments.outbox_topics t on t.id = l.topic_id where t.name = $1 group by l.lane";
    assert_eq!(pipeline.tables().execute(insert, &[&topic]).await?, 1);
    pipeline.publish(after).await?;
    let obstacle = pipeline
        .until("a worker says that it is held", async || {
            for instance in [0, 1] {
                let (_, body) = pipeline.daemon(ServiceName::Order, instance)?.readiness().await?;
                if let Some(line) = body.lines().find(|line| line.starts_with(&format!("held: {events}[0]"))) {
                    return Ok(line.to_owned());
                }
            }
            Err(trouble("nobody does"))
        })
        .await?;
    assert!(obstacle.contains("of /payment cannot be read"), "{obstacle}");
    let letters = pipeline.broker().read(&[TopicName::PaymentEvents.dead_letter()]).await?;
    assert!(letters.is_empty(), "it is not dropped: {letters:?}");
    assert!(pipeline.tables().stages().await?.keys().any(|stage| stage != "completed"), "what is behind it waits");
    let position = "select sequence from orders.inbox_positions where topic = $1";
    let sequence: i64 = pipeline.tables().query(position, &[&topic]).await?[0].get(0);
    // A person looks, and gives the unreadable message up.
    let next = (sequence + 2).to_string();
    let accept = ["accept-gap", "--topic", events, "--partition", "0", "--epoch", "1", "--sequence", &next];
    let accepted = pipeline.run(ServiceName::Order, &accept).await?;
    assert_eq!(accepted.code, Some(0), "{}", accepted.output);
    pipeline.await_terminal(&orders).await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_the_log_lost_before_they_were_read_are_named_and_can_be_given_up() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { partitions: 1, confirm_within_ms: 10_000, ..Settings::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(4_800, 30)?;
    let (before, orders) = orders.split_at(10);
    let count = orders.iter().filter(|order| is_sound(order)).count();
    pipeline.receive(&[stock_for(before), stock_for(orders)].into_iter().flatten().collect()).await?;
    pipeline.publish(before).await?;
    pipeline.await_terminal(before).await?;
    pipeline.await_quiet().await?;
    pipeline.kill9_all(ServiceName::Inventory)?;
    pipeline.publish(orders).await?;
    pipeline.await_stage("placed", count).await?;
    pipeline.await_quiet_outboxes().await?;
    pipeline.kill9_all(ServiceName::Order)?;
    pipeline.start_services(&[ServiceName::Inventory]).await?;
    pipeline.await_read(TopicName::InventoryCommands).await?;
    pipeline.await_quiet_outboxes().await?;
    // The replies are in the topic, nobody has read them, and now they are gone.
    let topic = TopicName::InventoryEvents.as_str();
    let (_, end) = pipeline.broker().ends(&[topic.to_owned()]).await?[&(topic.to_owned(), 0)];
    pipeline.broker().delete_before(topic, 0, end).await?;
    for instance in [0, 1] {
        pipeline.spawn(ServiceName::Order, instance).await?;
    }
    let words = format!("held: {topic}[0]");
    let obstacle = pipeline.until("a worker says what is missing", async || {
        for instance in [0, 1] {
            let (_, body) = pipeline.daemon(ServiceName::Order, instance)?.readiness().await?;
            if let Some(line) = body.lines().find(|line| line.starts_with(&words)) {
                return Ok(line.to_owned());
            }
        }
        Err(trouble("nobody does"))
    });
    let obstacle = obstacle.await?;
    assert!(obstacle.contains(&format!("outside the log, which holds {end} to ")), "{obstacle}");
    let (offset, next) = (end.to_string(), (end + 1).to_string());
    let accept = ["accept-gap", "--topic", topic, "--partition", "0", "--epoch", "1", "--sequence", &next];
    let accepted = pipeline.run(ServiceName::Order, &[&accept[..], &["--offset", &offset]].concat()).await?;
    assert_eq!(accepted.code, Some(0), "{}", accepted.output);
    // Without their replies the orders come to their deadlines, and what was reserved is released.
    let rows = pipeline.await_terminal(orders).await?;
    let reasons = orders.iter().filter_map(|order| rows.get(order.order_id.as_str())?.cancel_reason.as_deref());
    assert!(reasons.eq(std::iter::repeat_n("DeadlinePassed", count)), "{rows:?}");
    pipeline.await_all_ready().await?;
    let held = pipeline.tables().number("select coalesce (sum (reserved), 0)::bigint from inventory.stock").await?;
    assert_eq!(held, 0);
    pipeline.accept();
    Ok(())
}
