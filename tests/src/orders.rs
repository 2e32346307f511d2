//! Orders to place: real ones from `tests/data`, and single ones made for a case; and the stock that they need.

use std::collections::BTreeMap;
use std::path::Path;

use client::OrderFile;
use schemas::{CustomerId, OrderId, OrderLine, PlaceOrder, Sku, Time};

use crate::Outcome;

/// So many real orders, from the beginning of the sample after the first `skipped`.
pub fn sample(skipped: usize, count: usize) -> Outcome<Vec<PlaceOrder>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/orders-2017-01.jsonl.zst");
    let mut orders = Vec::with_capacity(count);
    for entry in OrderFile::open(&path)?.skip(skipped).take(count) {
        orders.push(entry?.content.map_err(|error| crate::trouble(error.to_string()))?);
    }
    Ok(orders)
}

/// Whether the order service accepts it, as far as the sample's one kind of mistake goes: a quantity of 0.
pub fn is_sound(order: &PlaceOrder) -> bool {
    order.lines.iter().all(|line| line.quantity > 0)
}

/// An order of single pieces at 100 minor units, in US dollars.
pub fn order(id: &str, skus: &[&str]) -> Outcome<PlaceOrder> {
    let line = |sku: &&str| Ok(OrderLine { sku: Sku::new(*sku)?, quantity: 1, unit_price_minor: 100 });
    let placed_at = Time::from_micros(1_500_000_000_000_000);
    let lines = skus.iter().map(line).collect::<Outcome<_>>()?;
    Ok(PlaceOrder::new(OrderId::new(id)?, CustomerId::new("c-1")?, placed_at, "USD", lines))
}

/// The pieces per SKU that these orders want, as far as they are sound.
pub fn stock_for(orders: &[PlaceOrder]) -> BTreeMap<Sku, i64> {
    let mut stock = BTreeMap::new();
    for line in orders.iter().filter(|order| is_sound(order)).flat_map(|order| &order.lines) {
        *stock.entry(line.sku.clone()).or_default() += line.quantity;
    }
    stock
}
