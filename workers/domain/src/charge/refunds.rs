//! Refunds: some of what was taken is given back, each refund once, all of them together never more than was taken.
//!
//! The order service asks for one refund at a time. What cannot be refunded is answered at once, by an event: no refund ends in
//! silence. A refund without a definitive answer in the end is `unknown`, and counts as if the money had gone; whoever wants all
//! that is left, where nothing else is left, makes the provider be asked about it again.

use schemas::{
    CommandId, PaymentEvent, PaymentRefundFailed, PaymentRefundReversed, PaymentRefunded, RefundPayment, Time, limits,
};

use super::Decided;
use super::call::Call;
use super::commands::next_version;
use super::state::{CaptureOutcome, Payment, REFUSED, Refund, RefundOutcome, UNKNOWN};
use crate::decision::{Decision, Outcome};
use crate::provider::Operation;

pub(super) fn refund(state: Option<&Payment>, call: Option<&Call>, command: &RefundPayment, now: Time) -> Decided {
    let RefundPayment { order_id, refund_id, amount_minor } = command;
    if let Some(recorded) = state.and_then(|payment| recorded(payment, refund_id)) {
        return Decided::without_call(Decision::repeated(recorded));
    }
    let waits_for = |call: &Call| {
        // All that is left is known once the refund under way has ended; then the order service asks again.
        call.refund_id.as_ref() == Some(refund_id) || (call.operation == Operation::Refund && amount_minor.is_none())
    };
    if call.is_some_and(waits_for) {
        return Decided::without_call(Decision::silent(Outcome::NoEffect));
    }
    let left = state.map_or(0, Payment::refundable_minor);
    let amount = amount_minor.unwrap_or(left);
    let refused = |detail: String| {
        let event = PaymentRefundFailed {
            order_id: order_id.clone(),
            version: next_version(state),
            at: now,
            refund_id: refund_id.clone(),
            amount_minor: amount,
            outcome: REFUSED.to_owned(),
            detail: limits::detail(detail),
        };
        Decided::without_call(Decision::applied(event, Vec::new()))
    };
    if call.is_some() {
        return refused("another operation of this payment is under way".into());
    }
    let taken = state.and_then(|payment| Some((payment.authorization.as_ref()?, payment.capture.as_ref()?)));
    let Some((authorization, reference)) = taken.and_then(|(authorization, capture)| match &capture.outcome {
        CaptureOutcome::Captured { provider_reference } => Some((authorization, provider_reference.as_ref())),
        CaptureOutcome::Failed { .. } => None,
    }) else {
        return refused("nothing was taken that could be given back".into());
    };
    if amount < 0 || amount > left {
        return refused(format!(
            "the amount is {amount}; of {} that were taken {left} are left",
            authorization.amount_minor
        ));
    }
    let unknown = state.and_then(unknown).filter(|_| amount_minor.is_none() && left == 0);
    if let Some(unknown) = unknown {
        let call = Call::refund(authorization, order_id, &unknown.refund_id, unknown.amount_minor, reference, now);
        return Decided::pending(call.again(unknown.at, 0));
    }
    if amount == 0 {
        let event = PaymentRefunded {
            order_id: order_id.clone(),
            version: next_version(state),
            at: now,
            refund_id: refund_id.clone(),
            amount_minor: 0,
            provider_reference: None,
        };
        return Decided::without_call(Decision::applied(event, Vec::new()));
    }
    Decided::pending(Call::refund(authorization, order_id, refund_id, amount, reference, now))
}

/// The provider has given the money back.
pub(super) fn refunded(
    state: Option<&Payment>,
    call: &Call,
    refund_id: &CommandId,
    reference: Option<String>,
    now: Time,
) -> PaymentEvent {
    PaymentRefunded {
        order_id: call.order_id.clone(),
        version: next_version(state),
        at: now,
        refund_id: refund_id.clone(),
        amount_minor: call.amount_minor,
        provider_reference: reference,
    }
    .into()
}

/// The provider has refused, or nobody knows what it did.
pub(super) fn failed(
    state: Option<&Payment>,
    call: &Call,
    refund_id: &CommandId,
    is_refused: bool,
    detail: &str,
    now: Time,
) -> PaymentEvent {
    PaymentRefundFailed {
        order_id: call.order_id.clone(),
        version: next_version(state),
        at: now,
        refund_id: refund_id.clone(),
        amount_minor: call.amount_minor,
        outcome: if is_refused { REFUSED } else { UNKNOWN }.to_owned(),
        detail: limits::detail(detail),
    }
    .into()
}

/// The last refund of which nobody knows.
fn unknown(payment: &Payment) -> Option<&Refund> {
    payment.refunds.iter().rev().find(|refund| is_unknown(refund))
}

fn is_unknown(refund: &Refund) -> bool {
    matches!(refund.outcome, RefundOutcome::Unknown { .. })
}

/// Whether it is known what became of a refund.
pub(super) fn is_settled(payment: &Payment, refund_id: &CommandId) -> bool {
    payment.refunds.iter().any(|refund| refund.refund_id == *refund_id && !is_unknown(refund))
}

/// The recorded outcome of a refund, word for word.
pub(super) fn recorded(payment: &Payment, refund_id: &CommandId) -> Option<PaymentEvent> {
    let Refund { refund_id, version, at, amount_minor, outcome } =
        payment.refunds.iter().find(|refund| refund.refund_id == *refund_id)?.clone();
    let order_id = payment.order_id.clone();
    let failed = |outcome: &str, detail| {
        let (refund_id, outcome) = (refund_id.clone(), outcome.to_owned());
        PaymentRefundFailed { order_id: order_id.clone(), version, at, refund_id, amount_minor, outcome, detail }
    };
    Some(match outcome {
        RefundOutcome::Refunded { provider_reference } => {
            PaymentRefunded { order_id, version, at, refund_id, amount_minor, provider_reference }.into()
        }
        RefundOutcome::Refused { detail } => failed(REFUSED, detail).into(),
        RefundOutcome::Unknown { detail } => failed(UNKNOWN, detail).into(),
        RefundOutcome::Reversed { detail, .. } => {
            PaymentRefundReversed { order_id, version, at, refund_id, amount_minor, detail }.into()
        }
    })
}
