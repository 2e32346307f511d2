//! Since when messages are in flight and none is acknowledged, over all producers of a relay.
//!
//! A client can lose its brokers and not come back (librdkafka #5301), while it goes on taking messages. Only the missing
//! acknowledgements show it. A new producer is the first remedy; giving the lead to another instance is the second. Pure.

use std::time::{Duration, Instant};

/// What is remembered from one producer to the next.
#[derive(Debug, Default)]
pub(crate) struct Stall {
    /// Since when nothing was acknowledged, whichever producer had it in flight.
    since: Option<Instant>,
    /// Since when this producer has something in flight and no acknowledgement.
    producer_since: Option<Instant>,
    /// Messages that this producer has had acknowledged.
    acknowledged: u64,
}

impl Stall {
    /// Another producer begins.
    pub(crate) fn begin(&mut self) {
        self.producer_since = None;
        self.acknowledged = 0;
    }

    /// Takes how many messages the producer has had acknowledged, and whether none is in flight.
    pub(crate) fn look(&mut self, acknowledged: u64, is_idle: bool, now: Instant) {
        let has_moved = acknowledged > self.acknowledged;
        self.acknowledged = acknowledged;
        if has_moved {
            (self.since, self.producer_since) = (None, None);
        }
        if is_idle {
            self.producer_since = None;
        } else {
            self.since.get_or_insert(now);
            self.producer_since.get_or_insert(now);
        }
    }

    /// Nothing waits, or another relay publishes it.
    pub(crate) fn clear(&mut self) {
        (self.since, self.producer_since) = (None, None);
    }

    /// For how long nothing was acknowledged, over all producers.
    pub(crate) fn lasts(&self, now: Instant) -> Duration {
        self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// For how long this producer has had no acknowledgement.
    pub(crate) fn of_producer(&self, now: Instant) -> Duration {
        self.producer_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_what_is_in_flight_without_any_acknowledgement_stalls() {
        let (mut stall, began) = (Stall::default(), Instant::now());
        stall.look(0, true, began);
        assert_eq!(stall.lasts(began + 9 * SECOND), Duration::ZERO, "nothing is in flight");
        stall.look(0, false, began + 10 * SECOND);
        assert_eq!(stall.lasts(began + 14 * SECOND), 4 * SECOND);
        stall.look(1, false, began + 14 * SECOND);
        assert_eq!(stall.lasts(began + 15 * SECOND), SECOND, "one was acknowledged, others are in flight");
        stall.look(2, true, began + 16 * SECOND);
        assert_eq!((stall.lasts(began + 30 * SECOND), stall.of_producer(began + 30 * SECOND)), Default::default());
    }

    #[test]
    fn a_new_producer_gets_its_time_and_the_stall_goes_on() {
        let (mut stall, began) = (Stall::default(), Instant::now());
        stall.look(7, false, began);
        stall.look(7, false, began + 10 * SECOND);
        stall.begin();
        stall.look(0, true, began + 10 * SECOND);
        assert_eq!(stall.of_producer(began + 11 * SECOND), Duration::ZERO);
        stall.look(0, false, began + 11 * SECOND);
        let now = began + 14 * SECOND;
        assert_eq!((stall.lasts(now), stall.of_producer(now)), (14 * SECOND, 3 * SECOND));
        stall.look(1, true, now);
        assert_eq!(stall.lasts(now), Duration::ZERO);
        stall.look(1, false, now);
        stall.clear();
        assert_eq!(stall.lasts(now + SECOND), Duration::ZERO);
    }
}
