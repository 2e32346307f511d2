//! What inventory and payment have taken of order's requests, against what they made of them.

use outbox::inbox::place::Place;
use schemas::{ServiceName, TopicName, message_id};

use super::place;
use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::scan::{Request, RequestKind};
use crate::rows::{PaymentRow, ReservationRow};

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let rows = &evidence.tables.rows;
    let are_refusals_whole = evidence.topics.is_whole(TopicName::InventoryEvents);
    for request in &evidence.topics.inventory_requests.taken {
        let reservation = rows.reservations.get(&(request.order_id.as_str().to_owned(),));
        let refusal = of_input(ServiceName::Inventory, TopicName::InventoryCommands, request);
        let is_refused = || !are_refusals_whole || evidence.topics.reservations.watch.refusals.contains(&refusal());
        if !is_answered_by_stock(request.kind, reservation, is_refused) {
            tell(TopicName::InventoryCommands, request, findings);
        }
    }
    for request in &evidence.topics.payment_requests.taken {
        let order_id = request.order_id.as_str();
        let payment = rows.payments.get(&(order_id.to_owned(),));
        // A call that is open answers later; a command that waits for it waits there.
        let is_open = evidence.tables.open_calls.contains(order_id);
        if !is_open && !is_answered_by_payment(request.kind, payment) {
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
        RequestKind::Authorize | RequestKind::Capture | RequestKind::Void => false,
    }
}

fn is_answered_by_payment(kind: RequestKind, payment: Option<&PaymentRow>) -> bool {
    let status = payment.map(|payment| payment.status.as_str());
    match kind {
        RequestKind::Authorize => status.is_some(),
        RequestKind::Capture => status.is_some_and(|status| status != "authorized"),
        RequestKind::Void => matches!(status, Some("voided" | "declined" | "captured" | "stuck")),
        RequestKind::Reserve | RequestKind::Commit | RequestKind::Release => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_status_answers_what_it_does_not_settle() {
        let never = || false;
        for kind in [RequestKind::Reserve, RequestKind::Commit, RequestKind::Release] {
            assert!(!is_answered_by_stock(kind, None, never), "{kind:?}");
        }
        assert!(is_answered_by_stock(RequestKind::Commit, None, || true));
        for kind in [RequestKind::Authorize, RequestKind::Capture, RequestKind::Void] {
            assert!(!is_answered_by_payment(kind, None), "{kind:?}");
        }
    }
}
