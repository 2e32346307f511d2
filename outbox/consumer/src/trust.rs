//! Whether memory is believed: it is, until a commit refuses what was decided by it; then not for a while.
//!
//! A refusal costs a statement and a line in the database's log. They come one by one where a client sends something twice, and in
//! rows where somebody replays a file or another process writes the same rows. Pure.

/// The most batches in a row that are not decided by memory.
const LONGEST_REST: u32 = 256;

/// What became of a batch's question to memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recollection {
    /// It was not asked, or did not suffice.
    NotAsked,
    /// What was decided by it was committed.
    Right,
    /// What was decided by it was refused.
    Wrong,
}

/// Counts refusals.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Batches yet to come that are not decided by memory.
    rests: u32,
    next_rest: u32,
}

impl Default for Trust {
    fn default() -> Self {
        Trust { rests: 0, next_rest: 1 }
    }
}

impl Trust {
    /// Whether the next batch may be decided by memory.
    pub(crate) fn is_given(&mut self) -> bool {
        let is_given = self.rests == 0;
        self.rests = self.rests.saturating_sub(1);
        is_given
    }

    /// Takes note of what became of a batch.
    pub(crate) fn learn(&mut self, memory: Recollection) {
        match memory {
            Recollection::NotAsked => {}
            Recollection::Right => self.next_rest = (self.next_rest / 2).max(1),
            Recollection::Wrong => {
                self.rests = self.next_rest;
                self.next_rest = (self.next_rest * 2).min(LONGEST_REST);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many batches are decided by memory, if it is never right.
    fn tries(batches: u32, trust: &mut Trust) -> usize {
        let mut tries = 0;
        for _ in 0..batches {
            if trust.is_given() {
                trust.learn(Recollection::Wrong);
                tries += 1;
            }
        }
        tries
    }

    #[test]
    fn memory_that_is_always_wrong_is_hardly_asked_and_one_mistake_is_soon_forgiven() {
        let mut trust = Trust::default();
        assert!(tries(2560, &mut trust) < 20);
        for _ in 0..10_000 {
            if trust.is_given() {
                trust.learn(Recollection::Right);
            }
        }
        trust.learn(Recollection::Wrong);
        assert_eq!([trust.is_given(), trust.is_given()], [false, true]);
    }
}
