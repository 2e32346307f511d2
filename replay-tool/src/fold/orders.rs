//! `order.events.v1` folded.

use domain::decision::Inconsistent;
use domain::saga::{Order, evolve};
use schemas::{OrderEvent, OrderId};

use super::aggregates::Aggregates;
use super::watch::Watch;
use crate::rows::{ContentsRow, OrderRow, OrderSkuRow};

/// Orders as their events tell them.
#[derive(Debug, Default)]
pub(crate) struct Orders<W = ()> {
    pub(crate) aggregates: Aggregates<OrderId, Order>,
    pub(crate) watch: W,
}

impl<W: Watch<OrderEvent>> Orders<W> {
    /// The next event of its order.
    pub(crate) fn apply(&mut self, event: &OrderEvent, told: W::Told) -> Result<(), Inconsistent> {
        let Some(version) = event.version() else {
            self.watch.refused(event, told);
            return Ok(());
        };
        let (id, watch) = (event.key(), &mut self.watch);
        self.aggregates.step(id, |order| {
            watch.comes(id.as_str(), version, told);
            let before = order.as_ref().map_or(0, |order| order.version);
            let order = evolve(order, event)?;
            if order.as_ref().is_some_and(|order| order.version > before) {
                watch.advanced(event);
            }
            Ok(order)
        })
    }
}

impl<W> Orders<W> {
    /// Their rows; `partitions` is how many each topic has.
    pub(crate) fn rows(&self, partitions: i32) -> impl Iterator<Item = OrderRow> {
        self.aggregates.values().map(move |order| OrderRow::of(order, partitions))
    }

    /// The rows of which SKUs they have.
    pub(crate) fn skus(&self) -> impl Iterator<Item = OrderSkuRow> {
        self.aggregates.values().flat_map(OrderSkuRow::all_of)
    }

    /// The rows of what they are about.
    pub(crate) fn contents(&self) -> impl Iterator<Item = ContentsRow> {
        self.aggregates.values().map(ContentsRow::of)
    }
}
