//! `payment.events.v1` folded: payments, the ledger, and what was said to order.

use std::collections::{HashMap, HashSet};

use domain::charge::{Payment, Posting, evolve};
use schemas::{OrderId, PaymentEvent, ServiceName, message_id};

use super::Told;
use super::replies::Replies;
use super::versions::Versions;
use crate::report::{Findings, Invariant};

/// Payments as their events tell them.
#[derive(Debug, Default)]
pub(crate) struct PaymentFold {
    pub(crate) payments: HashMap<OrderId, Payment>,
    pub(crate) postings: Vec<Posting>,
    /// Orders whose payment's events contradict each other.
    pub(crate) contradicted: HashSet<String>,
    /// Replies that the order service has taken.
    pub(crate) taken: HashMap<OrderId, Replies>,
    versions: Versions,
}

impl PaymentFold {
    pub(crate) fn apply(&mut self, event: &PaymentEvent, told: Told, findings: &mut Findings) {
        let (order_id, version) = (event.key(), event.version());
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
        self.taken.entry(event.key().clone()).or_default().add(event.message_type());
    }
}
