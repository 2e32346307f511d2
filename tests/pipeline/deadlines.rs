//! Orders that are not confirmed in time, and replies that were in time although their reader was not.

use schemas::{InventoryEvent, Message, ServiceName, TopicName};
use tests::{Outcome, Pipeline, Sent, Servers, Settings, is_sound, sample, stock_for, trouble};

use crate::DAEMON;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_reservation_never_comes_is_undone_and_the_late_reservation_too() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline =
        Pipeline::start(DAEMON, &servers, Settings { confirm_within_ms: 1_500, ..Settings::default() }).await?;
    let orders = sample(3_400, 30)?;
    let count = orders.iter().filter(|order| is_sound(order)).count();
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.kill9_all(ServiceName::Inventory)?;
    pipeline.publish(&orders).await?;
    pipeline.await_stage("cancelling", count).await?;
    pipeline.start_services(&[ServiceName::Inventory]).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    assert!(rows.values().all(|row| row.cancel_reason.as_deref() == Some("DeadlinePassed")), "{rows:?}");
    let replies = pipeline.messages(TopicName::InventoryEvents).await?;
    let reserved = replies
        .iter()
        .filter(|record| matches!(record.message, Message::InventoryEvent(InventoryEvent::StockReserved(_))))
        .count();
    assert_eq!(reserved, count, "the reservations did come, late");
    let held = pipeline.tables().number("select coalesce (sum (reserved), 0)::bigint from inventory.stock").await?;
    assert_eq!(held, 0, "and were released");
    assert!(pipeline.messages(TopicName::PaymentCommands).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_waits_in_its_topic_while_nobody_reads_is_not_timed_out() -> Outcome {
    const WITHIN_MS: i64 = 15_000;
    let servers = Servers::shared().await?;
    let settings = Settings { confirm_within_ms: WITHIN_MS, max_batch_items: 5, ..Settings::default() };
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, settings).await?;
    pipeline.start_services(&[ServiceName::Order, ServiceName::Inventory]).await?;
    let orders = sample(3_500, 30)?;
    let count = orders.iter().filter(|order| is_sound(order)).count();
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_stage("stock_reserved", count).await?;
    pipeline.await_quiet_outboxes().await?;
    pipeline.kill9_all(ServiceName::Order)?;
    // What stands before the replies takes longer to read than a deadline takes to be noticed.
    let topic = TopicName::PaymentEvents.as_str().to_owned();
    let stranger = |partition| Sent { topic: topic.clone(), partition: Some(partition), ..Sent::default() };
    let strangers: Vec<Sent> = [0, 1, 2].into_iter().flat_map(|partition| vec![stranger(partition); 600]).collect();
    pipeline.broker().send_all(&strangers).await?;
    pipeline.start_services(&[ServiceName::Payment]).await?;
    pipeline
        .until("all payments are authorized, in the topic", async || {
            let found = pipeline.messages(TopicName::PaymentEvents).await?.len();
            if found == count { Ok(()) } else { Err(trouble(format!("{found} of {count} are"))) }
        })
        .await?;
    pipeline
        .until("the deadlines pass", async || {
            let open = "select count(*) from orders.orders where confirm_by >= clock_timestamp()";
            match pipeline.tables().number(open).await? {
                0 => Ok(()),
                left => Err(trouble(format!("{left} have not"))),
            }
        })
        .await?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    assert!(rows.values().all(|row| row.stage == "completed"), "{rows:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_fire_also_behind_the_markers_of_a_strangers_transactions() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { instances: 1, confirm_within_ms: 1_000, ..Settings::default() };
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, settings).await?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    // A marker is the last thing in every partition of both reply topics: of a commit in one, of an abort in the other.
    let (committed, aborted) = (pipeline.broker().begin().await?, pipeline.broker().begin().await?);
    for partition in [0, 1, 2] {
        let stranger =
            |topic: TopicName| Sent { topic: topic.as_str().into(), partition: Some(partition), ..Sent::default() };
        committed.send(&stranger(TopicName::InventoryEvents)).await?;
        aborted.send(&stranger(TopicName::PaymentEvents)).await?;
    }
    committed.commit().await?;
    aborted.abort().await?;
    let orders = sample(3_600, 30)?;
    let count = orders.iter().filter(|order| is_sound(order)).count();
    pipeline.publish(&orders).await?;
    pipeline.await_stage("cancelling", count).await?;
    pipeline.start_services(&[ServiceName::Inventory, ServiceName::Payment]).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_reply_partition_keeps_only_its_own_lane_from_its_deadlines() -> Outcome {
    const HELD: i32 = 1;
    let servers = Servers::shared().await?;
    let settings = Settings { instances: 1, confirm_within_ms: 1_000, ..Settings::default() };
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, settings).await?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    // As if the messages before it were lost.
    let position = (outbox::position::POSITION_HEADER.to_owned(), Some(b"/inventory:1:1:5".to_vec()));
    let topic = TopicName::InventoryEvents.as_str();
    let fifth = Sent { topic: topic.into(), partition: Some(HELD), headers: vec![position], ..Sent::default() };
    pipeline.broker().send(&fifth).await?;
    pipeline
        .until("the partition is held", async || {
            let (_, body) = pipeline.daemon(ServiceName::Order, 0)?.readiness().await?;
            if body.contains(&format!("held: {topic}[{HELD}]")) { Ok(()) } else { Err(trouble(body)) }
        })
        .await?;
    let orders = sample(3_700, 60)?;
    pipeline.publish(&orders).await?;
    let open = "select count(*) from orders.orders where stage = 'placed' and partition";
    pipeline
        .until("the other lanes' deadlines fire", async || {
            let undone =
                pipeline.tables().number("select count(*) from orders.orders where stage = 'cancelling'").await?;
            match pipeline.tables().number(&format!("{open} <> {HELD}")).await? {
                0 if undone > 0 => Ok(()),
                left => Err(trouble(format!("{left} orders still wait, {undone} do not"))),
            }
        })
        .await?;
    assert!(pipeline.tables().number(&format!("{open} = {HELD}")).await? > 0, "a reply may lie behind the hold");
    pipeline.accept();
    Ok(())
}
