//! The part `flash`: a rush on one SKU of which there are few pieces, then one on a few SKUs of which there is enough.
//!
//! Each is held against a twin: as many orders, as many unfinished, over all SKUs. What the rush costs is then what it costs
//! that all orders want the same rows. Nobody's card is declined here; `cargo demo flash-sale` has that.

use std::sync::Arc;

use clap::Args;

use crate::error::Result;
use crate::goals::{Goal, at_least, exactly, quotient};
use crate::outcome::Report;
use crate::pipeline::{Orders, Pipeline, SKUS, Wave};
use crate::plan::announce;
use crate::run::Run;

/// The names of the waves: on one SKU, on a few, and their twins.
const SALE: &str = "sale";
const HOT: &str = "hot";
const SALE_TWIN: &str = "sale-uniform";
const HOT_TWIN: &str = "hot-uniform";
/// The share of its twin that each is to reach.
const SHARE_OF_TWIN: f64 = 0.5;
/// The number of the SKU on sale: none of those that other orders want.
const ON_SALE: u64 = SKUS;

/// How large the waves are.
#[derive(Debug, Clone, Args)]
pub(crate) struct FlashSale {
    /// Of the part `flash`: orders of one piece for the SKU on sale
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    flash_orders: u64,
    /// Pieces of it that are there
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    flash_pieces: u32,
    /// Then orders of one piece over the hot SKUs, of which there is enough
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    flash_hot_orders: u64,
    /// Hot SKUs
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=SKUS))]
    flash_hot_skus: u64,
}

impl FlashSale {
    /// Runs all waves on a pipeline that has [`FlashSale::stock`].
    pub(crate) async fn run(&self, pipeline: &Pipeline<'_>, in_flight: u64) -> Result<Vec<Run>> {
        let on_sale = Arc::new(Orders::one_piece(ON_SALE..ON_SALE + 1)?);
        let (hot, uniform) = (Arc::new(Orders::one_piece(0..self.flash_hot_skus)?), Arc::new(Self::stock()?));
        pipeline.receive(&on_sale.skus()?, i64::from(self.flash_pieces))?;
        let wave = |name: &str, orders: &Arc<Orders>, count, pieces| Wave {
            name: name.to_owned(),
            orders: orders.clone(),
            count,
            in_flight,
            pieces,
        };
        // Whoever comes first warms up everybody.
        run(pipeline, &wave("warm-up", &uniform, self.flash_hot_orders, None)).await?;
        let waves = [
            wave(SALE_TWIN, &uniform, self.flash_orders, None),
            wave(SALE, &on_sale, self.flash_orders, Some(u64::from(self.flash_pieces))),
            wave(HOT_TWIN, &uniform, self.flash_hot_orders, None),
            wave(HOT, &hot, self.flash_hot_orders, None),
        ];
        let mut runs = Vec::with_capacity(waves.len());
        for wave in &waves {
            runs.push(run(pipeline, wave).await?);
        }
        Ok(runs)
    }

    /// What there is enough of: orders over all SKUs, the hot ones among them.
    pub(crate) fn stock() -> Result<Orders> {
        Orders::one_piece(0..SKUS)
    }
}

async fn run(pipeline: &Pipeline<'_>, wave: &Wave) -> Result<Run> {
    let Wave { name, count, in_flight, .. } = wave;
    announce(&format!("wave {name}: {count} orders, {in_flight} unfinished at any time"));
    pipeline.settle().await?;
    pipeline.wave(wave).await
}

/// How the waves did; nothing where they were not run.
pub(crate) fn judge(runs: &[Run]) -> Vec<Goal> {
    let mut goals = Vec::new();
    if let Some(run) = Report::find(runs, SALE)
        && let Some(wave) = &run.wave
        && let Some(pieces) = wave.pieces
    {
        let sold = pieces.min(run.completed + run.ended_otherwise);
        goals.push(exactly("confirmed orders of the sale, nobody declined", "", count(sold), count(wave.confirmed)));
    }
    for (name, twin, what) in [(SALE, SALE_TWIN, "one SKU on sale"), (HOT, HOT_TWIN, "a few hot SKUs")] {
        if let (Some(run), Some(twin)) = (Report::find(runs, name), Report::find(runs, twin)) {
            let share = quotient(run.orders_per_second, twin.orders_per_second);
            goals.push(at_least(format!("ended orders/s on {what}, by those over all SKUs"), "", SHARE_OF_TWIN, share));
        }
    }
    goals
}

fn count(orders: u64) -> f64 {
    orders as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Usage;
    use crate::run::WaveFigures;

    fn wave(name: &str, ended: u64, sold: Option<(u64, u64)>) -> Run {
        let usage = Usage { elapsed: Duration::from_secs(1), ..Usage::default() };
        let mut run = Run::of(name, 1.0, ended, &usage);
        let (pieces, confirmed) = sold.map_or((None, ended), |(pieces, confirmed)| (Some(pieces), confirmed));
        run.wave =
            Some(WaveFigures { pieces, confirmed, sold_out_s: None, last_confirmed_s: 0.0, end_latency_ms: None });
        run
    }

    #[test]
    fn one_piece_too_many_or_too_few_and_half_the_speed_are_seen() {
        let met = |confirmed, ended| {
            let runs = [wave(SALE_TWIN, 1_000, None), wave(SALE, ended, Some((25, confirmed)))];
            judge(&runs).iter().map(|goal| goal.met).collect::<Vec<_>>()
        };
        assert_eq!(met(25, 500), [true, true]);
        assert_eq!(met(26, 499), [false, false]);
        assert_eq!(met(24, 500), [false, true]);
        assert_eq!(met(20, 20), [true, false], "fewer orders than pieces");
        assert!(judge(&[wave(HOT, 1, None)]).is_empty());
    }
}
