//! What payment does about a provider's answer.
//!
//! A definitive answer is recorded as an event and lets the waiting command go on. Any other one only plans the next try.

use schemas::{
    OrderId, PaymentAuthorized, PaymentCaptureFailed, PaymentCaptured, PaymentDeclined, PaymentEvent, PaymentOperation,
    PaymentStuck, PaymentVoided, Time, limits,
};

use super::call::{Call, CallStep};
use super::commands::{after_outcome, next_version, recorded};
use super::state::{Payment, evolve};
use super::{CallChange, Decided, Policy, action, expiry, refunds};
use crate::decision::{Decision, Outcome};
use crate::provider::{IdempotencyKey, Operation, PaymentMethod, ProviderAnswer};

/// What the provider answered to a step of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For which order.
    pub order_id: OrderId,
    /// The call's key.
    pub key: IdempotencyKey,
    /// The call's [`Call::tries`] when the step was begun: tells an old try from the present one.
    pub tries: i32,
    /// What was done.
    pub step: CallStep,
    /// What came back.
    pub answer: ProviderAnswer,
}

impl Answer {
    /// The answer to a step of this call.
    pub fn to(call: &Call, step: CallStep, answer: ProviderAnswer) -> Self {
        Answer { order_id: call.order_id.clone(), key: call.key(), tries: call.tries(), step, answer }
    }
}

pub(super) fn record(
    state: Option<&Payment>,
    call: Option<&Call>,
    answer: &Answer,
    now: Time,
    policy: &Policy,
) -> Decided {
    let late = |call| Decided { decision: Decision::silent(Outcome::Late), call };
    let Some(call) = call else { return late(CallChange::Unchanged) };
    if answer.key != call.key() {
        // Another owner has moved on; its call is still to be made when it is due.
        return late(CallChange::set(call.clone()));
    }
    if call.is_release() {
        return expiry::released(state, call, answer, now, policy);
    }
    let renewed = state.filter(|_| expiry::is_renewal(state, call));
    if renewed.is_none() && state.is_some_and(|payment| is_settled(payment, call)) {
        return late(CallChange::Cleared);
    }
    let awaited = state.and_then(Payment::awaited_action);
    match &answer.answer {
        ProviderAnswer::Succeeded { reference, expires_at } => {
            outcome(state, call, succeeded(state, call, reference, *expires_at, now), now)
        }
        // Nobody is there who could act.
        ProviderAnswer::Refused { .. } | ProviderAnswer::ActionRequired { .. } if renewed.is_some() => {
            renewed.map_or_else(|| late(CallChange::Cleared), |payment| expiry::not_renewed(payment, call, now))
        }
        // What waits for the customer is not cancelled: perhaps it is authorized by now.
        ProviderAnswer::Refused { .. } if call.operation == Operation::Void && awaited.is_some() => {
            awaited.map_or_else(|| late(CallChange::Cleared), |had| action::not_cancelled(had, call, now, policy))
        }
        ProviderAnswer::Refused { detail } => outcome(state, call, refused(state, call, detail, now), now),
        ProviderAnswer::Unknown { .. }
        | ProviderAnswer::ActionRequired { .. }
        | ProviderAnswer::Pending { .. }
        | ProviderAnswer::RetryLater { .. }
        | ProviderAnswer::NotFound => {
            if answer.tries != call.tries() {
                return late(CallChange::set(call.clone()));
            }
            // A hold that nobody knows of lapses by itself, and nothing is taken of it.
            if let Some(payment) = renewed.filter(|payment| payment.has_lapsed(now)) {
                return expiry::not_renewed(payment, call, now);
            }
            if let ProviderAnswer::ActionRequired { reference, until } = &answer.answer
                && call.operation == Operation::Authorize
            {
                return action::required(state, call, answer.step, (reference, *until), now, policy);
            }
            uncertain(state, call, answer, now, policy)
        }
    }
}

/// Whether the call's outcome is recorded already. A call that is tried again has an old one, that it was given up.
fn is_settled(payment: &Payment, call: &Call) -> bool {
    if let Some(refund_id) = &call.refund_id {
        return refunds::is_settled(payment, refund_id);
    }
    let is_tried_again = payment.stuck.as_ref().is_some_and(|stuck| stuck.operation == call.operation);
    !is_tried_again && recorded(payment, call.operation).is_some()
}

/// A definitive answer: its event, and whatever waited for it.
pub(super) fn outcome(state: Option<&Payment>, call: &Call, event: PaymentEvent, now: Time) -> Decided {
    let after = evolve(state.cloned(), &event).ok().and_then(|evolved| evolved.payment);
    let next = after.map_or(CallChange::Cleared, |payment| match expiry::release(state, &payment, now) {
        Some(release) => CallChange::set(Call { queued: call.queued, ..release }),
        None => after_outcome(&payment, call.queued, now),
    });
    Decided { decision: Decision::applied(event, Vec::new()), call: next }
}

