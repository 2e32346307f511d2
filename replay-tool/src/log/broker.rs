//! What the brokers have: partition counts and where each log begins and ends.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

use super::channel::Channel;
use crate::error::CheckError;

/// How long one question to the brokers may take.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// The partitions of every topic, with the offset after their last record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) partitions: i32,
    pub(crate) ends: HashMap<(Channel, i32), i64>,
}

/// A consumer for one reading: in no group, on no group's offsets, told about the end of every partition.
pub(super) fn consumer(kafka: &ClientConfig) -> Result<BaseConsumer, CheckError> {
    let mut config = kafka.clone();
    config
        .set("group.id", format!("replay-tool-{}", Uuid::now_v7()))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "20")
        .set("queued.max.messages.kbytes", "8192");
    config.create().map_err(CheckError::kafka("the configuration"))
}

/// Ask for all topics of this prefix. Blocks.
pub(crate) fn find_ends(kafka: &ClientConfig, prefix: &str) -> Result<Ends, CheckError> {
    let consumer = consumer(kafka)?;
    let metadata = consumer.fetch_metadata(None, ANSWER_WAIT).map_err(CheckError::kafka("asking for the topics"))?;
    let counts: HashMap<&str, usize> =
        metadata.topics().iter().map(|topic| (topic.name(), topic.partitions().len())).collect();
    let mut expected = 0;
    let mut wanted = TopicPartitionList::new();
    let mut places = HashMap::new();
    for channel in Channel::all() {
        let topic = format!("{prefix}{}", channel.name());
        let found = *counts.get(topic.as_str()).ok_or_else(|| CheckError::NoTopic { topic: topic.clone() })?;
        if expected == 0 {
            expected = found;
        } else if found != expected {
            return Err(CheckError::Partitions { topic, found, expected });
        }
        for partition in 0..i32::try_from(found).unwrap_or(i32::MAX) {
            wanted.add_partition(&topic, partition);
            places.insert((topic.clone(), partition), channel);
        }
    }
    let begins = offsets(&consumer, &wanted, Offset::Beginning)?;
    if let Some(((topic, partition), low)) = begins.into_iter().find(|(_, low)| *low > 0) {
        return Err(CheckError::LogTruncated { topic, partition, low });
    }
    let ends = offsets(&consumer, &wanted, Offset::End)?
        .into_iter()
        .filter_map(|((topic, partition), end)| {
            places.get(&(topic, partition)).map(|channel| ((*channel, partition), end))
        })
        .collect();
    Ok(Ends { partitions: i32::try_from(expected).unwrap_or(i32::MAX), ends })
}

/// One question for all partitions: the protocol takes the two ends of a log in place of a time.
fn offsets(
    consumer: &BaseConsumer,
    wanted: &TopicPartitionList,
    at: Offset,
) -> Result<HashMap<(String, i32), i64>, CheckError> {
    let mut asked = wanted.clone();
    asked.set_all_offsets(at).map_err(CheckError::kafka("asking for offsets"))?;
    let told = consumer.offsets_for_times(asked, ANSWER_WAIT).map_err(CheckError::kafka("asking for offsets"))?;
    told.elements()
        .iter()
        .map(|element| {
            element.error().map_err(CheckError::kafka(format!("asking for offsets of {}", element.topic())))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => offset,
                Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => 0,
            };
            Ok(((element.topic().to_owned(), element.partition()), offset))
        })
        .collect()
}
