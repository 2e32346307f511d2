//! `payment.events.v1` folded: payments, the ledger, and what was said to order.

use std::collections::{HashMap, HashSet};

use schemas::{OrderId, PaymentEvent, ServiceName, message_id};
use workers::payment::charge::{Payment, Posting, evolve};

use super::Told;
use super::versions::Versions;
use crate::check::findings::{Findings, Invariant};

/// Payments as their events tell them.
#[derive(Debug, Default)]
pub(crate) struct PaymentFold {
    pub(crate) payments: HashMap<OrderId, Payment>,
    pub(crate) postings: Vec<Posting>,
    /// Orders whose payment's events contradict each other.
    pub(crate) contradicted: HashSet<String>,
    /// Replies that the order service has taken.
    pub(crate) taken: HashMap<OrderId, TakenPaymentReplies>,
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

impl PaymentFold {
    pub(crate) fn apply(&mut self, event: &PaymentEvent, told: Told, findings: &mut Findings) {
        let (order_id, version) = match event {
            PaymentEvent::PaymentAuthorized(event) => (&event.order_id, event.version),
            PaymentEvent::PaymentDeclined(event) => (&event.order_id, event.version),
            PaymentEvent::PaymentCaptured(event) => (&event.order_id, event.version),
            PaymentEvent::PaymentCaptureFailed(event) => (&event.order_id, event.version),
            PaymentEvent::PaymentVoided(event) => (&event.order_id, event.version),
            PaymentEvent::PaymentStuck(event) => (&event.order_id, event.version),
        };
        if self.contradicted.contains(order_id.as_str()) {
            return;
        }
        let expected = message_id::of_version(ServiceName::Payment, order_id.as_str(), version, 0);
        self.versions.see(order_id.as_str(), version, told, expected, findings);
        match evolve(self.payments.remove(order_id), event) {
            Ok(evolved) => {
                self.payments.extend(evolved.payment.map(|payment| (order_id.clone(), payment)));
                self.postings.extend(evolved.postings);
            }
            Err(inconsistent) => {
                findings.add(Invariant::Rebuild, order_id.as_str(), inconsistent.to_string());
                self.contradicted.insert(order_id.as_str().to_owned());
            }
        }
    }

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
