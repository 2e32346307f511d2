//! The archive against real topics: while they grow, through kill -9, after Kafka has forgotten.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use dev_stack::Child;
use serde_json::Value;
use tests::{LONG, Outcome, Pipeline, Sent, Servers, Settings, sample, stock_for, trouble, until};

use crate::program::{Run, command, run, run_command};
use crate::{DAEMON, REPLAY};

pub(crate) const COMMANDS: &str = "order.commands.v1";

/// Topics and no daemon; and the archive's folder.
pub(crate) async fn topics() -> Outcome<(Pipeline, String)> {
    let pipeline = Pipeline::prepare(DAEMON, &Servers::shared().await?, Settings::default()).await?;
    let folder = archive_of(&pipeline);
    Ok((pipeline, folder))
}

fn archive_of(pipeline: &Pipeline) -> String {
    pipeline.folder().join("archive").to_string_lossy().into_owned()
}

/// Records of all shapes: without key, without value, with headers whose values are missing, empty or no text.
pub(crate) fn records(from: u32, count: u32, bytes: usize) -> Vec<Sent> {
    let record = |number: u32| Sent {
        topic: COMMANDS.to_owned(),
        partition: Some(i32::try_from(number % 3).unwrap_or(0)),
        key: (!number.is_multiple_of(5)).then(|| number.to_string().into_bytes()),
        // Nothing that compresses.
        value: (!number.is_multiple_of(7)).then(|| (0..bytes).map(|at| noise(number, at)).collect()),
        headers: vec![
            ("ce_type".to_owned(), Some(vec![0xff, 0, number.to_le_bytes()[0]])),
            ("none".to_owned(), None),
            ("empty ä".to_owned(), Some(Vec::new())),
        ],
    };
    (from..from + count).map(record).collect()
}

fn noise(number: u32, at: usize) -> u8 {
    let at = u32::try_from(at).unwrap_or(0);
    let mixed = number.wrapping_mul(0x9e37_79b9) ^ at.wrapping_mul(0x85eb_ca6b);
    (mixed ^ (mixed >> 15)).wrapping_mul(0xc2b2_ae35).to_be_bytes()[0]
}

pub(crate) async fn archive(pipeline: &Pipeline, folder: &str, more: &[&str]) -> Outcome<Run> {
    let mut all = vec!["archive", "run", "--json", "--to", folder];
    all.extend(more);
    run(pipeline, &all).await
}

/// `archive check` or `archive list`, which need no Kafka.
pub(crate) async fn look(verb: &str, folder: &str) -> Outcome<Run> {
    let mut command = Command::new(REPLAY);
    command.args(["archive", verb, folder, "--json"]).env_remove("KAFKA_BROKERS");
    run_command(command).await
}

/// Where each partition of a topic ends in the archive, and that every offset up to there is in it.
pub(crate) async fn archived_ends(folder: &str, topic: &str) -> Outcome<HashMap<i32, i64>> {
    let checked = look("check", folder).await?.expect(0)?.json()?;
    let mut ends = HashMap::new();
    for part in checked["partitions"].as_array().ok_or_else(|| trouble("no partitions"))? {
        if part["topic"].as_str().is_some_and(|name| name.ends_with(topic)) {
            assert_eq!((part["records"].as_i64(), part["first"].as_i64()), (part["end"].as_i64(), Some(0)), "{part}");
            let number = i32::try_from(part["partition"].as_i64().unwrap_or(-1))?;
            ends.insert(number, part["end"].as_i64().unwrap_or(-1));
        }
    }
    Ok(ends)
}

pub(crate) async fn ends(pipeline: &Pipeline, topic: &str) -> Outcome<HashMap<i32, i64>> {
    let ends = pipeline.broker().ends(&[topic.to_owned()]).await?;
    Ok(ends.into_iter().map(|((_, partition), (_, end))| (partition, end)).collect())
}

pub(crate) fn follow(pipeline: &Pipeline, folder: &str, more: &[&str]) -> Outcome<Child> {
    let mut command = command(pipeline, &["archive", "run", "--to", folder, "--follow"]);
    command.args(more);
    Ok(Child::spawn(command, "archive", &pipeline.folder().join("archive.log"))?)
}

