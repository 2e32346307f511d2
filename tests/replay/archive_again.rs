//! A topic that is deleted and made again: what it holds then is never mixed with what it held before.

use tests::{LONG, Outcome, Pipeline, Sent, trouble, until};

use crate::archive::{archive, digest, follow, look, records, segments, topics};

const EVENTS: &str = "order.events.v1";

fn events(from: u32, count: u32) -> Vec<Sent> {
    records(from, count, 20).into_iter().map(|sent| Sent { topic: EVENTS.to_owned(), ..sent }).collect()
}

/// How many records of a generation the archive holds.
async fn archived(folder: &str, generation: i64) -> Outcome<i64> {
    let listed = look("list", folder).await?.expect(0)?.json()?;
    let parts = listed["partitions"].as_array().into_iter().flatten();
    let those = parts.filter(|part| part["generation"].as_i64() == Some(generation));
    Ok(those.filter_map(|part| part["records"].as_i64()).sum())
}

/// As retention or a restart never would: the same name, and nothing in it.
pub(crate) async fn make_anew(pipeline: &Pipeline, topic: &str) -> Outcome {
    pipeline.broker().make_anew(topic, 3).await
}

/// The same, and other records at the same offsets.
async fn make_again(pipeline: &Pipeline) -> Outcome {
    make_anew(pipeline, EVENTS).await?;
    // Longer than the old one: only its records tell that it is another.
    until("the new topic takes records", LONG, async || pipeline.broker().send_all(&events(1000, 450)).await.map(drop))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_made_again_is_not_mixed_with_the_one_before() -> Outcome {
    let (pipeline, folder) = topics().await?;
    pipeline.broker().send_all(&events(0, 300)).await?;
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    make_again(&pipeline).await?;
    let refused = archive(&pipeline, &folder, &[]).await?.expect(2)?;
    assert!(refused.stderr.contains("is not the topic that was archived"), "{}", refused.stderr);
    let brokers = pipeline.servers().stack().brokers();
    let read = digest(&pipeline, &["--archive", &folder, "--brokers", &brokers]).await?.expect(2)?;
    assert!(read.stderr.contains("is not the topic that was archived"), "{}", read.stderr);
    let begun = archive(&pipeline, &folder, &["--new-generation"]).await?.expect(0)?.json()?;
    assert_eq!(begun["new_generations"].as_array().map(Vec::len), Some(1), "{begun}");
    assert_eq!(archived(&folder, 1).await?, 300);
    assert!(archived(&folder, 2).await? >= 450);
    look("check", &folder).await?.expect(0)?;
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_made_again_under_a_running_archive_is_not_mixed_with_the_one_before() -> Outcome {
    for is_meant in [false, true] {
        let (pipeline, folder) = topics().await?;
        pipeline.broker().send_all(&events(0, 150)).await?;
        let more: &[&str] =
            if is_meant { &["--segment-age", "1", "--new-generation"] } else { &["--segment-age", "1"] };
        let archiver = follow(&pipeline, &folder, more)?;
        until("it follows", LONG, async || match segments(&folder) {
            0 => Err(trouble(archiver.tail())),
            _ => Ok(()),
        })
        .await?;
        pipeline.broker().send_all(&events(150, 150)).await?;
        until("all is archived", LONG, async || match archived(&folder, 1).await? {
            300 => Ok(()),
            records => Err(trouble(format!("{records} records, {}", archiver.tail()))),
        })
        .await?;
        // So that the client sees nothing but a topic that has grown.
        archiver.stop()?;
        make_again(&pipeline).await?;
        archiver.cont()?;
        if is_meant {
            until("the new topic is archived", LONG, async || match archived(&folder, 2).await? {
                records if records >= 450 => Ok(()),
                records => Err(trouble(format!("{records} records, {}", archiver.tail()))),
            })
            .await?;
            archiver.interrupt()?;
        }
        let (ended, tail) = tokio::task::spawn_blocking(move || {
            let ended = archiver.wait_timeout(LONG);
            ended.map(|ended| (ended, archiver.tail()))
        })
        .await??;
        let code = ended.and_then(|ended| ended.code());
        assert_eq!(code, Some(if is_meant { 0 } else { 2 }), "{tail}");
        assert!(is_meant || tail.contains("is not the topic that was archived"), "{tail}");
        assert_eq!(archived(&folder, 1).await?, 300, "nothing of the new topic among the old one's");
        look("check", &folder).await?.expect(0)?;
        pipeline.accept();
    }
    Ok(())
}
