//! Is the log that is there the one that a stored offset belongs to?
//!
//! An offset says nothing by itself: a topic that was deleted and made anew, an unclean election or another cluster has
//! other records at the same offsets. A consumer remembers two things beside its offset: the record before it (the
//! witness) and the topic's id. Both must agree as far as they can be compared; whatever contradicts is another log, and
//! stays one however long it grows. Pure; reading the witness from the log is the consumer's.

use uuid::Uuid;

/// A record that was taken, by which its log is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// Its offset.
    pub offset: i64,
    /// A digest of all that it says: time, key, value, headers.
    pub digest: [u8; 16],
}

/// What is remembered of the log that an offset belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogMark {
    /// The record right before the offset; none where it is not known.
    pub witness: Option<Witness>,
    /// The topic's id; none where the brokers have never told it.
    pub topic_id: Option<Uuid>,
}

/// Where a log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// The first offset that it still has.
    pub first: i64,
    /// The offset of the record that comes next.
    pub end: i64,
}

/// What the brokers say of the log that is there. Each is none where it was not asked for or not told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogSight {
    /// The topic's id.
    pub topic_id: Option<Uuid>,
    /// What the log holds.
    pub range: Option<LogRange>,
}

/// What becomes of a stored offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogVerdict {
    /// It is the log, as far as can be told without reading: go on at the offset.
    Same,
    /// Nothing was remembered and the offset lies within the log: go on, and remember this log.
    Adopt,
    /// Read from this record; if the first that comes is not this one, it is another log.
    Prove(Witness),
    /// Nothing may be taken.
    Other(OtherLog),
}

/// Why a log is not taken for the one that the offset belongs to. The words are for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtherLog {
    /// The topic has another id.
    #[error(
        "this is another log: the topic's id is {found}, and what was taken came from {expected} (made anew, or another cluster)"
    )]
    Id {
        /// The id that is remembered.
        expected: Uuid,
        /// The id that the topic has.
        found: Uuid,
    },
    /// The log does not reach the offset, or no longer begins before it.
    #[error("offset {next_offset} is outside the log, which holds {} to {}", .range.first, .range.end)]
    Outside {
        /// The stored offset.
        next_offset: i64,
        /// What the log holds.
        range: LogRange,
    },
    /// It was outside the log when nothing was known of it; which log it belongs to can never be told again.
    #[error(
        "offset {next_offset} was outside the log when it was first looked at: nothing tells which log it belongs to"
    )]
    Lost {
        /// The stored offset.
        next_offset: i64,
    },
    /// Retention has deleted the witness, or there is none, and the topic's id is not known on one of the two sides.
    #[error("neither the record before offset {next_offset} nor the topic's id can be compared: it may be another log")]
    Unknowable {
        /// The stored offset.
        next_offset: i64,
    },
    /// The witness' offset has another record.
    #[error("this is another log: at offset {offset} it has another record than the one that was taken")]
    Record {
        /// The witness' offset.
        offset: i64,
    },
    /// The witness' offset has no record, though the log begins before it.
    #[error("this is another log: at offset {offset}, where a record was taken, it has none; the next is at {next}")]
    NoRecord {
        /// The witness' offset.
        offset: i64,
        /// The first record behind it.
        next: i64,
    },
    /// The brokers have not said what the log holds.
    #[error("the brokers do not say what the log holds, so that offset {next_offset} cannot be compared with it")]
    Untold {
        /// The stored offset.
        next_offset: i64,
    },
}

impl LogMark {
    /// The mark of an offset that lies outside every log, so that no log is ever taken for its own.
    pub fn lost() -> Self {
        Self { witness: None, topic_id: Some(Uuid::nil()) }
    }

    /// Whether nothing is remembered, so that only [`LogSight::range`] tells anything.
    pub fn is_blank(&self) -> bool {
        self.witness.is_none() && self.topic_id.is_none()
    }
}

/// Judges whether the log that is there is the one in which `next_offset` comes next; `remembered` was stored with it.
pub fn judge_log(next_offset: i64, remembered: &LogMark, there: &LogSight) -> LogVerdict {
    let is_lost = remembered.topic_id.is_some_and(|id| id.is_nil());
    let ids = remembered.topic_id.filter(|_| !is_lost).zip(there.topic_id);
    if let Some((expected, found)) = ids.filter(|(expected, found)| expected != found) {
        return LogVerdict::Other(OtherLog::Id { expected, found });
    }
    let is_outside = |range: &LogRange| next_offset < range.first || next_offset > range.end;
    if let Some(range) = there.range.filter(is_outside) {
        return LogVerdict::Other(OtherLog::Outside { next_offset, range });
    }
    if is_lost {
        return LogVerdict::Other(OtherLog::Lost { next_offset });
    }
    match (remembered.witness, there.range) {
        (Some(witness), range) if range.is_none_or(|range| range.first <= witness.offset) => LogVerdict::Prove(witness),
        _ if ids.is_some() => LogVerdict::Same,
        (None, Some(_)) if remembered.topic_id.is_none() => LogVerdict::Adopt,
        (None, None) if remembered.topic_id.is_none() => LogVerdict::Other(OtherLog::Untold { next_offset }),
        (Some(_) | None, _) => LogVerdict::Other(OtherLog::Unknowable { next_offset }),
    }
}

