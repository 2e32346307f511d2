//! From a rebalance to fetching: which feeds are ours, where their rows say to resume, and telling the consumer.
//!
//! Always the row's offset, never the group's; without a row the log's beginning. The offset is believed only in its own
//! log: it is fetched from the record before it, which must be the one that was taken, or else the topic's id must be the
//! one it was.

use std::collections::HashMap;
use std::time::Instant;

use outbox::inbox::{
    Cursor, Inbox, LogMark, LogSight, LogStart, LogVerdict, OtherLog, PartitionState, TopicPartition, judge_log,
};
use provision::Database;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use schemas::place::Restoration;
use uuid::Uuid;

use super::consumer::Consumer;
use super::emitter::TopicNames;
use super::engine::Engine;
use super::failure::Failure;
use super::feed::{Feed, FeedId, Proof};
use super::log_look::LogLook;
use super::process::Processor;
use super::service::{Lanes, Service};

/// How closely the logs are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closeness {
    /// What a log holds is asked for only where nothing else tells anything. The rest shows when it is read.
    AsNeeded,
    /// What every log holds is asked for: something was wrong with it.
    WithRanges,
}

/// Feeds at their rows' values.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) feeds: HashMap<FeedId, Feed>,
    /// Those whose log is not the one that their offset belongs to: nothing of them may be taken.
    pub(crate) others: HashMap<FeedId, OtherLog>,
}

/// Where a feed's row and its log are looked up.
#[derive(Clone)]
pub(crate) struct Sources {
    database: Database,
    inbox: Inbox,
    topics: TopicNames,
    look: LogLook,
}

impl<S: Service> Engine<S> {
    /// Where this instance looks.
    pub(super) fn sources(&self) -> Sources {
        let Processor { database, inbox, topics, .. } = &self.processor;
        Sources {
            database: database.clone(),
            inbox: inbox.clone(),
            topics: topics.clone(),
            look: self.logs.look.clone(),
        }
    }
}

/// These feeds at their rows' values, each compared with its log; rows are created where there are none.
pub(crate) async fn load(from: &Sources, ids: &[FeedId], closeness: Closeness) -> Result<Loaded, Failure> {
    let Sources { database, inbox, topics, look } = from;
    let client = database.client().await?;
    let keys: Vec<TopicPartition> = ids
        .iter()
        .map(|id| TopicPartition { topic: topics.full(id.topic).to_string(), partition: id.partition })
        .collect();
    inbox.ensure(&client, &keys).await.map_err(Failure::of_outbox)?;
    let states = inbox.load(&client, &keys).await.map_err(Failure::of_outbox)?;
    let is_ranged = |id: FeedId, state: &PartitionState| closeness == Closeness::WithRanges || needs_range(id, state);
    let ranged: Vec<FeedId> =
        ids.iter().zip(&states).filter(|(id, state)| is_ranged(**id, state)).map(|(id, _)| *id).collect();
    let sights = look.sights(topics, ids, &ranged).await?;
    let mut loaded = Loaded::default();
    let mut adopted = Vec::new();
    for ((id, state), key) in ids.iter().zip(&states).zip(keys) {
        let sight = sights.get(id).copied().unwrap_or_default();
        let verdict = verdict(*id, state, &sight);
        adopted.extend(adoption(state, &sight, &verdict).map(|(next_offset, topic_id)| (key, next_offset, topic_id)));
        loaded.feeds.insert(*id, feed_of(*id, state, &sight, &verdict));
        if let LogVerdict::Other(other) = verdict {
            loaded.others.insert(*id, other);
        }
    }
    if !adopted.is_empty() {
        inbox.adopt(&client, &adopted).await.map_err(Failure::of_outbox)?;
    }
    Ok(loaded)
}

/// Whether a row alone does not tell enough: where to begin, whether the log has lost its beginning, or which log it is.
fn needs_range(id: FeedId, state: &PartitionState) -> bool {
    let lacks_cursor = id.topic.written_by().is_some() && cursor_of(id, state).is_none();
    state.next_offset.is_none() || state.log.is_blank() || lacks_cursor
}

fn verdict(id: FeedId, state: &PartitionState, sight: &LogSight) -> LogVerdict {
    match state.next_offset {
        _ if needs_range(id, state) && sight.range.is_none() => {
            LogVerdict::Other(OtherLog::Untold { next_offset: state.next_offset.unwrap_or(0) })
        }
        // Nothing was taken yet, so nothing can be passed over.
        None => LogVerdict::Same,
        Some(next_offset) => judge_log(next_offset, &state.log, sight),
    }
}

/// What a row that remembers nothing of its log is to remember from now on.
fn adoption(state: &PartitionState, sight: &LogSight, verdict: &LogVerdict) -> Option<(i64, Uuid)> {
    let next_offset = state.next_offset.filter(|_| state.log.is_blank())?;
    match verdict {
        LogVerdict::Adopt => Some((next_offset, sight.topic_id?)),
        LogVerdict::Other(OtherLog::Outside { .. }) => Some((next_offset, LogMark::lost().topic_id?)),
        LogVerdict::Same | LogVerdict::Prove(_) | LogVerdict::Other(_) => None,
    }
}

fn feed_of(id: FeedId, state: &PartitionState, sight: &LogSight, verdict: &LogVerdict) -> Feed {
    let low = sight.range.map_or(0, |range| range.first);
    let log_start = if low == 0 { LogStart::AtZero } else { LogStart::Later };
    let mut feed = Feed::new(state.next_offset, low, cursor_of(id, state), log_start);
    let known = state.log.topic_id.filter(|_| state.next_offset.is_some());
    feed.log = LogMark { topic_id: known, ..state.log };
    feed.restoration = Restoration { below: state.restored_below, shift: state.place_shift };
    match verdict {
        LogVerdict::Same | LogVerdict::Adopt => feed.log.topic_id = known.or(sight.topic_id),
        LogVerdict::Prove(witness) => {
            let topic_id = known.or(sight.topic_id);
            feed.proof = Some(Proof { witness: *witness, topic_id, since: Instant::now() });
        }
        LogVerdict::Other(_) => feed.fetching = false,
    }
    feed
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
    lows: &HashMap<FeedId, i64>,
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (id, feed) in feeds.iter().filter(|(_, feed)| feed.fetching) {
        let offset = feed.fetch_offset(lows.get(id).copied().unwrap_or_default());
        list.add_partition_offset(&topics.full(id.topic), id.partition, Offset::Offset(offset))?;
    }
    consumer.assign(&list)
}

/// The partition numbers of these feeds.
pub(crate) fn lanes_of<'f>(feeds: impl IntoIterator<Item = &'f FeedId>) -> Lanes {
    feeds.into_iter().map(|id| id.partition).collect()
}
