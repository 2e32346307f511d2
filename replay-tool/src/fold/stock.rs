//! `stock.events.v1` folded: what came in, what was adjusted and what was described, and the levels without what reservations
//! add.

use std::collections::{HashMap, HashSet};

use domain::decision::Inconsistent;
use domain::stock::{Level, Product, Receipt, evolve_stock};
use foldhash::fast::RandomState;
use schemas::{Sku, StockEvent};

use super::watch::Watch;
use crate::rows::{ProductRow, ReceiptRow};

/// Receipts, adjustments and descriptions as their events tell them.
#[derive(Debug, Default)]
pub(crate) struct Stock<W = ()> {
    /// In the order of each SKU's versions.
    pub(crate) receipts: Vec<Receipt>,
    levels: HashMap<Sku, Level, RandomState>,
    products: HashMap<Sku, Product, RandomState>,
    /// SKUs whose events contradict each other. What came before stays.
    pub(crate) contradicted: HashSet<Sku>,
    pub(crate) watch: W,
}

impl<W: Watch<StockEvent>> Stock<W> {
    /// The next event of its SKU.
    pub(crate) fn apply(&mut self, event: &StockEvent, told: W::Told) -> Result<(), Inconsistent> {
        let Some(version) = event.version() else {
            self.watch.refused(event, told);
            return Ok(());
        };
        let Some(receipt) = Receipt::of(event) else { return Ok(()) };
        if self.contradicted.contains(&receipt.sku) {
            return Ok(());
        }
        self.watch.comes(receipt.sku.as_str(), version, told);
        let level = self.levels.get(&receipt.sku).copied().unwrap_or_default();
        match evolve_stock(&receipt.sku, level, event) {
            Ok(next) => {
                if next.version > level.version {
                    self.watch.advanced(event);
                    self.levels.insert(receipt.sku.clone(), next);
                    if let Some(product) = Product::of(event) {
                        self.products.insert(receipt.sku.clone(), product);
                    }
                    self.receipts.push(receipt);
                }
                Ok(())
            }
            Err(inconsistent) => {
                self.contradicted.insert(receipt.sku);
                Err(inconsistent)
            }
        }
    }
}

impl<W> Stock<W> {
    /// The receipts' rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = ReceiptRow> {
        self.receipts.iter().map(ReceiptRow::of)
    }

    /// The rows of SKUs that were described.
    pub(crate) fn products(&self) -> impl Iterator<Item = ProductRow> {
        self.products.values().map(ProductRow::of)
    }

    /// The levels, without what reservations add.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (&Sku, Level)> {
        self.levels.iter().map(|(sku, level)| (sku, *level))
    }

    /// Forget the levels of other SKUs.
    pub(super) fn retain_levels(&mut self, is_wanted: impl Fn(&Sku) -> bool) {
        self.levels.retain(|sku, _| is_wanted(sku));
    }
}

#[cfg(test)]
mod tests {
    use schemas::{CommandId, StockCommandRejected, StockReceived, StockRejectionCode, Time};

    use super::*;

    /// What a watch is told, in words.
    #[derive(Debug, Default)]
    struct Heard(Vec<String>);

    impl Watch<StockEvent> for Heard {
        type Told = u8;

        fn comes(&mut self, id: &str, version: i64, told: u8) {
            self.0.push(format!("{told}: {id} v{version}"));
        }

        fn advanced(&mut self, _: &StockEvent) {
            self.0.push("advanced".to_owned());
        }

        fn refused(&mut self, _: &StockEvent, told: u8) {
            self.0.push(format!("{told}: refused"));
        }

        fn overflowed(&mut self, sku: &Sku) {
            self.0.push(format!("{} overflowed", sku.as_str()));
        }
    }

    fn received(version: i64) -> StockEvent {
        let (sku, command_id) = (Sku::new("a").unwrap(), CommandId::new(format!("c-{version}")).unwrap());
        StockReceived { sku, version, at: Time::from_micros(1), command_id, quantity: 5, origin: None }.into()
    }

    fn refused() -> StockEvent {
        let (sku, command_id) = (Sku::new("a").unwrap(), CommandId::new("c").unwrap());
        let (code, detail) = (StockRejectionCode::BelowReserved, "too few".to_owned());
        StockCommandRejected { sku, at: Time::from_micros(1), command_id, code, detail }.into()
    }

    #[test]
    fn a_watch_hears_what_the_state_does_not_keep_until_events_contradict_each_other() {
        let mut watched = Stock::<Heard>::default();
        let events = [received(1), received(1), refused(), received(3), received(2)];
        let folded = (0..).zip(&events).map(|(told, event)| watched.apply(event, told).is_ok());
        assert_eq!(folded.collect::<Vec<_>>(), [true, true, true, false, true]);
        assert_eq!(watched.watch.0, ["0: a v1", "advanced", "1: a v1", "2: refused", "3: a v3"]);
        assert_eq!((watched.receipts.len(), watched.contradicted.len()), (1, 1));
    }

    #[test]
    fn the_state_is_the_same_when_nobody_looks_on() {
        let (mut alone, mut watched) = (Stock::<()>::default(), Stock::<Heard>::default());
        for event in [received(1), refused(), received(2), received(2), received(4), received(3)] {
            assert_eq!(alone.apply(&event, ()), watched.apply(&event, 0));
        }
        assert_eq!(alone.receipts, watched.receipts);
        assert_eq!(alone.levels, watched.levels);
        assert_eq!(alone.products, watched.products);
    }
}
