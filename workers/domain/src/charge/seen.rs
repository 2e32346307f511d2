//! What payment does about what the provider says after a call has ended: disputes, and refunds that came back.
//!
//! The provider is looked at as often as anybody thinks that there may be something new, so all of it comes again and again: what
//! is recorded has no effect. A dispute that has ended stays ended, whatever an older look says.

use schemas::{OrderId, PaymentDisputed, PaymentRefundReversed, Time, limits};

use super::Decided;
use super::afterwards::{Dispute, DisputeStatus};
use super::call::Call;
use super::commands::next_version;
use super::state::{CaptureOutcome, Payment, Refund, RefundOutcome};
use crate::decision::{Decision, Outcome};
use crate::provider::Sighting;

/// What was seen at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Of which order's payment.
    pub order_id: OrderId,
    /// What it was.
    pub sighting: Sighting,
}

pub(super) fn record(state: Option<&Payment>, call: Option<&Call>, seen: &Seen, now: Time) -> Decided {
    let silent = |outcome| Decided::without_call(Decision::silent(outcome));
    let Some(payment) = state else { return silent(Outcome::Unknown) };
    match &seen.sighting {
        Sighting::Disputed { dispute_id, status, amount_minor, currency, fee_minor } => {
            let event = PaymentDisputed {
                order_id: payment.order_id.clone(),
                version: next_version(state),
                at: now,
                dispute_id: limits::detail(dispute_id),
                status: limits::detail(status),
                amount_minor: *amount_minor,
                currency: currency.clone(),
                fee_minor: *fee_minor,
            };
            if !is_captured(payment) || payment.dispute(&event.dispute_id).is_some_and(|had| settles(had, &event)) {
                return silent(Outcome::NoEffect);
            }
            Decided::without_call(Decision::applied(event, Vec::new()))
        }
        Sighting::RefundFailed { reference, detail } => {
            let Some(refund) = refund_of(payment, reference).filter(|refund| !is_under_way(call, refund)) else {
                return silent(Outcome::NoEffect);
            };
            let event = PaymentRefundReversed {
                order_id: payment.order_id.clone(),
                version: next_version(state),
                at: now,
                refund_id: refund.refund_id.clone(),
                amount_minor: refund.amount_minor,
                detail: limits::detail(detail),
            };
            Decided::without_call(Decision::applied(event, Vec::new()))
        }
    }
}

fn is_captured(payment: &Payment) -> bool {
    payment.capture.as_ref().is_some_and(|capture| matches!(capture.outcome, CaptureOutcome::Captured { .. }))
}

/// Whether nothing new is said of a dispute. One that has ended is not opened again.
fn settles(had: &Dispute, event: &PaymentDisputed) -> bool {
    let is_same = had.status == event.status
        && (had.amount_minor, had.fee_minor) == (event.amount_minor, event.fee_minor)
        && had.currency == event.currency;
    let is_ended = had.standing() != DisputeStatus::Opened;
    let ends = matches!(event.status.as_str(), "won" | "lost");
    is_same || (is_ended && !ends)
}

/// The refund that was given back under the provider's name.
fn refund_of<'a>(payment: &'a Payment, reference: &str) -> Option<&'a Refund> {
    let is_it = |refund: &&Refund| match &refund.outcome {
        RefundOutcome::Refunded { provider_reference } => provider_reference.as_deref() == Some(reference),
        RefundOutcome::Refused { .. } | RefundOutcome::Unknown { .. } | RefundOutcome::Reversed { .. } => false,
    };
    payment.refunds.iter().find(is_it)
}

/// The call's own answer says what became of it.
fn is_under_way(call: Option<&Call>, refund: &Refund) -> bool {
    call.is_some_and(|call| call.refund_id.as_ref() == Some(&refund.refund_id))
}
