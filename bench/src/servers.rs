//! The servers of a run: one private Kafka and Postgres for everything that is compared.
//!
//! Each load gets topics and a database of its own; the database is dropped when the load is through, so that one load's
//! vacuum and checkpoints do not fall into the next one's window.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dev_stack::{Profile, Server, Stack, StackConfig};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

use crate::error::{BenchError, Doing, Result};
use crate::measure::{Target, connect};

/// How long Kafka may take to make topics.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A running Kafka and a running Postgres; they stop when this is dropped.
pub(crate) struct Servers {
    stack: Stack,
    brokers: String,
    kafka: Target,
    postgres: Target,
    logs: PathBuf,
    loads: AtomicU32,
}

impl Servers {
    /// Starts both with the settings for benchmarks; durability is that of production.
    pub(crate) fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same with settings of Postgres on top.
    pub(crate) fn start_with(postgres: &[(&str, &str)]) -> Result<Self> {
        let mut config = StackConfig::in_project().with_profile(Profile::Bench);
        config.postgres_settings = postgres.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let logs = config.folder.join("logs");
        let stack = Stack::start(config).map_err(BenchError::other)?;
        let brokers = stack.brokers();
        let kafka = target("kafka", stack.kafka().map_err(BenchError::other)?)?;
        let postgres = target("postgres", stack.postgres().map_err(BenchError::other)?)?;
        Ok(Servers { stack, brokers, kafka, postgres, logs, loads: AtomicU32::new(0) })
    }

    /// Stops both and removes their data.
    pub(crate) fn stop(self) -> Result<()> {
        self.stack.stop().map_err(BenchError::other)
    }

    /// Kafka's address.
    pub(crate) fn brokers(&self) -> &str {
        &self.brokers
    }

    /// What to measure of them: Postgres with all its processes, and Kafka.
    pub(crate) fn targets(&self) -> Vec<Target> {
        vec![self.postgres.clone(), self.kafka.clone()]
    }

    /// A number that no other load has got, for names of topics.
    pub(crate) fn next_number(&self) -> u32 {
        self.loads.fetch_add(1, Ordering::Relaxed)
    }

    /// A folder for logs that goes with the servers.
    pub(crate) fn logs(&self) -> &Path {
        &self.logs
    }

    /// What lies in the topics with this in front of their names, as the broker keeps it.
    pub(crate) fn topic_bytes(&self, prefix: &str) -> Result<u64> {
        let data = self.stack.kafka().map_err(BenchError::other)?.data_folder();
        let mut bytes = 0;
        for partition in fs::read_dir(data).doing("looking at the broker's data")?.flatten() {
            if partition.file_name().to_string_lossy().starts_with(prefix) {
                let segments = fs::read_dir(partition.path()).doing("looking at a partition's data")?.flatten();
                let is_log = |file: &fs::DirEntry| file.path().extension().is_some_and(|ending| ending == "log");
                bytes += segments.filter(is_log).filter_map(|file| Some(file.metadata().ok()?.len())).sum::<u64>();
            }
        }
        Ok(bytes)
    }

    /// Makes topics that nothing is ever deleted from.
    pub(crate) async fn create_topics(&self, names: &[String], partitions: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .create()
            .doing("making an administrator of Kafka")?;
        let topics: Vec<NewTopic<'_>> = names
            .iter()
            .map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1"))
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(ADMIN_TIMEOUT));
        for result in admin.create_topics(&topics, &options).await.doing("making topics")? {
            result.map_err(|(topic, code)| BenchError::other(format!("topic {topic} could not be made: {code}")))?;
        }
        Ok(())
    }

    /// Makes an empty database and says its URL.
    pub(crate) fn create_database(&self, name: &str) -> Result<String> {
        self.stack.new_database(name).map_err(BenchError::other)
    }

    /// Drops a database with whoever is still connected, and settles the disk.
    pub(crate) async fn drop_database(&self, name: &str) -> Result<()> {
        let client = connect(&self.stack.database_url()).await?;
        client.batch_execute(&format!("drop database \"{name}\" with (force)")).await.doing("dropping a database")?;
        client.batch_execute("checkpoint").await.doing("writing a checkpoint")
    }
}

fn target(name: &str, server: &Server) -> Result<Target> {
    let pid = server.pid().ok_or_else(|| BenchError::other(format!("{name} does not run")))?;
    Ok(Target::tree(name, u32::try_from(pid).map_err(BenchError::other)?))
}
