//! What tells a topic from another of the same name: the last record of each partition that a plan reaches to.
//!
//! A rebuild reads a topic more than once, and one that was killed goes on much later. If the topic was deleted and made
//! again meanwhile, two logs would become one state; so the records are looked up again before a run goes on, and after
//! it has read everything.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use schemas::TopicName;
use serde::{Deserialize, Serialize};

use crate::archive::mark;
use crate::error::ReplayError;
use crate::log::{Channel, Range, Record, Source};

/// By topic, without prefix, and partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Marks(BTreeMap<String, BTreeMap<i32, Mark>>);

/// A record that was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    offset: i64,
    mark: String,
}

impl Marks {
    /// Remember the record; of a partition's records the last one counts.
    pub(crate) fn remember(&mut self, topic: TopicName, record: &Record<'_>) {
        let mark = Mark { offset: record.offset, mark: mark(record) };
        self.0.entry(topic.as_str().to_owned()).or_default().insert(record.partition, mark);
    }

    /// Whether all of these records are still there. What lies in an archive or in memory never changes. Blocks.
    pub(crate) fn check(&self, source: &Source) -> Result<(), ReplayError> {
        match source {
            Source::Kafka(_) | Source::ArchiveThenKafka(..) => {}
            Source::Archive(_) | Source::Memory(_) => return Ok(()),
        }
        for (name, marks) in &self.0 {
            let Some(topic) = TopicName::parse(name) else { continue };
            let channel = Channel::Messages(topic);
            let bounds = source.bounds(channel)?;
            let remade =
                |partition: i32, offset: i64| ReplayError::Remade { topic: source.topic(channel), partition, offset };
            let mut missing = marks.clone();
            let mut ranges = Vec::with_capacity(marks.len());
            for (partition, Mark { offset, .. }) in marks {
                let there = usize::try_from(*partition).ok().and_then(|index| bounds.get(index));
                match there {
                    // Retention has come by: it can no longer be told.
                    Some(there) if there.first > *offset => drop(missing.remove(partition)),
                    Some(there) if there.end > *offset => {
                        ranges.push(Range { partition: *partition, from: *offset, until: *offset + 1 });
                    }
                    Some(_) | None => return Err(remade(*partition, *offset)),
                }
            }
            source.read(channel, &ranges, &mut |record| {
                if marks.get(&record.partition).is_some_and(|had| had.mark == mark(record)) {
                    missing.remove(&record.partition);
                }
                ControlFlow::Continue(())
            })?;
            if let Some((partition, Mark { offset, .. })) = missing.first_key_value() {
                return Err(remade(*partition, *offset));
            }
        }
        Ok(())
    }
}
