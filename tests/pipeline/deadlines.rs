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
