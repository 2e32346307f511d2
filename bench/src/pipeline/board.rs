//! What publisher and observer know in common: when each order was placed, and how many are finished.
//!
//! Atomics only, so that neither waits for the other. An order's number is its place in the table; the table's size
//! bounds the load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::error::{BenchError, Result};

/// One load's book-keeping.
pub(crate) struct Board {
    /// In front of the number in every order id of the load.
    pub(crate) tag: String,
    began: Instant,
    placed_us: Vec<AtomicU64>,
    published: AtomicU64,
    completed: AtomicU64,
    ended_otherwise: AtomicU64,
    lost: AtomicU64,
    measured_from: AtomicU64,
    stopping: AtomicBool,
}

impl Board {
    /// For at most `capacity` orders.
    pub(crate) fn new(tag: impl Into<String>, capacity: usize) -> Self {
        Board {
            tag: tag.into(),
            began: Instant::now(),
            placed_us: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            published: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            ended_otherwise: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            measured_from: AtomicU64::new(u64::MAX),
            stopping: AtomicBool::new(false),
        }
    }

    /// Microseconds since the board was made.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Notes that the next order is placed at this time (of `now_us`), and gives its number.
    pub(crate) fn place(&self, at_us: u64) -> Result<u64> {
        let number = self.published.load(Ordering::Relaxed);
        let slot = usize::try_from(number).ok().and_then(|index| self.placed_us.get(index));
        let slot = slot.ok_or_else(|| BenchError::other(format!("more than {number} orders in one load")))?;
        slot.store(at_us.max(1), Ordering::Release);
        self.published.store(number + 1, Ordering::Release);
        Ok(number)
    }

    /// How long ago an order was placed; none when it was not, or before the measured part of the load.
    pub(crate) fn age_us(&self, number: u64) -> Option<u64> {
        if number < self.measured_from.load(Ordering::Acquire) {
            return None;
        }
        let placed = self.placed_us.get(usize::try_from(number).ok()?)?.load(Ordering::Acquire);
        (placed > 0).then(|| self.now_us().saturating_sub(placed))
    }

    /// Orders that are placed from now on are measured.
    pub(crate) fn measure_from_now(&self) {
        self.measured_from.store(self.published.load(Ordering::Acquire), Ordering::Release);
    }

    /// One more order went all the way.
    pub(crate) fn complete(&self) {
        self.completed.fetch_add(1, Ordering::Release);
    }

    /// One more order ended as cancelled, rejected or stuck.
    pub(crate) fn end_otherwise(&self) {
        self.ended_otherwise.fetch_add(1, Ordering::Release);
    }

    /// One more order that Kafka did not take.
    pub(crate) fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Release);
    }

    /// Orders published, completed, ended otherwise, lost.
    pub(crate) fn counts(&self) -> (u64, u64, u64, u64) {
        let at = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        (at(&self.published), at(&self.completed), at(&self.ended_otherwise), at(&self.lost))
    }

    /// Orders published and not finished.
    pub(crate) fn unfinished(&self) -> u64 {
        let (published, completed, otherwise, _) = self.counts();
        published.saturating_sub(completed + otherwise)
    }

    /// Asks the publisher to stop.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether the publisher was asked to stop.
    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_orders_of_the_measured_part_have_an_age() {
        let board = Board::new("t", 2);
        assert_eq!(board.place(0).unwrap(), 0);
        board.measure_from_now();
        assert_eq!(board.place(0).unwrap(), 1);
        assert!(board.place(0).is_err());
        assert_eq!((board.age_us(0), board.age_us(1).is_some(), board.age_us(2)), (None, true, None));
        board.complete();
        assert_eq!(board.unfinished(), 1);
    }
}
