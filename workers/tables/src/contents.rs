//! What was ordered: written once, one row per order, so that the row that changes stays small.

use super::table;
use domain::saga::Order;

table!(
    /// What was ordered.
    ContentsRow in "order_contents", key (order_id: String), guard () {
        once skus: Vec<String>,
        once quantities: Vec<i64>,
        once unit_prices_minor: Vec<i64>,
    }
);

impl ContentsRow {
    /// The row of what was ordered.
    pub fn of(order: &Order) -> Self {
        ContentsRow {
            order_id: order.order_id.as_str().to_owned(),
            skus: order.lines.iter().map(|line| line.sku.as_str().to_owned()).collect(),
            quantities: order.lines.iter().map(|line| line.quantity).collect(),
            unit_prices_minor: order.lines.iter().map(|line| line.unit_price_minor).collect(),
        }
    }
}
