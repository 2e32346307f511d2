//! `inventory.events.v1` folded: reservations, and what they add to levels.

use std::collections::HashMap;

use domain::decision::Inconsistent;
use domain::stock::{Level, LevelChange, Reservation, evolve};
use foldhash::fast::RandomState;
use schemas::{InventoryEvent, OrderId, Sku};

use super::aggregates::Aggregates;
use super::watch::Watch;
use crate::rows::ReservationRow;

/// Reservations as their events tell them.
#[derive(Debug, Default)]
pub(crate) struct Reservations<W = ()> {
    pub(crate) aggregates: Aggregates<OrderId, Reservation>,
    /// What all of them together add to levels: pieces reserved, shipped, returned and written off.
    added: HashMap<Sku, Level, RandomState>,
    pub(crate) watch: W,
}

impl<W: Watch<InventoryEvent>> Reservations<W> {
    /// The next event of its reservation.
    pub(crate) fn apply(&mut self, event: &InventoryEvent, told: W::Told) -> Result<(), Inconsistent> {
        let Some(version) = event.version() else {
            self.watch.refused(event, told);
            return Ok(());
        };
        let (id, watch, mut changes) = (event.key(), &mut self.watch, Vec::new());
        self.aggregates.step(id, |reservation| {
            watch.comes(id.as_str(), version, told);
            let evolved = evolve(reservation, event)?;
            changes = evolved.changes;
            Ok(evolved.reservation)
        })?;
        changes.iter().for_each(|change| self.add(change));
        Ok(())
    }

    /// What reservations do to a level is a sum, so it does not matter that receipts are read from another topic.
    fn add(&mut self, change: &LevelChange) {
        if !self.added.contains_key(&change.sku) {
            self.added.insert(change.sku.clone(), Level::default());
        }
        let Some(level) = self.added.get_mut(&change.sku) else { return };
        if let Some(after) = level.after(change) {
            *level = after;
            return;
        }
        self.watch.overflowed(&change.sku);
        level.reserved = level.reserved.saturating_add(change.reserved);
        level.shipped = level.shipped.saturating_add(change.shipped);
        level.returned = level.returned.saturating_add(change.returned);
        level.written_off = level.written_off.saturating_add(change.written_off);
    }
}

impl<W> Reservations<W> {
    /// Their rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = ReservationRow> {
        self.aggregates.values().map(ReservationRow::of)
    }

    /// What they add to levels.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (&Sku, Level)> {
        self.added.iter().map(|(sku, level)| (sku, *level))
    }

    /// Forget what levels of other SKUs are made of.
    pub(super) fn retain_levels(&mut self, is_wanted: impl Fn(&Sku) -> bool) {
        self.added.retain(|sku, _| is_wanted(sku));
    }
}

#[cfg(test)]
mod tests {
    use schemas::{StockLine, StockReserved, Time};

    use super::*;

    #[derive(Debug, Default)]
    struct Overflowed(Vec<String>);

    impl Watch<InventoryEvent> for Overflowed {
        type Told = ();

        fn comes(&mut self, _: &str, _: i64, (): ()) {}

        fn advanced(&mut self, _: &InventoryEvent) {}

        fn refused(&mut self, _: &InventoryEvent, (): ()) {}

        fn overflowed(&mut self, sku: &Sku) {
            self.0.push(sku.as_str().to_owned());
        }
    }

    #[test]
    fn a_sum_that_does_not_fit_is_heard_of_and_stays_at_the_most() {
        let mut reservations = Reservations::<Overflowed>::default();
        for (order, quantity) in [("o-1", i64::MAX), ("o-2", 1)] {
            let lines = vec![StockLine { sku: Sku::new("a").unwrap(), quantity }];
            let order_id = OrderId::new(order).unwrap();
            let event = StockReserved { order_id, version: 1, at: Time::from_micros(1), lines };
            reservations.apply(&event.into(), ()).unwrap();
        }
        assert_eq!(reservations.watch.0, ["a"]);
        let reserved: Vec<i64> = reservations.levels().map(|(_, level)| level.reserved).collect();
        assert_eq!(reserved, [i64::MAX]);
    }
}
