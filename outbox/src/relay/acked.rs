//! What a lane's topic partition is known to hold, and what of that may be saved.
//!
//! Saved positions may lag but never lead: whoever reads them takes everything up to there for published, and rows up
//! to there may be truncated. So only acknowledgements move them, and none that comes after a failure. Pure.

/// The last message of a lane that its topic partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acked {
    pub(crate) sequence: i64,
    /// Offset of that record; none when it was not seen in the topic.
    pub(crate) offset: Option<i64>,
}

impl Acked {
    /// Takes an acknowledgement. What comes after a failure may have a gap before it; the next take-over finds out.
    /// Returns false, and takes nothing, when the log had passed that offset before: then it is another log, which
    /// lacks everything that was published before.
    pub(crate) fn acknowledge(&mut self, sequence: i64, offset: i64, after_failure: bool) -> bool {
        if after_failure {
            return true;
        }
        let goes_on = self.offset.is_none_or(|before| before < offset);
        if goes_on {
            *self = Self { sequence, offset: Some(offset) };
        }
        goes_on
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
        let unseen = Acked { sequence: 4, offset: None };
        let mut acked = unseen;
        acked.acknowledge(5, 9, true);
        assert_eq!((acked, acked.to_save(Acked { sequence: 3, offset: Some(2) })), (unseen, None));
        acked.acknowledge(5, 9, false);
        assert_eq!(acked.to_save(unseen), Some(Acked { sequence: 5, offset: Some(9) }));
        assert_eq!(acked.to_save(acked), None);
    }

    #[test]
    fn an_offset_that_was_passed_is_of_another_log() {
        let mut acked = Acked { sequence: 4, offset: None };
        assert!(acked.acknowledge(5, 9, false) && acked.acknowledge(6, 11, false));
        for offset in [11, 0] {
            assert!(!acked.acknowledge(7, offset, false));
            assert!(acked.acknowledge(7, offset, true), "what comes after a failure is not looked at");
        }
        assert_eq!(acked, Acked { sequence: 6, offset: Some(11) });
    }
}
