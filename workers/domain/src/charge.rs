//! The charge: what payment does about a command or a provider's answer, as a pure function of the payment, the call that
//! is under way for it, one input and the present.
//!
//! A command is answered from what is recorded, or it opens a [`Call`]. One call is under way per payment; a command that
//! comes meanwhile waits in it. Only a definitive answer makes an event. An uncertain one leads to the same key again or,
//! outside the provider's memory, to a look-up; in the end a person is asked. Nothing is guessed, so nothing is charged twice.
//! There is no I/O here, no clock, no randomness and no logging.

mod action;
mod afterwards;
mod answers;
mod call;
mod commands;
mod expiry;
mod ledger;
mod refunds;
mod seen;
mod state;

use schemas::{OrderId, PaymentCommand, PaymentEvent, Time};

pub use action::{ACTION_EXPIRED, Action};
pub use afterwards::{Dispute, DisputeStatus};
pub use answers::Answer;
pub use call::{Call, CallStep};
pub use expiry::EXPIRED;
pub use ledger::{Account, Posting};
pub use seen::Seen;
pub use state::{
    Authorization, AuthorizationOutcome, Capture, CaptureOutcome, Evolved, Payment, PaymentStatus, Refund,
    RefundOutcome, Stuck, Void, evolve,
};

use crate::decision::{Decision, Outcome};

/// What is set by configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The pause after the first uncertain answer, in milliseconds; it doubles with each further one.
    pub retry_first_ms: i64,
    /// The longest pause, in milliseconds.
    pub retry_max_ms: i64,
    /// The longest pause between look-ups of what the provider has accepted and not done yet, in milliseconds.
    pub accepted_max_ms: i64,
    /// How long the provider remembers a key, in milliseconds, counted from the opening of the call.
    pub idempotency_window_ms: i64,
    /// How long before it lapses what is held is held again, in milliseconds.
    pub renew_before_ms: i64,
    /// How long a customer has who has to act before anything is held, in milliseconds.
    pub action_within_ms: i64,
    /// The longest pause between looks whether the customer has, in milliseconds.
    pub action_look_ms: i64,
    /// How long to try before a person is asked, in milliseconds, counted from the opening of the call.
    pub give_up_after_ms: i64,
}

impl Default for Policy {
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Policy {
            retry_first_ms: 200,
            retry_max_ms: 60_000,
            accepted_max_ms: 900_000,
            idempotency_window_ms: 23 * HOUR_MS,
            renew_before_ms: 12 * HOUR_MS,
            action_within_ms: HOUR_MS / 4,
            action_look_ms: 10_000,
            give_up_after_ms: 72 * HOUR_MS,
        }
    }
}

/// What a payment reacts to.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// From `payment.commands.v1`.
    Command(&'a PaymentCommand),
    /// From the provider, to a call.
    Answer(&'a Answer),
    /// From the provider, after the calls had ended.
    Seen(&'a Seen),
    /// What is held for the order is about to lapse.
    Lapsing(&'a OrderId),
}

impl<'a> Input<'a> {
    /// The order whose payment it is about.
    pub fn order_id(self) -> &'a OrderId {
        match self {
            Input::Command(command) => command.key(),
            Input::Answer(answer) => &answer.order_id,
            Input::Seen(seen) => &seen.order_id,
            Input::Lapsing(order_id) => order_id,
        }
    }
}

/// What payment decided: the decision that all services make, and what becomes of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What to emit, and what became of the input.
    pub decision: Decision<PaymentEvent>,
    /// What becomes of the call.
    pub call: CallChange,
}

/// What becomes of the call that is under way for a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallChange {
    /// It stays as it is.
    Unchanged,
    /// This is the call now: to be stored, and made when it is due.
    Set(Box<Call>),
    /// No call is under way any more.
    Cleared,
}

impl CallChange {
    fn set(call: Call) -> Self {
        CallChange::Set(Box::new(call))
    }
}

impl Decided {
    fn without_call(decision: Decision<PaymentEvent>) -> Self {
        Decided { decision, call: CallChange::Unchanged }
    }

    fn pending(call: Call) -> Self {
        Decided { decision: Decision::silent(Outcome::Pending), call: CallChange::set(call) }
    }
}

/// What payment does about the input. `state` and `call` are those of [`Input::order_id`].
pub fn decide(state: Option<&Payment>, call: Option<&Call>, input: Input<'_>, now: Time, policy: &Policy) -> Decided {
    match input {
        Input::Command(PaymentCommand::AuthorizePayment(command)) => commands::authorize(state, call, command, now),
        Input::Command(PaymentCommand::CapturePayment(command)) => {
            commands::capture(state, call, &command.order_id, now)
        }
        Input::Command(PaymentCommand::VoidPayment(command)) => commands::void(state, call, &command.order_id, now),
        Input::Command(PaymentCommand::RefundPayment(command)) => refunds::refund(state, call, command, now),
        Input::Command(PaymentCommand::RetryPayment(command)) => commands::retry(state, call, command, now),
        Input::Answer(answer) => answers::record(state, call, answer, now, policy),
        Input::Seen(seen) => seen::record(state, call, seen, now),
        Input::Lapsing(_) => expiry::lapsing(state, call, now, policy),
    }
}
