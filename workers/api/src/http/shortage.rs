//! Early "sold out": what an order would be short of by the read model, for callers that would rather know at once.
//!
//! Advice, and never a decision: the read model is a moment behind, and inventory alone reserves. So it is only given to whoever asks
//! for it (`?check_stock=true`); without it, and for everything that is there as far as the read model knows, the order is published.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use schemas::{OrderLine, Sku, limits};
use serde::Serialize;
use utoipa::ToSchema;

use super::Door;
use super::problem::{Kind, Problem};

/// How many levels are looked at beside one another.
const AT_ONCE: usize = 8;

/// A SKU of which there is not enough, as far as the read model knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ShortShape {
    /// Which SKU.
    #[schema(example = "pen")]
    sku: String,
    /// The lines of the order that ask for it, from 1.
    lines: Vec<usize>,
    /// How many pieces they ask for.
    wanted: i64,
    /// What could be reserved.
    available: i64,
    /// Where that stands; none of a SKU of which nothing is known.
    position: Option<String>,
}

#[derive(Debug, Default)]
struct Wanted {
    lines: Vec<usize>,
    pieces: i64,
}

impl Door {
    /// A problem where the read model has less than these lines ask for.
    pub(super) async fn has_enough_for(&self, lines: &[OrderLine]) -> Result<(), Problem> {
        // With more of them the order service refuses the order, and says so better.
        if lines.len() > limits::MAX_LINES {
            return Ok(());
        }
        let looks = stream::iter(wanted(lines)).map(|(sku, wanted)| self.shortage(sku, wanted));
        let short: Vec<Option<ShortShape>> = looks.buffered(AT_ONCE).try_collect().await?;
        let short: Vec<ShortShape> = short.into_iter().flatten().collect();
        if short.is_empty() { Ok(()) } else { Err(sold_out(short)) }
    }

    async fn shortage(&self, sku: Sku, wanted: Wanted) -> Result<Option<ShortShape>, Problem> {
        let level = self.reads.level(&sku).await?;
        let available = level.as_ref().map_or(0, |level| level.what.1.available());
        let position = level.and_then(|level| level.position).map(|position| position.to_string());
        let Wanted { lines, pieces } = wanted;
        let is_short = pieces > available;
        Ok(is_short.then(|| ShortShape { sku: sku.to_string(), lines, wanted: pieces, available, position }))
    }
}

fn wanted(lines: &[OrderLine]) -> BTreeMap<Sku, Wanted> {
    let mut wanted: BTreeMap<Sku, Wanted> = BTreeMap::new();
    for (line, number) in lines.iter().zip(1..) {
        let of_sku = wanted.entry(line.sku.clone()).or_default();
        of_sku.lines.push(number);
        of_sku.pieces = of_sku.pieces.saturating_add(line.quantity);
    }
    wanted
}

fn sold_out(short: Vec<ShortShape>) -> Problem {
    let one =
        |short: &ShortShape| format!("{} of {}, of which {} are wanted", short.available, short.sku, short.wanted);
    let words: Vec<String> = short.iter().map(one).collect();
    let detail = format!(
        "as far as is known there are {}. Nothing was published; without check_stock the order is, and inventory decides",
        words.join("; ")
    );
    Problem { short: short.into(), ..Problem::new(Kind::SoldOut, detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_sku_are_wanted_together() {
        let line = |sku: &str, quantity| OrderLine { sku: Sku::new(sku).unwrap(), quantity, unit_price_minor: 1 };
        let lines = [line("pen", 2), line("ink", 1), line("pen", i64::MAX)];
        let told = wanted(&lines).into_iter().map(|(sku, wanted)| (sku.to_string(), wanted.lines, wanted.pieces));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [("ink".to_owned(), vec![2], 1), ("pen".to_owned(), vec![1, 3], i64::MAX)]
        );
    }
}
