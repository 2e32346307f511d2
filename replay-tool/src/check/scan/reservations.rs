//! What is looked at while `inventory.events.v1` is folded: what was refused, what was said to order, and whether versions are
//! repeated word for word.

use std::collections::{HashMap, HashSet};

use schemas::{CommandId, InventoryEvent, OrderId, ServiceName, Sku, message_id};
use uuid::Uuid;

use super::replies::Replies;
use super::told::Told;
use super::versions::Versions;
use crate::check::findings::{Findings, Invariant};
use crate::fold::Watch;
use crate::particulars::return_of;

/// What was seen of reservations besides their state.
#[derive(Debug, Default)]
pub(crate) struct ReservationsSeen {
    /// The ids of refused commits and returns.
    pub(crate) refusals: HashSet<Uuid>,
    /// Replies that the order service has taken.
    pub(crate) taken: HashMap<OrderId, Replies>,
    /// The returns to which it has taken the reply.
    pub(crate) returns_answered: HashMap<OrderId, Vec<CommandId>>,
    pub(super) findings: Findings,
    versions: Versions,
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
        self.taken.entry(event.key().clone()).or_default().add(event.message_type());
        if let Some(change) = return_of(event) {
            self.returns_answered.entry(event.key().clone()).or_default().push(change.clone());
        }
    }
}
