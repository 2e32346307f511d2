//! Reads one topic from its beginning until it has been read to the cut, and to the end that it had.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::broker;
use super::record::Record;
use crate::error::CheckError;
use crate::fold::Scan;

/// How long one poll may wait.
const POLL: Duration = Duration::from_millis(50);

/// Where to read, and how patiently.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) kafka: ClientConfig,
    /// The full name.
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    /// How long nothing may come.
    pub(crate) patience: Duration,
    /// Turns true when nobody waits for the result any more.
    pub(crate) is_given_up: Arc<AtomicBool>,
}

/// Feed the scan until it is complete, or nothing more comes: then the scan knows what is missing. Blocks.
pub(crate) fn read(source: &Source, scan: &mut Scan) -> Result<(), CheckError> {
    if scan.is_complete() {
        return Ok(());
    }
    let consumer = broker::consumer(&source.kafka)?;
    let topic = source.topic.as_str();
    // Without metadata, a logical offset is looked up only after a refresh.
    consumer.fetch_metadata(Some(topic), source.patience).map_err(CheckError::kafka(format!("asking for {topic}")))?;
    let mut list = TopicPartitionList::new();
    for partition in 0..source.partitions {
        let added = list.add_partition_offset(topic, partition, Offset::Beginning);
        added.map_err(CheckError::kafka(format!("choosing {topic}[{partition}]")))?;
    }
    consumer.assign(&list).map_err(CheckError::kafka(format!("assigning {topic}")))?;
    let mut heard = Instant::now();
    let mut last = None;
    while !scan.is_complete() && !source.is_given_up.load(Ordering::Relaxed) {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let was_needed = scan.take(&Record::of(&message));
                // What comes behind the cut is no progress: the pipeline may run on for ever.
                heard = if was_needed { Instant::now() } else { heard };
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => scan.reached_end(partition),
            Some(Err(error)) if is_final(&error) => {
                return Err(CheckError::Kafka { doing: format!("reading {topic}"), source: error });
            }
            // The client reconnects by itself.
            Some(Err(error)) => last = Some(error.to_string()),
            None => {}
        }
        if heard.elapsed() > source.patience {
            if scan.has_reached_ends() {
                return Ok(());
            }
            return Err(CheckError::Silent { topic: topic.to_owned(), wait_s: source.patience.as_secs(), last });
        }
    }
    Ok(())
}

/// Whether waiting cannot help.
fn is_final(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        [
            RDKafkaErrorCode::UnknownTopicOrPartition,
            RDKafkaErrorCode::UnknownTopic,
            RDKafkaErrorCode::UnknownPartition,
            RDKafkaErrorCode::OffsetOutOfRange,
            RDKafkaErrorCode::AutoOffsetReset,
            RDKafkaErrorCode::TopicAuthorizationFailed,
            RDKafkaErrorCode::Fatal,
        ]
        .contains(&code)
    })
}
