//! The topics: a log per topic partition, in order per key, read by one service each at a position of its own.

use std::collections::BTreeMap;

use schemas::{Message, ServiceName, TopicName, partitioner};

pub(super) const PARTITIONS: i32 = 3;

/// A topic partition.
pub(super) type Lane = (&'static str, i32);

#[derive(Default)]
pub(super) struct Bus {
    logs: BTreeMap<Lane, Vec<Message>>,
    read: BTreeMap<Lane, usize>,
}

pub(super) fn partition_of(key: &str) -> i32 {
    partitioner::partition_of(key.as_bytes(), PARTITIONS)
}

impl Bus {
    pub(super) fn append(&mut self, message: Message) {
        let lane = (message.topic().as_str(), partition_of(message.key()));
        self.logs.entry(lane).or_default().push(message);
    }

    /// The lanes that have something to read.
    pub(super) fn waiting(&self) -> Vec<Lane> {
        let read = ServiceName::ALL.into_iter().flat_map(ServiceName::inputs);
        let all = read.flat_map(|topic| (0..PARTITIONS).map(|partition| (topic.as_str(), partition)));
        all.filter(|lane| self.peek(*lane).is_some()).collect()
    }

    pub(super) fn peek(&self, lane: Lane) -> Option<&Message> {
        self.logs.get(&lane)?.get(self.read.get(&lane).copied().unwrap_or(0))
    }

    pub(super) fn advance(&mut self, lane: Lane) {
        *self.read.entry(lane).or_default() += 1;
    }

    /// Whether the order service has read all that there is for this partition.
    pub(super) fn order_has_caught_up(&self, partition: i32) -> bool {
        ServiceName::Order.inputs().iter().all(|topic| self.peek((topic.as_str(), partition)).is_none())
    }

    /// All messages of a topic, partition by partition.
    pub(super) fn all(&self, topic: TopicName) -> impl Iterator<Item = &Message> {
        self.logs.iter().filter(move |((name, _), _)| *name == topic.as_str()).flat_map(|(_, log)| log)
    }

    /// What of a topic has been read.
    pub(super) fn already_read(&self, topic: TopicName) -> impl Iterator<Item = &Message> {
        let of_topic = self.logs.iter().filter(move |((name, _), _)| *name == topic.as_str());
        of_topic.flat_map(|(lane, log)| log.iter().take(self.read.get(lane).copied().unwrap_or(0)))
    }
}
