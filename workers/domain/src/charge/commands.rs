//! What payment does about a command: answer from what is recorded, open a call, or let it wait for the call under way.

use schemas::{
    AuthorizePayment, OrderId, PaymentAuthorized, PaymentCaptureFailed, PaymentCaptured, PaymentDeclined, PaymentEvent,
    PaymentOperation, PaymentStuck, PaymentVoided, RetryPayment, Time, limits,
};

use super::call::{Call, FIRST_ATTEMPT};
use super::state::{Authorization, AuthorizationOutcome, Capture, CaptureOutcome, Payment, Void};
use super::{CallChange, Decided, action};
use crate::decision::{Decision, Outcome};
use crate::provider::{Operation, PaymentMethod};

pub(super) fn authorize(
    state: Option<&Payment>,
    call: Option<&Call>,
    command: &AuthorizePayment,
    now: Time,
) -> Decided {
    if let Some(answer) = answered(state, call, Operation::Authorize) {
        return Decided::without_call(Decision::repeated(answer));
    }
    let waiting = state.and_then(|payment| Some((payment, payment.awaited_action()?)));
    if let Some((payment, waiting)) = waiting {
        let method = PaymentMethod::of(command.payment_provider.as_deref(), command.payment_token.as_deref());
        return action::authorize_again(payment, waiting, call, method, now);
    }
    if call.is_some() {
        return Decided::without_call(Decision::silent(Outcome::NoEffect));
    }
    let AuthorizePayment { order_id, customer_id, currency, amount_minor, payment_provider, payment_token } = command;
    if *amount_minor > 0 {
        let method = PaymentMethod::of(payment_provider.as_deref(), payment_token.as_deref());
        return Decided::pending(Call::authorize(order_id, customer_id, currency, *amount_minor, method, now));
    }
    Decided::without_call(without_provider(command, next_version(state), now))
}

/// Nothing is to be paid, or (never from our own order service) less than nothing.
fn without_provider(command: &AuthorizePayment, version: i64, now: Time) -> Decision<PaymentEvent> {
    let AuthorizePayment { order_id, customer_id, currency, amount_minor, payment_provider, payment_token } =
        command.clone();
    if amount_minor == 0 {
        let event = PaymentAuthorized {
            order_id,
            version,
            at: now,
            customer_id,
            currency,
            amount_minor,
            provider_reference: None,
            payment_provider,
            payment_token,
            expires_at: None,
            attempt: FIRST_ATTEMPT,
        };
        return Decision::applied(event, Vec::new());
    }
    let detail = format!("the amount is {amount_minor}; it must not be below 0");
    Decision::applied(
        PaymentDeclined { order_id, version, at: now, customer_id, currency, amount_minor, detail },
        Vec::new(),
    )
}

pub(super) fn capture(state: Option<&Payment>, call: Option<&Call>, order_id: &OrderId, now: Time) -> Decided {
    if let Some(answer) = answered(state, call, Operation::Capture) {
        return Decided::without_call(Decision::repeated(answer));
    }
    if let Some(call) = call {
        return queue(call, Operation::Capture);
    }
    match held(state) {
        Some(held) => begin(held, Operation::Capture, now),
        // Our own records must be incomplete: whether and what may be captured is not for the machine to guess.
        None => {
            let event = PaymentStuck {
                order_id: order_id.clone(),
                version: next_version(state),
                at: now,
                operation: PaymentOperation::Capture,
                detail: "there is nothing to capture: no authorization is known".into(),
                refused_attempts: 0,
            };
            Decided::without_call(Decision::applied(event, Vec::new()))
        }
    }
}

pub(super) fn void(state: Option<&Payment>, call: Option<&Call>, order_id: &OrderId, now: Time) -> Decided {
    if let Some(answer) = answered(state, call, Operation::Void) {
        return Decided::without_call(Decision::repeated(answer));
    }
    if let Some(decided) = action::void(state, call, now) {
        return decided;
    }
    if let Some(call) = call {
        return queue(call, Operation::Void);
    }
    match held(state) {
        Some(held) => begin(held, Operation::Void, now),
        None => {
            let version = next_version(state);
            Decided::without_call(Decision::applied(
                PaymentVoided { order_id: order_id.clone(), version, at: now, reason_code: None },
                Vec::new(),
            ))
        }
    }
}

