//! How far this instance is in one topic partition.
//!
//! The database row is the truth (`outbox::inbox`); this is its copy, corrected whenever the row turns out to have moved.
//! A feed may be held: its records wait, because going on would lose or double something.

use std::time::Instant;

use outbox::inbox::place::Restoration;
use outbox::inbox::{Cursor, LogMark, LogStart, OtherLog, Witness};
use uuid::Uuid;

/// A topic partition that a service reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedId<T> {
    /// The topic.
    pub topic: T,
    /// The partition, which is also the lane.
    pub partition: i32,
}

impl<T: std::fmt::Display> std::fmt::Display for FeedId<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// The state of one feed.
#[derive(Debug)]
pub(crate) struct Feed {
    /// What the row holds: the next offset, or nothing before the first record was taken.
    pub(crate) row: Option<i64>,
    /// Where to resume: the row's next offset, or the log's beginning.
    pub(crate) next_offset: i64,
    /// What tells the log that the row belongs to.
    pub(crate) log: LogMark,
    /// The record that has to come first, before anything is taken.
    pub(crate) proof: Option<Proof>,
    /// The row's position of the believed source, where the topic has one.
    pub(crate) cursor: Option<Cursor>,
    /// The same as `cursor`, ahead by what the batch being gathered holds.
    pub(crate) gathered: Option<Cursor>,
    /// Offsets below this were gathered already.
    pub(crate) gathered_offset: i64,
    /// The last record that was gathered.
    pub(crate) gathered_witness: Option<Witness>,
    /// What restores have made of the log.
    pub(crate) restoration: Restoration,
    /// Whether the log began at offset 0 when the feed was assigned.
    pub(crate) log_start: LogStart,
    /// Re-reading the log in search of a missing sequence, up to the record that showed the gap.
    pub(crate) rereading: Option<Reread>,
    /// The record that could not be taken: it is kept as it came when it comes again, so that it can be parked.
    pub(crate) suspect: Option<i64>,
    /// Why the feed waits.
    pub(crate) hold: Option<Hold>,
    /// Whether it is fetched now; a held feed is, only while it is tried again.
    pub(crate) fetching: bool,
}

/// A search for a missing sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reread {
    /// The offset of the record that showed the gap.
    pub(crate) until: i64,
}

/// A log that has yet to show that it is the one that the offset belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proof {
    /// The record before the row's offset.
    pub(crate) witness: Witness,
    /// The topic's id, to be remembered once the log is believed.
    pub(crate) topic_id: Option<Uuid>,
    /// Since when it is waited for.
    pub(crate) since: Instant,
}

/// What makes a feed wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldCause {
    /// A record: the hold ends when it is taken.
    Record,
    /// The log is another one: the hold ends when the log is believed.
    Log,
}

/// A feed that waits.
#[derive(Debug)]
pub(crate) struct Hold {
    /// The record that cannot be taken.
    pub(crate) offset: i64,
    pub(crate) cause: HoldCause,
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
            log: LogMark::default(),
            proof: None,
            cursor,
            gathered: cursor,
            gathered_offset: next_offset,
            gathered_witness: None,
            restoration: Restoration::default(),
            log_start,
            rereading: None,
            suspect: None,
            hold: None,
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
        match (&self.proof, &self.rereading) {
            (Some(proof), _) => proof.witness.offset,
            (None, Some(_)) => low_watermark,
            (None, None) => self.next_offset,
        }
    }

    /// Whether its records may become part of a batch.
    pub(crate) fn takes_records(&self) -> bool {
        self.fetching && self.proof.is_none()
    }

    /// Judges the record that has come: the first from the witness' offset on must be the witness.
    pub(crate) fn prove(&mut self, proof: Proof, offset: i64, digest: [u8; 16]) -> Result<(), OtherLog> {
        proof.witness.compare(offset, digest)?;
        self.proof = None;
        self.log.topic_id = proof.topic_id;
        self.hold.take_if(|hold| hold.cause == HoldCause::Log);
        Ok(())
    }

    /// The row now says this.
    pub(crate) fn committed(&mut self, next_offset: i64, cursor: Option<Cursor>, log: LogMark) {
        self.row = Some(next_offset);
        self.next_offset = next_offset;
        self.log = log;
        if cursor.is_some() {
            self.cursor = cursor;
        }
        // After a rewind the rest of the batch is committed all the same: its records must not be gathered again.
        if self.gathered_offset < next_offset {
            self.rewind();
        }
        self.suspect.take_if(|offset| next_offset > *offset);
        self.hold.take_if(|hold| hold.cause == HoldCause::Record && next_offset > hold.offset);
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
        feed.committed(15, cursor(15), LogMark::default());
        assert_eq!((feed.gathered, feed.gathered_offset), (cursor(15), 15));
    }

    #[test]
    fn a_hold_ends_when_its_record_is_taken() {
        let mut feed = Feed::new(None, 0, None, LogStart::AtZero);
        let (cause, since) = (HoldCause::Record, Instant::now());
        feed.hold = Some(Hold { offset: 5, cause, reason: "a gap".into(), since });
        feed.committed(5, cursor(5), LogMark::default());
        assert!(feed.hold.is_some());
        feed.committed(6, cursor(6), LogMark::default());
        assert!(feed.hold.is_none());
    }

    #[test]
    fn a_feed_is_fetched_from_its_witness_and_takes_nothing_before_it_has_come() {
        let mut feed = Feed::new(Some(10), 0, cursor(10), LogStart::AtZero);
        let proof = Proof {
            witness: Witness { offset: 9, digest: [1; 16] },
            topic_id: Some(Uuid::max()),
            since: Instant::now(),
        };
        (feed.proof, feed.rereading) = (Some(proof), Some(Reread { until: 20 }));
        assert_eq!(feed.fetch_offset(3), 9);
        assert!(feed.fetching && !feed.takes_records());
        assert_eq!(feed.prove(proof, 9, [2; 16]), Err(OtherLog::Record { offset: 9 }));
        assert_eq!(feed.prove(proof, 12, [1; 16]), Err(OtherLog::NoRecord { offset: 9, next: 12 }));
        assert!(feed.proof.is_some() && feed.log.topic_id.is_none());
        assert_eq!(feed.prove(proof, 9, [1; 16]), Ok(()));
        assert!(feed.takes_records());
        assert_eq!((feed.fetch_offset(3), feed.log.topic_id), (3, Some(Uuid::max())));
    }

    #[test]
    fn another_log_is_held_until_it_is_believed_whatever_is_committed_for_its_lane() {
        let mut feed = Feed::new(Some(10), 0, cursor(10), LogStart::AtZero);
        let (cause, since) = (HoldCause::Log, Instant::now());
        feed.hold = Some(Hold { offset: 9, cause, reason: "another log".into(), since });
        feed.committed(10, None, LogMark::default());
        assert!(feed.hold.is_some());
        let proof = Proof { witness: Witness { offset: 9, digest: [1; 16] }, topic_id: None, since };
        assert_eq!(feed.prove(proof, 9, [1; 16]), Ok(()));
        assert!(feed.hold.is_none());
    }
}
