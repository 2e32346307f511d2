//! Every completed step of a failed order is undone exactly once, in reverse order, no payment comes before its reservation,
//! and nothing leaves that is held or undone; of orders as they stand in order's snapshot, which is the oldest.

use std::collections::BTreeMap;

use domain::charge::{Payment, Refund, RefundOutcome};
use domain::saga::{Fulfilment, Order, Step};
use schemas::{OrderId, ServiceName, message_id};

use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::scan::{Caused, Requests};
use crate::check::state::State;
use crate::rows::{ContentsRow, OrderRow, PaymentRow, ReservationRow};

/// Where state alone shows it. A person may have vouched for what does not.
pub(crate) fn check(state: &State<'_>, findings: &mut Findings) {
    let rows = state.rows;
    for order in rows.orders.values().filter(|order| !state.is_vouched_for(order)) {
        let key = (order.order_id.clone(),);
        let (reservation, payment) = (rows.reservations.get(&key), rows.payments.get(&key));
        let mut add = |detail: String| findings.add(Invariant::Compensation, order.order_id.as_str(), detail);
        match order.stage.as_str() {
            "cancelled" => check_cancelled(reservation, payment, state.payments.get(order.order_id.as_str()), &mut add),
            "completed" => check_completed(rows.contents.get(&key), reservation, &mut add),
            "stock_reserved" | "authorized" | "confirmed" | "payment_captured" | "ready_to_ship" | "shipped"
            | "stock_committed" => check_forward(order, reservation, payment, &mut add),
            _ => {}
        }
        if let Some(order) = state.order(&order.order_id) {
            check_shipment(order, reservation, &mut add);
        }
        let is_undone = order.cancel_reason.is_some() && order.stage != "cancelled";
        if is_undone && reservation.is_some_and(|reservation| reservation.status == "committed") {
            add("being undone, but its stock is committed".into());
        }
    }
}

fn check_forward(
    order: &OrderRow,
    reservation: Option<&ReservationRow>,
    payment: Option<&PaymentRow>,
    add: &mut impl FnMut(String),
) {
    if !reservation.is_some_and(ReservationRow::was_reserved) {
        add(format!("{}, but nothing was reserved for it", order.stage));
    }
    if order.stage != "stock_reserved" && !payment.is_some_and(PaymentRow::was_authorized) {
        add(format!("{}, but its payment was not authorized", order.stage));
    }
}

fn check_cancelled(
    reservation: Option<&ReservationRow>,
    payment: Option<&PaymentRow>,
    folded: Option<&Payment>,
    add: &mut impl FnMut(String),
) {
    match reservation.map(|reservation| reservation.status.as_str()) {
        Some("released" | "rejected") => {}
        Some(status) => add(format!("cancelled, but its reservation is {status}")),
        None => add("cancelled before its reservation was answered: it may still be made".into()),
    }
    match payment.map(|payment| (payment.status.as_str(), payment)) {
        None | Some(("voided" | "declined", _)) => {}
        // What was taken is given back: all of it, but for what came back to us.
        Some(("captured", payment)) if payment.amount_minor == Some(given_back(payment, folded)) => {}
        Some((status, _)) => add(format!("cancelled, but its payment is {status}")),
    }
}

/// How much was given back, whether or not it came back to us later.
fn given_back(payment: &PaymentRow, folded: Option<&Payment>) -> i64 {
    let came_back = |refund: &&Refund| matches!(refund.outcome, RefundOutcome::Reversed { .. });
    let refunds = folded.iter().flat_map(|payment| &payment.refunds).filter(came_back);
    refunds.map(|refund| refund.amount_minor).fold(payment.refunded_minor, i64::saturating_add)
}

/// The goods of an order that is fulfilled on command leave when somebody says so, and not before.
fn check_shipment(order: &Order, reservation: Option<&ReservationRow>, add: &mut impl FnMut(String)) {
    let is_shipped = order.aftercare.as_ref().is_some_and(|aftercare| aftercare.shipment.is_some());
    let is_committed = reservation.is_some_and(|reservation| reservation.status == "committed");
    if order.fulfilment() == Fulfilment::OnCommand && is_committed && !is_shipped && order.cancellation.is_none() {
        add("its stock is committed, but nobody has shipped it".into());
    }
    if is_shipped && order.cancellation.is_some() {
        add("shipped, and undone".into());
    }
}

fn check_completed(contents: Option<&ContentsRow>, reservation: Option<&ReservationRow>, add: &mut impl FnMut(String)) {
    let Some(reservation) = reservation.filter(|reservation| reservation.status == "committed") else {
        let status = reservation.map_or("none", |reservation| reservation.status.as_str());
        return add(format!("completed, but its stock was not committed ({status})"));
    };
    let mut ordered: BTreeMap<&str, i128> = BTreeMap::new();
    if let Some(contents) = contents {
        for (sku, quantity) in contents.skus.iter().zip(&contents.quantities) {
            *ordered.entry(sku).or_default() += i128::from(*quantity);
        }
    }
    let shipped =
        reservation.skus.iter().map(String::as_str).zip(reservation.quantities.iter().copied().map(i128::from));
    if !ordered.into_iter().eq(shipped) {
        add("what was shipped is not what was ordered".into());
    }
}

