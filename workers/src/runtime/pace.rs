//! How long to let records collect before the next transaction.
//!
//! Taking at once whatever is there makes batches shrink until the CPU is full: many small transactions cost more than they save.
//! So the interval between two transactions grows with the rate of arrivals, from nothing when idle up to `max_us`.
//! Pure: time is an input.

use std::time::{Duration, Instant};

/// The window over which arrivals are counted.
const WINDOW: Duration = Duration::from_millis(200);

/// Bounds of the interval between two transactions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PaceConfig {
    /// The longest interval, in microseconds; 0 switches pacing off.
    pub(crate) max_us: u64,
    /// Arrivals per second at which the longest interval is reached.
    pub(crate) full_rate_per_s: u64,
    /// Below this rate nothing waits.
    pub(crate) idle_rate_per_s: u64,
}

/// Counts arrivals and derives the interval.
#[derive(Debug)]
pub(crate) struct Pace {
    config: PaceConfig,
    window_start: Instant,
    counted: u64,
    rate_per_s: u64,
    last_start: Instant,
}

impl Pace {
    pub(crate) fn new(config: PaceConfig, now: Instant) -> Self {
        Pace { config, window_start: now, counted: 0, rate_per_s: 0, last_start: now }
    }

    /// A batch of so many items starts its transaction.
    pub(crate) fn started(&mut self, items: usize, now: Instant) {
        self.counted += u64::try_from(items).unwrap_or(u64::MAX);
        self.last_start = now;
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
        self.last_start + self.interval()
    }

    fn interval(&self) -> Duration {
        let above = self.rate_per_s.saturating_sub(self.config.idle_rate_per_s);
        let span = self.config.full_rate_per_s.saturating_sub(self.config.idle_rate_per_s).max(1);
        Duration::from_micros((self.config.max_us.saturating_mul(above) / span).min(self.config.max_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: PaceConfig = PaceConfig { max_us: 8_000, full_rate_per_s: 4_200, idle_rate_per_s: 200 };

    fn interval_at(rate_per_s: u64) -> Duration {
        let start = Instant::now();
        let mut pace = Pace::new(CONFIG, start);
        for tick in 1..=40_u32 {
            pace.started(usize::try_from(rate_per_s / 4).unwrap(), start + tick * Duration::from_millis(250));
        }
        pace.interval()
    }

    #[test]
    fn an_idle_service_does_not_wait() {
        assert_eq!(interval_at(100), Duration::ZERO);
    }

    #[test]
    fn the_interval_grows_with_the_rate_and_is_bounded() {
        assert!(interval_at(1_000) < interval_at(2_000));
        assert_eq!(interval_at(100_000), Duration::from_micros(8_000));
    }
}