fn succeeded(
    state: Option<&Payment>,
    call: &Call,
    reference: &str,
    expires_at: Option<Time>,
    now: Time,
) -> PaymentEvent {
    let (order_id, version, at) = (call.order_id.clone(), next_version(state), now);
    let provider_reference = Some(limits::detail(reference));
    if let Some(refund_id) = &call.refund_id {
        return refunds::refunded(state, call, refund_id, provider_reference, now);
    }
    match call.operation {
        Operation::Authorize => {
            let (payment_provider, payment_token) = PaymentMethod::said(call.method.as_ref());
            PaymentAuthorized {
                order_id,
                version,
                at,
                customer_id: call.customer_id.clone(),
                currency: call.currency.clone(),
                amount_minor: call.amount_minor,
                provider_reference,
                payment_provider,
                payment_token,
                expires_at,
                attempt: call.attempt,
            }
            .into()
        }
        // A refund has an id, and was answered above.
        Operation::Capture | Operation::Refund => PaymentCaptured { order_id, version, at, provider_reference }.into(),
        Operation::Void => {
            let reason_code = action::why_cancelled(state, call);
            PaymentVoided { order_id, version, at, reason_code }.into()
        }
    }
}

fn refused(state: Option<&Payment>, call: &Call, detail: &str, now: Time) -> PaymentEvent {
    let (order_id, version, at) = (call.order_id.clone(), next_version(state), now);
    let detail = limits::detail(detail);
    if let Some(refund_id) = &call.refund_id {
        return refunds::failed(state, call, refund_id, true, &detail, now);
    }
    match call.operation {
        Operation::Authorize => PaymentDeclined {
            order_id,
            version,
            at,
            customer_id: call.customer_id.clone(),
            currency: call.currency.clone(),
            amount_minor: call.amount_minor,
            detail,
        }
        .into(),
        Operation::Capture | Operation::Refund => PaymentCaptureFailed { order_id, version, at, detail }.into(),
        // Money stays held that nobody will take: a person has to look.
        Operation::Void => stuck(state, call, call.attempt, &detail, now),
    }
}

/// Nobody knows, or nobody may decide by itself: a person has to look.
pub(super) fn stuck(
    state: Option<&Payment>,
    call: &Call,
    refused_attempts: i32,
    detail: &str,
    now: Time,
) -> PaymentEvent {
    if let Some(refund_id) = &call.refund_id {
        return refunds::failed(state, call, refund_id, false, detail, now);
    }
    // Only a refund has no name there, and that was answered above.
    let operation = call.operation.in_stuck().unwrap_or(PaymentOperation::Void);
    let (order_id, version, detail) = (call.order_id.clone(), next_version(state), limits::detail(detail));
    PaymentStuck { order_id, version, at: now, operation, detail, refused_attempts }.into()
}

/// No certainty: the same key again after a pause, until a person is asked.
pub(super) fn uncertain(state: Option<&Payment>, call: &Call, answer: &Answer, now: Time, policy: &Policy) -> Decided {
    let (detail, after_ms) = match &answer.answer {
        ProviderAnswer::Unknown { detail } => (detail.as_str(), None),
        ProviderAnswer::RetryLater { detail, after_ms } => (detail.as_str(), *after_ms),
        ProviderAnswer::NotFound => ("the provider knows nothing of it", None),
        ProviderAnswer::ActionRequired { .. } => ("the customer has to act", None),
        ProviderAnswer::Pending { .. } => ("accepted, and not done yet", None),
        ProviderAnswer::Succeeded { reference, .. } => (reference.as_str(), None),
        ProviderAnswer::Refused { detail } => (detail.as_str(), None),
    };
    // What is accepted is in the provider's hands: it says in its own time what became of it.
    let is_accepted = matches!(answer.answer, ProviderAnswer::Pending { .. });
    if call.is_given_up(now, policy) && !is_accepted {
        let detail = format!("no certain answer in {} tries; the last: {detail}", call.tries().saturating_add(1));
        // Of the attempts before this one it is known: they were refused.
        let refused_attempts = call.attempt.saturating_sub(1);
        return outcome(state, call, stuck(state, call, refused_attempts, &detail, now), now);
    }
    let mut next = call.after_try(answer.step, after_ms, now, policy);
    if after_ms.is_none() {
        next = action::looked(state, next, now, policy);
    }
    match &answer.answer {
        ProviderAnswer::Unknown { .. } => {
            next.unknown_since = next.unknown_since.or(Some(now));
        }
        ProviderAnswer::ActionRequired { reference, .. } | ProviderAnswer::Pending { reference } => {
            next.unknown_since = next.unknown_since.or(Some(now));
            next.accepted = Some(limits::detail(reference));
        }
        ProviderAnswer::NotFound => {
            next.not_found_at = Some(now);
            // Sent again at once: after a pause the look-up would be old news. What was accepted is only asked about.
            if call.accepted.is_none() {
                next.due_at = now;
            }
        }
        ProviderAnswer::RetryLater { .. } | ProviderAnswer::Succeeded { .. } | ProviderAnswer::Refused { .. } => {}
    }
    Decided::pending(next)
}
