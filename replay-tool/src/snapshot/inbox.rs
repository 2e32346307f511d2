//! How far a service has read: where it resumes, and the last position that it took from each source.

use std::collections::{HashMap, HashSet};

use outbox::inbox::place::{Place, Restoration};
use outbox::inbox::{Cursor, Inbox, TopicPartition};
use schemas::TopicName;
use tokio_postgres::Client;

use crate::error::ReplayError;
use crate::keeper::Keeper;

/// A service's inbox, by full topic name and partition.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct InboxSnapshot {
    /// The offset of the next record to take; no entry until the first was taken.
    pub(crate) resume: HashMap<(String, i32), i64>,
    /// The last position taken, by source.
    pub(crate) cursors: HashMap<(String, i32, String), Cursor>,
    /// What restores have made of a partition; no entry where none did.
    pub(crate) restorations: HashMap<(String, i32), Restoration>,
    /// Records that were read and wait behind a parked key, by topic without prefix.
    pub(crate) parked: HashMap<String, HashSet<Place>>,
}

impl InboxSnapshot {
    /// Records below this offset are taken.
    pub(crate) fn resume(&self, topic: &str, partition: i32) -> i64 {
        self.resume.get(&(topic.to_owned(), partition)).copied().unwrap_or(0)
    }

    /// What restores have made of a partition.
    pub(crate) fn restoration(&self, topic: &str, partition: i32) -> Restoration {
        self.restorations.get(&(topic.to_owned(), partition)).copied().unwrap_or_default()
    }

    /// Records of a topic that were read and are not taken yet: they are parked.
    pub(crate) fn parked(&self, topic: TopicName) -> HashSet<Place> {
        self.parked.get(topic.as_str()).cloned().unwrap_or_default()
    }

    /// Whether a topic was restored into another number of partitions.
    pub(crate) fn has_moved(&self, topic: &str) -> bool {
        self.restorations.keys().any(|(of, _)| of == topic)
    }

    /// The last position taken from a source.
    pub(crate) fn cursor(&self, topic: &str, partition: i32, source: &str) -> Option<Cursor> {
        self.cursors.get(&(topic.to_owned(), partition, source.to_owned())).copied()
    }
}

/// How far the service has read.
pub(crate) async fn read_inbox(
    keeper: impl Into<Keeper>,
    client: &Client,
    schema: &str,
) -> Result<InboxSnapshot, ReplayError> {
    let failed = ReplayError::outbox(keeper);
    let inbox = Inbox::new(schema).map_err(&failed)?;
    let mut snapshot = InboxSnapshot::default();
    for (topic, place) in inbox.parked_places(client).await.map_err(&failed)? {
        snapshot.parked.entry(topic).or_default().insert(place);
    }
    for (TopicPartition { topic, partition }, state) in inbox.load_all(client).await.map_err(&failed)? {
        let restoration = Restoration { below: state.restored_below, shift: state.place_shift };
        if restoration != Restoration::default() {
            snapshot.restorations.insert((topic.clone(), partition), restoration);
        }
        let cursors = state.cursors.into_iter();
        snapshot.cursors.extend(cursors.map(|(source, cursor)| ((topic.clone(), partition, source), cursor)));
        snapshot.resume.extend(state.next_offset.map(|next| ((topic, partition), next)));
    }
    Ok(snapshot)
}
