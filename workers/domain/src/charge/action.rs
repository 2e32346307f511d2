//! The customer has to act before anything is held, such as to confirm the payment with the bank: a payment waits for that until
//! a time that is set once.
//!
//! It is looked at until the provider says what came of it. At its time, or when the order is undone, what waits is cancelled at
//! the provider. What cannot be cancelled was perhaps authorized meanwhile: it is looked at again, and what the provider says
//! then is recorded.
//!
//! Deliberately absent: where the customer goes to act. That is asked of the provider when somebody wants to know, and kept nowhere.

use schemas::{CustomerId, OrderId, PaymentActionRequired, PaymentEvent, Time, limits};
use serde::{Deserialize, Serialize};

use super::call::{Call, CallStep};
use super::commands::next_version;
use super::state::Payment;
use super::{CallChange, Decided, Policy, answers};
use crate::decision::{Decision, Outcome};
use crate::provider::{Operation, PaymentMethod, ProviderRequest};

/// Why `PaymentVoided` came, where the customer has not acted in time.
pub const ACTION_EXPIRED: &str = "action_expired";

/// That the customer has to act before anything is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The payment's version that says so.
    pub version: i64,
    /// When it was recorded.
    pub at: Time,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// The provider's name for what waits.
    pub provider_reference: String,
    /// The account that is charged; none for the default one.
    pub payment_provider: Option<String>,
    /// Until then the customer acts.
    pub until: Time,
}

impl Action {
    /// As an event says it.
    pub(super) fn said(event: &PaymentActionRequired) -> Self {
        let PaymentActionRequired { version, at, customer_id, currency, amount_minor, until, .. } = event.clone();
        let (provider_reference, payment_provider) = (event.provider_reference.clone(), event.payment_provider.clone());
        Action { version, at, customer_id, currency, amount_minor, provider_reference, payment_provider, until }
    }
}

impl Payment {
    /// What the customer has to do, while that is all that is known of the payment.
    pub fn awaited_action(&self) -> Option<&Action> {
        self.action.as_ref().filter(|_| self.is_blank())
    }

    /// What tells the provider which of its payments waits for the customer; none where none does.
    pub fn action_request(&self) -> Option<ProviderRequest> {
        let call = self.awaited_action().map(|action| action.look(&self.order_id, action.method()));
        call.map(|call| call.request())
    }
}

impl Action {
    /// The account that is charged; of the means of payment the order alone has the token.
    pub(super) fn method(&self) -> Option<PaymentMethod> {
        PaymentMethod::of(self.payment_provider.as_deref(), None)
    }

    /// To look what became of it.
    fn look(&self, order_id: &OrderId, method: Option<PaymentMethod>) -> Call {
        let (customer_id, currency) = (&self.customer_id, &self.currency);
        let call = Call::authorize(order_id, customer_id, currency, self.amount_minor, method, self.at);
        Call { accepted: Some(self.provider_reference.clone()), ..call }
    }

    /// To cancel it. Whoever commanded it wants it undone in any case (`queued`).
    pub(super) fn cancel(
        &self,
        order_id: &OrderId,
        method: Option<PaymentMethod>,
        is_commanded: bool,
        now: Time,
    ) -> Call {
        Call {
            operation: Operation::Void,
            accepted: None,
            authorization: Some(self.provider_reference.clone()),
            queued: is_commanded.then_some(Operation::Void),
            opened_at: now,
            due_at: now,
            ..self.look(order_id, method)
        }
    }
}

/// The event once more, for a command that is repeated.
pub(super) fn recorded(payment: &Payment, action: &Action) -> PaymentEvent {
    let Action { version, at, customer_id, currency, amount_minor, provider_reference, payment_provider, until } =
        action.clone();
    PaymentActionRequired {
        order_id: payment.order_id.clone(),
        version,
        at,
        customer_id,
        currency,
        amount_minor,
        provider_reference,
        payment_provider,
        until,
    }
    .into()
}

/// The order asks again for what waits for the customer: it is told so again, and somebody looks, as after a rebuild.
pub(super) fn authorize_again(
    payment: &Payment,
    action: &Action,
    call: Option<&Call>,
    method: Option<PaymentMethod>,
    now: Time,
) -> Decided {
    let look = Call { opened_at: now, due_at: now, ..action.look(&payment.order_id, method) };
    let call = if call.is_some() { CallChange::Unchanged } else { CallChange::set(look) };
    Decided { decision: Decision::repeated(recorded(payment, action)), call }
}

