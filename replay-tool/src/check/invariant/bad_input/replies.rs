//! The reply that an order waits for has not been taken: if it had, the order would have moved.

use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::scan::{TakenPaymentReplies, TakenStockReplies};
use crate::rows::OrderRow;

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let (stock, payment) = (&evidence.topics.reservations.watch.taken, &evidence.topics.payments.watch.taken);
    for order in evidence.tables.rows.orders.values() {
        let Some(awaited) = awaited(order) else { continue };
        let Ok(order_id) = schemas::OrderId::new(order.order_id.as_str()) else { continue };
        let stock = stock.get(&order_id).copied().unwrap_or_default();
        let payment = payment.get(&order_id).copied().unwrap_or_default();
        if is_settled(awaited, stock, payment) {
            let detail = format!("waits for {awaited}, but the reply was taken and left no trace");
            findings.add(Invariant::BadInput, order.order_id.as_str(), detail);
        }
    }
}

/// What an unfinished order waits for, by the name in the table.
fn awaited(order: &OrderRow) -> Option<&str> {
    match order.stage.as_str() {
        "placed" => Some("StockReservation"),
        "stock_reserved" => Some("PaymentAuthorization"),
        "confirmed" => Some("PaymentCapture"),
        "payment_captured" => Some("StockCommit"),
        "cancelling" => order.awaiting.as_deref(),
        _ => None,
    }
}

fn is_settled(awaited: &str, stock: TakenStockReplies, payment: TakenPaymentReplies) -> bool {
    match awaited {
        "StockReservation" => stock.reserved || stock.rejected || stock.released,
        "PaymentAuthorization" => payment.authorized || payment.declined || payment.voided || payment.stuck,
        "PaymentCapture" => {
            payment.captured || payment.capture_failed || payment.declined || payment.voided || payment.stuck
        }
        "StockCommit" => stock.committed || stock.commit_refused,
        "PaymentVoid" => payment.voided || payment.declined || payment.captured || payment.stuck,
        "StockRelease" => stock.released || stock.rejected || stock.committed,
        _ => false,
    }
}
