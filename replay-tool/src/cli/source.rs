//! Flags that say where records are read from, the same for every verb.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::log::{KafkaLog, Source};

/// Where records are read from.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Kafka bootstrap addresses, host:port, several with commas; empty: none.
    #[arg(long, env = "KAFKA_BROKERS", value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// A librdkafka property, for instance security.protocol=ssl; may be repeated.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    properties: Vec<String>,
    /// In front of every topic name.
    #[arg(long, env = "TOPIC_PREFIX", default_value = "", value_name = "TEXT")]
    topic_prefix: String,
    /// How long, in seconds, the brokers may send nothing that is due.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    broker_patience_s: u64,
}

impl SourceArgs {
    /// The source that these flags name.
    pub(crate) fn source(&self, interrupt: &Interrupt) -> Result<Source, ReplayError> {
        let kafka = self.kafka()?.ok_or_else(|| ReplayError::arguments("give --brokers"))?;
        let patience = Duration::from_secs(self.broker_patience_s);
        KafkaLog::new(&kafka, &self.topic_prefix, patience, interrupt).map(Source::Kafka)
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
