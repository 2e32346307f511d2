//! Where the orders of a load come from: made up, all alike, or the sample data over and over, or for few SKUs on purpose.
//!
//! Every order gets an id of its own that holds its number, so that an event leads back to it without a map.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use client::OrderFile;
use schemas::{CustomerId, IdError, OrderId, OrderLine, PlaceOrder, Sku, Time};

use crate::error::{BenchError, Result};

/// How many SKUs made-up orders draw from; as many as the ceiling has.
pub(crate) const SKUS: u64 = 10_000;
/// How many customers place made-up orders.
const CUSTOMERS: u64 = 2_000;

/// A source of orders without end.
pub(crate) enum Orders {
    /// Orders of so many lines each, spread evenly over the SKUs.
    Synthetic {
        /// Lines per order.
        lines: u32,
    },
    /// Orders of one piece of one of these, spread evenly.
    OnePiece {
        /// Never empty.
        skus: Vec<Sku>,
    },
    /// Real orders, repeated under new ids.
    Sample {
        /// Never empty.
        orders: Vec<PlaceOrder>,
    },
}

impl Orders {
    /// The orders of a `.jsonl` or `.jsonl.zst` file, as they are: some of the sample's have a line that is refused.
    pub(crate) fn sample(path: &Path) -> Result<Self> {
        let mut orders = Vec::new();
        for entry in OrderFile::open(path).map_err(BenchError::other)? {
            orders.push(entry.map_err(BenchError::other)?.content.map_err(BenchError::other)?);
        }
        if orders.is_empty() {
            return Err(BenchError::other(format!("{} holds no order", path.display())));
        }
        Ok(Orders::Sample { orders })
    }

    /// Orders of one piece, over the SKUs of these numbers.
    pub(crate) fn one_piece(numbers: Range<u64>) -> Result<Self> {
        let skus: Vec<Sku> = numbers.map(sku).collect::<std::result::Result<_, _>>().map_err(BenchError::other)?;
        if skus.is_empty() {
            return Err(BenchError::other("orders of one piece need a SKU"));
        }
        Ok(Orders::OnePiece { skus })
    }

    /// The same without those that the order service rejects: lines with a quantity of 0.
    pub(crate) fn sound(self) -> Self {
        match self {
            Orders::Synthetic { lines } => Orders::Synthetic { lines },
            Orders::OnePiece { skus } => Orders::OnePiece { skus },
            Orders::Sample { mut orders } => {
                orders.retain(|order| order.lines.iter().all(|line| line.quantity > 0));
                Orders::Sample { orders }
            }
        }
    }

    /// The order with this number, under the id `<tag>-<number>`.
    pub(crate) fn order(&self, tag: &str, number: u64, now: Time) -> Result<PlaceOrder> {
        let order_id = order_id(tag, number)?;
        match self {
            Orders::Synthetic { lines } => {
                let lines = (0..*lines).map(|index| made_up_line(number, index)).collect::<std::result::Result<_, _>>();
                lines.and_then(|lines| made_up(order_id, number, lines, now)).map_err(BenchError::other)
            }
            Orders::OnePiece { skus } => {
                let index = usize::try_from(spread(number)).map_err(BenchError::other)? % skus.len();
                let line = OrderLine { sku: skus[index].clone(), quantity: 1, unit_price_minor: 100 };
                made_up(order_id, number, vec![line], now).map_err(BenchError::other)
            }
            Orders::Sample { orders } => {
                let index = usize::try_from(number).map_err(BenchError::other)? % orders.len();
                Ok(PlaceOrder { order_id, placed_at: now, ..orders[index].clone() })
            }
        }
    }

    /// Every SKU that an order may name.
    pub(crate) fn skus(&self) -> Result<Vec<Sku>> {
        match self {
            Orders::Synthetic { .. } => {
                (0..SKUS).map(sku).collect::<std::result::Result<_, _>>().map_err(BenchError::other)
            }
            Orders::OnePiece { skus } => Ok(skus.clone()),
            Orders::Sample { orders } => {
                let skus: BTreeSet<&Sku> = orders.iter().flat_map(|order| &order.lines).map(|line| &line.sku).collect();
                Ok(skus.into_iter().cloned().collect())
            }
        }
    }

