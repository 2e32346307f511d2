//! How much there is of a SKU: sums and what follows from them.
//!
//! Only receipts, adjustments and descriptions have versions; what reservations add is a sum over all of them, in any order.

use serde::{Deserialize, Serialize};

use schemas::Sku;

/// The stock of a SKU in pieces. A SKU of which nothing was ever received is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Level {
    /// The number of receipts, adjustments and descriptions.
    pub version: i64,
    /// All that came in, corrected by adjustments.
    pub received: i64,
    /// Held for orders.
    pub reserved: i64,
    /// Gone to customers.
    pub shipped: i64,
    /// Come back from customers.
    pub returned: i64,
    /// Of what came back, what cannot be sold again.
    pub written_off: i64,
}

impl Level {
    /// What can still be reserved.
    pub const fn available(&self) -> i64 {
        let there = self.received.saturating_add(self.returned);
        there.saturating_sub(self.reserved).saturating_sub(self.shipped).saturating_sub(self.written_off)
    }

    /// Whether nothing is below zero. Holds for every level that a service stores; while a fold is under way, a
    /// reservation may come before the receipt that it took from.
    pub fn is_sound(&self) -> bool {
        let sums = [self.received, self.reserved, self.shipped, self.returned, self.written_off];
        sums.into_iter().all(|sum| sum >= 0) && self.returned <= self.shipped && self.available() >= 0
    }

    /// This level after the change; none where a sum does not fit into 64 bits.
    pub fn after(self, change: &LevelChange) -> Option<Level> {
        Some(Level {
            reserved: self.reserved.checked_add(change.reserved)?,
            shipped: self.shipped.checked_add(change.shipped)?,
            returned: self.returned.checked_add(change.returned)?,
            written_off: self.written_off.checked_add(change.written_off)?,
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
    /// Pieces more come back.
    pub returned: i64,
    /// Pieces more, of those, that cannot be sold again.
    pub written_off: i64,
}

impl LevelChange {
    /// No change of this SKU yet.
    pub fn none(sku: Sku) -> Self {
        LevelChange { sku, reserved: 0, shipped: 0, returned: 0, written_off: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_does_not_fit_is_no_level() {
        let level = Level { reserved: i64::MAX, ..Level::default() };
        let change = LevelChange { reserved: 1, ..LevelChange::none(Sku::new("a").unwrap()) };
        assert_eq!(level.after(&change), None);
    }

    #[test]
    fn available_is_what_is_neither_held_nor_gone() {
        let level = Level { version: 2, received: 10, reserved: 3, shipped: 4, ..Level::default() };
        assert_eq!(level.available(), 3);
        assert!(level.is_sound());
        assert!(!Level { reserved: 7, ..level }.is_sound());
    }

    #[test]
    fn what_came_back_is_there_again_unless_it_is_written_off() {
        let level = Level { version: 1, received: 10, shipped: 4, returned: 3, written_off: 1, reserved: 0 };
        assert_eq!(level.available(), 8);
        assert!(level.is_sound());
        assert!(!Level { returned: 5, ..level }.is_sound(), "more came back than had left");
    }
}
