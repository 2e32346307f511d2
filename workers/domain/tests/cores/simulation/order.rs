//! The order service of the simulation: a map, `decide`, `evolve`.

use std::collections::BTreeMap;

use domain::decision::{Decision, Inconsistent, Outcome};
use domain::planted::Planted;
use domain::saga::{Input, Order, Policy, decide, evolve};
use schemas::{Message, OrderEvent, OrderId, Time};

pub(super) struct Orders {
    pub(super) policy: Policy,
    pub(super) planted: Planted,
    pub(super) orders: BTreeMap<OrderId, Order>,
}

impl Orders {
    pub(super) fn decide(&self, input: Input<'_>, now: Time) -> Decision<OrderEvent> {
        let state = self.orders.get(input.order_id());
        self.planted.alter_order(state, input, decide(state, input, now, &self.policy))
    }

    /// Decide and keep; what is to be said, and how it went.
    pub(super) fn handle(&mut self, input: Input<'_>, now: Time) -> Result<(Vec<Message>, Outcome), Inconsistent> {
        let decision = self.decide(input, now);
        let outcome = decision.outcome;
        if let Some(event) = decision.change() {
            fold(&mut self.orders, input.order_id(), event)?;
        }
        Ok((decision.messages().collect(), outcome))
    }

    /// The orders of a partition whose deadline has passed.
    pub(super) fn overdue(&self, now: Time) -> Vec<OrderId> {
        let is_due = |order: &&Order| order.deadline().is_some_and(|deadline| deadline <= now);
        self.orders.values().filter(is_due).map(|order| order.order_id.clone()).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.orders.values().filter_map(Order::deadline).min()
    }
}

pub(super) fn fold(
    orders: &mut BTreeMap<OrderId, Order>,
    order_id: &OrderId,
    event: &OrderEvent,
) -> Result<(), Inconsistent> {
    let before = orders.remove(order_id);
    if let Some(order) = evolve(before, event)? {
        orders.insert(order_id.clone(), order);
    }
    Ok(())
}
