//! What an order does about the replies of inventory and payment.
//!
//! A reply moves the order only if it is the awaited one, or tells that the awaited one can never come. All others are
//! late or doubled and ordinary. An order that is stuck goes on where the reply comes after all, as when somebody tried again.
//! What a reply to a refund or a return does stands in `refunds` and `returns`.

use schemas::{CancelReason, InventoryEvent, OrderEvent, PaymentEvent};

use super::state::{Cancellation, Phase};
use super::step::Step;
use super::transition::{Transition, because};
use super::{refunds, returns};
use crate::charge::{ACTION_EXPIRED, EXPIRED};
use crate::decision::{Decision, Outcome};

pub(super) fn from_inventory(at: Transition<'_>, event: &InventoryEvent) -> Decision<OrderEvent> {
    let phase = at.order.awaited();
    match event {
        InventoryEvent::StockReserved(_) => match phase {
            Phase::Forward(Step::StockReservation) | Phase::Undoing(Step::StockReservation) => {
                at.succeeded(Step::StockReservation)
            }
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Command | Phase::Finished => late(),
        },
        // Of nothing reserved there is nothing to release, whether it was refused or (a tombstone) released before.
        InventoryEvent::StockRejected(_) | InventoryEvent::StockReleased(_) => match phase {
            Phase::Forward(Step::StockReservation) => at.cancelled_by(because(CancelReason::OutOfStock)),
            Phase::Undoing(Step::StockReservation | Step::StockRelease) => at.cancelled(),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Command | Phase::Finished => late(),
        },
        InventoryEvent::StockCommitted(_) => match phase {
            Phase::Forward(Step::StockCommit) => at.succeeded(Step::StockCommit),
            Phase::Undoing(Step::StockRelease) => at.stuck("the stock cannot be released: it has been committed"),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Command | Phase::Finished => late(),
        },
        InventoryEvent::StockCommitRefused(event) => match phase {
            Phase::Forward(Step::StockCommit) => at.stuck(&event.detail),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Command | Phase::Finished => late(),
        },
        InventoryEvent::StockReturned(event) => returns::taken_back(at, &event.return_id),
        InventoryEvent::StockReturnRefused(event) => returns::refused(at, &event.return_id, &event.detail),
    }
}

pub(super) fn from_payment(at: Transition<'_>, event: &PaymentEvent) -> Decision<OrderEvent> {
    let phase = at.order.awaited();
    match event {
        PaymentEvent::PaymentActionRequired(event) => match phase {
            Phase::Forward(Step::PaymentAuthorization) if at.order.action_until.is_none() => {
                at.action_required(event.until)
            }
            // Nothing is held, and nobody waits for the customer any more.
            Phase::Undoing(Step::PaymentAuthorization) => at.undo(Step::PaymentVoid),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Command | Phase::Finished => late(),
        },
        PaymentEvent::PaymentAuthorized(_) => match phase {
            Phase::Forward(Step::PaymentAuthorization) | Phase::Undoing(Step::PaymentAuthorization) => {
                at.succeeded(Step::PaymentAuthorization)
            }
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Command | Phase::Finished => late(),
        },
        // Nothing is held, whether it was refused or (a tombstone) voided before.
        PaymentEvent::PaymentDeclined(_) | PaymentEvent::PaymentVoided(_) => match phase {
            Phase::Forward(Step::PaymentAuthorization) if is_voided_for(event, ACTION_EXPIRED) => {
                at.undo_by(Step::StockRelease, not_paid("CustomerActionExpired"))
            }
            Phase::Forward(Step::PaymentAuthorization) => {
                at.undo_by(Step::StockRelease, because(CancelReason::PaymentDeclined))
            }
            Phase::Forward(Step::PaymentCapture) if at.order.is_shipped() => {
                at.stuck("the goods have left, and nothing is held any more that could be captured")
            }
            Phase::Forward(Step::PaymentCapture) => {
                at.undo_by(Step::StockRelease, because(CancelReason::CaptureFailed))
            }
            Phase::Undoing(Step::PaymentAuthorization | Step::PaymentCapture | Step::PaymentVoid) => {
                at.undo(Step::StockRelease)
            }
            // What was held for an order that waits for people has lapsed.
            Phase::Command if is_voided_for(event, EXPIRED) && !at.order.is_paid() => {
                at.undo_by(Step::StockRelease, not_paid("AuthorizationExpired"))
            }
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Command | Phase::Finished => late(),
        },
        PaymentEvent::PaymentCaptured(_) => match phase {
            Phase::Forward(Step::PaymentCapture) | Phase::Undoing(Step::PaymentCapture) => {
                at.succeeded(Step::PaymentCapture)
            }
            // It cannot be voided any more: what was taken is given back.
            Phase::Undoing(Step::PaymentVoid) => at.undo(Step::PaymentRefund),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Command | Phase::Finished => late(),
        },
        PaymentEvent::PaymentCaptureFailed(event) => match phase {
            Phase::Forward(Step::PaymentCapture) if at.order.is_shipped() => at.stuck(&event.detail),
            Phase::Forward(Step::PaymentCapture) => at.undo_by(Step::PaymentVoid, because(CancelReason::CaptureFailed)),
            Phase::Undoing(Step::PaymentCapture) => at.undo(Step::PaymentVoid),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Command | Phase::Finished => late(),
        },
        PaymentEvent::PaymentStuck(event) => match phase {
            Phase::Forward(Step::PaymentAuthorization | Step::PaymentCapture)
            | Phase::Undoing(Step::PaymentAuthorization | Step::PaymentCapture | Step::PaymentVoid) => {
                at.stuck(&event.detail)
            }
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Command | Phase::Finished => late(),
        },
        PaymentEvent::PaymentRefunded(event) => refunds::refunded(at, event),
        PaymentEvent::PaymentRefundFailed(event) => refunds::failed(at, event),
        PaymentEvent::PaymentRefundReversed(event) => refunds::reversed(at, event),
        // It is between the shop and the bank; the payment keeps it.
        PaymentEvent::PaymentDisputed(_) => late(),
    }
}

/// Whether nobody asked for the payment's end, and this is why it came.
fn is_voided_for(event: &PaymentEvent, reason: &str) -> bool {
    matches!(event, PaymentEvent::PaymentVoided(event) if event.reason_code.as_deref() == Some(reason))
}

fn not_paid(code: &str) -> Cancellation {
    Cancellation { reason: CancelReason::PaymentDeclined, command_id: None, code: Some(code.to_owned()) }
}

pub(super) fn late() -> Decision<OrderEvent> {
    Decision::silent(Outcome::Late)
}
