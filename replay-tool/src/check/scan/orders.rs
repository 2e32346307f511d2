//! What is looked at while `order.events.v1` is folded: how orders were undone, what was refused, and whether versions are
//! repeated word for word.

use std::collections::{HashMap, HashSet};

use schemas::{Awaiting, OrderCommandName, OrderEvent, OrderId, ServiceName, Sku, message_id};
use uuid::Uuid;

use super::told::Told;
use super::versions::Versions;
use crate::check::findings::Findings;
use crate::fold::{Orders, Watch};

/// A refused command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) order_id: OrderId,
    pub(crate) command: OrderCommandName,
}

/// What was seen of orders besides their state.
#[derive(Debug, Default)]
pub(crate) struct OrdersSeen {
    /// What an order being undone waited for, one after the other.
    pub(crate) undoing: HashMap<OrderId, Vec<Awaiting>>,
    /// By the event's id.
    pub(crate) refusals: HashMap<Uuid, Refusal>,
    pub(super) findings: Findings,
    versions: Versions,
}

impl Watch<OrderEvent> for OrdersSeen {
    type Told = Told;

    fn comes(&mut self, id: &str, version: i64, told: Told) {
        let expected = message_id::of_version(ServiceName::Order, id, version, 0);
        self.versions.see(id, version, told, expected, &mut self.findings);
    }

    fn advanced(&mut self, event: &OrderEvent) {
        if let OrderEvent::OrderCancelling(event) = event {
            self.undoing.entry(event.order_id.clone()).or_default().push(event.awaiting);
        }
    }

    fn refused(&mut self, event: &OrderEvent, told: Told) {
        if let OrderEvent::OrderRejected(event) = event {
            let refusal = Refusal { order_id: event.order_id.clone(), command: event.command };
            self.refusals.insert(told.id.unwrap_or_default(), refusal);
        }
    }

    fn overflowed(&mut self, _: &Sku) {}
}

impl Orders<OrdersSeen> {
    /// Distinct order ids whose `PlaceOrder` was refused and of which there is no order.
    pub(crate) fn refused_without_order(&self) -> usize {
        let refusals = self.watch.refusals.values();
        let placements = refusals.filter(|refusal| refusal.command == OrderCommandName::PlaceOrder);
        let ids: HashSet<&OrderId> =
            placements.map(|refusal| &refusal.order_id).filter(|id| self.aggregates.get(id).is_none()).collect();
        ids.len()
    }
}
