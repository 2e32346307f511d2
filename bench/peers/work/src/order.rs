//! The orders: the same as the made-up ones of the pipeline's benchmark (`bench/src/pipeline/orders.rs`), five lines each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many SKUs orders draw from.
pub(crate) const SKUS: u64 = 10_000;
const LINES: u64 = 5;
const CUSTOMERS: u64 = 2_000;

/// An order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: String,
    /// Who placed it.
    pub customer: String,
    /// Currency of its prices.
    pub currency: String,
    /// What is ordered.
    pub lines: Vec<Line>,
}

/// A line of an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// Which product.
    pub sku: String,
    /// How many.
    pub quantity: i64,
    /// For how much each, in minor units.
    pub unit_price_minor: i64,
}

impl Order {
    /// The order with this number.
    pub fn numbered(tag: &str, number: u64) -> Self {
        let line = |index: u64| Line {
            sku: sku(spread(number << 8 | index) % SKUS),
            quantity: 2,
            unit_price_minor: 100 + i64::try_from(index).unwrap_or_default() * 37,
        };
        Order {
            id: format!("{tag}-{number:010}"),
            customer: format!("customer-{}", number % CUSTOMERS),
            currency: "USD".to_owned(),
            lines: (0..LINES).map(line).collect(),
        }
    }

    /// What it costs.
    pub(crate) fn total_minor(&self) -> i64 {
        self.lines.iter().map(|line| line.quantity * line.unit_price_minor).sum()
    }

    /// Pieces by SKU, ascending, each SKU once.
    pub(crate) fn pieces(&self) -> (Vec<&str>, Vec<i64>) {
        let mut pieces: BTreeMap<&str, i64> = BTreeMap::new();
        for line in &self.lines {
            *pieces.entry(line.sku.as_str()).or_default() += line.quantity;
        }
        pieces.into_iter().unzip()
    }
}

pub(crate) fn sku(number: u64) -> String {
    format!("{}", 1_000_000 + number)
}

/// Neighbouring numbers lead to SKUs far apart.
fn spread(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_have_five_lines_and_pieces_are_counted_once() {
        let mut order = Order::numbered("t", 7);
        assert_eq!((order.id.as_str(), order.lines.len()), ("t-0000000007", 5));
        assert_eq!(order.total_minor(), 2 * (5 * 100 + 37 * 10));
        order.lines[1].sku = order.lines[0].sku.clone();
        let (skus, quantities) = order.pieces();
        assert_eq!((skus.len(), quantities.iter().sum::<i64>()), (4, 10));
        assert!(skus.is_sorted());
    }
}