/// Try again what is stuck: what was given up under its old key, and with a look at what became of it first; what was refused for
/// good as a further attempt, with a key of its own. Whoever asks for it asks for the step as well: what is not stuck is
/// answered then.
pub(super) fn retry(state: Option<&Payment>, call: Option<&Call>, command: &RetryPayment, now: Time) -> Decided {
    let silent = |outcome| Decided::without_call(Decision::silent(outcome));
    let Some(payment) = state else { return silent(Outcome::Unknown) };
    let Some(stuck) = payment.stuck.as_ref().filter(|_| call.is_none()) else { return silent(Outcome::NoEffect) };
    let RetryPayment { order_id, customer_id, currency, amount_minor, payment_provider, payment_token, .. } = command;
    let call = match (stuck.operation, held(state), &payment.action) {
        (Operation::Authorize, ..) => {
            let method = PaymentMethod::of(payment_provider.as_deref(), payment_token.as_deref());
            Call::authorize(order_id, customer_id, currency, *amount_minor, method, now)
        }
        (operation, Some(held), _) => Call::about(order_id, operation, held.authorization, held.reference, now),
        (Operation::Void, None, Some(waiting)) => waiting.cancel(order_id, waiting.method(), false, now),
        // Nothing is known that could be captured or let go of: what was said of it stays said.
        (_, None, _) => return silent(Outcome::NoEffect),
    };
    Decided::pending(call.again(stuck.at, stuck.refused_attempts))
}

/// Decide what had been waiting for the outcome of a call. The outcome itself is being emitted: where it settles the
/// command as well, nothing more is to be said.
pub(super) fn after_outcome(payment: &Payment, queued: Option<Operation>, now: Time) -> CallChange {
    let Some(operation) = queued else { return CallChange::Cleared };
    if recorded(payment, operation).is_some() {
        return CallChange::Cleared;
    }
    match held(Some(payment)) {
        Some(held) => CallChange::set(Call::about(held.order_id, operation, held.authorization, held.reference, now)),
        None => CallChange::Cleared,
    }
}

/// One operation is under way: a further one waits. What undoes takes the place of what does not.
fn queue(call: &Call, operation: Operation) -> Decided {
    let silent = |outcome| Decided::without_call(Decision::silent(outcome));
    let is_asked_for = call.operation == operation && !call.is_release();
    if is_asked_for || call.queued == Some(operation) || call.queued == Some(Operation::Void) {
        return silent(Outcome::NoEffect);
    }
    let waits = || Decided {
        decision: Decision::silent(Outcome::Pending),
        call: CallChange::set(Call { queued: Some(operation), ..call.clone() }),
    };
    match call.operation {
        Operation::Authorize | Operation::Capture => waits(),
        Operation::Void if call.is_release() => waits(),
        // After a void nothing is left to do; its outcome answers the other command too. What is refunded was captured.
        Operation::Void | Operation::Refund => silent(Outcome::NoEffect),
    }
}

fn begin(held: Held<'_>, operation: Operation, now: Time) -> Decided {
    if held.authorization.amount_minor > 0 {
        return Decided::pending(Call::about(held.order_id, operation, held.authorization, held.reference, now));
    }
    // Nothing to pay needs no provider.
    let (order_id, version) = (held.order_id.clone(), held.next_version);
    let event: PaymentEvent = match operation {
        Operation::Authorize | Operation::Capture | Operation::Refund => {
            PaymentCaptured { order_id, version, at: now, provider_reference: None }.into()
        }
        Operation::Void => PaymentVoided { order_id, version, at: now, reason_code: None }.into(),
    };
    Decided::without_call(Decision::applied(event, Vec::new()))
}

/// An authorization in force.
pub(super) struct Held<'a> {
    pub(super) order_id: &'a OrderId,
    next_version: i64,
    pub(super) authorization: &'a Authorization,
    pub(super) reference: Option<&'a String>,
}

