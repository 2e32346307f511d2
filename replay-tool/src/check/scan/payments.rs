//! What is looked at while `payment.events.v1` is folded: what was said to order, and whether versions are repeated word for
//! word.

use std::collections::HashMap;

use schemas::{CommandId, OrderId, PaymentEvent, ServiceName, Sku, message_id};

use super::replies::Replies;
use super::told::Told;
use super::versions::Versions;
use crate::check::findings::Findings;
use crate::fold::Watch;
use crate::particulars::refund_of;

/// What was seen of payments besides their state.
#[derive(Debug, Default)]
pub(crate) struct PaymentsSeen {
    /// Replies that the order service has taken.
    pub(crate) taken: HashMap<OrderId, Replies>,
    /// The refunds to which it has taken the reply.
    pub(crate) refunds_answered: HashMap<OrderId, Vec<CommandId>>,
    pub(super) findings: Findings,
    versions: Versions,
}

impl Watch<PaymentEvent> for PaymentsSeen {
    type Told = Told;

    fn comes(&mut self, id: &str, version: i64, told: Told) {
        let expected = message_id::of_version(ServiceName::Payment, id, version, 0);
        self.versions.see(id, version, told, expected, &mut self.findings);
    }

    fn advanced(&mut self, _: &PaymentEvent) {}

    fn refused(&mut self, _: &PaymentEvent, _: Told) {}

    fn overflowed(&mut self, _: &Sku) {}
}

impl PaymentsSeen {
    /// The order service has taken this event.
    pub(crate) fn take(&mut self, event: &PaymentEvent) {
        self.taken.entry(event.key().clone()).or_default().add(event.message_type());
        if let Some(change) = refund_of(event) {
            self.refunds_answered.entry(event.key().clone()).or_default().push(change.clone());
        }
    }
}
