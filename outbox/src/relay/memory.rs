//! What a relay remembers from one term to the next, and how long it waits in between.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::relay::RelayError;
use crate::relay::board::HeldLanes;
use crate::relay::stall::Stall;
use crate::repeats::Repeats;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(1);
/// How often a relay that holds looks whether it may go on.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// The memory of one relay.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) held: HeldLanes,
    pub(crate) stall: Stall,
    pub(crate) repeats: Repeats,
    /// Producers made so far.
    pub(crate) producers: u32,
    /// It was told that the database was set back.
    pub(crate) is_restored: bool,
    pub(crate) backoff: Backoff,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            held: HeldLanes::new(),
            stall: Stall::default(),
            repeats: Repeats::default(),
            producers: 0,
            is_restored: false,
            backoff: Backoff::new(FIRST_BACKOFF, LAST_BACKOFF),
        }
    }
}

impl Memory {
    /// How long to wait before beginning anew.
    pub(crate) fn pause_after(&mut self, error: &RelayError) -> Duration {
        match error {
            RelayError::Restored(_) => LOOK_AGAIN,
            // Long enough for another instance to take the lead.
            RelayError::NothingAcknowledged { .. } => LAST_BACKOFF,
            RelayError::Outbox(_)
            | RelayError::Unanswered(_)
            | RelayError::Denied { .. }
            | RelayError::Kafka { .. }
            | RelayError::Delivery { .. }
            | RelayError::LogBeganAnew { .. }
            | RelayError::TopicMissing { .. }
            | RelayError::PartitionCount { .. }
            | RelayError::TopicSilent
            | RelayError::ShapeChanged
            | RelayError::Panicked
            | RelayError::Configuration { .. } => self.backoff.wait(),
        }
    }

    /// Leading or standing by for long enough was worth it: the next failure is another one, and does not wait for this
    /// one.
    pub(crate) fn calm(&mut self, since: Instant) {
        self.backoff.worked_for(since.elapsed());
    }
}
