//! What tells a topic from another of the same name: the last record of each partition that a plan reaches to.
//!
//! A rebuild reads a topic more than once, and one that was killed goes on much later. If the topic was deleted and made
//! again meanwhile, two logs would become one state; so the records are looked up again before a run goes on, and after
//! it has read everything.

use std::collections::BTreeMap;

use schemas::TopicName;
use serde::{Deserialize, Serialize};

use crate::error::ReplayError;
use crate::log::{Channel, Record, Witness, check_topic};
use crate::source::Source;

/// By topic, without prefix, and partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Marks(BTreeMap<String, BTreeMap<i32, Witness>>);

impl Marks {
    /// Remember the record; of a partition's records the last one counts.
    pub(crate) fn remember(&mut self, topic: TopicName, record: &Record<'_>) {
        self.0.entry(topic.as_str().to_owned()).or_default().insert(record.partition, Witness::of(record));
    }

    /// Whether all of these records are still there. What lies in an archive or in memory never changes. Blocks.
    pub(crate) fn check(&self, source: &Source) -> Result<(), ReplayError> {
        let kafka = match source {
            Source::Kafka(kafka) | Source::ArchiveThenKafka(_, kafka) => kafka,
            Source::Archive(_) | Source::Memory(_) => return Ok(()),
        };
        for (name, marks) in &self.0 {
            let Some(topic) = TopicName::parse(name) else { continue };
            let channel = Channel::Messages(topic);
            let there = kafka.bounds(channel)?;
            let witnesses: Vec<Option<Witness>> =
                (0_i32..).take(there.len()).map(|partition| marks.get(&partition).cloned()).collect();
            match check_topic(kafka, channel, &there, &witnesses) {
                Err(ReplayError::OtherTopic { topic, partition, reason }) => {
                    return Err(ReplayError::Remade { topic, partition, reason });
                }
                other => other?,
            }
        }
        Ok(())
    }
}
