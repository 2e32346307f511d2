//! Where parking ends: no room is left, too many keys are refused at once, or it is the surroundings that are wrong. Then nothing
//! is parked or set aside, and the worker says why it stands.

use schemas::{Message, ServiceName, TopicName};
use tests::{Outcome, Pipeline, Servers, Settings, trouble};

use crate::DAEMON;
use crate::parked::{allow, await_parked, await_received, forbid, operate, receive, settings, status_of};

const INVENTORY: ServiceName = ServiceName::Inventory;

async fn inventory(settings: Settings) -> Outcome<Pipeline> {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, Settings { instances: 1, ..settings }).await?;
    pipeline.start_services(&[INVENTORY]).await?;
    Ok(pipeline)
}

/// Waits until it is not ready, for a reason with these words.
async fn await_obstacle(pipeline: &Pipeline, words: &str) -> Outcome<String> {
    pipeline
        .until(&format!("it is not ready because of {words:?}"), async || {
            let (code, body) = pipeline.daemon(INVENTORY, 0)?.readiness().await?;
            if code == 503 && body.contains(words) { Ok(body) } else { Err(trouble(body)) }
        })
        .await
}

async fn assert_nothing_is_set_aside(pipeline: &Pipeline) -> Outcome {
    assert!(pipeline.broker().read(&[TopicName::StockCommands.dead_letter()]).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_key_has_no_room_left_its_partition_is_held_and_says_why() -> Outcome {
    let pipeline = inventory(Settings { parked_messages_of_key: 2, ..settings() }).await?;
    forbid(&pipeline, "1-%").await?;
    let command = |number: i64| receive("a", &format!("{number}-of-a"), number);
    pipeline.publish(&[command(1)?, command(2)?, command(3)?, receive("b", "of-b", 5)?]).await?;
    await_obstacle(&pipeline, "2 messages of the key a are parked, and no more may be").await?;
    let status = await_parked(&pipeline, INVENTORY, (2, 1)).await?;
    let feed = status.feeds.iter().find(|feed| feed.topic == "stock.commands.v1");
    let held = feed.and_then(|feed| feed.held.as_ref()).ok_or_else(|| trouble(format!("{:?}", status.feeds)))?;
    assert_eq!(held.offset, 2);
    assert!(held.why.contains("no more may be") && !status.ready, "{status:?}");
    allow(&pipeline).await?;
    operate(&pipeline, INVENTORY, &["retry", "--all"], 0).await?;
    await_received(&pipeline, "a", 6).await?;
    await_received(&pipeline, "b", 5).await?;
    pipeline.daemon(INVENTORY, 0)?.await_ready().await?;
    assert_nothing_is_set_aside(&pipeline).await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_refused_at_once_are_not_parked_but_stop_consumption() -> Outcome {
    let pipeline = inventory(Settings { parked_flood_keys: 3, ..settings() }).await?;
    forbid(&pipeline, "bad-%").await?;
    let bad: Vec<Message> =
        (0..8).map(|number| receive(&format!("s{number}"), &format!("bad-{number}"), 1)).collect::<Outcome<_>>()?;
    pipeline.publish(&bad).await?;
    pipeline.publish(&[receive("good", "good", 2)?]).await?;
    let said = await_obstacle(&pipeline, "consumption rests").await?;
    assert!(said.contains("3 keys were parked within a minute") && said.contains("a_bug"), "{said}");
    assert_eq!(status_of(&pipeline, INVENTORY).await?.parked.keys, 3);
    // It tries again, and stands where it stood.
    let metric =
        async || pipeline.daemon(INVENTORY, 0)?.metric("worker_batch_retries_total", &["kind=\"flood\""]).await;
    pipeline
        .until("it has tried again", async || if metric().await? >= 3.0 { Ok(()) } else { Err(trouble("not yet")) })
        .await?;
    assert_eq!(pipeline.tables().number("select count(*) from inventory.inbox_parked").await?, 3);
    assert_eq!(pipeline.tables().number("select count(*) from inventory.stock").await?, 0);
    allow(&pipeline).await?;
    await_received(&pipeline, "good", 2).await?;
    operate(&pipeline, INVENTORY, &["retry", "--all"], 0).await?;
    for number in 0..8 {
        await_received(&pipeline, &format!("s{number}"), 1).await?;
    }
    pipeline.daemon(INVENTORY, 0)?.await_ready().await?;
    assert_nothing_is_set_aside(&pipeline).await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn surroundings_that_are_wrong_park_nothing_and_set_nothing_aside() -> Outcome {
    let pipeline = inventory(settings()).await?;
    let role = pipeline.daemons_role();
    let rename = |from: &str, to: &str| format!("alter table inventory.{from} rename to {to}");
    let column = |from: &str, to: &str| format!("alter table inventory.stock_receipts rename column {from} to {to}");
    let right = |verb: &str, to: &str| format!("{verb} insert on inventory.stock_receipts {to} {role}");
    let cases = [
        (
            rename("stock_receipts", "elsewhere"),
            "does not exist (SQLSTATE 42P01)",
            rename("elsewhere", "stock_receipts"),
        ),
        (column("pieces", "parts"), "does not exist (SQLSTATE 42703)", column("parts", "pieces")),
        (right("revoke", "from"), "permission denied", right("grant", "to")),
    ];
    for (number, (harm, words, mend)) in (1..).zip(cases) {
        pipeline.tables().script(&harm).await?;
        pipeline.publish(&[receive("a", &format!("{number}-of-a"), 1)?]).await?;
        let said = await_obstacle(&pipeline, words).await?;
        assert!(said.contains("database: ") && !said.contains("held: "), "it is no message's fault: {said}");
        assert_eq!(pipeline.tables().number("select count(*) from inventory.inbox_parked_keys").await?, 0, "{harm}");
        pipeline.tables().script(&mend).await?;
        await_received(&pipeline, "a", number).await?;
        pipeline.daemon(INVENTORY, 0)?.await_ready().await?;
    }
    assert_nothing_is_set_aside(&pipeline).await?;
    pipeline.accept();
    Ok(())
}
