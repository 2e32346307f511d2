//! How long to let records collect before the next transaction.
//!
//! Taking at once whatever is there makes batches shrink until the CPU is full: many small transactions cost more than they
//! save. So a service rests between two transactions for as long as they take, which is longer the busier the machine is, up to
//! a bound; when little arrives, it does not rest at all. Pure: time is an input.

use std::time::{Duration, Instant};

/// The window over which arrivals are counted.
const WINDOW: Duration = Duration::from_millis(200);

/// Fewer arrivals per second than this are taken at once: a lone order waits for nobody.
const IDLE_RATE_PER_S: u64 = 200;

/// Counts arrivals and durations, and derives the rest.
#[derive(Debug)]
pub(crate) struct Pace {
    longest_rest: Duration,
    window_start: Instant,
    counted: u64,
    rate_per_s: u64,
    duration: Duration,
    ended: Instant,
}

impl Pace {
    /// `longest_rest` of zero switches pacing off.
    pub(crate) fn new(longest_rest: Duration, now: Instant) -> Self {
        Pace { longest_rest, window_start: now, counted: 0, rate_per_s: 0, duration: Duration::ZERO, ended: now }
    }

    /// A batch of so many items was worked on from `started` to `now`.
    pub(crate) fn worked(&mut self, items: usize, started: Instant, now: Instant) {
        self.ended = now;
        // Half the old, half the new: one slow transaction (a checkpoint) does not slow many.
        self.duration = (self.duration + now.duration_since(started)) / 2;
        self.counted += u64::try_from(items).unwrap_or(u64::MAX);
        let elapsed = now.duration_since(self.window_start);
        if elapsed >= WINDOW {
            let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
            let measured = self.counted.saturating_mul(1000) / elapsed_ms;
            self.rate_per_s = (self.rate_per_s + measured) / 2;
            self.counted = 0;
            self.window_start = now;
        }
    }

    /// When the next transaction may start.
    pub(crate) fn next_start(&self) -> Instant {
        self.ended + self.rest()
    }

    fn rest(&self) -> Duration {
        if self.rate_per_s < IDLE_RATE_PER_S { Duration::ZERO } else { self.duration.min(self.longest_rest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(10);

    fn rest_after(rate_per_s: usize, duration: Duration) -> Duration {
        let mut now = Instant::now();
        let mut pace = Pace::new(LONGEST, now);
        for _ in 0..40 {
            now += Duration::from_millis(250);
            pace.worked(rate_per_s / 4, now - duration, now);
        }
        pace.rest()
    }

    #[test]
    fn an_idle_service_does_not_rest() {
        assert_eq!(rest_after(100, LONGEST), Duration::ZERO);
    }

    #[test]
    fn the_rest_is_as_long_as_a_transaction_and_bounded() {
        let short = rest_after(4_000, Duration::from_millis(3));
        assert!(short > Duration::from_micros(2_900) && short <= Duration::from_millis(3), "{short:?}");
        assert_eq!(rest_after(4_000, Duration::from_millis(80)), LONGEST);
    }
}
