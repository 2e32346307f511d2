//! What is looked at while `order.events.v1` is folded: how orders were undone, what went on though it was held, what a person
//! vouched for, what was refused, whether what an order carries stays as it was, and whether versions are repeated word for word.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::saga::{Step, origin};
use schemas::{MessageType, OrderCommandName, OrderEvent, OrderId, ServiceName, Sku, Time, message_id};
use serde::Serialize;
use uuid::Uuid;

use super::told::Told;
use super::versions::Versions;
use crate::check::findings::{Findings, Invariant};
use crate::fold::{Orders, Watch};
use crate::particulars::attributes_of;

/// A refused command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) order_id: OrderId,
    pub(crate) is_placement: bool,
}

/// That a person has moved a stuck order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ByHand {
    /// Which order.
    pub order_id: String,
    /// `RetryOrder`, `SkipOrderStep` or `ResolveOrder`.
    pub command: String,
    /// What came of it: the event's name, and how the order ended where it did.
    pub event: String,
    /// Who.
    pub by: Option<String>,
    /// Why.
    pub note: Option<String>,
    /// When.
    pub at: Time,
}

/// What was seen of orders besides their state.
#[derive(Debug, Default)]
pub(crate) struct OrdersSeen {
    /// What an order being undone waited for, one after the other.
    pub(crate) undoing: HashMap<OrderId, Vec<Step>>,
    /// Orders that went on though they were held, and what happened to them.
    pub(crate) moved_while_held: Vec<(OrderId, &'static str)>,
    /// What persons did to stuck orders.
    pub(crate) by_hand: HashMap<OrderId, Vec<ByHand>>,
    /// By the event's id.
    pub(crate) refusals: HashMap<Uuid, Refusal>,
    pub(super) findings: Findings,
    versions: Versions,
    /// Those that are held.
    held: HashSet<OrderId>,
    /// What orders carry; most carry nothing.
    carried: HashMap<OrderId, BTreeMap<String, String>>,
}

impl Watch<OrderEvent> for OrdersSeen {
    type Told = Told;

    fn comes(&mut self, id: &str, version: i64, told: Told) {
        let expected = message_id::of_version(ServiceName::Order, id, version, 0);
        self.versions.see(id, version, told, expected, &mut self.findings);
    }

    fn advanced(&mut self, event: &OrderEvent) {
        if let OrderEvent::OrderCancelling(event) = event {
            let step = Step::of(event.awaiting, event.step.as_deref());
            self.undoing.entry(event.order_id.clone()).or_default().push(step);
        }
        self.see_hold(event);
        self.see_person(event);
        self.see_attributes(event);
    }

    fn refused(&mut self, event: &OrderEvent, told: Told) {
        let is_placement =
            matches!(event, OrderEvent::OrderRejected(event) if event.command == OrderCommandName::PlaceOrder);
        let refusal = Refusal { order_id: event.key().clone(), is_placement };
        self.refusals.insert(told.id.unwrap_or_default(), refusal);
    }

    fn overflowed(&mut self, _: &Sku) {}
}

impl OrdersSeen {
    /// Whether a person has said that a step of the order is done, or how the order has ended: then services and
    /// provider need not say the same.
    pub(crate) fn is_vouched_for(&self, order_id: &OrderId) -> bool {
        let commands = [MessageType::SkipOrderStep.name(), MessageType::ResolveOrder.name()];
        self.by_hand.get(order_id).is_some_and(|all| all.iter().any(|one| commands.contains(&one.command.as_str())))
    }

    /// An order that is held is neither confirmed nor shipped. Whoever releases it at the gate confirms it.
    fn see_hold(&mut self, event: &OrderEvent) {
        let id = event.key();
        let is_released = origin(event).is_some_and(|origin| origin.command == MessageType::ReleaseOrder.name());
        match event {
            OrderEvent::OrderPlaced(placed) => {
                if placed.hold.is_some() {
                    self.held.insert(id.clone());
                }
            }
            OrderEvent::OrderHeld(_) => {
                self.held.insert(id.clone());
            }
            OrderEvent::OrderReleased(_)
            | OrderEvent::OrderCancelling(_)
            | OrderEvent::OrderCancelled(_)
            | OrderEvent::OrderResolved(_) => {
                self.held.remove(id);
            }
            OrderEvent::OrderConfirmed(_) | OrderEvent::OrderShipped(_) | OrderEvent::OrderCompleted(_) => {
                if self.held.remove(id) && !is_released {
                    self.moved_while_held.push((id.clone(), event.name()));
                }
            }
            OrderEvent::OrderStockReserved(_)
            | OrderEvent::OrderActionRequired(_)
            | OrderEvent::OrderAuthorized(_)
            | OrderEvent::OrderPaymentCaptured(_)
            | OrderEvent::OrderStockCommitted(_)
            | OrderEvent::OrderStuck(_)
            | OrderEvent::OrderRetried(_)
            | OrderEvent::OrderAskedAgain(_)
            | OrderEvent::OrderRefundRequested(_)
            | OrderEvent::OrderRefunded(_)
            | OrderEvent::OrderRefundFailed(_)
            | OrderEvent::OrderReturnRequested(_)
            | OrderEvent::OrderReturnReceived(_)
            | OrderEvent::OrderReturnClosed(_)
            | OrderEvent::OrderRejected(_)
            | OrderEvent::OrderCommandRefused(_) => {}
        }
    }

    fn see_person(&mut self, event: &OrderEvent) {
        let verbs = [MessageType::RetryOrder, MessageType::SkipOrderStep, MessageType::ResolveOrder];
        let Some(origin) = origin(event).filter(|origin| verbs.iter().any(|verb| verb.name() == origin.command)) else {
            return;
        };
        let mut happened = event.name().to_owned();
        if let OrderEvent::OrderResolved(resolved) = event {
            happened.push_str(&format!(", {}", resolved.outcome));
        }
        if let OrderEvent::OrderRetried(retried) = event {
            happened.push_str(&format!(", {}", retried.step));
        }
        self.by_hand.entry(event.key().clone()).or_default().push(ByHand {
            order_id: event.key().as_str().to_owned(),
            command: origin.command.clone(),
            event: happened,
            by: origin.by.clone(),
            note: origin.note.clone(),
            at: event.at(),
        });
    }

    /// Every event of an order carries what its first one did.
    fn see_attributes(&mut self, event: &OrderEvent) {
        let Some(attributes) = attributes_of(event) else { return };
        let id = event.key();
        if let OrderEvent::OrderPlaced(_) = event {
            if !attributes.is_empty() {
                self.carried.insert(id.clone(), attributes.clone());
            }
            return;
        }
        let nothing = BTreeMap::new();
        if self.carried.get(id).unwrap_or(&nothing) != attributes {
            let name = event.name();
            let detail = format!("{name} does not carry the attributes with which the order was placed");
            self.findings.add(Invariant::Rebuild, id.as_str(), detail);
        }
    }
}

impl Orders<OrdersSeen> {
    /// Distinct order ids whose `PlaceOrder` was refused and of which there is no order.
    pub(crate) fn refused_without_order(&self) -> usize {
        let placements = self.watch.refusals.values().filter(|refusal| refusal.is_placement);
        let ids: HashSet<&OrderId> =
            placements.map(|refusal| &refusal.order_id).filter(|id| self.aggregates.get(id).is_none()).collect();
        ids.len()
    }
}
