//! How long to wait before trying again: longer after each failure, up to a limit, and never for exactly as long as others.
//!
//! Processes that lose the same server at the same moment would otherwise come back to it at the same moments. Each wait is
//! drawn between half of the pause and all of it. Pure but for the seed that [`Backoff::new`] draws. Deliberately absent:
//! sleeping, a limit on attempts, and looks at a fixed interval, which are polling.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The waits of one thing that is tried again and again.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    /// Since the last success.
    failures: u32,
    random: u64,
}

impl Backoff {
    /// Pauses from `first`, doubled after each failure, up to `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        // The hasher's keys are the only randomness that the standard library gives away.
        Self::seeded(first, longest, RandomState::new().hash_one(()))
    }

    /// The same, with the same waits for the same seed.
    #[must_use]
    pub const fn seeded(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, failures: 0, random: seed }
    }

    /// How long to wait after the failure that has just been; longer the next time.
    pub fn wait(&mut self) -> Duration {
        let pause = self.pause();
        self.failures = self.failures.saturating_add(1);
        let half = pause / 2;
        let spread = u64::try_from((pause - half).as_nanos()).unwrap_or(u64::MAX - 1);
        half + Duration::from_nanos(self.draw() % (spread + 1))
    }

    /// It succeeded: the next failure is another one, and begins with the first pause.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The same if it worked for four pauses; what works for less has not recovered.
    pub fn worked_for(&mut self, duration: Duration) {
        if duration > self.pause().saturating_mul(4) {
            self.succeeded();
        }
    }

    /// Whether it has failed since it last succeeded.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    fn pause(&self) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(self.failures)).min(self.longest)
    }

    /// SplitMix64: any seed will do, 0 too.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(1);

    fn waits(backoff: &mut Backoff, count: usize) -> Vec<Duration> {
        (0..count).map(|_| backoff.wait()).collect()
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_each_wait_is_at_least_half_of_its_pause() {
        for seed in 0..100 {
            let waits = waits(&mut Backoff::seeded(FIRST, LONGEST, seed), 6);
            for (wait, pause_ms) in waits.iter().zip([100, 200, 400, 800, 1000, 1000]) {
                let pause = Duration::from_millis(pause_ms);
                assert!((pause / 2..=pause).contains(wait), "seed {seed}: {waits:?}");
            }
        }
    }

    #[test]
    fn two_that_fail_together_do_not_come_back_together() {
        let mut drawn: Vec<Duration> = (0..100).map(|_| Backoff::new(FIRST, LONGEST).wait()).collect();
        drawn.sort_unstable();
        assert!(drawn[0] < FIRST * 6 / 10 && drawn[99] > FIRST * 9 / 10, "{drawn:?}");
        drawn.dedup();
        assert_eq!(drawn.len(), 100);
    }

    #[test]
    fn a_seed_repeats_its_waits() {
        let of = |seed| waits(&mut Backoff::seeded(FIRST, LONGEST, seed), 5);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn success_begins_anew_and_a_short_one_does_not() {
        let mut backoff = Backoff::seeded(FIRST, LONGEST, 7);
        assert!(!backoff.is_failing());
        drop(waits(&mut backoff, 4));
        backoff.worked_for(LONGEST * 4);
        assert!(backoff.is_failing());
        backoff.worked_for(LONGEST * 4 + Duration::from_nanos(1));
        assert!(!backoff.is_failing() && backoff.wait() <= FIRST);
        backoff.succeeded();
        assert!(!backoff.is_failing());
    }

    #[test]
    fn pauses_of_any_length_are_taken() {
        assert_eq!(waits(&mut Backoff::new(Duration::ZERO, Duration::ZERO), 2), [Duration::ZERO; 2]);
        assert!(waits(&mut Backoff::new(Duration::MAX, Duration::MAX), 2)[1] >= Duration::MAX / 2);
    }
}
