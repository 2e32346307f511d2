//! How long to let messages gather before they are sent: not at all when there are few, some milliseconds under load.
//!
//! Every request costs broker and client about the same whatever it carries, so under load small requests eat the CPU
//! that the rest of the pipeline needs. The producer's own linger cannot follow the load; this does. Pure.

use std::time::{Duration, Instant};

/// Messages per second per millisecond of waiting: below it nothing waits.
const RATE_PER_MS: u64 = 1500;
/// Over how long the rate is taken.
const WINDOW: Duration = Duration::from_millis(100);

/// Follows the rate of messages.
#[derive(Debug)]
pub(crate) struct Pace {
    longest: Duration,
    window_began: Instant,
    in_window: u64,
    wait: Duration,
}

impl Pace {
    pub(crate) fn new(longest: Duration, now: Instant) -> Self {
        Self { longest, window_began: now, in_window: 0, wait: Duration::ZERO }
    }

    /// Notes messages that were sent, and says how long to gather more before the next are.
    pub(crate) fn sent(&mut self, messages: u64, now: Instant) -> Duration {
        self.in_window += messages;
        let elapsed = now.saturating_duration_since(self.window_began);
        if elapsed >= WINDOW {
            let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(1);
            let rate = self.in_window.saturating_mul(1_000_000) / micros;
            self.wait = Duration::from_millis(rate / RATE_PER_MS).min(self.longest);
            self.window_began = now;
            self.in_window = 0;
        }
        self.wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits told while messages come at this rate, in steps of 10 ms, and after a second without any.
    fn waits(per_second: u64) -> (Duration, Duration) {
        let mut now = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(5), now);
        let mut wait = Duration::ZERO;
        for _ in 0..50 {
            now += Duration::from_millis(10);
            wait = pace.sent(per_second / 100, now);
        }
        now += Duration::from_secs(1);
        (wait, pace.sent(1, now))
    }

    #[test]
    fn few_messages_never_wait_and_many_wait_longer() {
        for (rate, wait) in [(0, 0), (1000, 0), (1500, 1), (4000, 2), (100_000, 5)] {
            assert_eq!(waits(rate), (Duration::from_millis(wait), Duration::ZERO), "{rate}/s");
        }
    }
}
