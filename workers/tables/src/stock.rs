//! The stock of a SKU: sums over receipts, adjustments and reservations.

use schemas::Sku;

use super::{Unknown, table};
use domain::stock::Level;

table!(
    /// The stock of a SKU. Its version counts receipts and adjustments alone, so an update compares the sums of the
    /// reservations too.
    StockRow in "stock", key (sku: String), guard (version, reserved, shipped, returned) {
        changes version: i64,
        changes received: i64,
        changes reserved: i64,
        changes shipped: i64,
        changes returned: i64,
        changes written_off: i64,
    }
);

impl StockRow {
    /// The row of a SKU's level.
    pub fn of(sku: &Sku, level: Level) -> Self {
        let Level { version, received, reserved, shipped, returned, written_off } = level;
        StockRow { sku: sku.as_str().to_owned(), version, received, reserved, shipped, returned, written_off }
    }

    /// The SKU and its level.
    ///
    /// # Errors
    /// A text is none that this version knows.
    pub fn into_level(self) -> Result<(Sku, Level), Unknown> {
        let StockRow { sku, version, received, reserved, shipped, returned, written_off } = self;
        let sku = Unknown::unless("sku", &sku, |text| Sku::new(text).ok())?;
        Ok((sku, Level { version, received, reserved, shipped, returned, written_off }))
    }
}
