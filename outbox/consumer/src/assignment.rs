//! Where feeds resume: what their rows say, compared with their logs.
//!
//! Always the row's offset, never the group's; without a row the log's beginning. The offset is believed only in its own
//! log: it is fetched from the record before it, which must be the one that was taken, or else the topic's id must be the
//! one it was.

use std::collections::HashMap;
use std::time::Instant;

use crate::database::Database;
use outbox::inbox::place::Restoration;
use outbox::inbox::{
    Cursor, Inbox, LogMark, LogSight, LogStart, LogVerdict, OtherLog, PartitionState, TopicPartition, judge_log,
};
use uuid::Uuid;

use crate::contract::Contract;
use crate::failure::Failure;
use crate::feed::{Feed, FeedId, Proof};
use crate::log_look::LogLook;
use crate::topic_names::TopicNames;

/// How closely the logs are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closeness {
    /// What a log holds is asked for only where nothing else tells anything. The rest shows when it is read.
    AsNeeded,
    /// What every log holds is asked for: something was wrong with it.
    WithRanges,
}

/// Feeds at their rows' values.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    pub(crate) feeds: HashMap<FeedId<T>, Feed>,
    /// Those whose log is not the one that their offset belongs to: nothing of them may be taken.
    pub(crate) others: HashMap<FeedId<T>, OtherLog>,
}

/// Where a feed's row and its log are looked up.
#[derive(Clone)]
pub(crate) struct Sources<T> {
    pub(crate) database: Database,
    pub(crate) inbox: Inbox,
    pub(crate) topics: TopicNames<T>,
    pub(crate) look: LogLook,
}

/// These feeds at their rows' values, each compared with its log; rows are created where there are none.
pub(crate) async fn load<C: Contract>(
    from: &Sources<C::Topic>,
    ids: &[FeedId<C::Topic>],
    closeness: Closeness,
) -> Result<Loaded<C::Topic>, Failure> {
    let Sources { database, inbox, topics, look } = from;
    let client = database.client().await?;
    let keys: Vec<TopicPartition> = ids
        .iter()
        .map(|id| TopicPartition { topic: topics.full(id.topic).to_string(), partition: id.partition })
        .collect();
    inbox.ensure(&client, &keys).await.map_err(Failure::of_outbox)?;
    let states = inbox.load(&client, &keys).await.map_err(Failure::of_outbox)?;
    let writer = |id: &FeedId<C::Topic>| C::written_by(id.topic);
    let is_ranged = |id: &FeedId<C::Topic>, state: &PartitionState| {
        closeness == Closeness::WithRanges || needs_range(writer(id), state)
    };
    let ranged: Vec<FeedId<C::Topic>> =
        ids.iter().zip(&states).filter(|(id, state)| is_ranged(id, state)).map(|(id, _)| *id).collect();
    let sights = look.sights::<C>(topics, ids, &ranged).await?;
    let mut loaded = Loaded { feeds: HashMap::new(), others: HashMap::new() };
    let mut adopted = Vec::new();
    for ((id, state), key) in ids.iter().zip(&states).zip(keys) {
        let sight = sights.get(id).copied().unwrap_or_default();
        let verdict = verdict(writer(id), state, &sight);
        adopted.extend(adoption(state, &sight, &verdict).map(|(next_offset, topic_id)| (key, next_offset, topic_id)));
        loaded.feeds.insert(*id, feed_of(writer(id), state, &sight, &verdict));
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
fn needs_range(writer: Option<&str>, state: &PartitionState) -> bool {
    let lacks_cursor = writer.is_some() && cursor_of(writer, state).is_none();
    state.next_offset.is_none() || state.log.is_blank() || lacks_cursor
}

fn verdict(writer: Option<&str>, state: &PartitionState, sight: &LogSight) -> LogVerdict {
    match state.next_offset {
        _ if needs_range(writer, state) && sight.range.is_none() => {
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

fn feed_of(writer: Option<&str>, state: &PartitionState, sight: &LogSight, verdict: &LogVerdict) -> Feed {
    let low = sight.range.map_or(0, |range| range.first);
    let log_start = if low == 0 { LogStart::AtZero } else { LogStart::Later };
    let mut feed = Feed::new(state.next_offset, low, cursor_of(writer, state), log_start);
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
fn cursor_of(writer: Option<&str>, state: &PartitionState) -> Option<Cursor> {
    state.cursors.get(writer?).copied()
}
