//! `cargo demo flash-sale`: very many orders for a few pieces of one SKU, then many over a few SKUs of which there is enough,
//! and as many over many SKUs to hold them against.
//!
//! The orders are files like anybody's and go the way of any run. What is added is the question at the end: are the pieces
//! that were sold and those that are left all that were there, and was nothing ever below zero?

mod accounts;
mod books;
mod ending;
mod orders;

use std::path::Path;
use std::time::{Duration, Instant};

use client::Publisher;
use grammar::grouped;
use schemas::Sku;

use crate::error::DemoError;
use crate::narrator::Narrator;
use crate::options::FlashSaleOptions;
use crate::run::{self, Findings, SOURCE};
use crate::scene::Scene;
use crate::wave::{self, Settled, Wave};
use accounts::Accounts;
use books::Books;

/// So many SKUs at most stand for "many".
const MANY_SKUS: u64 = 10_000;

/// A sale whose orders are written.
pub(crate) struct FlashSale {
    goods: Goods,
    on_sale: Wave,
    hot: Wave,
    many: Wave,
}

/// What is sold.
struct Goods {
    pieces: u32,
    on_sale: Sku,
    hot: Vec<Sku>,
    many: Vec<Sku>,
    nobody_is_declined: bool,
}

/// A sale that is over.
pub(crate) struct Sold {
    goods: Goods,
    on_sale: Settled,
    /// Not played where a wave before it has not come to its end: behind one that stands, none would get on.
    hot: Option<Settled>,
    many: Option<Settled>,
    books: Books,
    findings: Findings,
    is_paced: bool,
}

impl FlashSale {
    /// Writes the orders into the folder.
    pub(crate) fn prepare(options: &FlashSaleOptions, folder: &Path) -> Result<Self, DemoError> {
        let goods = Goods {
            pieces: options.pieces,
            on_sale: orders::sku("on-sale", 1)?,
            hot: orders::skus("hot", options.hot_skus)?,
            many: orders::skus("other", options.hot_orders.min(MANY_SKUS))?,
            nobody_is_declined: options.staging.cast.decline_percent == 0,
        };
        Ok(Self {
            on_sale: orders::write(folder, "sale", options.orders, std::slice::from_ref(&goods.on_sale))?,
            hot: orders::write(folder, "hot", options.hot_orders, &goods.hot)?,
            many: orders::write(folder, "other", options.hot_orders, &goods.many)?,
            goods,
        })
    }

    /// What is going to happen.
    pub(crate) fn words(&self) -> String {
        let (orders, pieces) = (grouped(self.on_sale.orders), grouped(u64::from(self.goods.pieces)));
        let (hot_orders, hot) = (grouped(self.hot.orders), self.goods.hot.len());
        format!("{orders} orders for {pieces} pieces of one SKU, then {hot_orders} over {hot} hot SKUs")
    }

    /// All of it, on a stage that is up.
    pub(crate) async fn play(
        self,
        scene: &Scene,
        rate: Option<u32>,
        begin: Instant,
        narrator: &Narrator,
    ) -> Result<Sold, DemoError> {
        let Self { goods, on_sale, hot, many } = self;
        let publisher = Publisher::open(&scene.connection(), SOURCE)?;
        let (pieces, hot_skus, many_skus) = (grouped(u64::from(goods.pieces)), goods.hot.len(), goods.many.len());
        narrator.tell(&format!(
            "receiving {pieces} pieces of the SKU on sale, and enough of {hot_skus} hot and {many_skus} other SKUs"
        ));
        run::receive_stock(scene, &publisher, &goods.stock(hot.orders)?, "demo-receipt", narrator).await?;
        let play = async |wave: Wave, what: &str| {
            narrator.tell(&format!("publishing {} orders for {what}", grouped(wave.orders)));
            wave::play(scene, &publisher, wave, rate, begin, narrator).await
        };
        let on_sale = play(on_sale, "the SKU on sale").await?;
        let hot = if on_sale.is_complete() { Some(play(hot, "the hot SKUs").await?) } else { None };
        let gets_on = hot.as_ref().is_some_and(Settled::is_complete);
        let many = if gets_on { Some(play(many, "the other SKUs").await?) } else { None };
        narrator.tell("the sale is over; counting pieces, and checking topics against tables");
        let books = Books::read(&scene.connection()).await?;
        let findings = run::find(scene, narrator).await?;
        Ok(Sold { goods, on_sale, hot, many, books, findings, is_paced: rate.is_some() })
    }
}

impl Goods {
    /// What is received; `enough` of all that is not on sale.
    fn stock(&self, enough: u64) -> Result<Vec<(Sku, i64)>, DemoError> {
        let enough = i64::try_from(enough).map_err(|error| DemoError::Words(error.to_string()))?;
        let on_sale = (self.on_sale.clone(), i64::from(self.pieces));
        let others = self.hot.iter().chain(&self.many).map(|sku| (sku.clone(), enough));
        Ok(std::iter::once(on_sale).chain(others).collect())
    }
}

impl Sold {
    fn accounts(&self) -> Accounts {
        let Self { goods, books, .. } = self;
        let elsewhere = books.refusals.iter().filter(|(sku, _)| **sku != goods.on_sale);
        let waves = [("sale", Some(&self.on_sale)), ("hot", self.hot.as_ref()), ("other", self.many.as_ref())];
        let incomplete = waves.into_iter().filter(|(_, wave)| wave.is_some_and(|wave| !wave.is_complete()));
        Accounts {
            pieces: goods.pieces,
            orders: self.on_sale.tally.counts().orders,
            nobody_is_declined: goods.nobody_is_declined,
            confirmed: self.on_sale.tally.confirmed(),
            level: books.levels.of(&goods.on_sale).unwrap_or_default(),
            refusals: books.refusals.get(&goods.on_sale).copied().unwrap_or_default(),
            refused_elsewhere: elsewhere.map(|(_, refusals)| refusals.count).sum(),
            below_zero: books.below_zero(),
            incomplete: incomplete.map(|(name, _)| name).collect(),
        }
    }

    /// From the first order for the SKU on sale to the first one that was turned away.
    fn sold_out(&self) -> Option<Duration> {
        self.on_sale.tally.first_out_of_stock().map(|first| first.saturating_duration_since(self.on_sale.first_sent))
    }

    /// From the first order for the SKU on sale to the last confirmation of one.
    fn last_confirmed(&self) -> Option<Duration> {
        self.on_sale.tally.last_confirmed().map(|last| last.saturating_duration_since(self.on_sale.first_sent))
    }
}
