//! Flags that say where records are read from, the same for every verb.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::archive::ArchiveStore;
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::log::{KafkaLog, Source};
use crate::records::Records;

/// Where records are read from.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Kafka bootstrap addresses, host:port, several with commas; empty: none.
    #[arg(long, env = "KAFKA_BROKERS", value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// The archive's folder, to read it instead of the topics, or with --brokers before them.
    ///
    /// Without brokers only the archive is read; with brokers also what the topics have beyond its end.
    #[arg(long, env = "ARCHIVE_DIR", value_name = "DIR")]
    archive: Option<PathBuf>,
    /// A librdkafka property, for instance security.protocol=ssl; may be repeated.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    properties: Vec<String>,
    /// In front of every topic name.
    #[arg(long, env = "TOPIC_PREFIX", default_value = "", value_name = "TEXT")]
    topic_prefix: String,
    /// How long, in seconds, the brokers may send nothing that is due; then the verb ends with 2.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    broker_patience_s: u64,
}

impl SourceArgs {
    /// The source that these flags name.
    pub(crate) fn source(&self, interrupt: &Interrupt) -> Result<Source, ReplayError> {
        self.records()?.source(interrupt)
    }

    /// The same, not opened yet.
    pub(crate) fn records(&self) -> Result<Records, ReplayError> {
        let (prefix, patience) = (self.topic_prefix.clone(), self.patience());
        match (self.archive.as_ref().map(ArchiveStore::local).transpose()?, self.kafka()?) {
            (Some(archive), Some(config)) => Ok(Records::ArchiveThenKafka { archive, config, prefix, patience }),
            (Some(archive), None) => Ok(Records::Archive { archive, prefix }),
            (None, Some(config)) => Ok(Records::Kafka { config, prefix, patience }),
            (None, None) => {
                Err(ReplayError::arguments("give --brokers (or KAFKA_BROKERS), --archive (or ARCHIVE_DIR), or both"))
            }
        }
    }

    /// How long the brokers may send nothing that is due.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.broker_patience_s)
    }

    /// For a verb that reads live topics only: a flag that it would pass over is a mistake.
    pub(super) fn refuse_archive(&self) -> Result<(), ReplayError> {
        match self.archive {
            Some(_) => Err(ReplayError::arguments("this verb reads the topics; leave --archive and ARCHIVE_DIR out")),
            None => Ok(()),
        }
    }

    /// The topics, where brokers are named.
    pub(super) fn kafka_log(&self, interrupt: &Interrupt) -> Result<Option<KafkaLog>, ReplayError> {
        let log = |kafka| KafkaLog::new(&kafka, &self.topic_prefix, self.patience(), interrupt);
        self.kafka()?.map(log).transpose()
    }

    /// How to reach Kafka, where brokers are named.
    pub(crate) fn kafka(&self) -> Result<Option<ClientConfig>, ReplayError> {
        let Some(brokers) = self.brokers.as_deref().filter(|brokers| !brokers.is_empty()) else { return Ok(None) };
        let mut kafka = ClientConfig::new();
        kafka.set("bootstrap.servers", brokers).set("client.id", "replay-tool");
        kafka.set_log_level(RDKafkaLogLevel::Error);
        let properties = workers::config::kafka_properties(&BTreeMap::new(), &self.properties);
        for (key, value) in properties.map_err(ReplayError::arguments)? {
            kafka.set(key, value);
        }
        Ok(Some(kafka))
    }

    /// In front of every topic name.
    pub(crate) fn topic_prefix(&self) -> &str {
        &self.topic_prefix
    }
}