impl Witness {
    /// Compares the first record that a log gave from this witness' offset on.
    pub fn compare(&self, offset: i64, digest: [u8; 16]) -> Result<(), OtherLog> {
        if offset != self.offset {
            return Err(OtherLog::NoRecord { offset: self.offset, next: offset });
        }
        if digest == self.digest { Ok(()) } else { Err(OtherLog::Record { offset }) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WITNESS: Witness = Witness { offset: 14, digest: [7; 16] };
    const NEXT: i64 = 15;

    fn id(number: u128) -> Option<Uuid> {
        Some(Uuid::from_u128(number))
    }

    fn range(first: i64, end: i64) -> Option<LogRange> {
        Some(LogRange { first, end })
    }

    fn judged(witness: bool, known: Option<Uuid>, found: Option<Uuid>, range: Option<LogRange>) -> LogVerdict {
        let remembered = LogMark { witness: witness.then_some(WITNESS), topic_id: known };
        judge_log(NEXT, &remembered, &LogSight { topic_id: found, range })
    }

    #[test]
    fn a_log_is_believed_by_its_witness_or_where_that_is_gone_by_its_id() {
        let prove = LogVerdict::Prove(WITNESS);
        assert_eq!(judged(true, id(1), id(1), None), prove);
        assert_eq!(judged(true, id(1), id(1), range(0, 40)), prove);
        assert_eq!(judged(true, id(1), id(1), range(14, 15)), prove);
        assert_eq!(judged(true, None, id(1), None), prove);
        assert_eq!(judged(true, id(1), None, range(0, 15)), prove);
        // Retention has deleted the witness.
        assert_eq!(judged(true, id(1), id(1), range(15, 40)), LogVerdict::Same);
        assert_eq!(judged(false, id(1), id(1), None), LogVerdict::Same);
        assert_eq!(judged(false, id(1), id(1), range(0, 15)), LogVerdict::Same);
    }

    #[test]
    fn a_row_from_before_is_taken_as_it_is_when_its_offset_lies_within_the_log() {
        assert_eq!(judged(false, None, id(1), range(0, 15)), LogVerdict::Adopt);
        assert_eq!(judged(false, None, None, range(15, 15)), LogVerdict::Adopt);
        assert!(matches!(judged(false, None, id(1), range(0, 14)), LogVerdict::Other(OtherLog::Outside { .. })));
        assert!(matches!(judged(false, None, id(1), range(16, 20)), LogVerdict::Other(OtherLog::Outside { .. })));
        assert!(matches!(judged(false, None, id(1), None), LogVerdict::Other(OtherLog::Untold { .. })));
    }

    #[test]
    fn what_neither_record_nor_id_can_tell_is_not_taken() {
        for (witness, known, found, there) in [
            (true, None, id(1), range(15, 40)),
            (true, id(1), None, range(15, 40)),
            (true, None, None, range(15, 15)),
            (false, id(1), None, range(0, 40)),
            (false, id(1), None, None),
        ] {
            let verdict = judged(witness, known, found, there);
            assert_eq!(verdict, LogVerdict::Other(OtherLog::Unknowable { next_offset: NEXT }));
        }
    }

    #[test]
    fn a_log_that_ends_before_the_offset_or_begins_behind_it_is_named_with_its_ends() {
        let LogVerdict::Other(reason) = judged(true, id(1), id(1), range(0, 14)) else { panic!("it is shorter") };
        assert_eq!(reason.to_string(), "offset 15 is outside the log, which holds 0 to 14");
        assert!(matches!(judged(true, id(1), id(1), range(16, 40)), LogVerdict::Other(OtherLog::Outside { .. })));
    }

    #[test]
    fn the_first_record_must_be_the_witness() {
        assert_eq!(WITNESS.compare(14, [7; 16]), Ok(()));
        assert_eq!(WITNESS.compare(14, [8; 16]), Err(OtherLog::Record { offset: 14 }));
        assert_eq!(WITNESS.compare(17, [7; 16]), Err(OtherLog::NoRecord { offset: 14, next: 17 }));
    }

    proptest! {
        /// A mismatch of ids does not lift by itself, whatever the log comes to hold; nor does a lost offset.
        #[test]
        fn another_topic_is_never_taken_however_it_grows(witness: bool, first in 0_i64..40, more in 0_i64..100) {
            let grown = range(first, first + more);
            for known in [id(1), LogMark::lost().topic_id] {
                prop_assert!(matches!(judged(witness, known, id(2), grown), LogVerdict::Other(_)));
            }
            prop_assert!(matches!(judged(witness, LogMark::lost().topic_id, None, grown), LogVerdict::Other(_)));
        }

        /// Nothing goes on unread where the witness is still in the log.
        #[test]
        fn a_witness_that_is_in_the_log_is_always_read(first in 0_i64..15, more in 0_i64..100, known: bool) {
            let ids = known.then_some(Uuid::from_u128(1));
            prop_assert_eq!(judged(true, ids, ids, range(first, NEXT + more)), LogVerdict::Prove(WITNESS));
        }
    }
}
