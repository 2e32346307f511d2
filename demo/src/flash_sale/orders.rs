//! The orders of a sale, written into files that anybody could publish: one piece each, the SKUs in turn.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use schemas::Sku;
use serde_json::json;

use crate::error::DemoError;
use crate::wave::Wave;

/// How many customers buy.
const CUSTOMERS: u64 = 2_000;
/// A Friday.
const PLACED_AT: &str = "2026-11-27T08:00:00Z";

/// The SKU of this kind and number.
pub(super) fn sku(kind: &str, number: u64) -> Result<Sku, DemoError> {
    Sku::new(format!("{kind}-{number}")).map_err(|error| DemoError::Words(error.to_string()))
}

/// So many SKUs of this kind.
pub(super) fn skus(kind: &str, count: u64) -> Result<Vec<Sku>, DemoError> {
    (1..=count).map(|number| sku(kind, number)).collect()
}

/// Writes a wave of this name.
pub(super) fn write(folder: &Path, name: &str, orders: u64, skus: &[Sku]) -> Result<Wave, DemoError> {
    let path = folder.join(format!("{name}.jsonl"));
    let failed = || DemoError::file("write", &path);
    let mut file = BufWriter::new(File::create(&path).map_err(failed())?);
    for (number, sku) in (1..=orders).zip(skus.iter().cycle()) {
        let order = json!({
            "order_id": format!("{name}-{number}"),
            "customer_id": format!("customer-{}", number % CUSTOMERS),
            "placed_at": PLACED_AT,
            "currency": "USD",
            "lines": [{ "sku": sku, "quantity": 1, "unit_price_minor": 4_900 }],
        });
        writeln!(file, "{order}").map_err(failed())?;
    }
    file.flush().map_err(failed())?;
    Ok(Wave { path, name: Some(format!("the wave {name}")), limit: None, orders, has_warehouse: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_orders_are_orders_of_one_piece_and_share_the_skus() {
        let folder = std::env::temp_dir().join(format!("flash-sale-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let skus = skus("hot", 3).unwrap();
        let wave = write(&folder, "hot", 7, &skus).unwrap();
        let orders: Vec<schemas::PlaceOrder> =
            client::OrderFile::open(&wave.path).unwrap().map(|entry| entry.unwrap().content.unwrap()).collect();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!((orders.len(), orders[6].order_id.as_str()), (7, "hot-7"));
        assert!(orders.iter().all(|order| order.lines.len() == 1 && order.lines[0].quantity == 1), "{orders:?}");
        assert_eq!(orders.iter().filter(|order| order.lines[0].sku == skus[0]).count(), 3);
    }
}
