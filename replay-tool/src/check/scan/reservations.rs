//! `inventory.events.v1` folded: reservations, what they add to levels, and what was said to order.

use std::collections::{HashMap, HashSet};

use schemas::{InventoryEvent, OrderId, ServiceName, Sku, message_id};
use uuid::Uuid;
use workers::inventory::stock::{LevelChange, Reservation, evolve};

use super::Told;
use super::versions::Versions;
use crate::check::findings::{Findings, Invariant};

/// Reservations as their events tell them.
#[derive(Debug, Default)]
pub(crate) struct ReservationFold {
    pub(crate) reservations: HashMap<OrderId, Reservation>,
    /// Pieces reserved and shipped, by SKU.
    pub(crate) changes: HashMap<Sku, (i64, i64)>,
    /// The ids of refused commits.
    pub(crate) refusals: HashSet<Uuid>,
    /// Orders whose reservation's events contradict each other.
    pub(crate) contradicted: HashSet<String>,
    /// Replies that the order service has taken.
    pub(crate) taken: HashMap<OrderId, TakenStockReplies>,
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

impl ReservationFold {
    pub(crate) fn apply(&mut self, event: &InventoryEvent, told: Told, findings: &mut Findings) {
        let (order_id, version) = match event {
            InventoryEvent::StockReserved(event) => (&event.order_id, event.version),
            InventoryEvent::StockRejected(event) => (&event.order_id, event.version),
            InventoryEvent::StockCommitted(event) => (&event.order_id, event.version),
            InventoryEvent::StockReleased(event) => (&event.order_id, event.version),
            InventoryEvent::StockCommitRefused(_) => {
                self.refusals.extend(told.id);
                return;
            }
        };
        if self.contradicted.contains(order_id.as_str()) {
            return;
        }
        let expected = message_id::of_version(ServiceName::Inventory, order_id.as_str(), version, 0);
        self.versions.see(order_id.as_str(), version, told, expected, findings);
        match evolve(self.reservations.remove(order_id), event) {
            Ok(evolved) => {
                if let Some(reservation) = evolved.reservation {
                    self.reservations.insert(order_id.clone(), reservation);
                }
                evolved.changes.into_iter().for_each(|change| self.add(change, findings));
            }
            Err(inconsistent) => {
                findings.add(Invariant::Rebuild, order_id.as_str(), inconsistent.to_string());
                self.contradicted.insert(order_id.as_str().to_owned());
            }
        }
    }

    fn add(&mut self, change: LevelChange, findings: &mut Findings) {
        let (reserved, shipped) = self.changes.entry(change.sku.clone()).or_default();
        match (reserved.checked_add(change.reserved), shipped.checked_add(change.shipped)) {
            (Some(more_reserved), Some(more_shipped)) => (*reserved, *shipped) = (more_reserved, more_shipped),
            (None, _) | (_, None) => {
                findings.add(Invariant::Stock, change.sku.as_str(), "a sum does not fit into 64 bits");
            }
        }
    }

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
