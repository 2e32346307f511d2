//! What was ordered: written once, one row per order, so that the row that changes stays small.

use schemas::{OrderId, OrderLine, Sku};

use super::{Unknown, table};
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

    /// The order and its lines.
    ///
    /// # Errors
    /// A text is none that this version knows.
    pub fn into_lines(self) -> Result<(OrderId, Vec<OrderLine>), Unknown> {
        let order_id = Unknown::unless("order_id", &self.order_id, |text| OrderId::new(text).ok())?;
        let numbers = self.quantities.into_iter().zip(self.unit_prices_minor);
        let lines = self.skus.iter().zip(numbers).map(|(text, (quantity, unit_price_minor))| {
            let sku = Unknown::unless("skus", text, |text| Sku::new(text).ok())?;
            Ok(OrderLine { sku, quantity, unit_price_minor })
        });
        Ok((order_id, lines.collect::<Result<_, Unknown>>()?))
    }
}
