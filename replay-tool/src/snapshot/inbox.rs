//! How far a service has read: where it resumes, and the last position that it took from each source.

use std::collections::HashMap;

use outbox::inbox::Cursor;
use schemas::ServiceName;
use schemas::place::Restoration;
use tokio_postgres::{Client, Row};

use crate::error::ReplayError;
use crate::rows::Columns;

/// A service's inbox, by full topic name and partition.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct InboxSnapshot {
    /// The offset of the next record to take; no entry until the first was taken.
    pub(crate) resume: HashMap<(String, i32), i64>,
    /// The last position taken, by source.
    pub(crate) cursors: HashMap<(String, i32, String), Cursor>,
    /// What restores have made of a partition; no entry where none did.
    pub(crate) restorations: HashMap<(String, i32), Restoration>,
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
pub(crate) async fn read_inbox(service: ServiceName, client: &Client) -> Result<InboxSnapshot, ReplayError> {
    let failed = || ReplayError::database(service, "reading the inbox");
    let (offsets, positions) = tokio::try_join!(
        client.query("select topic, partition, next_offset, restored_below, place_shift from inbox_offsets", &[]),
        client.query("select topic, partition, source, epoch, sequence from inbox_positions", &[]),
    )
    .map_err(failed())?;
    read_rows(&offsets, &positions).map_err(failed())
}

fn read_rows(offsets: &[Row], positions: &[Row]) -> Result<InboxSnapshot, tokio_postgres::Error> {
    let mut inbox = InboxSnapshot::default();
    for row in offsets {
        let mut columns = Columns::of(row);
        let (place, resume): ((String, i32), Option<i64>) = ((columns.next()?, columns.next()?), columns.next()?);
        let restoration = Restoration { below: columns.next()?, shift: columns.next()? };
        if restoration != Restoration::default() {
            inbox.restorations.insert(place.clone(), restoration);
        }
        inbox.resume.extend(resume.map(|resume| (place, resume)));
    }
    for row in positions {
        let mut columns = Columns::of(row);
        let place = (columns.next()?, columns.next()?, columns.next()?);
        inbox.cursors.insert(place, Cursor { epoch: columns.next()?, sequence: columns.next()? });
    }
    Ok(inbox)
}
