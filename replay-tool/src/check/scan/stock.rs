//! What is looked at while `stock.events.v1` is folded: what was refused, and whether versions are repeated word for word.

use std::collections::HashSet;

use schemas::{Sku, StockEvent, message_id};
use uuid::Uuid;

use super::told::Told;
use super::versions::Versions;
use crate::check::findings::Findings;
use crate::fold::Watch;

/// What was seen of receipts, adjustments and descriptions besides their state.
#[derive(Debug, Default)]
pub(crate) struct StockSeen {
    /// The ids of refused commands' events.
    pub(crate) refusals: HashSet<Uuid>,
    pub(super) findings: Findings,
    versions: Versions,
}

impl Watch<StockEvent> for StockSeen {
    type Told = Told;

    fn comes(&mut self, id: &str, version: i64, told: Told) {
        let expected = message_id::of_sku_version(id, version, 0);
        self.versions.see(id, version, told, expected, &mut self.findings);
    }

    fn advanced(&mut self, _: &StockEvent) {}

    fn refused(&mut self, _: &StockEvent, told: Told) {
        self.refusals.extend(told.id);
    }

    fn overflowed(&mut self, _: &Sku) {}
}
