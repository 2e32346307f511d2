//! From a rebalance to fetching: which feeds are ours, where their rows say to resume, and telling the consumer.
//!
//! Always the row's offset, never the group's; without a row the log's beginning. Watermark look-ups block, so they run
//! on a blocking thread with a time-out of their own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use outbox::inbox::{Cursor, Inbox, LogStart, PartitionState, TopicPartition};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::connection::Database;
use super::consumer::Consumer;
use super::emitter::TopicNames;
use super::failure::Failure;
use super::feed::{Feed, FeedId};
use super::service::Lanes;

/// How long one watermark look-up may take.
const WATERMARK_TIMEOUT: Duration = Duration::from_secs(5);

/// First and next offset of a topic partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watermarks {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

/// Ask the brokers for the watermarks of these feeds.
pub(crate) async fn watermarks(
    consumer: &Arc<Consumer>,
    topics: &TopicNames,
    feeds: Vec<FeedId>,
) -> Result<HashMap<FeedId, Watermarks>, Failure> {
    let consumer = consumer.clone();
    let named: Vec<_> = feeds.into_iter().map(|id| (id, topics.full(id.topic))).collect();
    let asked = tokio::task::spawn_blocking(move || {
        named
            .into_iter()
            .map(|(id, topic)| {
                let (low, high) = consumer.fetch_watermarks(&topic, id.partition, WATERMARK_TIMEOUT)?;
                Ok((id, Watermarks { low, high }))
            })
            .collect::<Result<HashMap<_, _>, KafkaError>>()
    });
    match asked.await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(Failure::Retry(format!("the brokers do not tell the watermarks: {error}"))),
        Err(error) => Err(Failure::Retry(format!("the watermark look-up ended early: {error}"))),
    }
}

/// The feeds of an assignment at their rows' values; rows are created where there are none.
pub(crate) async fn load(
    database: &Database,
    inbox: &Inbox,
    consumer: &Arc<Consumer>,
    topics: &TopicNames,
    ids: &[FeedId],
) -> Result<HashMap<FeedId, Feed>, Failure> {
    let client = database.client().await?;
    let keys: Vec<TopicPartition> = ids
        .iter()
        .map(|id| TopicPartition { topic: topics.full(id.topic).to_string(), partition: id.partition })
        .collect();
    inbox.ensure(&client, &keys).await.map_err(Failure::of_outbox)?;
    let states = inbox.load(&client, &keys).await.map_err(Failure::of_outbox)?;
    let unknown: Vec<FeedId> = ids
        .iter()
        .zip(&states)
        .filter(|(id, state)| state.next_offset.is_none() || cursor_of(**id, state).is_none())
        .map(|(id, _)| *id)
        .collect();
    let marks = watermarks(consumer, topics, unknown).await?;
    let feeds = ids.iter().zip(&states).map(|(id, state)| {
        let low = marks.get(id).map_or(0, |mark| mark.low);
        let log_start = if low == 0 { LogStart::AtZero } else { LogStart::Later };
        (*id, Feed::new(state.next_offset, low, cursor_of(*id, state), log_start))
    });
    Ok(feeds.collect())
}

/// The believed source's position in a row.
fn cursor_of(id: FeedId, state: &PartitionState) -> Option<Cursor> {
    id.topic.written_by().and_then(|writer| state.cursors.get(writer.source()).copied())
}

/// Tell the consumer what to fetch, at absolute offsets. Records fetched before are discarded by librdkafka.
pub(crate) fn fetch(
    consumer: &Consumer,
    topics: &TopicNames,
    feeds: &HashMap<FeedId, Feed>,
    low: &HashMap<FeedId, Watermarks>,
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (id, feed) in feeds.iter().filter(|(_, feed)| feed.fetching) {
        let offset = feed.fetch_offset(low.get(id).map_or(0, |mark| mark.low));
        list.add_partition_offset(&topics.full(id.topic), id.partition, Offset::Offset(offset))?;
    }
    consumer.assign(&list)
}

/// The partition numbers of these feeds.
pub(crate) fn lanes_of<'f>(feeds: impl IntoIterator<Item = &'f FeedId>) -> Lanes {
    feeds.into_iter().map(|id| id.partition).collect()
}