pub(super) fn held(state: Option<&Payment>) -> Option<Held<'_>> {
    let payment = state?;
    let authorization = payment.authorization.as_ref()?;
    match &authorization.outcome {
        AuthorizationOutcome::Authorized { provider_reference } => Some(Held {
            order_id: &payment.order_id,
            next_version: payment.version + 1,
            authorization,
            reference: provider_reference.as_ref(),
        }),
        AuthorizationOutcome::Declined { .. } => None,
    }
}

pub(super) fn next_version(state: Option<&Payment>) -> i64 {
    state.map_or(1, |payment| payment.version + 1)
}

/// The recorded event that answers a command for this operation. That it was given up does not, while it is tried again.
fn answered(state: Option<&Payment>, call: Option<&Call>, operation: Operation) -> Option<PaymentEvent> {
    let answer = state.and_then(|payment| recorded(payment, operation))?;
    let is_tried_again = call.is_some() && matches!(answer, PaymentEvent::PaymentStuck(_));
    (!is_tried_again).then_some(answer)
}

/// The recorded event that settles a command for this operation; none where it is still to be done.
pub(super) fn recorded(payment: &Payment, operation: Operation) -> Option<PaymentEvent> {
    let settled = || voided(payment).or_else(|| stuck(payment));
    match operation {
        Operation::Authorize => authorized(payment).or_else(|| declined(payment)).or_else(settled),
        Operation::Capture => {
            captured(payment).or_else(|| capture_failed(payment)).or_else(settled).or_else(|| declined(payment))
        }
        Operation::Void => settled().or_else(|| captured(payment)).or_else(|| declined(payment)),
        // Each refund has its own outcome: see `refunds`.
        Operation::Refund => None,
    }
}

fn authorized(payment: &Payment) -> Option<PaymentEvent> {
    let Authorization { version, at, customer_id, currency, amount_minor, outcome, method, expires_at, attempt } =
        payment.authorization.clone()?;
    let order_id = payment.order_id.clone();
    let (payment_provider, payment_token) = PaymentMethod::said(method.as_ref());
    match outcome {
        AuthorizationOutcome::Authorized { provider_reference } => {
            let event = PaymentAuthorized {
                order_id,
                version,
                at,
                customer_id,
                currency,
                amount_minor,
                provider_reference,
                payment_provider,
                payment_token,
                expires_at,
                attempt,
            };
            Some(event.into())
        }
        AuthorizationOutcome::Declined { .. } => None,
    }
}

fn declined(payment: &Payment) -> Option<PaymentEvent> {
    let Authorization { version, at, customer_id, currency, amount_minor, outcome, .. } =
        payment.authorization.clone()?;
    let order_id = payment.order_id.clone();
    match outcome {
        AuthorizationOutcome::Authorized { .. } => None,
        AuthorizationOutcome::Declined { detail } => {
            Some(PaymentDeclined { order_id, version, at, customer_id, currency, amount_minor, detail }.into())
        }
    }
}

fn captured(payment: &Payment) -> Option<PaymentEvent> {
    let Capture { version, at, outcome } = payment.capture.clone()?;
    match outcome {
        CaptureOutcome::Captured { provider_reference } => {
            Some(PaymentCaptured { order_id: payment.order_id.clone(), version, at, provider_reference }.into())
        }
        CaptureOutcome::Failed { .. } => None,
    }
}

fn capture_failed(payment: &Payment) -> Option<PaymentEvent> {
    let Capture { version, at, outcome } = payment.capture.clone()?;
    match outcome {
        CaptureOutcome::Captured { .. } => None,
        CaptureOutcome::Failed { detail } => {
            Some(PaymentCaptureFailed { order_id: payment.order_id.clone(), version, at, detail }.into())
        }
    }
}

fn voided(payment: &Payment) -> Option<PaymentEvent> {
    let Void { version, at, reason_code } = payment.void.clone()?;
    Some(PaymentVoided { order_id: payment.order_id.clone(), version, at, reason_code }.into())
}

fn stuck(payment: &Payment) -> Option<PaymentEvent> {
    let stuck = payment.stuck.as_ref()?;
    let event = PaymentStuck {
        order_id: payment.order_id.clone(),
        version: stuck.version,
        at: stuck.at,
        operation: stuck.operation.in_stuck()?,
        detail: limits::detail(stuck.detail.clone()),
        refused_attempts: stuck.refused_attempts,
    };
    Some(event.into())
}
