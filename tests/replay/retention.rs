//! Retention, as far as the archive reaches: the daemons work on while Kafka deletes what is archived, and are not started
//! where nobody archives.

use schemas::{ServiceName, TopicName};
use tests::{LONG, Outcome, Pipeline, Servers, Settings, sample, stock_for, trouble};

use crate::DAEMON;
use crate::archive::{follow, look};
use crate::program::run;

/// Far longer than a record needs on its way, and short enough to wait for.
const RETENTION_MS: i64 = 20_000;

/// What `topics check` says, and whether it is content.
async fn topics_check(pipeline: &Pipeline, more: &[&str]) -> Outcome<(bool, String)> {
    let ended = pipeline.run(ServiceName::Order, &[&["topics", "check"], more].concat()).await?;
    Ok((ended.code == Some(0), ended.output))
}

/// Until it is content, or says these words.
async fn until_told(pipeline: &Pipeline, words: Option<&str>) -> Outcome {
    pipeline
        .until("topics check", async || {
            let (is_content, told) = topics_check(pipeline, &[]).await?;
            match words {
                None if is_content => Ok(()),
                Some(words) if !is_content && told.contains(words) => Ok(()),
                _ => Err(trouble(told)),
            }
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_archived_may_be_deleted_under_running_daemons() -> Outcome {
    let settings = [("log.retention.check.interval.ms", "500"), ("log.initial.task.delay.ms", "500")];
    let servers = Servers::own_with(&settings).await?;
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    let orders = sample(0, 60)?;
    pipeline.receive(&stock_for(&orders)).await?;
    let (is_content, told) = topics_check(&pipeline, &[]).await?;
    assert!(is_content && told.contains("warning: topic") && told.contains("replication factor 1"), "{told}");
    let (is_content, told) = topics_check(&pipeline, &["--strict"]).await?;
    assert!(!is_content && told.contains("every write lies in one copy"), "{told}");

    // Nobody archives: no daemon is started that would lose what it is rebuilt from.
    pipeline.broker().set_retention(RETENTION_MS).await?;
    until_told(&pipeline, Some("no archive says how far it is")).await?;
    let refused = pipeline.run(ServiceName::Payment, &["run", "--start-timeout-s", "20"]).await?;
    assert!(refused.code == Some(2) && refused.output.contains("replay-tool archive run --follow"), "{refused:?}");

    let folder = pipeline.folder().join("archive").to_string_lossy().into_owned();
    let archiver = follow(&pipeline, &folder, &["--segment-age", "1"])?;
    until_told(&pipeline, None).await?;
    pipeline.publish(&orders[..30]).await?;
    pipeline.await_terminal(&orders[..30]).await?;
    let events = [TopicName::OrderEvents.as_str().to_owned()];
    pipeline
        .until("retention has deleted all that was said of the first orders", async || {
            let bounds = pipeline.broker().ends(&events).await?;
            let is_deleted = bounds.values().all(|(first, end)| *end > 0 && first == end);
            if is_deleted { Ok(()) } else { Err(trouble(format!("{bounds:?}"))) }
        })
        .await?;

    // They work on, also after a start, in which positions are compared with topics that have forgotten them.
    pipeline.publish(&orders[30..45]).await?;
    pipeline.await_terminal(&orders[..45]).await?;
    pipeline.stop_services(&ServiceName::ALL).await?;
    until_told(&pipeline, None).await?;
    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.publish(&orders[45..55]).await?;
    pipeline.await_terminal(&orders[..55]).await?;

    archiver.terminate()?;
    let ended = tokio::task::spawn_blocking(move || archiver.wait_timeout(LONG)).await??;
    assert_eq!(ended.and_then(|ended| ended.code()), Some(0));
    look("check", &folder).await?.expect(0)?;
    let url = pipeline.database_url().to_owned();
    let rebuild = ["rebuild", "--dry-run", "--archive", &folder, "--database-url", &url];
    let rebuilt = run(&pipeline, &rebuild).await?.expect(0)?.stdout;
    assert_eq!(rebuilt.matches("the same, row for row").count(), 3, "{rebuilt}");
    run(&pipeline, &["verify", "--archive", &folder, "--database-url", &url]).await?.expect(0)?;

    // With nobody archiving any more it is told in time, and told when it is too late.
    pipeline.publish(&orders[55..]).await?;
    pipeline.await_terminal(&orders).await?;
    until_told(&pipeline, Some("its archive lags by more than half of it")).await?;
    until_told(&pipeline, Some("were deleted before they were archived")).await?;
    pipeline.accept();
    Ok(())
}
