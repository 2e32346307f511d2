//! The levels of a batch: read and locked, or not seen at all.
//!
//! An order takes its pieces from rows that all lanes share, so nobody can remember them. But most reservations only need enough to
//! be there: then it is decided as if there were, and the commit takes the pieces only where they are. Pure.

use std::collections::{BTreeMap, HashMap};

use consumer::{Failure, Working};
use domain::stock::{Level, LevelChange};
use schemas::Sku;

/// More than anybody may want of one SKU, in every respect, and far from what 64 bits hold.
const AMPLE: Level =
    Level { version: 0, received: 3 << 60, reserved: 1 << 60, shipped: 1 << 60, returned: 0, written_off: 0 };

/// The levels that a batch works with.
#[derive(Debug)]
pub(super) enum Levels {
    /// Read from their rows, which are locked; with what they were.
    Read(Working<Sku, Level>, HashMap<Sku, Level>),
    /// Not seen: what is taken of each.
    Unseen(BTreeMap<Sku, Demand>),
}

/// What a batch does to a level that it has not seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// Pieces more (or fewer) held.
    pub(super) reserved: i64,
    /// Pieces more gone.
    pub(super) shipped: i64,
    /// How many must have been available at the beginning.
    pub(super) needed: i64,
}

impl Levels {
    /// As they were read.
    pub(super) fn read(levels: HashMap<Sku, Level>) -> Self {
        let mut working = Working::with_capacity(levels.len());
        for (sku, level) in &levels {
            working.loaded(sku.clone(), level.version, *level);
        }
        Levels::Read(working, levels)
    }

    /// The level as decisions see it.
    pub(super) fn of(&self, sku: &Sku) -> Level {
        match self {
            Levels::Read(working, _) => working.get(sku).copied().unwrap_or_default(),
            Levels::Unseen(_) => AMPLE,
        }
    }

    /// Whether what decisions see is what there is.
    pub(super) const fn are_known(&self) -> bool {
        match self {
            Levels::Read(..) => true,
            Levels::Unseen(_) => false,
        }
    }

    /// Pieces come or go.
    pub(super) fn change(&mut self, change: &LevelChange) -> Result<(), Failure> {
        let next = match self {
            Levels::Read(working, _) => {
                let next = working.get(&change.sku).copied().unwrap_or_default().after(change);
                next.map(|level| working.put(change.sku.clone(), Some(level)))
            }
            Levels::Unseen(demands) => {
                let demand = demands.entry(change.sku.clone()).or_default();
                demand.and(change).map(|next| *demand = next)
            }
        };
        next.ok_or_else(|| Failure::Poison(format!("the level of {} does not fit into 64 bits", change.sku)))
    }

    /// A level is another one now; only where it was read.
    pub(super) fn put(&mut self, sku: &Sku, level: Level) -> Result<(), Failure> {
        match self {
            Levels::Read(working, _) => {
                working.put(sku.clone(), Some(level));
                Ok(())
            }
            Levels::Unseen(_) => Err(Failure::Retry(format!("the level of {sku} was not read"))),
        }
    }
}

impl Demand {
    fn and(self, change: &LevelChange) -> Option<Demand> {
        // What came back is only ever put to a level that was read.
        if change.returned != 0 || change.written_off != 0 {
            return None;
        }
        let reserved = self.reserved.checked_add(change.reserved)?;
        let shipped = self.shipped.checked_add(change.shipped)?;
        let taken = reserved.checked_add(shipped)?;
        Some(Demand { reserved, shipped, needed: self.needed.max(taken) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(reserved: i64, shipped: i64) -> LevelChange {
        LevelChange { reserved, shipped, ..LevelChange::none(Sku::new("a").unwrap()) }
    }

    #[test]
    fn what_must_be_there_is_the_most_that_was_taken_at_any_moment() {
        let mut levels = Levels::Unseen(BTreeMap::new());
        for (reserved, shipped) in [(5, 0), (-5, 5), (3, 0), (-3, 0), (2, 0)] {
            levels.change(&change(reserved, shipped)).unwrap();
        }
        let Levels::Unseen(demands) = &levels else { panic!("{levels:?}") };
        let demand = demands.values().next().unwrap();
        assert_eq!(*demand, Demand { reserved: 2, shipped: 5, needed: 8 });
    }

    #[test]
    fn a_level_that_was_not_seen_has_enough_and_cannot_be_set() {
        let mut levels = Levels::Unseen(BTreeMap::new());
        let sku = Sku::new("a").unwrap();
        assert!(levels.of(&sku).available() >= 1 << 60 && levels.of(&sku).is_sound());
        assert!(levels.put(&sku, Level::default()).is_err() && !levels.are_known());
        assert!(levels.change(&change(i64::MAX, 1)).is_err());
    }
}
