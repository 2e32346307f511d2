//! What is looked at while `payment.events.v1` is folded: what was said to order, and whether versions are repeated word for
//! word.

use std::collections::HashMap;

use schemas::{OrderId, PaymentEvent, ServiceName, Sku, message_id};

use super::told::Told;
use super::versions::Versions;
use crate::check::findings::Findings;
use crate::fold::Watch;

/// What was seen of payments besides their state.
#[derive(Debug, Default)]
pub(crate) struct PaymentsSeen {
    /// Replies that the order service has taken.
    pub(crate) taken: HashMap<OrderId, TakenPaymentReplies>,
    pub(super) findings: Findings,
    versions: Versions,
}

/// Which replies about an order's payment the order service has taken.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TakenPaymentReplies {
    pub(crate) authorized: bool,
    pub(crate) declined: bool,
    pub(crate) captured: bool,
    pub(crate) capture_failed: bool,
    pub(crate) voided: bool,
    pub(crate) stuck: bool,
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
        let mut mark = |order_id: &OrderId, mark: fn(&mut TakenPaymentReplies)| {
            mark(self.taken.entry(order_id.clone()).or_default());
        };
        match event {
            PaymentEvent::PaymentAuthorized(event) => mark(&event.order_id, |taken| taken.authorized = true),
            PaymentEvent::PaymentDeclined(event) => mark(&event.order_id, |taken| taken.declined = true),
            PaymentEvent::PaymentCaptured(event) => mark(&event.order_id, |taken| taken.captured = true),
            PaymentEvent::PaymentCaptureFailed(event) => mark(&event.order_id, |taken| taken.capture_failed = true),
            PaymentEvent::PaymentVoided(event) => mark(&event.order_id, |taken| taken.voided = true),
            PaymentEvent::PaymentStuck(event) => mark(&event.order_id, |taken| taken.stuck = true),
        }
    }
}