/// Where it shows in what order asked for, and why.
pub(crate) fn check_requests(evidence: &Evidence, state: &State<'_>, findings: &mut Findings) {
    check_direction(evidence, findings);
    check_holds(evidence, findings);
    let rows = state.rows;
    let (to_inventory, to_payment) = (&evidence.topics.inventory_requests, &evidence.topics.payment_requests);
    for (order_id, sent) in &to_payment.sent {
        let reservation = rows.reservations.get(&key(order_id));
        if let Some(caused) = sent.authorize {
            let mut add = |detail: &str| findings.add(Invariant::Compensation, order_id.as_str(), detail);
            if !reservation.is_some_and(ReservationRow::was_reserved) {
                add("payment was asked for, but nothing was reserved");
            }
            let reserved = message_id::of_version(ServiceName::Inventory, order_id.as_str(), 1, 0);
            if caused.is_some_and(|cause| cause != reserved) {
                add("payment was asked for by something else than the reservation");
            }
        }
    }
    for (order_id, sent) in &to_inventory.sent {
        let row = rows.orders.get(&key(order_id));
        if let Some(caused) = sent.release.filter(|_| !row.is_some_and(|row| state.is_vouched_for(row))) {
            check_release(state, order_id, caused, findings);
        }
    }
    for order in rows.orders.values().filter(|order| !state.is_vouched_for(order)) {
        check_asked(order, to_inventory, to_payment, findings);
    }
}

/// The stock is released after the payment is undone, because of that.
fn check_release(state: &State<'_>, order_id: &OrderId, caused: Caused, findings: &mut Findings) {
    let payment = state.rows.payments.get(&key(order_id)).filter(|payment| payment.was_authorized());
    let Some(payment) = payment else { return };
    let said = |version| message_id::of_version(ServiceName::Payment, order_id.as_str(), version, 0);
    let mut wrong = |detail: &str| findings.add(Invariant::Compensation, order_id.as_str(), detail);
    if let Some(voided) = payment.void_version {
        if caused.is_some_and(|cause| cause != said(voided)) {
            wrong("its stock was released by something else than the void of its payment, which comes first");
        }
    } else if payment.is_captured() {
        let refunds = state.payments.get(order_id.as_str()).map_or(&[][..], |payment| &payment.refunds);
        let asked = state.order(order_id.as_str()).and_then(|order| order.aftercare.as_ref());
        let asked = asked.map_or(&[][..], |aftercare| &aftercare.refunds);
        // The refund that undoes an order is none that somebody asked for.
        let mut undoing = refunds.iter().filter(|one| !asked.iter().any(|known| known.refund_id == one.refund_id));
        let said_of = |refund: &Refund| match refund.outcome {
            RefundOutcome::Reversed { refunded_version, .. } => said(refunded_version),
            RefundOutcome::Refunded { .. } | RefundOutcome::Refused { .. } | RefundOutcome::Unknown { .. } => {
                said(refund.version)
            }
        };
        if caused.is_some_and(|cause| !undoing.any(|one| cause == said_of(one))) {
            wrong("its stock was released by something else than the refund of its payment, which comes first");
        }
    }
}

/// An order that is held is neither confirmed nor shipped before somebody releases it.
fn check_holds(evidence: &Evidence, findings: &mut Findings) {
    for (order_id, event) in &evidence.topics.orders.watch.moved_while_held {
        let detail = format!("{event} came while it was held: nobody had released it");
        findings.add(Invariant::Compensation, order_id.as_str(), detail);
    }
}

fn key(order_id: &OrderId) -> (String,) {
    (order_id.as_str().to_owned(),)
}

/// Payment is undone before stock: once an order waits for the release, it never waits for the void or the refund.
fn check_direction(evidence: &Evidence, findings: &mut Findings) {
    for (order_id, awaited) in &evidence.topics.orders.watch.undoing {
        let released = awaited.iter().position(|step| *step == Step::StockRelease);
        for (step, undone) in [(Step::PaymentVoid, "voided"), (Step::PaymentRefund, "refunded")] {
            let last = awaited.iter().rposition(|awaited| *awaited == step);
            if released.zip(last).is_some_and(|(released, last)| released < last) {
                let detail = format!("its stock was released before its payment was {undone}");
                findings.add(Invariant::Compensation, order_id.as_str(), detail);
            }
        }
        for step in [Step::PaymentVoid, Step::PaymentRefund, Step::StockRelease] {
            if awaited.iter().filter(|awaited| **awaited == step).count() > 1 {
                let detail = format!("{step} was begun more than once");
                findings.add(Invariant::Compensation, order_id.as_str(), detail);
            }
        }
    }
}

/// Of a completed order nothing is undone; of one that is undone nothing is finished.
fn check_asked(order: &OrderRow, to_inventory: &Requests, to_payment: &Requests, findings: &mut Findings) {
    let Ok(order_id) = OrderId::new(order.order_id.as_str()) else { return };
    let stock = to_inventory.sent.get(&order_id).copied().unwrap_or_default();
    let payment = to_payment.sent.get(&order_id).copied().unwrap_or_default();
    let mut add = |detail: String| findings.add(Invariant::Compensation, order.order_id.as_str(), detail);
    if order.stage == "completed" {
        if stock.release.is_some() {
            add("completed, but the release of its stock was asked for".to_owned());
        }
        if payment.void.is_some() {
            add("completed, but the void of its payment was asked for".to_owned());
        }
    }
    if stock.commit && order.cancel_reason.is_some() {
        add(format!("{}, and to be undone, but the commit of its stock was asked for", order.stage));
    }
}
