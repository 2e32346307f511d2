//! What publisher and observer know in common: when each order was placed, and how many are confirmed and finished.
//!
//! Atomics only, so that neither waits for the other. An order's number is its place in the table; the table's size
//! bounds the load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    confirmed: AtomicU64,
    last_confirmed_us: AtomicU64,
    first_turned_away_us: AtomicU64,
    last_ended_us: AtomicU64,
    stopping: AtomicBool,
    stops_when_full: bool,
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
            confirmed: AtomicU64::new(0),
            last_confirmed_us: AtomicU64::new(0),
            first_turned_away_us: AtomicU64::new(u64::MAX),
            last_ended_us: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            stops_when_full: false,
        }
    }

    /// For just so many orders, all of them measured: the publisher stops after the last one.
    pub(crate) fn for_all(tag: impl Into<String>, orders: usize) -> Self {
        Board { stops_when_full: true, measured_from: AtomicU64::new(0), ..Board::new(tag, orders) }
    }

    /// Microseconds since the board was made.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Notes that the next order is placed at this time (of `now_us`), and gives its number.
    pub(crate) fn place(&self, at_us: u64) -> Result<u64> {
        let number = self.published.load(Ordering::Relaxed);
        let index = usize::try_from(number).map_err(BenchError::other)?;
        let slot = self.placed_us.get(index);
        let slot = slot.ok_or_else(|| BenchError::other(format!("more than {number} orders in one load")))?;
        slot.store(at_us.max(1), Ordering::Release);
        self.published.store(number + 1, Ordering::Release);
        if self.stops_when_full && index + 1 == self.placed_us.len() {
            self.stop();
        }
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

    /// The first measured order's number, and how many were placed from there on.
    pub(crate) fn measured(&self) -> (u64, u64) {
        let (first, published) = (self.measured_from.load(Ordering::Acquire), self.published.load(Ordering::Acquire));
        (first, published.saturating_sub(first))
    }

    /// One more order was confirmed.
    pub(crate) fn confirm(&self) {
        self.last_confirmed_us.store(self.now_us(), Ordering::Release);
        self.confirmed.fetch_add(1, Ordering::Release);
    }

    /// One more order went all the way.
    pub(crate) fn complete(&self) {
        self.last_ended_us.store(self.now_us(), Ordering::Release);
        self.completed.fetch_add(1, Ordering::Release);
    }

    /// One more order ended as cancelled, rejected or stuck.
    pub(crate) fn end_otherwise(&self) {
        let now_us = self.now_us();
        self.first_turned_away_us.fetch_min(now_us, Ordering::AcqRel);
        self.last_ended_us.store(now_us, Ordering::Release);
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

    /// How many orders were confirmed, and how long after the first one was placed the last one of them was.
    pub(crate) fn confirmed(&self) -> (u64, Duration) {
        (self.confirmed.load(Ordering::Acquire), self.since_first(&self.last_confirmed_us))
    }

    /// From the first order placed to the first one that ended otherwise than completed; none where none did.
    pub(crate) fn first_turned_away(&self) -> Option<Duration> {
        let happened = self.first_turned_away_us.load(Ordering::Acquire) < u64::MAX;
        happened.then(|| self.since_first(&self.first_turned_away_us))
    }

    /// From the first order placed to the last one finished.
    pub(crate) fn lasted(&self) -> Duration {
        self.since_first(&self.last_ended_us)
    }

    /// Orders finished, however they ended.
    pub(crate) fn ended(&self) -> u64 {
        let (_, completed, otherwise, _) = self.counts();
        completed + otherwise
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

    fn since_first(&self, at_us: &AtomicU64) -> Duration {
        let first = self.placed_us.first().map_or(0, |placed| placed.load(Ordering::Acquire));
        Duration::from_micros(at_us.load(Ordering::Acquire).saturating_sub(first))
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

    #[test]
    fn a_board_for_all_stops_the_publisher_after_the_last_order() {
        let board = Board::for_all("t", 2);
        board.place(board.now_us()).unwrap();
        assert!(!board.stopping());
        board.place(board.now_us()).unwrap();
        assert!(board.stopping() && board.age_us(0).is_some());
        board.confirm();
        board.complete();
        let (confirmed, after) = board.confirmed();
        assert!(confirmed == 1 && after <= board.lasted(), "{after:?}");
        assert_eq!(board.first_turned_away(), None);
        board.end_otherwise();
        let first = board.first_turned_away();
        board.end_otherwise();
        assert!(first.is_some() && first == board.first_turned_away(), "{first:?}");
    }
}
