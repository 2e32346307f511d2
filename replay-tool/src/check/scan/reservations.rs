//! What is looked at while `inventory.events.v1` is folded: what was refused, what was said to order, and whether versions are
//! repeated word for word.

use std::collections::{HashMap, HashSet};

use schemas::{InventoryEvent, OrderId, ServiceName, Sku, message_id};
use uuid::Uuid;

use super::told::Told;
use super::versions::Versions;
use crate::check::findings::{Findings, Invariant};
use crate::fold::Watch;

/// What was seen of reservations besides their state.
#[derive(Debug, Default)]
pub(crate) struct ReservationsSeen {
    /// The ids of refused commits.
    pub(crate) refusals: HashSet<Uuid>,
    /// Replies that the order service has taken.
    pub(crate) taken: HashMap<OrderId, TakenStockReplies>,
    pub(super) findings: Findings,
    versions: Versions,
}

/// Which replies about an order's stock the order service has taken.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TakenStockReplies {
    pub(crate) reserved: bool,
    pub(crate) rejected: bool,
    pub(crate) committed: bool,
    pub(crate) commit_refused: bool,
    pub(crate) released: bool,
}

impl Watch<InventoryEvent> for ReservationsSeen {
    type Told = Told;

    fn comes(&mut self, id: &str, version: i64, told: Told) {
        let expected = message_id::of_version(ServiceName::Inventory, id, version, 0);
        self.versions.see(id, version, told, expected, &mut self.findings);
    }

    fn advanced(&mut self, _: &InventoryEvent) {}

    fn refused(&mut self, _: &InventoryEvent, told: Told) {
        self.refusals.extend(told.id);
    }

    fn overflowed(&mut self, sku: &Sku) {
        self.findings.add(Invariant::Stock, sku.as_str(), "a sum does not fit into 64 bits");
    }
}

impl ReservationsSeen {
    /// The order service has taken this event.
    pub(crate) fn take(&mut self, event: &InventoryEvent) {
        let mut mark = |order_id: &OrderId, mark: fn(&mut TakenStockReplies)| {
            mark(self.taken.entry(order_id.clone()).or_default());
        };
        match event {
            InventoryEvent::StockReserved(event) => mark(&event.order_id, |taken| taken.reserved = true),
            InventoryEvent::StockRejected(event) => mark(&event.order_id, |taken| taken.rejected = true),
            InventoryEvent::StockCommitted(event) => mark(&event.order_id, |taken| taken.committed = true),
            InventoryEvent::StockCommitRefused(event) => mark(&event.order_id, |taken| taken.commit_refused = true),
            InventoryEvent::StockReleased(event) => mark(&event.order_id, |taken| taken.released = true),
        }
    }
}
