//! Which orders have a SKU: of the read model alone.

use super::{Timestamptz, table};
use domain::saga::Order;

table!(
    /// A SKU of an order.
    OrderSkuRow in "order_skus", key (sku: String, accepted_at: Timestamptz, order_id: String), guard () {}
);

impl OrderSkuRow {
    /// The rows of an order. One that names a SKU in several lines has it once.
    pub fn all_of(order: &Order) -> Vec<Self> {
        let mut skus: Vec<&str> = order.lines.iter().map(|line| line.sku.as_str()).collect();
        skus.sort_unstable();
        skus.dedup();
        let row = |sku: &str| OrderSkuRow {
            sku: sku.to_owned(),
            accepted_at: Timestamptz(order.accepted_at),
            order_id: order.order_id.as_str().to_owned(),
        };
        skus.into_iter().map(row).collect()
    }
}
