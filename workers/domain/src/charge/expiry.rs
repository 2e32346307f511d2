//! What is held lapses by itself after some days: it is held again before that, once, under the key of a further attempt.
//!
//! Then the old hold is let go of, so that the customer sees one: by a call with a key of its own, which names the old hold alone. It
//! is made with more patience than urgency: a command does not wait for a provider that is uncertain about it, and once the old hold
//! has lapsed by itself nothing is left to do.
//!
//! What cannot be held again, or is about to lapse for the second time, is given up by `PaymentVoided` with the reason `expired`,
//! and the order is undone: that hold lapses by itself soon. A capture that was commanded meanwhile takes the old hold where there is
//! no new one.

use schemas::{PaymentVoided, Time};

use super::answers::{Answer, uncertain};
use super::call::{Call, FIRST_ATTEMPT};
use super::commands::{after_outcome, held, next_version};
use super::state::{AuthorizationOutcome, Payment, PaymentStatus};
use super::{CallChange, Decided, Policy};
use crate::decision::{Decision, Outcome};
use crate::provider::{Operation, ProviderAnswer};

/// Why `PaymentVoided` came, where nobody asked for it.
pub const EXPIRED: &str = "expired";

/// The present is near the time when what is held lapses.
pub(super) fn lapsing(state: Option<&Payment>, call: Option<&Call>, now: Time, policy: &Policy) -> Decided {
    let silent = |outcome| Decided::without_call(Decision::silent(outcome));
    let Some(payment) = state else { return silent(Outcome::Unknown) };
    // What is under way sees to it, one way or the other.
    if call.is_some() || !payment.is_lapsing(now, policy) {
        return silent(Outcome::NoEffect);
    }
    let Some(had) = payment.authorization.as_ref().filter(|had| had.attempt == FIRST_ATTEMPT) else {
        return lapsed(payment, now);
    };
    let (order_id, method) = (&payment.order_id, had.method.clone());
    let again = Call::authorize(order_id, &had.customer_id, &had.currency, had.amount_minor, method, now);
    Decided::pending(Call { attempt: FIRST_ATTEMPT.saturating_add(1), ..again })
}

/// Whether the call holds again what is held already.
pub(super) fn is_renewal(state: Option<&Payment>, call: &Call) -> bool {
    let had = state.and_then(|payment| payment.authorization.as_ref());
    let is_held = had.is_some_and(|had| matches!(had.outcome, AuthorizationOutcome::Authorized { .. }));
    call.operation == Operation::Authorize && is_held && had.is_some_and(|had| had.attempt < call.attempt)
}

/// It could not be held again.
pub(super) fn not_renewed(payment: &Payment, call: &Call, now: Time) -> Decided {
    match (call.queued, held(Some(payment))) {
        (Some(Operation::Capture), Some(held)) => {
            Decided::pending(Call::about(held.order_id, Operation::Capture, held.authorization, held.reference, now))
        }
        (Some(_) | None, _) => Decided { call: CallChange::Cleared, ..lapsed(payment, now) },
    }
}

/// What lets go of the hold before, where another one took its place.
pub(super) fn release(before: Option<&Payment>, after: &Payment, now: Time) -> Option<Call> {
    let (old, new) = (held(before)?, held(Some(after))?);
    let (reference, replaced_by) = (old.reference?, new.reference?);
    (reference != replaced_by).then(|| Call::release(old.order_id, old.authorization, reference, now))
}

/// What the provider answered to a release. Whether it did it or refuses, what waits goes on, and so it does where nobody knows.
pub(super) fn released(state: Option<&Payment>, call: &Call, answer: &Answer, now: Time, policy: &Policy) -> Decided {
    let is_known = match answer.answer {
        ProviderAnswer::Succeeded { .. } | ProviderAnswer::Refused { .. } => true,
        ProviderAnswer::Unknown { .. }
        | ProviderAnswer::ActionRequired { .. }
        | ProviderAnswer::Pending { .. }
        | ProviderAnswer::RetryLater { .. }
        | ProviderAnswer::NotFound => false,
    };
    if !is_known && answer.tries != call.tries() {
        return Decided { decision: Decision::silent(Outcome::Late), call: CallChange::set(call.clone()) };
    }
    let is_over = now >= call.opened_at.plus_ms(policy.renew_before_ms.min(policy.give_up_after_ms));
    if !is_known && !is_over && call.queued.is_none() {
        return uncertain(state, call, answer, now, policy);
    }
    let next = state.map_or(CallChange::Cleared, |payment| after_outcome(payment, call.queued, now));
    let outcome = if matches!(next, CallChange::Set(_)) { Outcome::Pending } else { Outcome::NoEffect };
    Decided { decision: Decision::silent(outcome), call: next }
}

fn lapsed(payment: &Payment, now: Time) -> Decided {
    let (order_id, version) = (payment.order_id.clone(), next_version(Some(payment)));
    let event = PaymentVoided { order_id, version, at: now, reason_code: Some(EXPIRED.to_owned()) };
    Decided::without_call(Decision::applied(event, Vec::new()))
}

impl Payment {
    /// Whether an amount is held that lapses soon, or has.
    fn is_lapsing(&self, now: Time, policy: &Policy) -> bool {
        let expires_at = self.authorization.as_ref().and_then(|had| had.expires_at);
        let is_near = expires_at.is_some_and(|at| now >= at.plus_ms(policy.renew_before_ms.max(0).saturating_neg()));
        is_near && self.status() == PaymentStatus::Authorized
    }

    /// Whether what is held has lapsed.
    pub(super) fn has_lapsed(&self, now: Time) -> bool {
        self.authorization.as_ref().and_then(|had| had.expires_at).is_some_and(|at| now >= at)
    }
}
