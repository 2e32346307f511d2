//! `order.events.v1` folded: orders, how they were undone, and what was refused.

use std::collections::{HashMap, HashSet};

use schemas::{Awaiting, OrderCommandName, OrderEvent, OrderId, ServiceName, message_id};
use uuid::Uuid;
use workers::order::saga::{Order, evolve};

use super::Told;
use super::versions::Versions;
use crate::check::findings::{Findings, Invariant};

/// A refused command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) order_id: OrderId,
    pub(crate) command: OrderCommandName,
}

/// Orders as their events tell them.
#[derive(Debug, Default)]
pub(crate) struct OrderFold {
    pub(crate) orders: HashMap<OrderId, Order>,
    /// What an order being undone waited for, one after the other.
    pub(crate) undoing: HashMap<OrderId, Vec<Awaiting>>,
    /// By the event's id.
    pub(crate) refusals: HashMap<Uuid, Refusal>,
    /// Orders whose events contradict each other.
    pub(crate) contradicted: HashSet<String>,
    versions: Versions,
}

impl OrderFold {
    pub(crate) fn apply(&mut self, event: &OrderEvent, told: Told, findings: &mut Findings) {
        let (order_id, version) = match event {
            OrderEvent::OrderPlaced(event) => (&event.order_id, event.version),
            OrderEvent::OrderStockReserved(event) => (&event.order_id, event.version),
            OrderEvent::OrderConfirmed(event) => (&event.order_id, event.version),
            OrderEvent::OrderPaymentCaptured(event) => (&event.order_id, event.version),
            OrderEvent::OrderCompleted(event) => (&event.order_id, event.version),
            OrderEvent::OrderCancelling(event) => (&event.order_id, event.version),
            OrderEvent::OrderCancelled(event) => (&event.order_id, event.version),
            OrderEvent::OrderStuck(event) => (&event.order_id, event.version),
            OrderEvent::OrderRejected(event) => {
                let refusal = Refusal { order_id: event.order_id.clone(), command: event.command };
                self.refusals.insert(told.id.unwrap_or_default(), refusal);
                return;
            }
        };
        if self.contradicted.contains(order_id.as_str()) {
            return;
        }
        let expected = message_id::of_version(ServiceName::Order, order_id.as_str(), version, 0);
        self.versions.see(order_id.as_str(), version, told, expected, findings);
        let before = self.orders.get(order_id).map_or(0, |order| order.version);
        match evolve(self.orders.remove(order_id), event) {
            Ok(Some(order)) => {
                if let (OrderEvent::OrderCancelling(event), true) = (event, order.version > before) {
                    self.undoing.entry(order_id.clone()).or_default().push(event.awaiting);
                }
                self.orders.insert(order_id.clone(), order);
            }
            Ok(None) => {}
            Err(inconsistent) => {
                findings.add(Invariant::Rebuild, order_id.as_str(), inconsistent.to_string());
                self.contradicted.insert(order_id.as_str().to_owned());
            }
        }
    }

    /// Distinct order ids whose `PlaceOrder` was refused and of which there is no order.
    pub(crate) fn refused_without_order(&self) -> usize {
        let placements = self.refusals.values().filter(|refusal| refusal.command == OrderCommandName::PlaceOrder);
        let ids: HashSet<&OrderId> =
            placements.map(|refusal| &refusal.order_id).filter(|id| !self.orders.contains_key(*id)).collect();
        ids.len()
    }
}
