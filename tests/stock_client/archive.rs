//! fastavro reads the archive: every record as it lies in the topics, byte for byte.

use std::process::Command;

use schemas::TopicName;
use serde::Deserialize;
use tests::{Found, Outcome, Pipeline, Sent, Servers, Settings, sample, stock_for, trouble};

use crate::{DAEMON, python};

/// A record as fastavro has read it; bytes in hexadecimal digits.
#[derive(Debug, Deserialize)]
struct Archived {
    topic: String,
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    timestamp_type: String,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<Header>,
}

#[derive(Debug, Deserialize)]
struct Header {
    name: String,
    value: Option<String>,
}

fn bytes(hex: Option<&String>) -> Outcome<Option<Vec<u8>>> {
    let Some(hex) = hex else { return Ok(None) };
    let byte = |at: usize| hex.get(at..at + 2).ok_or_else(|| trouble("half a byte"));
    let bytes = (0..hex.len()).step_by(2).map(|at| Ok(u8::from_str_radix(byte(at)?, 16)?));
    bytes.collect::<Outcome<Vec<u8>>>().map(Some)
}

impl Archived {
    fn found(&self, prefix: &str) -> Outcome<Found> {
        let header = |header: &Header| Ok((header.name.clone(), bytes(header.value.as_ref())?));
        Ok(Found {
            topic: self.topic.strip_prefix(prefix).unwrap_or(&self.topic).to_owned(),
            partition: self.partition,
            offset: self.offset,
            key: bytes(self.key.as_ref())?,
            value: bytes(self.value.as_ref())?,
            headers: self.headers.iter().map(header).collect::<Outcome<_>>()?,
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_tool_reads_the_archive_as_the_topics_are() -> Outcome {
    let python = python::prepare().await?;
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    let orders = sample(0, 30)?;
    pipeline.receive(&stock_for(&orders)).await?;
    let odd = Sent {
        topic: "order.commands.v1".to_owned(),
        partition: Some(1),
        headers: vec![("none".to_owned(), None), ("bytes ä".to_owned(), Some(vec![0, 255, 128]))],
        ..Sent::default()
    };
    pipeline.broker().send(&odd).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    let folder = pipeline.folder().join("archive");
    let mut command = Command::new(env!("CARGO_BIN_EXE_replay-program"));
    command.args(["archive", "run", "--brokers", &servers.stack().brokers(), "--topic-prefix", pipeline.prefix()]);
    command.args(["--segment-bytes", "20000", "--to"]).arg(&folder);
    let ended = tokio::task::spawn_blocking(move || command.output()).await??;
    assert!(ended.status.success(), "{ended:?}");

    let printed = python.read_archive(&folder).await?;
    let mut archived: Vec<Archived> = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    archived.sort_by(|a, b| (&a.topic, a.partition, a.offset).cmp(&(&b.topic, b.partition, b.offset)));
    assert!(archived.iter().all(|record| record.timestamp_ms > 1_700_000_000_000));
    assert!(archived.iter().all(|record| record.timestamp_type == "CREATE_TIME"));
    let mut found = pipeline.broker().read(&TopicName::all_names()).await?;
    found.sort_by(|a, b| (&a.topic, a.partition, a.offset).cmp(&(&b.topic, b.partition, b.offset)));
    let archived = archived.iter().map(|record| record.found(pipeline.prefix())).collect::<Outcome<Vec<_>>>()?;
    assert!(found.iter().any(|record| record.topic.ends_with("-dlt")), "the odd record has become a dead letter");
    assert!(archived == found, "{} records archived, {} there", archived.len(), found.len());
    Ok(())
}
