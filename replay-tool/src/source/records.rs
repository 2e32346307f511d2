//! Where a program that uses this library reads records from; verbs of the program make the same of their flags.

use std::time::Duration;

use rdkafka::ClientConfig;

use super::Source;
use crate::archive::{ArchiveLog, ArchiveStore};
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::log::{KafkaLog, MemoryLog};

/// Where records are read from.
#[derive(Debug, Clone)]
pub enum Records {
    /// The topics.
    Kafka {
        /// Where Kafka is and how to talk to it. What reading needs (group, offsets, ends) is set over it.
        config: ClientConfig,
        /// In front of every topic name.
        prefix: String,
        /// How long the brokers may send nothing that is due.
        patience: Duration,
    },
    /// An archive of the topics, with no Kafka.
    Archive {
        /// Where it lies.
        archive: ArchiveStore,
        /// In front of every topic name.
        prefix: String,
    },
    /// An archive, and from its end on the topics.
    ArchiveThenKafka {
        /// Where it lies.
        archive: ArchiveStore,
        /// As with [`Records::Kafka`].
        config: ClientConfig,
        /// In front of every topic name.
        prefix: String,
        /// How long the brokers may send nothing that is due.
        patience: Duration,
    },
    /// Memory.
    Memory(MemoryLog),
}

impl Records {
    /// In front of every topic name.
    pub fn prefix(&self) -> &str {
        match self {
            Records::Kafka { prefix, .. }
            | Records::Archive { prefix, .. }
            | Records::ArchiveThenKafka { prefix, .. } => prefix,
            Records::Memory(_) => "",
        }
    }

    /// To read from, until the interrupt is raised. Connects to nothing yet.
    pub(crate) fn source(&self, interrupt: &Interrupt) -> Result<Source, ReplayError> {
        let archived = |archive: &ArchiveStore, prefix: &str| ArchiveLog::new(archive.clone(), prefix, interrupt);
        let topics = |config: &ClientConfig, prefix: &str, patience: &Duration| {
            KafkaLog::new(config, prefix, *patience, interrupt)
        };
        Ok(match self {
            Records::Kafka { config, prefix, patience } => Source::Kafka(topics(config, prefix, patience)?),
            Records::Archive { archive, prefix } => Source::Archive(archived(archive, prefix)),
            Records::ArchiveThenKafka { archive, config, prefix, patience } => {
                Source::ArchiveThenKafka(archived(archive, prefix), topics(config, prefix, patience)?)
            }
            Records::Memory(log) => Source::Memory(log.clone()),
        })
    }
}
