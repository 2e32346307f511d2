//! How far this instance is in one topic partition.
//!
//! The database row is the truth (`outbox::inbox`); this is its copy, corrected whenever the row turns out to have moved.
//! A feed may be held: its records wait, because going on would lose or double something.

use std::time::Instant;

use outbox::inbox::{Cursor, LogStart};
use schemas::TopicName;

/// A topic partition that a service reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedId {
    /// The topic.
    pub topic: TopicName,
    /// The partition, which is also the lane.
    pub partition: i32,
}

impl std::fmt::Display for FeedId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.topic.as_str(), self.partition)
    }
}

/// The state of one feed.
#[derive(Debug)]
pub(crate) struct Feed {
    /// What the row holds: the next offset, or nothing before the first record was taken.
    pub(crate) row: Option<i64>,
    /// Where to resume: the row's next offset, or the log's beginning.
    pub(crate) next_offset: i64,
    /// The row's position of the believed source, where the topic has one.
    pub(crate) cursor: Option<Cursor>,
    /// The same as `cursor`, ahead by what the batch being gathered holds.
    pub(crate) gathered: Option<Cursor>,
    /// Offsets below this were gathered already.
    pub(crate) gathered_offset: i64,
    /// Whether the log began at offset 0 when the feed was assigned.
    pub(crate) log_start: LogStart,
    /// Re-reading the log in search of a missing sequence, up to the record that showed the gap.
    pub(crate) rereading: Option<Reread>,
    /// Why the feed waits.
    pub(crate) hold: Option<Hold>,
    /// The next offset when its range was last looked at.
    pub(crate) looked_at: Option<i64>,
    /// Whether it is fetched now; a held feed is, only while it is tried again.
    pub(crate) fetching: bool,
}

/// A search for a missing sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reread {
    /// The offset of the record that showed the gap.
    pub(crate) until: i64,
}

/// A feed that waits.
#[derive(Debug)]
pub(crate) struct Hold {
    /// The record that cannot be taken.
    pub(crate) offset: i64,
    /// Why, for people.
    pub(crate) reason: String,
    /// Since when.
    pub(crate) since: Instant,
}

impl Feed {
    /// A feed at its row's values.
    pub(crate) fn new(row: Option<i64>, low: i64, cursor: Option<Cursor>, log_start: LogStart) -> Self {
        let next_offset = row.unwrap_or(low);
        Feed {
            row,
            next_offset,
            cursor,
            gathered: cursor,
            gathered_offset: next_offset,
            log_start,
            rereading: None,
            hold: None,
            looked_at: None,
            fetching: true,
        }
    }

    /// Forget what was gathered: the batch was given up, or the row has moved.
    pub(crate) fn rewind(&mut self) {
        self.gathered = self.cursor;
        self.gathered_offset = self.next_offset;
    }

    /// Where to fetch from.
    pub(crate) fn fetch_offset(&self, low_watermark: i64) -> i64 {
        if self.rereading.is_some() { low_watermark } else { self.next_offset }
    }

    /// The row now says this.
    pub(crate) fn committed(&mut self, next_offset: i64, cursor: Option<Cursor>) {
        self.row = Some(next_offset);
        self.next_offset = next_offset;
        if cursor.is_some() {
            self.cursor = cursor;
        }
        // After a rewind the rest of the batch is committed all the same: its records must not be gathered again.
        if self.gathered_offset < next_offset {
            self.rewind();
        }
        if self.hold.as_ref().is_some_and(|hold| next_offset > hold.offset) {
            self.hold = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(sequence: i64) -> Option<Cursor> {
        Some(Cursor { epoch: 1, sequence })
    }

    #[test]
    fn a_batch_committed_after_a_rewind_is_not_gathered_again() {
        let mut feed = Feed::new(Some(10), 0, cursor(10), LogStart::AtZero);
        (feed.gathered, feed.gathered_offset) = (cursor(15), 15);
        feed.rewind();
        assert_eq!((feed.gathered, feed.gathered_offset), (cursor(10), 10));
        feed.committed(15, cursor(15));
        assert_eq!((feed.gathered, feed.gathered_offset), (cursor(15), 15));
    }

    #[test]
    fn a_hold_ends_when_its_record_is_taken() {
        let mut feed = Feed::new(None, 0, None, LogStart::AtZero);
        feed.hold = Some(Hold { offset: 5, reason: "a gap".into(), since: Instant::now() });
        feed.committed(5, cursor(5));
        assert!(feed.hold.is_some());
        feed.committed(6, cursor(6));
        assert!(feed.hold.is_none());
    }
}