    /// Lines per order on average.
    #[expect(clippy::float_arithmetic, reason = "a figure for people, not an amount")]
    pub(crate) fn lines_per_order(&self) -> f64 {
        match self {
            Orders::Synthetic { lines } => f64::from(*lines),
            Orders::OnePiece { .. } => 1.0,
            Orders::Sample { orders } => {
                let lines: usize = orders.iter().map(|order| order.lines.len()).sum();
                lines as f64 / orders.len() as f64
            }
        }
    }
}

/// The id of the order with this number.
pub(crate) fn order_id(tag: &str, number: u64) -> Result<OrderId> {
    OrderId::new(format!("{tag}-{number:010}")).map_err(BenchError::other)
}

/// The number in an order's id, if it has this tag.
pub(crate) fn number_of(tag: &str, order_id: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(order_id).ok()?;
    text.strip_prefix(tag)?.strip_prefix('-')?.parse().ok()
}

fn made_up(
    order_id: OrderId,
    number: u64,
    lines: Vec<OrderLine>,
    now: Time,
) -> std::result::Result<PlaceOrder, IdError> {
    let customer_id = CustomerId::new(format!("customer-{}", number % CUSTOMERS))?;
    Ok(PlaceOrder::new(order_id, customer_id, now, "USD", lines))
}

fn made_up_line(number: u64, index: u32) -> std::result::Result<OrderLine, IdError> {
    Ok(OrderLine {
        sku: sku(spread(number << 8 | u64::from(index)) % SKUS)?,
        quantity: 2,
        unit_price_minor: 100 + i64::from(index) * 37,
    })
}

fn sku(number: u64) -> std::result::Result<Sku, IdError> {
    Sku::new(format!("{}", 1_000_000 + number))
}

/// Neighbouring numbers lead to SKUs far apart.
fn spread(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_file() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/orders-2017-01.jsonl.zst")
    }

    #[test]
    fn an_id_leads_back_to_its_number() {
        let orders = Orders::Synthetic { lines: 5 };
        let order = orders.order("max", 1234, Time::from_micros(7)).unwrap();
        assert_eq!(number_of("max", order.order_id.as_str().as_bytes()), Some(1234));
        assert_eq!(number_of("half", order.order_id.as_str().as_bytes()), None);
        assert_eq!(order.lines.len(), 5);
        let known = orders.skus().unwrap();
        assert!(order.lines.iter().all(|line| known.contains(&line.sku)));
    }

    #[test]
    fn orders_of_one_piece_want_all_of_their_skus_about_as_often() {
        let orders = Orders::one_piece(5..25).unwrap();
        let skus = orders.skus().unwrap();
        let mut wanted = std::collections::BTreeMap::new();
        for number in 0..10_000 {
            let order = orders.order("hot", number, Time::from_micros(7)).unwrap();
            assert_eq!((order.lines.len(), order.lines[0].quantity), (1, 1));
            *wanted.entry(order.lines[0].sku.clone()).or_insert(0) += 1;
        }
        assert!(skus.len() == 20 && wanted.keys().all(|sku| skus.contains(sku)), "{wanted:?}");
        assert!(wanted.len() == 20 && wanted.values().all(|count| (400..600).contains(count)), "{wanted:?}");
        assert!(Orders::one_piece(5..5).is_err());
    }

    #[test]
    fn the_sample_is_repeated_under_new_ids() {
        let orders = Orders::sample(&sample_file()).unwrap();
        let at = |number| orders.order("s", number, Time::from_micros(7)).unwrap();
        assert_eq!(at(0).lines, at(12_721).lines);
        assert_ne!(at(0).order_id, at(12_721).order_id);
        assert!((9.7..9.8).contains(&orders.lines_per_order()));
    }
}
