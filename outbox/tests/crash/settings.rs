//! What every process of the program is told: servers, databases, topics, the planted bug.
//!
//! Handed over in environment variables when the program runs itself again in another role.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use outbox::planted::PlantedBug;
use outbox::{OutboxConfig, TopicSpec};
use rdkafka::ClientConfig;

use crate::Outcome;

/// Schema of the outbox, in the writers' database.
pub(crate) const SCHEMA: &str = "shop";
/// Schema of the inbox, in the consumer's database.
pub(crate) const READER_SCHEMA: &str = "reader";
/// Who publishes.
pub(crate) const SOURCE: &str = "/crash";
/// Partitions of each topic.
pub(crate) const PARTITIONS: i32 = 3;
/// Most messages in flight: what a relay that lost its lead may still send.
pub(crate) const IN_FLIGHT: u32 = 200;
/// A leader that is silent for so long is replaced.
pub(crate) const STALE_AFTER: Duration = Duration::from_millis(1500);

/// Published messages older than this are truncated. Longer than a consumer is ever behind when a topic is made anew.
pub(crate) const RETENTION: Duration = Duration::from_secs(3);

/// The settings.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) folder: PathBuf,
    pub(crate) brokers: String,
    pub(crate) writers_url: String,
    pub(crate) reader_url: String,
    pub(crate) topics: Vec<String>,
    pub(crate) bug: Option<PlantedBug>,
    pub(crate) seed: u64,
}

impl Settings {
    /// Adds them to the environment of a process to be started.
    pub(crate) fn give(&self, command: &mut Command) {
        command
            .env("CRASH_FOLDER", &self.folder)
            .env("CRASH_BROKERS", &self.brokers)
            .env("CRASH_WRITERS_URL", &self.writers_url)
            .env("CRASH_READER_URL", &self.reader_url)
            .env("CRASH_TOPICS", self.topics.join(","))
            .env("CRASH_BUG", self.bug.map_or("", PlantedBug::as_str))
            .env("CRASH_SEED", self.seed.to_string());
    }

    /// Takes them from this process's environment.
    pub(crate) fn take() -> Outcome<Self> {
        let get = |name: &str| std::env::var(name).map_err(|error| format!("{name}: {error}"));
        let bug = get("CRASH_BUG")?;
        Ok(Self {
            folder: PathBuf::from(get("CRASH_FOLDER")?),
            brokers: get("CRASH_BROKERS")?,
            writers_url: get("CRASH_WRITERS_URL")?,
            reader_url: get("CRASH_READER_URL")?,
            topics: get("CRASH_TOPICS")?.split(',').map(str::to_owned).collect(),
            bug: if bug.is_empty() { None } else { Some(bug.parse()?) },
            seed: get("CRASH_SEED")?.parse()?,
        })
    }

    /// The outbox of the writers and relays.
    pub(crate) fn outbox(&self) -> OutboxConfig {
        let topics = self.topics.iter().map(|name| TopicSpec { name: name.clone(), partitions: PARTITIONS });
        self.planted(OutboxConfig::new(SCHEMA, SOURCE, topics.collect()))
    }

    /// The consumer's own outbox, through which its transactions go; it publishes nothing.
    pub(crate) fn reader(&self) -> OutboxConfig {
        self.planted(OutboxConfig::new(READER_SCHEMA, "/reader", Vec::new()))
    }

    fn planted(&self, config: OutboxConfig) -> OutboxConfig {
        match self.bug {
            Some(bug) => config.with_planted_bug(bug),
            None => config,
        }
    }

    /// Client properties that make everybody notice quickly what has changed.
    pub(crate) fn kafka(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            .set("topic.metadata.refresh.interval.ms", "1000")
            .set("topic.metadata.refresh.fast.interval.ms", "100");
        config
    }

    /// A consumer that reads what it is told to and keeps nothing at the broker.
    pub(crate) fn consumer(&self) -> ClientConfig {
        let mut config = self.kafka();
        config
            .set("group.id", "crash")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "20")
            .set("fetch.error.backoff.ms", "20");
        config
    }

    /// Every topic partition.
    pub(crate) fn partitions(&self) -> Vec<(String, i32)> {
        let of_topic = |topic: &String| (0..PARTITIONS).map(|partition| (topic.clone(), partition)).collect::<Vec<_>>();
        self.topics.iter().flat_map(of_topic).collect()
    }
}
