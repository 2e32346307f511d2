//! Orders that are there, remembered in a few bits each: so that a new order is known to be new without a look into the database.
//!
//! A Bloom filter. What it calls new is new; what it does not is looked up. It has what the read model had when all of that had been
//! read once, and what the tail has heard since; whatever this instance placed or showed is no longer new either. So it is as far as
//! the tail is, which is further than the read model but for moments; where it is not, an order that another instance placed just now
//! is published again, and the order service knows it. While the tail does not read, or where there are more orders than fit, nothing
//! is new.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use consumer::DatabaseError;
use schemas::TopicName;
use tokio::sync::watch;

use crate::tail::Tail;
use crate::view::Reads;

/// Words of 64 bits: 4 MiB of them.
const WORDS: usize = 1 << 19;

/// Of so many orders, one in a hundred that are new is looked up.
const MOST: u64 = 3_000_000;

/// Bits of one order.
const BITS: u64 = 7;

/// Between two looks whether something is to be read.
const PERIOD: Duration = Duration::from_secs(1);

/// How long the read model may take to have what was said already.
const LIMIT: Duration = Duration::from_secs(5);

/// Orders that are there.
pub struct Placed {
    words: Box<[AtomicU64]>,
    hashing: RandomState,
    /// Goes up when the tail begins to read, and when it cannot.
    generation: AtomicU64,
    /// Of which generation all is known.
    complete: AtomicU64,
}

impl std::fmt::Debug for Placed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Placed").field("is_complete", &self.is_complete()).finish_non_exhaustive()
    }
}

impl Default for Placed {
    fn default() -> Self {
        let words = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Placed { words, hashing: RandomState::new(), generation: AtomicU64::new(1), complete: AtomicU64::new(0) }
    }
}

impl Placed {
    /// Whether there was no such order so far; from now on there is.
    pub fn is_new(&self, order: &str) -> bool {
        self.note(order) && self.is_complete()
    }

    /// There is such an order; whether that is news.
    pub fn note(&self, order: &str) -> bool {
        let hash = self.hashing.hash_one(order);
        let (first, step) = (hash >> 32, (hash & 0xffff_ffff) | 1);
        let mut is_news = false;
        for nth in 0..BITS {
            let at = first.wrapping_add(step.wrapping_mul(nth));
            let word = usize::try_from(at / 64).unwrap_or_default() % WORDS;
            let bit = 1 << (at % 64);
            is_news |= self.words[word].fetch_or(bit, Ordering::Relaxed) & bit == 0;
        }
        is_news
    }

    /// From here on the tail hears of all, or of none.
    pub(crate) fn begin(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire) == self.generation.load(Ordering::Acquire)
    }

    /// Reads what the read model has, again and again where the tail has begun anew, until asked to stop or there is too much.
    pub(crate) async fn keep(tail: Tail, reads: Reads, mut stopping: watch::Receiver<bool>) {
        loop {
            match tail.placed().fill(&tail, &reads).await {
                Ok(count) if count > MOST => {
                    tracing::info!(most = MOST, "more orders than are remembered: each that is placed is looked up");
                    return;
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "which orders are there is not known yet"),
            }
            tokio::select! {
                // An error means that the sender is gone, which is an end as well.
                _ = stopping.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    /// How many orders were read; all of them, but for those that the tail hears of.
    async fn fill(&self, tail: &Tail, reads: &Reads) -> Result<u64, DatabaseError> {
        let generation = self.generation.load(Ordering::Acquire);
        // In this order: a tail that begins or ends in between makes another generation.
        let Some(said) = tail.said(TopicName::OrderEvents).filter(|_| !self.is_complete()) else { return Ok(0) };
        for position in said {
            if !reads.reaches(&position, "", LIMIT).await? {
                return Ok(0);
            }
        }
        let count = reads
            .each_order(MOST + 1, |order| {
                self.note(order);
            })
            .await?;
        if count <= MOST {
            self.complete.store(generation, Ordering::Release);
            tracing::debug!(count, "which orders are there is known");
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_or_asked_for_is_not_new_and_the_rest_nearly_always_is() {
        let placed = Placed::default();
        placed.complete.store(1, Ordering::Release);
        let id = |number: u32| format!("o-{number}");
        for number in 0..10_000 {
            placed.note(&id(number));
        }
        assert!((0..10_000).all(|number| !placed.is_new(&id(number))), "not one may be missed");
        let new = (10_000..20_000).filter(|number| placed.is_new(&id(*number))).count();
        assert!(new > 9_990, "{new}");
        assert!((10_000..20_000).all(|number| !placed.is_new(&id(number))), "once");
    }

    #[test]
    fn nothing_is_new_while_not_all_is_known() {
        let placed = Placed::default();
        assert!(!placed.is_new("a"));
        placed.complete.store(1, Ordering::Release);
        assert!(placed.is_new("b"));
        placed.begin();
        assert!(!placed.is_new("c"));
    }

    #[test]
    fn each_of_as_many_as_fit_has_ten_bits_of_its_own() {
        assert!(u64::try_from(WORDS * 64).unwrap() / MOST >= 10);
    }
}