pub(crate) fn segments(folder: &str) -> usize {
    fn count(folder: PathBuf) -> usize {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let segment = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "avro");
        entries
            .map(|entry| entry.path())
            .map(|path| if path.is_dir() { count(path) } else { segment(&path).into() })
            .sum()
    }
    count(PathBuf::from(folder))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_is_killed_again_and_again_while_topics_grow_is_whole() -> Outcome {
    let (pipeline, folder) = topics().await?;
    let small = ["--segment-bytes", "3000", "--segment-age", "1"];
    for round in 0..4 {
        pipeline.broker().send_all(&records(round * 1500, 700, 60)).await?;
        let before = segments(&folder);
        let archiver = follow(&pipeline, &folder, &small)?;
        pipeline.broker().send_all(&records(round * 1500 + 700, 800, 60)).await?;
        until("a segment is written", LONG, async || match segments(&folder) > before {
            true => Ok(()),
            false => Err(trouble(archiver.tail())),
        })
        .await?;
        archiver.kill9()?;
        // What is told to be archived lies on the disk, whatever was in memory.
        let on_disk = archived_ends(&folder, COMMANDS).await?;
        let told = pipeline.broker().committed("replay-archive", COMMANDS).await?;
        let is_beyond = |(partition, told): (&i32, &i64)| *told > on_disk.get(partition).copied().unwrap_or(0);
        assert!(!told.iter().any(is_beyond), "{told:?} is told of {on_disk:?}");
    }
    // Ended in good order, while there is still more to come.
    pipeline.broker().send_all(&records(6000, 100, 60)).await?;
    let before = segments(&folder);
    let archiver = follow(&pipeline, &folder, &small)?;
    until("a segment is written", LONG, async || match segments(&folder) > before {
        true => Ok(()),
        false => Err(trouble(archiver.tail())),
    })
    .await?;
    archiver.terminate()?;
    let ended = tokio::task::spawn_blocking(move || archiver.wait_timeout(LONG)).await??;
    assert_eq!(ended.and_then(|ended| ended.code()), Some(0));
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    // A segment of each partition from each run: how many the killed ones have left differs, and five are needed below.
    for round in 0..4 {
        pipeline.broker().send_all(&records(6100 + round * 100, 100, 60)).await?;
        archive(&pipeline, &folder, &[]).await?.expect(0)?;
    }
    let ends = ends(&pipeline, COMMANDS).await?;
    assert_eq!(pipeline.broker().committed("replay-archive", COMMANDS).await?, ends, "all of it is told");
    assert_eq!(ends.values().sum::<i64>(), 6500);
    assert_eq!(archived_ends(&folder, COMMANDS).await?, ends);
    let again = archive(&pipeline, &folder, &[]).await?.expect(0)?.json()?;
    assert_eq!(again["segments"], 0, "there is nothing more");

    // A segment less, wherever, and one that is damaged, are found; a run does not touch them.
    let part = PathBuf::from(&folder).join(format!("{}{COMMANDS}/1", pipeline.prefix()));
    let mut names: Vec<PathBuf> = std::fs::read_dir(&part)?.flatten().map(|entry| entry.path()).collect();
    names.retain(|name| name.extension().is_some_and(|ending| ending == "avro"));
    names.sort();
    // A run that found nothing new has said so too: the last segment is missed.
    let last = names.pop().ok_or_else(|| trouble("no segments"))?;
    let bytes = std::fs::read(&last)?;
    std::fs::remove_file(&last)?;
    let checked = look("check", &folder).await?.expect(1)?.json()?;
    let detail = checked["findings"][0]["detail"].as_str().unwrap_or_default().to_owned();
    assert!(checked["findings_found"] == 1 && detail.contains("are missing: they were archived"), "{checked}");
    std::fs::write(&last, bytes)?;
    std::fs::remove_file(&names[1])?;
    let mut bytes = std::fs::read(&names[3])?;
    let middle = bytes.len() - bytes.len() / 4;
    bytes[middle] ^= 1;
    std::fs::write(&names[3], bytes)?;
    let checked = look("check", &folder).await?.expect(1)?.json()?;
    let kinds: Vec<&str> =
        checked["findings"].as_array().into_iter().flatten().filter_map(|finding| finding["kind"].as_str()).collect();
    assert_eq!(kinds, ["gap", "damaged"], "{checked}");
    pipeline.accept();
    Ok(())
}

