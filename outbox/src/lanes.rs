//! Lanes: one per topic partition, numbered `topic id << 16 | partition`.
//!
//! This file knows which topics exist and finds the lane of a message. It does not know what has been published; that is
//! the relay's part.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::OutboxError;
use crate::message::{OutboxMessage, Target};
use crate::partitioner;

/// A topic to register with an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Full name.
    pub name: String,
    /// Its partition count, fixed from then on.
    pub partitions: i32,
}

/// Number of a lane.
pub type Lane = i32;

/// The topics of one outbox with their ids.
#[derive(Debug)]
pub(crate) struct Lanes {
    by_name: HashMap<Arc<str>, Topic>,
}

#[derive(Debug, Clone, Copy)]
struct Topic {
    id: i32,
    partitions: i32,
}

impl Lanes {
    pub(crate) fn new(topics: impl IntoIterator<Item = (i16, TopicSpec)>) -> Self {
        let topic = |(id, spec): (i16, TopicSpec)| {
            (Arc::from(spec.name), Topic { id: i32::from(id), partitions: spec.partitions })
        };
        Self { by_name: topics.into_iter().map(topic).collect() }
    }

    /// The lane that a message goes to.
    pub(crate) fn of(&self, message: &OutboxMessage) -> Result<Lane, OutboxError> {
        let Some(topic) = self.by_name.get(&message.topic) else {
            return Err(OutboxError::UnknownTopic { topic: message.topic.to_string() });
        };
        let partition = match (message.partition, &message.key) {
            (Target::Given(partition), _) if (0..topic.partitions).contains(&partition) => partition,
            (Target::Given(partition), _) => {
                return Err(OutboxError::UnknownPartition { topic: message.topic.to_string(), partition });
            }
            (Target::ByKey, Some(key)) => partitioner::partition_of(key, topic.partitions),
            (Target::ByKey, None) => return Err(OutboxError::NoKey { topic: message.topic.to_string() }),
        };
        Ok(topic.id << 16 | partition)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message(topic: &str, partition: Target, key: Option<&'static str>) -> OutboxMessage {
        let key = key.map(|k| Bytes::from_static(k.as_bytes()));
        OutboxMessage { partition, key, ..OutboxMessage::event(topic, "t") }
    }

    #[test]
    fn a_message_finds_its_lane_or_is_refused() {
        let lanes = Lanes::new([(3, TopicSpec { name: "t".to_owned(), partitions: 6 })]);
        assert_eq!(lanes.of(&message("t", Target::Given(5), None)).unwrap(), (3 << 16) | 5);
        assert_eq!(lanes.of(&message("t", Target::ByKey, Some("abc"))).unwrap(), (3 << 16) | (479_470_107 % 6));
        assert!(matches!(lanes.of(&message("u", Target::Given(0), None)), Err(OutboxError::UnknownTopic { .. })));
        for partition in [-1, 6] {
            let outside = lanes.of(&message("t", Target::Given(partition), None));
            assert!(matches!(outside, Err(OutboxError::UnknownPartition { .. })));
        }
        assert!(matches!(lanes.of(&message("t", Target::ByKey, None)), Err(OutboxError::NoKey { .. })));
    }
}
