//! Levels of stock, summed up over the parts of the topics that say something about them.

use std::collections::HashMap;

use domain::stock::Level;
use schemas::Sku;

use crate::rows::StockRow;

/// Levels summed up over all parts.
#[derive(Debug, Default)]
pub(crate) struct Levels(HashMap<Sku, Level>);

impl Levels {
    /// Add what a part of the topics says.
    pub(crate) fn add<'l>(&mut self, levels: impl Iterator<Item = (&'l Sku, Level)>) {
        levels.for_each(|(sku, level)| self.add_one(sku, level));
    }

    /// Add another part's.
    pub(crate) fn join(&mut self, other: &Levels) {
        self.add(other.0.iter().map(|(sku, level)| (sku, *level)));
    }

    /// Add a row that [`StockRow::of`] has made of a part.
    pub(crate) fn add_row(&mut self, row: &StockRow) {
        if let Ok((sku, level)) = row.clone().into_level() {
            self.add_one(&sku, level);
        }
    }

    fn add_one(&mut self, sku: &Sku, part: Level) {
        if !self.0.contains_key(sku) {
            self.0.insert(sku.clone(), Level::default());
        }
        let Some(level) = self.0.get_mut(sku) else { return };
        level.version = level.version.max(part.version);
        level.received = level.received.saturating_add(part.received);
        level.reserved = level.reserved.saturating_add(part.reserved);
        level.shipped = level.shipped.saturating_add(part.shipped);
        level.returned = level.returned.saturating_add(part.returned);
        level.written_off = level.written_off.saturating_add(part.written_off);
    }

    /// The row of every level, also of one that no table would take.
    pub(crate) fn all(&self) -> impl Iterator<Item = StockRow> {
        self.0.iter().map(|(sku, level)| StockRow::of(sku, *level))
    }

    /// The rows. A level that no table would take is told with its SKU and left out.
    pub(crate) fn rows(self) -> (Vec<StockRow>, Vec<(Sku, String)>) {
        let (mut rows, mut unsound) = (Vec::with_capacity(self.0.len()), Vec::new());
        for (sku, level) in self.0 {
            if level.version > 0 && level.is_sound() {
                rows.push(StockRow::of(&sku, level));
            } else {
                let Level { version, received, reserved, shipped, returned, written_off } = level;
                let reason = format!(
                    "received {received} ({version} receipts), reserved {reserved}, shipped {shipped}, \
                     returned {returned}, written off {written_off}"
                );
                unsound.push((sku, reason));
            }
        }
        (rows, unsound)
    }
}