/// A digest of all services' state.
pub(crate) async fn digest(pipeline: &Pipeline, source: &[&str]) -> Outcome<Run> {
    let mut command = Command::new(REPLAY);
    command.args(["rebuild", "--to", "memory", "--json", "--topic-prefix", pipeline.prefix()]).args(source);
    command.env_remove("KAFKA_BROKERS").env_remove("DATABASE_URL");
    run_command(command).await
}

fn digests(report: &Value) -> Vec<String> {
    let services = report["services"].as_array().into_iter().flatten();
    services.map(|service| service["digest"].to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_is_rebuilt_from_the_archive_after_the_topics_were_truncated() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    let orders = sample(0, 60)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders[..40]).await?;
    pipeline.await_terminal(&orders[..40]).await?;
    let folder = archive_of(&pipeline);
    archive(&pipeline, &folder, &["--segment-bytes", "5000"]).await?.expect(0)?;
    let archived = archived_ends(&folder, "order.events.v1").await?;
    pipeline.publish(&orders[40..]).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    let brokers = servers.stack().brokers();
    let whole = digests(&digest(&pipeline, &["--brokers", &brokers]).await?.expect(0)?.json()?);
    assert_eq!(whole.len(), 3);

    // As retention would: everything that was archived is gone.
    for (partition, end) in &archived {
        pipeline.broker().delete_before("order.events.v1", *partition, *end).await?;
    }
    let both = ["--archive", &folder, "--brokers", &brokers];
    assert_eq!(digests(&digest(&pipeline, &both).await?.expect(0)?.json()?), whole);
    let alone = digest(&pipeline, &["--archive", &folder]).await?;
    assert_ne!(digests(&alone.json()?), whole, "the archive alone ends earlier");
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    assert_eq!(digests(&digest(&pipeline, &["--archive", &folder]).await?.expect(0)?.json()?), whole);

    // More orders, and retention that is faster than the archive.
    let more = sample(60, 40)?;
    pipeline.receive(&stock_for(&more)).await?;
    pipeline.publish(&more).await?;
    pipeline.await_terminal(&more).await?;
    let (partition, end) =
        ends(&pipeline, "order.events.v1").await?.into_iter().max().ok_or_else(|| trouble("none"))?;
    pipeline.broker().delete_before("order.events.v1", partition, end).await?;
    let lost = digest(&pipeline, &both).await?.expect(2)?;
    assert!(lost.stderr.contains("neither in the archive"), "{}", lost.stderr);
    let late = archive(&pipeline, &folder, &[]).await?.expect(1)?.json()?;
    assert_eq!(late["gaps"][0]["last"].as_i64(), Some(end - 1), "{late}");
    pipeline.accept();
    Ok(())
}

/// The most memory that a process has had so far, in KiB.
fn peak_kib(pid: i32) -> Outcome<i64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or_else(|| trouble("no VmHWM"))?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_flat_however_much_is_archived() -> Outcome {
    let (pipeline, folder) = topics().await?;
    let archiver = follow(&pipeline, &folder, &["--segment-bytes", "1000000", "--segment-age", "1"])?;
    let mut sent = 0;
    let mut peaks = Vec::new();
    for batches in [15, 60] {
        for _ in 0..batches {
            pipeline.broker().send_all(&records(sent, 1000, 1000)).await?;
            sent += 1000;
        }
        until("everything is archived", LONG, async || {
            let listed = look("list", &folder).await?.expect(0)?.json()?;
            let parts = listed["partitions"].as_array().into_iter().flatten();
            let records: i64 = parts.filter_map(|part| part["records"].as_i64()).sum();
            if records == i64::from(sent) { Ok(()) } else { Err(trouble(format!("{records} of {sent}"))) }
        })
        .await?;
        peaks.push(peak_kib(archiver.pid())?);
    }
    assert!(peaks[1] < peaks[0] + 24 * 1024, "KiB after 15 MB, after 75 MB: {peaks:?}");
    pipeline.accept();
    Ok(())
}
