//! What a lane's topic partition is known to hold, and what of that may be saved.
//!
//! Saved positions may lag but never lead: whoever reads them takes everything up to there for published, and rows up
//! to there may be truncated. So only acknowledgements move them, and none that comes after a failure. Pure.

/// The last message of a lane that its topic partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Acked {
    pub(crate) sequence: i64,
    /// Offset of that record; none when it was not seen in the topic.
    pub(crate) offset: Option<i64>,
    /// The offset after the last that the log is known to have had: nothing new can lie before it.
    pub(crate) end: i64,
}

impl Acked {
    /// Takes an acknowledgement. What comes after a failure may have a gap before it; the next take-over finds out.
    /// Returns false, and takes nothing, when the log had passed that offset before: then it is another log, or has lost
    /// its end, and lacks what was published before. A negative offset is one that the broker no longer knows.
    pub(crate) fn acknowledge(&mut self, sequence: i64, offset: i64, after_failure: bool) -> bool {
        if after_failure {
            return true;
        }
        if (0..self.end).contains(&offset) {
            return false;
        }
        let known = (offset >= 0).then_some(offset);
        *self = Self { sequence, offset: known, end: known.unwrap_or(self.end) + 1 };
        true
    }

    /// What to save, if that is not saved already.
    pub(crate) fn to_save(self, saved: Self) -> Option<Self> {
        (self != saved && self.offset.is_some()).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_acknowledged_before_any_failure_is_saved() {
        let unseen = Acked { sequence: 4, offset: None, end: 7 };
        let mut acked = unseen;
        acked.acknowledge(5, 9, true);
        assert_eq!((acked, acked.to_save(Acked { sequence: 3, offset: Some(2), end: 3 })), (unseen, None));
        acked.acknowledge(5, 9, false);
        assert_eq!(acked.to_save(unseen), Some(Acked { sequence: 5, offset: Some(9), end: 10 }));
        assert_eq!(acked.to_save(acked), None);
    }

    #[test]
    fn an_offset_that_was_passed_is_of_another_log() {
        let mut acked = Acked { sequence: 4, offset: None, end: 9 };
        assert!(!acked.acknowledge(5, 8, false), "the log had so many records when it was read");
        assert!(acked.acknowledge(5, 9, false) && acked.acknowledge(6, 11, false));
        for offset in [11, 0] {
            assert!(!acked.acknowledge(7, offset, false));
            assert!(acked.acknowledge(7, offset, true), "what comes after a failure is not looked at");
        }
        assert_eq!(acked, Acked { sequence: 6, offset: Some(11), end: 12 });
        assert!(acked.acknowledge(7, -1001, false) && !acked.acknowledge(8, 12, false));
        assert_eq!(acked, Acked { sequence: 7, offset: None, end: 13 });
    }
}
