//! The reply that an order waits for has not been taken: if it had, the order would have moved.

use schemas::{Awaiting, MessageType};

use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::scan::Replies;
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

/// What an unfinished order waits for, as its table says.
fn awaited(order: &OrderRow) -> Option<Awaiting> {
    match order.stage.as_str() {
        "placed" => Some(Awaiting::StockReservation),
        "stock_reserved" => Some(Awaiting::PaymentAuthorization),
        "confirmed" => Some(Awaiting::PaymentCapture),
        "payment_captured" => Some(Awaiting::StockCommit),
        "cancelling" => order.awaiting.as_deref().and_then(Awaiting::parse),
        _ => None,
    }
}

fn is_settled(awaited: Awaiting, stock: Replies, payment: Replies) -> bool {
    use MessageType::{
        PaymentAuthorized, PaymentCaptureFailed, PaymentCaptured, PaymentDeclined, PaymentStuck, PaymentVoided,
        StockCommitRefused, StockCommitted, StockRejected, StockReleased, StockReserved,
    };
    match awaited {
        Awaiting::StockReservation => stock.has_any(&[StockReserved, StockRejected, StockReleased]),
        Awaiting::PaymentAuthorization => {
            payment.has_any(&[PaymentAuthorized, PaymentDeclined, PaymentVoided, PaymentStuck])
        }
        Awaiting::PaymentCapture => {
            payment.has_any(&[PaymentCaptured, PaymentCaptureFailed, PaymentDeclined, PaymentVoided, PaymentStuck])
        }
        Awaiting::StockCommit => stock.has_any(&[StockCommitted, StockCommitRefused]),
        Awaiting::PaymentVoid => payment.has_any(&[PaymentVoided, PaymentDeclined, PaymentCaptured, PaymentStuck]),
        Awaiting::StockRelease => stock.has_any(&[StockReleased, StockRejected, StockCommitted]),
    }
}
