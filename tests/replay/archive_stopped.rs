//! The archive's verbs under Ctrl-C and kill -9: how they end, and what is left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use dev_stack::Child;
use tests::{LONG, Outcome, trouble, until};

use crate::REPLAY;
use crate::archive::{COMMANDS, archive, archived_ends, ends, look, records, segments, topics};
use crate::program::command;

/// Every file below a folder with its size.
fn files(folder: &Path) -> Outcome<BTreeMap<PathBuf, u64>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let (path, metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        match metadata.is_dir() {
            true => files.append(&mut self::files(&path)?),
            false => drop(files.insert(path, metadata.len())),
        }
    }
    Ok(files)
}

/// The exit code; none where a signal has ended it.
async fn code(child: Child) -> Outcome<Option<i32>> {
    let ended = tokio::task::spawn_blocking(move || child.wait_timeout(LONG)).await??;
    ended.map(|ended| ended.code()).ok_or_else(|| trouble("it does not end"))
}

/// `archive check`, when it has read some of the archive.
async fn checking(folder: &str, log: &Path) -> Outcome<Child> {
    const SOME_BYTES: u64 = 3_000_000;
    let mut command = Command::new(REPLAY);
    command.args(["archive", "check", folder]).env_remove("KAFKA_BROKERS");
    let child = Child::spawn(command, "check", log)?;
    until("it reads", LONG, async || {
        let io = std::fs::read_to_string(format!("/proc/{}/io", child.pid()))?;
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse::<u64>().ok()).unwrap_or(0);
        if read > SOME_BYTES { Ok(()) } else { Err(trouble(io)) }
    })
    .await?;
    Ok(child)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_before_ctrl_c_is_kept_and_nothing_is_half_written() -> Outcome {
    const SEGMENT_BYTES: u64 = 2_000_000;
    let (pipeline, folder) = topics().await?;
    for batch in 0..40 {
        pipeline.broker().send_all(&records(batch * 1000, 1000, 1000)).await?;
    }
    let all = command(&pipeline, &["archive", "run", "--to", &folder, "--segment-bytes", &SEGMENT_BYTES.to_string()]);
    let archiver = Child::spawn(all, "archive", &pipeline.folder().join("archive.log"))?;
    until("a segment is written", LONG, async || match segments(&folder) {
        0 => Err(trouble(archiver.tail())),
        _ => Ok(()),
    })
    .await?;
    archiver.interrupt()?;
    assert_eq!(code(archiver).await?, Some(130));
    let checked = look("check", &folder).await?.expect(0)?.json()?;
    assert_eq!(checked["leftovers"].as_array().map(Vec::len), Some(0), "{checked}");
    let parts = checked["partitions"].as_array().into_iter().flatten();
    let archived: i64 = parts.filter_map(|part| part["records"].as_i64()).sum();
    assert!(archived < 40_000, "it was interrupted");
    let is_short =
        |(name, bytes): (&PathBuf, &u64)| name.extension().is_some_and(|e| e == "avro") && *bytes < SEGMENT_BYTES;
    assert!(files(Path::new(&folder))?.iter().any(is_short), "also what filled no segment is kept");
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    assert_eq!(archived_ends(&folder, COMMANDS).await?, ends(&pipeline, COMMANDS).await?);

    // Looking at it changes nothing, however it ends.
    let before = files(Path::new(&folder))?;
    let log = pipeline.folder().join("check.log");
    let interrupted = checking(&folder, &log).await?;
    interrupted.interrupt()?;
    assert_eq!(code(interrupted).await?, Some(130));
    checking(&folder, &log).await?.kill9()?;
    assert_eq!(files(Path::new(&folder))?, before);
    look("check", &folder).await?.expect(0)?;
    pipeline.accept();
    Ok(())
}
