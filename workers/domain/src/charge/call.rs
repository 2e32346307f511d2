//! A call to the provider that is under way: the intent that is stored before anything is sent.
//!
//! Whoever owns the payment makes the call when it is due, whatever happened to the owner before. What to do next (send, or
//! look up) is decided when it is done, not when it was planned: a process may have slept in between.

use schemas::{CommandId, CustomerId, OrderId, Time};
use serde::{Deserialize, Serialize};

use super::Policy;
use super::state::Authorization;
use crate::provider::{IdempotencyKey, Operation, PaymentMethod, ProviderRequest, RELEASE_ATTEMPT};

/// A call that is under way; a row of runtime, not of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// For which order.
    pub order_id: OrderId,
    /// What to do.
    pub operation: Operation,
    /// Part of the key. It moves only after a definitive answer, when a person asks to try again; that of a release is 0.
    pub attempt: i32,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How much, in minor units; above 0.
    pub amount_minor: i64,
    /// Which refund; none where it is no refund.
    pub refund_id: Option<CommandId>,
    /// The provider's name for the authorization that a capture or a void is about, or for the capture that a refund is about.
    pub authorization: Option<String>,
    /// With what it is paid; none where the order did not say.
    pub method: Option<PaymentMethod>,
    /// The provider's name for what it has accepted and not done yet: from then on it is only asked what became of it.
    pub accepted: Option<String>,
    /// What was commanded meanwhile, to be decided after the outcome.
    pub queued: Option<Operation>,
    /// When the call was opened; nothing was sent before.
    pub opened_at: Time,
    /// Since when it may have been done without our knowing.
    pub unknown_since: Option<Time>,
    /// When a look-up last found nothing.
    pub not_found_at: Option<Time>,
    /// How many times it was sent and answered without certainty.
    pub sends: i32,
    /// How many times it was looked up without certainty.
    pub look_ups: i32,
    /// When it is to be made (again).
    pub due_at: Time,
}

/// What to do with a call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallStep {
    /// Send it, under its key.
    Execute,
    /// Ask what became of its key.
    LookUp,
}

/// Two instances' clocks differ by less while both are right.
const CLOCKS_AGREE_MS: i64 = 60_000;

/// The first attempt.
pub(super) const FIRST_ATTEMPT: i32 = 1;

impl Call {
    /// To hold an amount.
    pub(super) fn authorize(
        order_id: &OrderId,
        customer_id: &CustomerId,
        currency: &str,
        amount_minor: i64,
        method: Option<PaymentMethod>,
        now: Time,
    ) -> Self {
        Call {
            order_id: order_id.clone(),
            operation: Operation::Authorize,
            attempt: FIRST_ATTEMPT,
            customer_id: customer_id.clone(),
            currency: currency.to_owned(),
            amount_minor,
            refund_id: None,
            authorization: None,
            method,
            accepted: None,
            queued: None,
            opened_at: now,
            unknown_since: None,
            not_found_at: None,
            sends: 0,
            look_ups: 0,
            due_at: now,
        }
    }

    /// To take or let go of what is held.
    pub(super) fn about(
        order_id: &OrderId,
        operation: Operation,
        held: &Authorization,
        reference: Option<&String>,
        now: Time,
    ) -> Self {
        let Authorization { customer_id, currency, amount_minor, method, .. } = held;
        let authorize = Call::authorize(order_id, customer_id, currency, *amount_minor, method.clone(), now);
        Call { operation, authorization: reference.cloned(), ..authorize }
    }

    /// To let go of a hold that another took the place of: nobody has commanded it, and no event tells of it.
    pub(super) fn release(order_id: &OrderId, old: &Authorization, reference: &String, now: Time) -> Self {
        Call { attempt: RELEASE_ATTEMPT, ..Call::about(order_id, Operation::Void, old, Some(reference), now) }
    }

    /// To give back some of what was taken.
    pub(super) fn refund(
        taken: &Authorization,
        order_id: &OrderId,
        refund_id: &CommandId,
        amount_minor: i64,
        reference: Option<&String>,
        now: Time,
    ) -> Self {
        let Authorization { customer_id, currency, method, .. } = taken;
        let authorize = Call::authorize(order_id, customer_id, currency, amount_minor, method.clone(), now);
        let (refund_id, authorization) = (Some(refund_id.clone()), reference.cloned());
        Call { operation: Operation::Refund, refund_id, authorization, ..authorize }
    }

