//! Every accepted order comes to an end; asked only where everything must have come to rest.

use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};

pub(crate) fn check(evidence: &Evidence, findings: &mut Findings) {
    for order in evidence.tables.rows.orders.values() {
        if order.stage == "stuck" && evidence.expectations.nothing_stuck {
            let (awaiting, detail) = (order.awaiting.as_deref(), order.detail.as_deref());
            let detail = format!("stuck, waiting for {}: {}", awaiting.unwrap_or("?"), detail.unwrap_or_default());
            findings.add(Invariant::Termination, order.order_id.as_str(), detail);
        }
    }
    if !evidence.expectations.quiescent {
        return;
    }
    for order in evidence.tables.rows.orders.values() {
        if !matches!(order.stage.as_str(), "completed" | "cancelled" | "stuck") {
            let awaiting = order.awaiting.as_deref().map_or_else(String::new, |name| format!(", waiting for {name}"));
            let (since, deadline) = (order.changed_at.0, order.confirm_by.0);
            let detail =
                format!("not finished: {}{awaiting} since {since}; to be confirmed by {deadline}", order.stage);
            findings.add(Invariant::Termination, order.order_id.as_str(), detail);
        }
    }
    for order_id in &evidence.tables.open_calls {
        findings.add(Invariant::Termination, order_id.as_str(), "a call to the payment provider is still open");
    }
    for (topic, partition, count) in &evidence.waiting {
        let detail = format!("{count} records wait for their reader: it is down, or holds the partition");
        findings.add(Invariant::Termination, format!("{topic}[{partition}]"), detail);
    }
}
