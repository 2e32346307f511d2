//! Records that the client library cannot read, brought about by the seam in its reader: named, noted, and gone on behind
//! where anyone may write; an error with the place where only a service writes.

use std::path::Path;

use serde_json::{Value, json};
use tests::{LONG, Outcome, Pipeline, Sent, Servers, trouble, until};

use crate::archive::{archive, ends, follow, look, segments};
use crate::program::{run, run_offline};
use crate::rested::rested;

const TOPIC: &str = "order.commands.v1";

async fn send(pipeline: &Pipeline, topic: &str, partition: i32, key: &str) -> Outcome<i64> {
    let record = Sent {
        topic: topic.to_owned(),
        partition: Some(partition),
        key: Some(key.as_bytes().to_vec()),
        value: Some(b"no command".to_vec()),
        headers: Vec::new(),
    };
    Ok(pipeline.broker().send(&record).await?.1)
}

/// First and last offsets of what was told.
fn spans(told: &Value) -> Vec<(i64, i64, i64)> {
    let number = |run: &Value, name: &str| run[name].as_i64().unwrap_or(-1);
    let runs = told.as_array().into_iter().flatten();
    runs.map(|run| (number(run, "partition"), number(run, "first"), number(run, "last"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_cannot_be_read_is_noted_and_gone_on_behind() -> Outcome {
    let (pipeline, orders) = rested(&Servers::shared().await?, 6).await?;
    let (url, folder) = (pipeline.database_url().to_owned(), pipeline.folder().join("archive").display().to_string());
    let first = send(&pipeline, TOPIC, 0, "unreadable-1").await?;
    send(&pipeline, TOPIC, 0, "unreadable-2").await?;
    send(&pipeline, TOPIC, 0, "good").await?;
    let single = send(&pipeline, TOPIC, 0, "unreadable-3").await?;
    send(&pipeline, TOPIC, 0, "good").await?;
    let trailing = send(&pipeline, TOPIC, 1, "unreadable-4").await?;
    let runs = vec![(0, first, first + 1), (0, single, single), (1, trailing, trailing)];

    let copied = archive(&pipeline, &folder, &[]).await?.expect(1)?.json()?;
    assert_eq!(spans(&copied["unreadable"]), runs, "{copied:#}");
    assert!(copied["unreadable"][0]["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{copied:#}");
    let checked = look("check", &folder).await?.expect(0)?.json()?;
    assert_eq!(spans(&checked["unreadable"]), runs, "{checked:#}");
    let again = archive(&pipeline, &folder, &[]).await?.expect(0)?.json()?;
    assert_eq!((&again["segments"], &again["unreadable"]), (&json!(0), &json!([])), "it is noted once: {again}");
    send(&pipeline, TOPIC, 1, "good").await?;
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    look("check", &folder).await?.expect(0)?;

    // The workers are gone, so nobody has come to them: a note, whatever the records are read from.
    let verify = ["verify", "--json", "--database-url", &url];
    let by_topics = run(&pipeline, &verify).await?.expect(0)?.json()?;
    assert_eq!(spans(&by_topics["notes"]), runs, "{by_topics:#}");
    assert_eq!(by_topics["notes"][0]["kind"], "unreadable");
    let by_archive = run_offline(&pipeline, &folder, &verify).await?.expect(0)?.json()?;
    assert_eq!(by_archive["notes"], by_topics["notes"]);
    let both = run(&pipeline, &[&verify[..], &["--archive", &folder]].concat()).await?.expect(0)?.json()?;
    assert_eq!(both["notes"], by_topics["notes"]);
    let trace = ["trace", orders[1].order_id.as_str(), "--json"];
    let told = run(&pipeline, &trace).await?.expect(0)?.json()?;
    assert_eq!(spans(&told["unreadable"]), runs, "{told:#}");

    // Taken without a trace: the service has gone past them, and no dead letter says so.
    let skip = format!(
        "update orders.inbox_offsets set next_offset = {} where topic = '{}{TOPIC}' and partition = 0",
        first + 2,
        pipeline.prefix()
    );
    assert_eq!(pipeline.tables().execute(&skip, &[]).await?, 1);
    let found = run(&pipeline, &verify).await?.expect(1)?.json()?;
    let details = found["violations"].to_string();
    assert!(details.contains(&format!("no dead letter stands for the records from offset {first} on")), "{found:#}");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn following_goes_on_behind_a_run_and_a_service_topic_is_an_error_with_its_place() -> Outcome {
    let (pipeline, _) = rested(&Servers::shared().await?, 6).await?;
    let folder = pipeline.folder().join("archive").display().to_string();
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    let before = segments(&folder);
    let archiver = follow(&pipeline, &folder, &["--segment-age", "1"])?;
    let first = send(&pipeline, TOPIC, 0, "unreadable-1").await?;
    send(&pipeline, TOPIC, 0, "good").await?;
    let name = format!("{}{TOPIC}/0/{first:020}-{first:020}.unreadable.json", pipeline.prefix());
    until("what lies behind the run is archived", LONG, async || {
        match segments(&folder) > before && Path::new(&folder).join(&name).exists() {
            true => Ok(()),
            false => Err(trouble(archiver.tail())),
        }
    })
    .await?;
    archiver.terminate()?;
    let ended = tokio::task::spawn_blocking(move || archiver.wait_timeout(LONG)).await??;
    assert_eq!(ended.and_then(|ended| ended.code()), Some(1), "something was found");

    // Of a topic that a service writes: nothing is made of what lies behind it, and the place is named.
    let stranger = send(&pipeline, "order.events.v1", 1, "unreadable-2").await?;
    send(&pipeline, "order.events.v1", 1, "behind").await?;
    send(&pipeline, TOPIC, 2, "good").await?;
    let place = format!("order.events.v1[1]: offsets {stranger} to {stranger} cannot be read");
    let url = pipeline.database_url().to_owned();
    for verb in
        [&["archive", "run", "--to", &folder][..], &["rebuild", "--to", "memory"], &["verify", "--database-url", &url]]
    {
        let refused = run(&pipeline, verb).await?.expect(2)?;
        assert!(refused.stderr.contains(&place), "{verb:?}: {refused:?}");
    }
    // It keeps the archive from nothing else.
    let checked = look("check", &folder).await?.expect(0)?.json()?;
    let end = |topic: &str, number: i64| {
        let is_it = |part: &&Value| {
            part["topic"].as_str().is_some_and(|name| name.ends_with(topic)) && part["partition"] == number
        };
        checked["partitions"].as_array().into_iter().flatten().find(is_it).and_then(|part| part["end"].as_i64())
    };
    assert_eq!(end(TOPIC, 2), ends(&pipeline, TOPIC).await?.get(&2).copied(), "{checked:#}");
    assert_eq!(end("order.events.v1", 1).unwrap_or(0), stranger);
    pipeline.accept();
    Ok(())
}