/// What waits for the customer is to be undone: it is not waited for any more. `None` where nothing waits, or is being held.
pub(super) fn void(state: Option<&Payment>, call: Option<&Call>, now: Time) -> Option<Decided> {
    let (payment, action) = state.and_then(|payment| Some((payment, payment.awaited_action()?)))?;
    match call {
        // Its time was over, and it is being cancelled; now it is commanded, too.
        Some(call) if call.operation == Operation::Void && call.queued.is_none() => {
            Some(Decided::pending(Call { queued: Some(Operation::Void), ..call.clone() }))
        }
        Some(call) if call.operation == Operation::Void => {
            Some(Decided::without_call(Decision::silent(Outcome::NoEffect)))
        }
        Some(_) | None => {
            let method = call.map_or_else(|| action.method(), |call| call.method.clone());
            Some(Decided::pending(action.cancel(&payment.order_id, method, true, now)))
        }
    }
}

/// The provider says that the customer has to act, for the first time or still.
pub(super) fn required(
    state: Option<&Payment>,
    call: &Call,
    step: CallStep,
    (reference, until): (&str, Option<Time>),
    now: Time,
    policy: &Policy,
) -> Decided {
    let waiting = state.and_then(|payment| Some((payment, payment.action.as_ref()?)));
    let Some((payment, action)) = waiting else {
        return first_required(state, call, step, (reference, until), now, policy);
    };
    // A look after a cancel that was refused carries what was to be cancelled.
    if call.authorization.is_some() {
        let detail = "it waits for the customer, and is not cancelled";
        let cancel = Call { operation: Operation::Void, queued: None, ..call.clone() };
        return answers::outcome(state, &cancel, answers::stuck(state, &cancel, cancel.attempt, detail, now), now);
    }
    let is_commanded = call.queued == Some(Operation::Void);
    if now < action.until && !is_commanded {
        let next = call.after_try(step, None, now, policy);
        return Decided::pending(look_until(next, action.until, now, policy));
    }
    Decided::pending(action.cancel(&payment.order_id, call.method.clone(), is_commanded, now))
}

/// The customer is asked for the first time. What was commanded to be undone meanwhile is cancelled at once.
fn first_required(
    state: Option<&Payment>,
    call: &Call,
    step: CallStep,
    (reference, until): (&str, Option<Time>),
    now: Time,
    policy: &Policy,
) -> Decided {
    let latest = now.plus_ms(policy.action_within_ms.max(0));
    let event = PaymentActionRequired {
        order_id: call.order_id.clone(),
        version: next_version(state),
        at: now,
        customer_id: call.customer_id.clone(),
        currency: call.currency.clone(),
        amount_minor: call.amount_minor,
        provider_reference: limits::detail(reference),
        payment_provider: PaymentMethod::said(call.method.as_ref()).0,
        until: until.map_or(latest, |until| until.clamp(now, latest)),
    };
    let next = if call.queued == Some(Operation::Void) {
        Action::said(&event).cancel(&event.order_id, call.method.clone(), true, now)
    } else {
        let tried = call.after_try(step, None, now, policy);
        let waiting = Call { accepted: Some(event.provider_reference.clone()), ..tried };
        look_until(waiting, event.until, now, policy)
    };
    Decided { decision: Decision::applied(event, Vec::new()), call: CallChange::set(next) }
}

/// The call after an answer that says nothing, while the customer is waited for.
pub(super) fn looked(state: Option<&Payment>, call: Call, now: Time, policy: &Policy) -> Call {
    let action = state.and_then(Payment::awaited_action).filter(|_| call.operation == Operation::Authorize);
    match action {
        Some(action) => look_until(call, action.until, now, policy),
        None => call,
    }
}

/// The call with its next look: soon, and when the customer's time is over.
fn look_until(call: Call, until: Time, now: Time, policy: &Policy) -> Call {
    let soon = now.plus_ms(policy.action_look_ms.max(0));
    let latest = if until > now { until.min(soon) } else { soon };
    Call { due_at: call.due_at.min(latest), ..call }
}

/// Why it is cancelled, where nobody commanded it: the customer has not acted in time.
pub(super) fn why_cancelled(state: Option<&Payment>, call: &Call) -> Option<String> {
    let is_waiting = state.is_some_and(|payment| payment.action.is_some());
    (is_waiting && call.queued.is_none()).then(|| ACTION_EXPIRED.to_owned())
}

/// It could not be cancelled: what became of it instead is looked up.
pub(super) fn not_cancelled(action: &Action, call: &Call, now: Time, policy: &Policy) -> Decided {
    let accepted = Some(action.provider_reference.clone());
    let tried = call.after_try(CallStep::Execute, None, now, policy);
    Decided::pending(Call { operation: Operation::Authorize, accepted, ..tried })
}
