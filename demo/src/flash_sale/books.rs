//! What the inventory service has said in the whole demo, read from its topics to their ends: the levels, and what each refusal
//! named as available.
//!
//! A refusal is decided under the SKU's lock, so what it names is the level of that moment. The levels between two refusals
//! are nobody's to see; that none was below zero there is the table's own constraint, and the checker sees the sums.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{Connection, Level, Selection, StockLevels, TopicReader};
use schemas::{InventoryEvent, Message, Shortage, Sku, TopicName};

use crate::error::DemoError;

/// How long the brokers may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Refusals for want of one SKU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Refusals {
    pub(super) count: u64,
    /// The fewest pieces that one of them named as available.
    pub(super) lowest: i64,
    /// The most.
    pub(super) highest: i64,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) levels: StockLevels,
    pub(super) refusals: BTreeMap<Sku, Refusals>,
}

impl Books {
    /// Reads both topics.
    pub(super) async fn read(connection: &Connection) -> Result<Self, DemoError> {
        let mut books = Self::default();
        for topic in [TopicName::StockEvents, TopicName::InventoryEvents] {
            let selection = Selection { topic, key: None, from_end: false };
            let mut reader = TopicReader::open(connection, selection).await?;
            while let Some(record) = reader.next_to_end(PATIENCE, &mut |_| {}).await? {
                books.apply(&record.message);
            }
        }
        Ok(books)
    }

    fn apply(&mut self, message: &Message) {
        self.levels.apply(message);
        if let Message::InventoryEvent(InventoryEvent::StockRejected(event)) = message {
            event.shortages.iter().for_each(|shortage| self.refuse(shortage));
        }
    }

    fn refuse(&mut self, shortage: &Shortage) {
        let Shortage { sku, available, .. } = shortage;
        let first = Refusals { count: 0, lowest: *available, highest: *available };
        let refusals = self.refusals.entry(sku.clone()).or_insert(first);
        refusals.count += 1;
        refusals.lowest = refusals.lowest.min(*available);
        refusals.highest = refusals.highest.max(*available);
    }

    /// The levels of which anything is below zero, in words.
    pub(super) fn below_zero(&self) -> Vec<String> {
        let is_below =
            |level: &Level| [level.received, level.reserved, level.shipped, level.available()].iter().min() < Some(&0);
        let below = self.levels.all().filter(|(_, level)| is_below(level));
        below.map(|(sku, level)| format!("{sku}: {level:?}, so {} available", level.available())).collect()
    }
}

#[cfg(test)]
mod tests {
    use schemas::{OrderId, StockLine, StockRejected, StockReserved, Time};

    use super::*;

    fn rejected(id: &str, available: i64) -> Message {
        let shortages = vec![Shortage { sku: Sku::new("a").unwrap(), requested: 1, available }];
        let (order_id, at) = (OrderId::new(id).unwrap(), Time::from_micros(0));
        InventoryEvent::from(StockRejected { order_id, version: 1, at, shortages }).into()
    }

    #[test]
    fn the_range_of_what_refusals_name_is_kept() {
        let mut books = Books::default();
        [rejected("1", 0), rejected("2", -3), rejected("3", 2)].iter().for_each(|message| books.apply(message));
        let refusals = books.refusals[&Sku::new("a").unwrap()];
        assert_eq!(refusals, Refusals { count: 3, lowest: -3, highest: 2 });
    }

    #[test]
    fn a_reservation_of_what_is_not_there_is_below_zero() {
        let mut books = Books::default();
        assert_eq!(books.below_zero(), Vec::<String>::new());
        let lines = vec![StockLine { sku: Sku::new("a").unwrap(), quantity: 1 }];
        let (order_id, at) = (OrderId::new("1").unwrap(), Time::from_micros(0));
        books.apply(&InventoryEvent::from(StockReserved { order_id, version: 1, at, lines }).into());
        let below = books.below_zero();
        assert!(below.len() == 1 && below[0].ends_with("so -1 available"), "{below:?}");
    }
}
