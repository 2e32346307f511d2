//! Flags that say where records are read from, the same for every verb.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use grammar::{KafkaAccess, WaitOption};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::archive::ArchiveStore;
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::log::KafkaLog;
use crate::source::{Records, Source};

/// Where records are read from.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Kafka's bootstrap addresses, several with commas; empty: none. Otherwise KAFKA_BROKERS.
    #[arg(long, value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// The same from the environment, kept apart: beside an archive it is enough to read, and not to write.
    #[arg(long, env = "KAFKA_BROKERS", hide = true, value_name = "HOST:PORT")]
    brokers_of_environment: Option<String>,
    /// Where an archive lies (a folder, or s3://bucket/prefix), to read it instead of the topics, or with --brokers before
    /// them.
    ///
    /// Without brokers only the archive is read; with brokers also what the topics have beyond its end.
    #[arg(long, env = "ARCHIVE_DIR", value_name = "DIR|URL")]
    archive: Option<PathBuf>,
    #[command(flatten)]
    access: KafkaAccess,
    /// In front of every topic name.
    #[arg(long, env = "TOPIC_PREFIX", default_value = "", hide_default_value = true, value_name = "TEXT")]
    topic_prefix: String,
    #[command(flatten)]
    wait: WaitOption,
}

impl SourceArgs {
    /// The source that these flags name.
    pub(crate) fn source(&self, interrupt: &Interrupt) -> Result<Source, ReplayError> {
        self.records()?.source(interrupt)
    }

    /// The same, not opened yet.
    pub(crate) fn records(&self) -> Result<Records, ReplayError> {
        let (prefix, patience) = (self.topic_prefix.clone(), self.patience());
        match (self.archive.as_ref().map(ArchiveStore::open).transpose()?, self.kafka()?) {
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
        self.wait.limit()
    }

    /// For a verb that reads live topics only: a flag that it would pass over is a mistake.
    pub(super) fn refuse_archive(&self) -> Result<(), ReplayError> {
        match self.archive {
            Some(_) => Err(ReplayError::arguments("this verb reads the topics; leave --archive and ARCHIVE_DIR out")),
            None => Ok(()),
        }
    }

    /// The archive.
    pub(super) fn archive(&self) -> Result<ArchiveStore, ReplayError> {
        let place = self.archive.as_ref().ok_or_else(|| ReplayError::arguments("give --archive (or ARCHIVE_DIR)"))?;
        ArchiveStore::open(place)
    }

    /// Whether an archive is what records are read from, alone or before the topics.
    pub(super) fn has_archive(&self) -> bool {
        self.archive.is_some()
    }

    /// The cluster that a verb may write to. Who names an archive may mean no live cluster at all, whatever the
    /// environment still says: then only the flag counts.
    pub(super) fn writable_kafka(&self, doing: &str) -> Result<ClientConfig, ReplayError> {
        if self.archive.is_some() && self.brokers.is_none() {
            let from_environment = self.brokers_of_environment.as_deref().filter(|brokers| !brokers.is_empty());
            let told = from_environment.map_or_else(String::new, |brokers| {
                format!(" (KAFKA_BROKERS says {brokers}, which beside an archive is only read from)")
            });
            return Err(ReplayError::arguments(format!("{doing} needs --brokers{told}")));
        }
        self.kafka()?.ok_or_else(|| ReplayError::arguments(format!("{doing} needs --brokers")))
    }

    /// The topics, where brokers are named.
    pub(super) fn kafka_log(&self, interrupt: &Interrupt) -> Result<Option<KafkaLog>, ReplayError> {
        let log = |kafka| KafkaLog::new(&kafka, &self.topic_prefix, self.patience(), interrupt);
        self.kafka()?.map(log).transpose()
    }

    /// How to reach Kafka, where brokers are named.
    pub(crate) fn kafka(&self) -> Result<Option<ClientConfig>, ReplayError> {
        let named = self.brokers.as_ref().or(self.brokers_of_environment.as_ref());
        let Some(brokers) = named.filter(|brokers| !brokers.is_empty()) else { return Ok(None) };
        let mut kafka = ClientConfig::new();
        kafka.set("bootstrap.servers", brokers).set("client.id", "replay-tool");
        // That a broker hangs up is told in a line of this level, and nowhere else.
        kafka.set_log_level(RDKafkaLogLevel::Info);
        for (key, value) in self.access.properties(BTreeMap::new()).map_err(ReplayError::arguments)? {
            kafka.set(key, value);
        }
        Ok(Some(kafka))
    }

    /// In front of every topic name.
    pub(crate) fn topic_prefix(&self) -> &str {
        &self.topic_prefix
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        source: SourceArgs,
    }

    fn parsed(arguments: &str) -> SourceArgs {
        let words = std::iter::once("verb").chain(arguments.split_whitespace());
        Program::try_parse_from(words).unwrap().source
    }

    #[test]
    fn beside_an_archive_only_brokers_that_a_flag_names_are_written_to() {
        let environment = "--brokers-of-environment live:9092";
        let may_write = |arguments: &str| {
            parsed(arguments).writable_kafka("it").map(|kafka| kafka.get("bootstrap.servers").map(str::to_owned))
        };
        let named = Some("named:1".to_owned());
        assert_eq!(may_write(environment).unwrap(), Some("live:9092".to_owned()));
        assert_eq!(may_write(&format!("{environment} --archive dir --brokers named:1")).unwrap(), named);
        assert_eq!(may_write("--archive dir --brokers named:1").unwrap(), named);
        for without in ["--archive dir", "--archive dir --brokers=", ""] {
            let refused = may_write(without).unwrap_err().to_string();
            assert_eq!(refused, "it needs --brokers", "{without}");
        }
        let refused = may_write(&format!("{environment} --archive dir")).unwrap_err().to_string();
        assert!(refused.starts_with("it needs --brokers (KAFKA_BROKERS says live:9092"), "{refused}");
        // To read, the environment is enough, and an empty flag takes it away.
        assert!(parsed(&format!("{environment} --archive dir")).kafka().unwrap().is_some());
        assert!(parsed(&format!("{environment} --archive dir --brokers=")).kafka().unwrap().is_none());
    }
}
