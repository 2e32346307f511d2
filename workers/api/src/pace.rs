//! How fast orders go, as this instance sees them go by: how many a second, and how long from taken to confirmed.
//!
//! The last minute in memory, bounded. Deliberately absent: history, which is what `/metrics` is scraped for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use schemas::Time;

/// How far back is looked.
const WINDOW: Duration = Duration::from_secs(60);

/// The most orders that are remembered: whatever is older than those counts no more.
const REMEMBERED: usize = 20_000;

/// How fast orders go.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    placed: VecDeque<(Instant, Arc<str>)>,
    placed_at: HashMap<Arc<str>, Time>,
    confirmed: VecDeque<(Instant, i64)>,
}

/// What is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Orders taken in the last minute.
    pub placed: usize,
    /// Orders confirmed in the last minute.
    pub confirmed: usize,
    /// Half of them took no longer than this from taken to confirmed, in microseconds.
    pub p50_us: Option<i64>,
    /// All but one in a hundred.
    pub p99_us: Option<i64>,
}

impl Pace {
    /// An order was taken.
    pub fn placed(&self, order: &str, at: Time, now: Instant) {
        let mut seen = self.seen();
        seen.forget(now);
        let order: Arc<str> = order.into();
        seen.placed.push_back((now, Arc::clone(&order)));
        seen.placed_at.insert(order, at);
    }

    /// An order was confirmed.
    pub fn confirmed(&self, order: &str, at: Time, now: Instant) {
        let mut seen = self.seen();
        seen.forget(now);
        if let Some(placed_at) = seen.placed_at.remove(order) {
            seen.confirmed.push_back((now, at.as_micros() - placed_at.as_micros()));
        }
    }

    /// The last minute.
    pub fn told(&self) -> Told {
        let mut seen = self.seen();
        seen.forget(Instant::now());
        let mut took: Vec<i64> = seen.confirmed.iter().map(|(_, took)| *took).collect();
        took.sort_unstable();
        let at = |share: usize| took.get((took.len() * share / 100).min(took.len().saturating_sub(1))).copied();
        Told { placed: seen.placed.len(), confirmed: took.len(), p50_us: at(50), p99_us: at(99) }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn forget(&mut self, now: Instant) {
        let is_over = |at: Instant| now.duration_since(at) > WINDOW;
        while self.placed.len() >= REMEMBERED || self.placed.front().is_some_and(|(at, _)| is_over(*at)) {
            if let Some((_, order)) = self.placed.pop_front() {
                self.placed_at.remove(&order);
            }
        }
        while self.confirmed.len() >= REMEMBERED || self.confirmed.front().is_some_and(|(at, _)| is_over(*at)) {
            self.confirmed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_is_told_and_what_is_old_is_forgotten() {
        let (pace, now) = (Pace::default(), Instant::now());
        let id = |number: i64| format!("o-{number}");
        for number in 0..100 {
            pace.placed(&id(number), Time::from_micros(0), now);
            pace.confirmed(&id(number), Time::from_micros(number), now);
        }
        pace.confirmed(&id(7_000), Time::from_micros(9), now);
        assert_eq!(pace.told(), Told { placed: 100, confirmed: 100, p50_us: Some(50), p99_us: Some(99) });
        pace.placed(&id(100), Time::from_micros(0), now + WINDOW + Duration::from_secs(1));
        assert_eq!(pace.told(), Told { placed: 1, confirmed: 0, p50_us: None, p99_us: None });
    }
}
