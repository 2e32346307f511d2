//! What inventory and payment have taken of order's requests, against what they made of them.

use outbox::inbox::place::Place;
use schemas::{CommandId, ServiceName, TopicName, message_id};

use super::place;
use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::scan::{Request, RequestKind};
use crate::check::state::State;
use crate::rows::{PaymentRow, ReservationRow};

pub(super) fn check(evidence: &Evidence, state: &State<'_>, findings: &mut Findings) {
    let rows = state.rows;
    let are_refusals_whole = evidence.topics.is_whole(TopicName::InventoryEvents);
    for request in &evidence.topics.inventory_requests.taken {
        let order_id = request.order_id.as_str();
        let reservation = rows.reservations.get(&(order_id.to_owned(),));
        let refusal = of_input(ServiceName::Inventory, TopicName::InventoryCommands, request);
        let is_refused = || !are_refusals_whole || evidence.topics.reservations.watch.refusals.contains(&refusal());
        let is_answered = match (request.kind, &request.change) {
            (RequestKind::Return, Some(change)) => has_come_back(state, order_id, change) || is_refused(),
            (kind, _) => is_answered_by_stock(kind, reservation, is_refused),
        };
        if !is_answered {
            tell(TopicName::InventoryCommands, request, findings);
        }
    }
    for request in &evidence.topics.payment_requests.taken {
        let order_id = request.order_id.as_str();
        let payment = rows.payments.get(&(order_id.to_owned(),));
        // A call that is open answers later; a command that waits for it waits there.
        let is_open = evidence.tables.open_calls.contains(order_id);
        let is_answered = match (request.kind, &request.change) {
            (RequestKind::Refund, Some(change)) => has_ended(state, order_id, change),
            (kind, _) => is_answered_by_payment(kind, payment),
        };
        if !is_open && !is_answered {
            tell(TopicName::PaymentCommands, request, findings);
        }
    }
}

fn of_input(service: ServiceName, topic: TopicName, request: &Request) -> impl Fn() -> uuid::Uuid {
    let Place { partition, offset } = request.place;
    move || message_id::of_input(service, topic.as_str(), partition, offset, 0)
}

fn tell(topic: TopicName, request: &Request, findings: &mut Findings) {
    let detail = format!("the {} for {} was taken and left no trace", request.name, request.order_id);
    findings.add(Invariant::BadInput, place(topic, request.partition, request.offset), detail);
}

fn is_answered_by_stock(
    kind: RequestKind,
    reservation: Option<&ReservationRow>,
    is_refused: impl Fn() -> bool,
) -> bool {
    let status = reservation.map(|reservation| reservation.status.as_str());
    match kind {
        RequestKind::Reserve => status.is_some(),
        RequestKind::Commit => status == Some("committed") || is_refused(),
        RequestKind::Release => matches!(status, Some("released" | "rejected" | "committed")),
        RequestKind::Return
        | RequestKind::Authorize
        | RequestKind::Capture
        | RequestKind::Void
        | RequestKind::Refund
        | RequestKind::Retry => false,
    }
}

/// Whether the goods of this return are in stock.
fn has_come_back(state: &State<'_>, order_id: &str, return_id: &CommandId) -> bool {
    let mut returns = state.reservations.get(order_id).into_iter().flat_map(|reservation| &reservation.returns);
    returns.any(|back| back.return_id == *return_id)
}

/// Whether this refund has an outcome.
fn has_ended(state: &State<'_>, order_id: &str, refund_id: &CommandId) -> bool {
    let mut refunds = state.payments.get(order_id).into_iter().flat_map(|payment| &payment.refunds);
    refunds.any(|refund| refund.refund_id == *refund_id)
}

fn is_answered_by_payment(kind: RequestKind, payment: Option<&PaymentRow>) -> bool {
    let status = payment.map(|payment| payment.status.as_str());
    match kind {
        RequestKind::Authorize => status.is_some(),
        RequestKind::Capture => status.is_some_and(|status| status != "authorized"),
        RequestKind::Void => matches!(status, Some("voided" | "declined" | "captured" | "stuck")),
        // Of a payment that is not stuck there is nothing to try again: what is known is said once more, or nothing is.
        RequestKind::Retry => true,
        RequestKind::Reserve
        | RequestKind::Commit
        | RequestKind::Release
        | RequestKind::Return
        | RequestKind::Refund => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_status_answers_what_it_does_not_settle() {
        let never = || false;
        for kind in [RequestKind::Reserve, RequestKind::Commit, RequestKind::Release, RequestKind::Return] {
            assert!(!is_answered_by_stock(kind, None, never), "{kind:?}");
        }
        assert!(is_answered_by_stock(RequestKind::Commit, None, || true));
        for kind in [RequestKind::Authorize, RequestKind::Capture, RequestKind::Void, RequestKind::Refund] {
            assert!(!is_answered_by_payment(kind, None), "{kind:?}");
        }
    }
}
