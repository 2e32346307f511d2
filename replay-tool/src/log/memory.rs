//! Records that lie in memory: what a benchmark reads when neither a broker nor a disk is to be measured, and tests
//! that need no server.
//!
//! All of a partition's bytes are in one buffer; a record is where its parts begin and end in it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use outbox::position::{LAST_EQUAL_HEADER, POSITION_HEADER};
use schemas::TopicName;

use super::channel::Channel;
use super::range::{Bounds, Range, Sink};
use super::record::{Record, TimestampType};

/// Records by topic and partition, in their order; all of them as a service's relay would have published them.
#[derive(Clone, Default)]
pub struct MemoryLog {
    partitions: usize,
    topics: BTreeMap<TopicName, Vec<Arc<Partition>>>,
}

#[derive(Default)]
struct Partition {
    bytes: Vec<u8>,
    records: Vec<Cuts>,
}

/// Where key, payload and position end.
#[derive(Clone, Copy)]
struct Cuts {
    begin: usize,
    key: usize,
    payload: usize,
    position: usize,
    /// Where it is not that of the position, there is an `outbox-last-equal`.
    last_equal: usize,
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLog").field("records", &self.len()).finish_non_exhaustive()
    }
}

impl MemoryLog {
    /// Without records, for topics of so many partitions.
    pub fn new(partitions: usize) -> Self {
        MemoryLog { partitions, topics: BTreeMap::new() }
    }

    /// Add a record at the end of its partition; `position` is the value of `outbox-position`, `last_equal` that of
    /// `outbox-last-equal`, empty where there is none. Nothing is added to a partition that there is not, or once the log
    /// was cloned.
    pub fn push(
        &mut self,
        topic: TopicName,
        partition: usize,
        key: &[u8],
        payload: &[u8],
        (position, last_equal): (&[u8], &[u8]),
    ) {
        let partitions = self.partitions;
        let of_topic = self.topics.entry(topic).or_insert_with(|| (0..partitions).map(|_| Arc::default()).collect());
        let Some(partition) = of_topic.get_mut(partition).and_then(Arc::get_mut) else { return };
        let begin = partition.bytes.len();
        let (key_end, payload_end) = (begin + key.len(), begin + key.len() + payload.len());
        let position_end = payload_end + position.len();
        [key, payload, position, last_equal].into_iter().for_each(|part| partition.bytes.extend_from_slice(part));
        let last_equal = partition.bytes.len();
        let cuts = Cuts { begin, key: key_end, payload: payload_end, position: position_end, last_equal };
        partition.records.push(cuts);
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.topics.values().flatten().map(|partition| partition.records.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every record of a topic: partition, key, payload and position.
    pub fn records(&self, topic: TopicName) -> impl Iterator<Item = (usize, &[u8], &[u8], &[u8])> {
        let partitions = self.topics.get(&topic).into_iter().flatten().enumerate();
        partitions.flat_map(|(number, partition)| {
            partition.records.iter().map(move |cuts| {
                let bytes = &partition.bytes;
                (
                    number,
                    &bytes[cuts.begin..cuts.key],
                    &bytes[cuts.key..cuts.payload],
                    &bytes[cuts.payload..cuts.position],
                )
            })
        })
    }

    pub(crate) fn bounds(&self, channel: Channel) -> Vec<Bounds> {
        let length = |partition: usize| self.partition(channel, partition).map_or(0, |found| found.records.len());
        let end = |partition| i64::try_from(length(partition)).unwrap_or(i64::MAX);
        (0..self.partitions).map(|partition| Bounds { first: 0, end: end(partition) }).collect()
    }

    pub(crate) fn read(&self, channel: Channel, ranges: &[Range], sink: &mut Sink<'_>) {
        for range in ranges {
            let partition = usize::try_from(range.partition).ok().and_then(|index| self.partition(channel, index));
            let Some(partition) = partition else { continue };
            for offset in range.from..range.until {
                let Some(cuts) = usize::try_from(offset).ok().and_then(|index| partition.records.get(index)) else {
                    break;
                };
                let bytes = &partition.bytes;
                let headers = [
                    (POSITION_HEADER, Some(&bytes[cuts.payload..cuts.position])),
                    (LAST_EQUAL_HEADER, Some(&bytes[cuts.position..cuts.last_equal])),
                ];
                let headers = if cuts.last_equal > cuts.position { &headers[..] } else { &headers[..1] };
                let record = Record {
                    partition: range.partition,
                    offset,
                    timestamp_ms: 0,
                    timestamp_type: TimestampType::None,
                    key: Some(&bytes[cuts.begin..cuts.key]),
                    payload: Some(&bytes[cuts.key..cuts.payload]),
                    headers: Some(headers.into()),
                };
                if sink(&record).is_break() {
                    return;
                }
            }
        }
    }

    fn partition(&self, channel: Channel, partition: usize) -> Option<&Partition> {
        match channel {
            Channel::Messages(topic) => self.topics.get(&topic)?.get(partition).map(Arc::as_ref),
            Channel::DeadLetters(_) => None,
        }
    }
}
