//! Bugs that can be planted on purpose, to show that the tests and checkers would find them.
//!
//! Without the cargo feature `planted-bugs` nothing can be planted: the question is answered by a constant.

use std::fmt;
use std::str::FromStr;

/// A bug by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedBug {
    /// `cursor-without-lock`: sequences come from a counter outside the transaction, no lane is locked, and the cursor
    /// takes whatever is above its position.
    CursorWithoutLock,
    /// `sequence-in-lock-statement`: the head of a lane is read in the statement that takes the lock.
    SequenceInLockStatement,
    /// `resume-after-maximum`: a relay that takes over continues after the highest sequence in the topic.
    ResumeAfterMaximum,
    /// `hint-skips-gap`: rows from memory are sent although the row before them is missing.
    HintSkipsGap,
    /// `position-before-ack`: positions are saved for what was sent, acknowledged or not, and taken for the truth.
    PositionBeforeAck,
    /// `dedupe-by-offset`: a consumer takes every record at a new offset for a new one.
    DedupeByOffset,
    /// `dedupe-without-epoch`: a consumer looks at the sequence alone.
    DedupeWithoutEpoch,
}

impl PlantedBug {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CursorWithoutLock,
        Self::SequenceInLockStatement,
        Self::ResumeAfterMaximum,
        Self::HintSkipsGap,
        Self::PositionBeforeAck,
        Self::DedupeByOffset,
        Self::DedupeWithoutEpoch,
    ];

    /// Its name on a command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CursorWithoutLock => "cursor-without-lock",
            Self::SequenceInLockStatement => "sequence-in-lock-statement",
            Self::ResumeAfterMaximum => "resume-after-maximum",
            Self::HintSkipsGap => "hint-skips-gap",
            Self::PositionBeforeAck => "position-before-ack",
            Self::DedupeByOffset => "dedupe-by-offset",
            Self::DedupeWithoutEpoch => "dedupe-without-epoch",
        }
    }
}

impl fmt::Display for PlantedBug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No bug has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no planted bug of that name")]
pub struct NoSuchBug;

impl FromStr for PlantedBug {
    type Err = NoSuchBug;

    fn from_str(name: &str) -> Result<Self, NoSuchBug> {
        Self::ALL.into_iter().find(|bug| bug.as_str() == name).ok_or(NoSuchBug)
    }
}

/// The bug that is planted, if any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planted(Option<PlantedBug>);

impl Planted {
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) const fn some(bug: PlantedBug) -> Self {
        Self(Some(bug))
    }

    pub(crate) fn is(self, bug: PlantedBug) -> bool {
        cfg!(feature = "planted-bugs") && self.0 == Some(bug)
    }
}
