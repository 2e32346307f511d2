//! The reply that an order waits for has not been taken: if it had, the order would have moved.

use domain::saga::{Aftercare, RefundState, ReturnState, Step};
use schemas::{CommandId, MessageType, OrderId};

use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::check::scan::Replies;
use crate::check::state::State;
use crate::rows::OrderRow;

pub(super) fn check(evidence: &Evidence, state: &State<'_>, findings: &mut Findings) {
    let (stock, payment) = (&evidence.topics.reservations.watch, &evidence.topics.payments.watch);
    for order in state.rows.orders.values() {
        let Ok(order_id) = OrderId::new(order.order_id.as_str()) else { continue };
        let refunds = payment.refunds_answered.get(&order_id).map_or(&[][..], Vec::as_slice);
        let returns = stock.returns_answered.get(&order_id).map_or(&[][..], Vec::as_slice);
        let aftercare = state.order(&order.order_id).and_then(|order| order.aftercare.as_deref());
        let mut add = |awaited: &str| {
            let detail = format!("waits for {awaited}, but the reply was taken and left no trace");
            findings.add(Invariant::BadInput, order.order_id.as_str(), detail);
        };
        check_beside(aftercare, refunds, returns, &mut add);
        // Of a step that is tried again, an old reply was taken.
        let Some(awaited) = awaited(order).filter(|_| !state.is_moved_by_hand(order)) else { continue };
        let stock = stock.taken.get(&order_id).copied().unwrap_or_default();
        let payment = payment.taken.get(&order_id).copied().unwrap_or_default();
        let is_undone = || refunds.iter().any(|id| !is_asked_for(aftercare, id));
        if is_settled(awaited, stock, payment, is_undone) {
            add(awaited.as_str());
        }
    }
}

/// Beside the order's way: the refund that is with payment, and the returns that are with inventory.
fn check_beside(
    aftercare: Option<&Aftercare>,
    refunds: &[CommandId],
    returns: &[CommandId],
    add: &mut impl FnMut(&str),
) {
    let Some(aftercare) = aftercare else { return };
    for refund in aftercare.refunds.iter().filter(|refund| refund.state == RefundState::Requested) {
        if refunds.contains(&refund.refund_id) {
            add(&format!("refund {}", refund.refund_id));
        }
    }
    for back in aftercare.returns.iter().filter(|back| back.state == ReturnState::Received) {
        if returns.contains(&back.return_id) {
            add(&format!("the stock of return {}", back.return_id));
        }
    }
}

/// Whether somebody asked for this refund; the one that undoes an order nobody did.
fn is_asked_for(aftercare: Option<&Aftercare>, refund_id: &CommandId) -> bool {
    aftercare.is_some_and(|aftercare| aftercare.refunds.iter().any(|refund| refund.refund_id == *refund_id))
}

/// What an unfinished order waits for, as its table says.
fn awaited(order: &OrderRow) -> Option<Step> {
    match order.stage.as_str() {
        "placed" => Some(Step::StockReservation),
        "stock_reserved" => Some(Step::PaymentAuthorization),
        "confirmed" | "stock_committed" => Some(Step::PaymentCapture),
        "payment_captured" | "shipped" => Some(Step::StockCommit),
        "cancelling" => order.awaiting.as_deref().and_then(Step::parse),
        _ => None,
    }
}

fn is_settled(awaited: Step, stock: Replies, payment: Replies, is_undone: impl FnOnce() -> bool) -> bool {
    use MessageType::{
        PaymentAuthorized, PaymentCaptureFailed, PaymentCaptured, PaymentDeclined, PaymentStuck, PaymentVoided,
        StockCommitRefused, StockCommitted, StockRejected, StockReleased, StockReserved,
    };
    match awaited {
        Step::StockReservation => stock.has_any(&[StockReserved, StockRejected, StockReleased]),
        Step::PaymentAuthorization => {
            payment.has_any(&[PaymentAuthorized, PaymentDeclined, PaymentVoided, PaymentStuck])
        }
        Step::PaymentCapture => {
            payment.has_any(&[PaymentCaptured, PaymentCaptureFailed, PaymentDeclined, PaymentVoided, PaymentStuck])
        }
        Step::StockCommit => stock.has_any(&[StockCommitted, StockCommitRefused]),
        Step::PaymentVoid => payment.has_any(&[PaymentVoided, PaymentDeclined, PaymentCaptured, PaymentStuck]),
        Step::PaymentRefund => is_undone(),
        Step::StockRelease => stock.has_any(&[StockReleased, StockRejected, StockCommitted]),
    }
}
