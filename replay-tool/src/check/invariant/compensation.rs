//! Every completed step of a failed order is undone exactly once, in reverse order, and no payment comes before its
//! reservation; of orders that are finished in order's snapshot, which is the oldest.

use std::collections::BTreeMap;

use schemas::{Awaiting, OrderId, ServiceName, message_id};

use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::scan::Requests;
use crate::rows::{ContentsRow, OrderRow, PaymentRow, ReservationRow, Rows};

/// Where state alone shows it.
pub(crate) fn check(rows: &Rows, findings: &mut Findings) {
    for order in rows.orders.values() {
        let key = (order.order_id.clone(),);
        let (reservation, payment) = (rows.reservations.get(&key), rows.payments.get(&key));
        let mut add = |detail: String| findings.add(Invariant::Compensation, order.order_id.as_str(), detail);
        match order.stage.as_str() {
            "cancelled" => check_cancelled(reservation, payment, add),
            "completed" => check_completed(rows.contents.get(&key), reservation, add),
            "stock_reserved" | "confirmed" | "payment_captured" => {
                if !reservation.is_some_and(ReservationRow::was_reserved) {
                    add(format!("{}, but nothing was reserved for it", order.stage));
                }
                if order.stage != "stock_reserved" && !payment.is_some_and(PaymentRow::was_authorized) {
                    add(format!("{}, but its payment was not authorized", order.stage));
                }
            }
            _ => {}
        }
    }
}

fn check_cancelled(reservation: Option<&ReservationRow>, payment: Option<&PaymentRow>, mut add: impl FnMut(String)) {
    match reservation.map(|reservation| reservation.status.as_str()) {
        Some("released" | "rejected") => {}
        Some(status) => add(format!("cancelled, but its reservation is {status}")),
        None => add("cancelled before its reservation was answered: it may still be made".into()),
    }
    match payment.map(|payment| payment.status.as_str()) {
        None | Some("voided" | "declined") => {}
        Some(status) => add(format!("cancelled, but its payment is {status}")),
    }
}

fn check_completed(contents: Option<&ContentsRow>, reservation: Option<&ReservationRow>, mut add: impl FnMut(String)) {
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
pub(crate) fn check_requests(evidence: &Evidence, findings: &mut Findings) {
    check_direction(evidence, findings);
    let rows = &evidence.tables.rows;
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
        let Some(caused) = sent.release else { continue };
        let payment = rows.payments.get(&key(order_id)).filter(|payment| payment.was_authorized());
        let Some(voided) = payment.and_then(|payment| payment.void_version) else { continue };
        let voided = message_id::of_version(ServiceName::Payment, order_id.as_str(), voided, 0);
        if caused.is_some_and(|cause| cause != voided) {
            let detail = "its stock was released by something else than the void of its payment, which comes first";
            findings.add(Invariant::Compensation, order_id.as_str(), detail);
        }
    }
    for order in rows.orders.values() {
        check_forward(order, to_inventory, to_payment, findings);
    }
}

fn key(order_id: &OrderId) -> (String,) {
    (order_id.as_str().to_owned(),)
}

/// Payment is undone before stock: once an order waits for the release, it never waits for the void.
fn check_direction(evidence: &Evidence, findings: &mut Findings) {
    for (order_id, awaited) in &evidence.topics.orders.watch.undoing {
        let released = awaited.iter().position(|awaiting| *awaiting == Awaiting::StockRelease);
        let voided = awaited.iter().rposition(|awaiting| *awaiting == Awaiting::PaymentVoid);
        if let (Some(released), Some(voided)) = (released, voided)
            && released < voided
        {
            let detail = "its stock was released before its payment was voided";
            findings.add(Invariant::Compensation, order_id.as_str(), detail);
        }
        for step in [Awaiting::PaymentVoid, Awaiting::StockRelease] {
            if awaited.iter().filter(|awaiting| **awaiting == step).count() > 1 {
                let detail = format!("{} was begun more than once", client::symbol(&step));
                findings.add(Invariant::Compensation, order_id.as_str(), detail);
            }
        }
    }
}

/// Of a completed order nothing is undone; of a cancelled one nothing is finished.
fn check_forward(order: &OrderRow, to_inventory: &Requests, to_payment: &Requests, findings: &mut Findings) {
    let Ok(order_id) = OrderId::new(order.order_id.as_str()) else { return };
    let stock = to_inventory.sent.get(&order_id).copied().unwrap_or_default();
    let payment = to_payment.sent.get(&order_id).copied().unwrap_or_default();
    let mut add = |detail: &str| findings.add(Invariant::Compensation, order.order_id.as_str(), detail);
    match order.stage.as_str() {
        "completed" => {
            if stock.release.is_some() {
                add("completed, but the release of its stock was asked for");
            }
            if payment.void.is_some() {
                add("completed, but the void of its payment was asked for");
            }
        }
        "cancelled" if stock.commit => add("cancelled, but the commit of its stock was asked for"),
        _ => {}
    }
}
