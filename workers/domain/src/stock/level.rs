//! How much there is of a SKU: three sums and what follows from them.
//!
//! Only receipts and adjustments have versions; what reservations add is a sum over all of them, in any order.

use serde::{Deserialize, Serialize};

use schemas::Sku;

/// The stock of a SKU in pieces. A SKU of which nothing was ever received is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Level {
    /// The number of receipts and adjustments.
    pub version: i64,
    /// All that came in, corrected by adjustments.
    pub received: i64,
    /// Held for orders.
    pub reserved: i64,
    /// Gone to customers.
    pub shipped: i64,
}

impl Level {
    /// What can still be reserved.
    pub const fn available(&self) -> i64 {
        self.received.saturating_sub(self.reserved).saturating_sub(self.shipped)
    }

    /// Whether nothing is below zero. Holds for every level that a service stores; while a fold is under way, a
    /// reservation may come before the receipt that it took from.
    pub const fn is_sound(&self) -> bool {
        self.received >= 0 && self.reserved >= 0 && self.shipped >= 0 && self.available() >= 0
    }

    /// This level after the change; none where a sum does not fit into 64 bits.
    pub fn after(self, change: &LevelChange) -> Option<Level> {
        Some(Level {
            reserved: self.reserved.checked_add(change.reserved)?,
            shipped: self.shipped.checked_add(change.shipped)?,
            ..self
        })
    }
}

/// What a reservation's event adds to the level of a SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelChange {
    /// Of which SKU.
    pub sku: Sku,
    /// Pieces more (or fewer) held.
    pub reserved: i64,
    /// Pieces more gone.
    pub shipped: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_does_not_fit_is_no_level() {
        let level = Level { reserved: i64::MAX, ..Level::default() };
        let change = LevelChange { sku: Sku::new("a").unwrap(), reserved: 1, shipped: 0 };
        assert_eq!(level.after(&change), None);
    }

    #[test]
    fn available_is_what_is_neither_held_nor_gone() {
        let level = Level { version: 2, received: 10, reserved: 3, shipped: 4 };
        assert_eq!(level.available(), 3);
        assert!(level.is_sound());
        assert!(!Level { reserved: 7, ..level }.is_sound());
    }
}