    /// The same once more, after a person was asked at this time: the provider is asked first what became of it. Whatever another
    /// clock said, that was before this call was opened. So many attempts were refused for good: this is the next one.
    pub(super) fn again(self, asked_at: Time, refused_attempts: i32) -> Self {
        let unknown_since = Some(asked_at.min(self.opened_at.plus_ms(-1)));
        Call { unknown_since, attempt: FIRST_ATTEMPT.saturating_add(refused_attempts), ..self }
    }

    /// The name of its effect at the provider.
    pub fn key(&self) -> IdempotencyKey {
        match &self.refund_id {
            Some(refund_id) => IdempotencyKey::refund(&self.order_id, refund_id, self.attempt),
            None => IdempotencyKey::new(&self.order_id, self.operation, self.attempt),
        }
    }

    /// Whether it lets go of a hold that another took the place of.
    pub fn is_release(&self) -> bool {
        self.operation == Operation::Void && self.attempt == RELEASE_ATTEMPT
    }

    /// What to do with it at this time. Within the provider's memory the same key is sent again; after it, the provider is
    /// asked first, and only if it has nothing is the key sent again (and remembered again from then on). What it has accepted
    /// is not sent again: under the same key it would say again that it has.
    pub fn step(&self, now: Time, policy: &Policy) -> CallStep {
        if self.accepted.is_some() {
            return CallStep::LookUp;
        }
        // A time that is still to come was taken with a clock that was ahead: it does not say what the provider remembers.
        let remembered =
            |since: Time| since <= now.plus_ms(CLOCKS_AGREE_MS) && now < since.plus_ms(policy.idempotency_window_ms);
        // A call that was given up and is tried again may have been done before it was opened.
        let is_tried_again = self.unknown_since.is_some_and(|since| since < self.opened_at);
        if (!is_tried_again && remembered(self.opened_at)) || self.not_found_at.is_some_and(remembered) {
            CallStep::Execute
        } else {
            CallStep::LookUp
        }
    }

    /// Whether it is to be made now. No pause is longer than the policy's longest: a time beyond that was taken with a clock
    /// that was ahead, and is not waited for.
    pub fn is_due(&self, now: Time, policy: &Policy) -> bool {
        self.due_at <= now || self.due_at > Self::latest_due(now, policy)
    }

    /// The latest time that a call can be due at.
    pub fn latest_due(now: Time, policy: &Policy) -> Time {
        now.plus_ms(policy.retry_max_ms.max(policy.accepted_max_ms).max(0).saturating_add(CLOCKS_AGREE_MS))
    }

    /// What to send, or to look up.
    pub fn request(&self) -> ProviderRequest {
        ProviderRequest {
            key: self.key(),
            order_id: self.order_id.clone(),
            operation: self.operation,
            customer_id: self.customer_id.clone(),
            currency: self.currency.clone(),
            amount_minor: self.amount_minor,
            // What was accepted of an authorization is found by its name, not by a search.
            authorization: self.authorization.clone().or_else(|| match self.operation {
                Operation::Authorize => self.accepted.clone(),
                Operation::Capture | Operation::Void | Operation::Refund => None,
            }),
            method: self.method.clone(),
            sent_before: self.sends,
        }
    }

    /// How many uncertain answers it has had.
    pub const fn tries(&self) -> i32 {
        self.sends.saturating_add(self.look_ups)
    }

    /// Whether it is time to ask a person.
    pub(super) fn is_given_up(&self, now: Time, policy: &Policy) -> bool {
        now >= self.opened_at.plus_ms(policy.give_up_after_ms)
    }

    /// This call after an uncertain answer to a step: one try more, due after a pause that doubles with each.
    pub(super) fn after_try(&self, step: CallStep, after_ms: Option<i64>, now: Time, policy: &Policy) -> Self {
        let mut next = self.clone();
        match step {
            CallStep::Execute => next.sends = next.sends.saturating_add(1),
            CallStep::LookUp => next.look_ups = next.look_ups.saturating_add(1),
        }
        let doublings = u32::try_from(self.tries()).unwrap_or(0).min(30);
        let pause = policy.retry_first_ms.saturating_mul(1_i64 << doublings);
        let longest = if self.accepted.is_some() { policy.accepted_max_ms } else { policy.retry_max_ms };
        next.due_at = now.plus_ms(after_ms.unwrap_or(pause).clamp(0, longest.max(0)));
        next
    }
}
