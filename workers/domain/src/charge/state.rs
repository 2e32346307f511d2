//! A payment as its events tell it, and the fold that tells it.
//!
//! Each operation has at most one outcome, with its version and time, so that a repeated command is answered word for
//! word. Calls that are under way are no part of it: no event speaks of them.

use schemas::{CommandId, CustomerId, OrderId, PaymentAuthorized, PaymentEvent, Time};
use serde::{Deserialize, Serialize};

use super::action::Action;
use super::afterwards::Dispute;
use super::call::FIRST_ATTEMPT;
use super::ledger::{self, Posting};
use crate::decision::{Contradiction, Follows, Inconsistent, Transition};
use crate::provider::{Operation, PaymentMethod};

/// What became of an order's payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// For which order.
    pub order_id: OrderId,
    /// The number of its events.
    pub version: i64,
    /// What the customer has to do before anything is held, until it is known what came of it.
    pub action: Option<Action>,
    /// What became of the authorization.
    pub authorization: Option<Authorization>,
    /// What became of the capture.
    pub capture: Option<Capture>,
    /// That nothing is held any more, or (version 1) that the authorization was refused before it came.
    pub void: Option<Void>,
    /// That a person has to look.
    pub stuck: Option<Stuck>,
    /// What became of its refunds, in the order of their outcomes.
    pub refunds: Vec<Refund>,
    /// What the customer's bank disputes, in the order of what was last said of them.
    pub disputes: Vec<Dispute>,
}

/// What became of a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Which refund.
    pub refund_id: CommandId,
    /// The payment's version that says so.
    pub version: i64,
    /// When it was recorded.
    pub at: Time,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// Given back or not.
    pub outcome: RefundOutcome,
}

/// Given back or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundOutcome {
    /// The amount is given back.
    Refunded {
        /// The provider's name for it; none where nothing was left to give back.
        provider_reference: Option<String>,
    },
    /// The provider, or we ourselves, refused for good.
    Refused {
        /// In whose words.
        detail: String,
    },
    /// No definitive answer could be had: it may have been given back, and counts as if it had.
    Unknown {
        /// What happened.
        detail: String,
    },
    /// The amount was given back, and came back to us.
    Reversed {
        /// The payment's version that said that it was given back.
        refunded_version: i64,
        /// The provider's name for the refund.
        provider_reference: Option<String>,
        /// The provider's words.
        detail: String,
    },
}

/// What became of the authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
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
    /// Held or refused.
    pub outcome: AuthorizationOutcome,
    /// With what it is paid; none where the order did not say, or where it was refused.
    pub method: Option<PaymentMethod>,
    /// When what is held lapses by itself; none where the provider did not say.
    pub expires_at: Option<Time>,
    /// Which attempt holds it; one above the first took the place of one that was about to lapse.
    pub attempt: i32,
}

/// Held or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthorizationOutcome {
    /// The amount is held.
    Authorized {
        /// The provider's name for it; none when the amount is 0.
        provider_reference: Option<String>,
    },
    /// The provider refused for good.
    Declined {
        /// The provider's words.
        detail: String,
    },
}

/// What became of the capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// The payment's version that says so.
    pub version: i64,
    /// When it was recorded.
    pub at: Time,
    /// Taken or refused.
    pub outcome: CaptureOutcome,
}

/// Taken or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaptureOutcome {
    /// The amount is taken.
    Captured {
        /// The provider's name for it; none when the amount is 0.
        provider_reference: Option<String>,
    },
    /// The provider refused for good; the amount is still held.
    Failed {
        /// The provider's words.
        detail: String,
    },
}

/// That nothing is held any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// The payment's version that says so.
    pub version: i64,
    /// When it was recorded.
    pub at: Time,
    /// Why, where nobody asked for it.
    pub reason_code: Option<String>,
}

/// That a person has to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stuck {
    /// The payment's version that says so.
    pub version: i64,
    /// When it was recorded.
    pub at: Time,
    /// What was asked of the provider.
    pub operation: Operation,
    /// What happened.
    pub detail: String,
    /// How many attempts at it the provider has refused for good.
    pub refused_attempts: i32,
}

/// How far a payment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PaymentStatus {
    /// The customer has to act; nothing is held yet.
    ActionRequired,
    /// The amount is held.
    Authorized,
    /// The provider refused to hold it.
    Declined,
    /// The amount is taken.
    Captured,
    /// The provider refused to hand it over; it is still held.
    CaptureFailed,
    /// Nothing is held.
    Voided,
    /// A person has to look.
    Stuck,
}

impl PaymentStatus {
    /// The status' name, for a column or a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            PaymentStatus::ActionRequired => "action_required",
            PaymentStatus::Authorized => "authorized",
            PaymentStatus::Declined => "declined",
            PaymentStatus::Captured => "captured",
            PaymentStatus::CaptureFailed => "capture_failed",
            PaymentStatus::Voided => "voided",
            PaymentStatus::Stuck => "stuck",
        }
    }
}

impl Payment {
    /// How far it has come: what its last event said.
    pub fn status(&self) -> PaymentStatus {
        if self.stuck.is_some() {
            return PaymentStatus::Stuck;
        }
        if self.void.is_some() {
            return PaymentStatus::Voided;
        }
        match (&self.capture, &self.authorization) {
            (Some(Capture { outcome: CaptureOutcome::Captured { .. }, .. }), _) => PaymentStatus::Captured,
            (Some(Capture { outcome: CaptureOutcome::Failed { .. }, .. }), _) => PaymentStatus::CaptureFailed,
            (None, Some(Authorization { outcome: AuthorizationOutcome::Authorized { .. }, .. })) => {
                PaymentStatus::Authorized
            }
            (None, Some(Authorization { outcome: AuthorizationOutcome::Declined { .. }, .. })) => {
                PaymentStatus::Declined
            }
            (None, None) if self.action.is_some() => PaymentStatus::ActionRequired,
            // No event leaves a payment without any outcome; to ask a person is the safe reading.
            (None, None) => PaymentStatus::Stuck,
        }
    }

    /// How much of what was taken is left: neither given back, nor perhaps given back, in minor units. 0 where nothing was taken.
    pub fn refundable_minor(&self) -> i64 {
        let is_captured = matches!(&self.capture, Some(Capture { outcome: CaptureOutcome::Captured { .. }, .. }));
        let taken = self.authorization.as_ref().filter(|_| is_captured).map_or(0, |had| had.amount_minor);
        taken.saturating_sub(self.refunded_minor())
    }

    /// How much is, or may be, given back, in minor units.
    pub fn refunded_minor(&self) -> i64 {
        let counts = |refund: &&Refund| match refund.outcome {
            RefundOutcome::Refunded { .. } | RefundOutcome::Unknown { .. } => true,
            RefundOutcome::Refused { .. } | RefundOutcome::Reversed { .. } => false,
        };
        self.refunds.iter().filter(counts).map(|refund| refund.amount_minor).fold(0, i64::saturating_add)
    }

    /// What became of a refund takes the place of what nobody knew of it.
    pub(super) fn refund_ended(&mut self, refund: Refund) {
        self.refunds.retain(|had| had.refund_id != refund.refund_id);
        self.refunds.push(refund);
    }

    /// It is held, for the first time or again.
    fn authorized(&mut self, event: &PaymentAuthorized) {
        self.authorization = Some(Authorization {
            version: event.version,
            at: event.at,
            customer_id: event.customer_id.clone(),
            currency: event.currency.clone(),
            amount_minor: event.amount_minor,
            outcome: AuthorizationOutcome::Authorized { provider_reference: event.provider_reference.clone() },
            method: PaymentMethod::of(event.payment_provider.as_deref(), event.payment_token.as_deref()),
            expires_at: event.expires_at,
            attempt: event.attempt,
        });
        (self.action, self.stuck) = (None, None);
    }

    /// Whether it is not known of anything yet what became of it.
    pub(super) const fn is_blank(&self) -> bool {
        self.authorization.is_none() && self.capture.is_none() && self.void.is_none() && self.stuck.is_none()
    }

    fn begun(order_id: &OrderId) -> Self {
        Payment {
            order_id: order_id.clone(),
            version: 0,
            action: None,
            authorization: None,
            capture: None,
            void: None,
            stuck: None,
            refunds: Vec::new(),
            disputes: Vec::new(),
        }
    }
}

/// What an event made of a payment and of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evolved {
    /// The payment after the event.
    pub payment: Option<Payment>,
    /// What is to be posted; nothing for a repeated event.
    pub postings: Vec<Posting>,
}

/// The payment after the event. A repeated event (its version is not above the state's) changes nothing.
///
/// # Errors
/// Versions are missing, the event belongs to another order, or no such payment can have this outcome.
pub fn evolve(state: Option<Payment>, event: &PaymentEvent) -> Result<Evolved, Inconsistent> {
    let transition = Transition {
        aggregate: "payment",
        id: event.key().as_str(),
        state: state.as_ref().map(|payment| (payment.order_id.as_str(), payment.version)),
        event: event.name(),
        event_version: event.version(),
    };
    if transition.judge()? == Follows::Old {
        return Ok(Evolved { payment: state, postings: Vec::new() });
    }
    if !may_follow(state.as_ref(), event) {
        let stage = state.as_ref().map_or("none", |payment| payment.status().as_str());
        return Err(transition.contradicts(Contradiction::Impossible(stage)));
    }
    let mut disputed = None;
    if let (Some(payment), PaymentEvent::PaymentDisputed(event)) = (&state, event) {
        disputed = payment.dispute(&event.dispute_id).cloned();
    }
    let payment = apply(state.unwrap_or_else(|| Payment::begun(event.key())), event);
    let postings = ledger::postings(disputed.as_ref(), &payment, event);
    Ok(Evolved { payment: Some(payment), postings })
}

fn may_follow(state: Option<&Payment>, event: &PaymentEvent) -> bool {
    use PaymentStatus::{Authorized, CaptureFailed, Captured};
    let is_blank = state.is_none_or(Payment::is_blank);
    let status = state.map(Payment::status);
    // A payment that was stuck at an operation goes on where it is tried again.
    let stuck_at =
        |operation| state.and_then(|payment| payment.stuck.as_ref()).is_some_and(|stuck| stuck.operation == operation);
    let is_held = matches!(status, Some(Authorized | CaptureFailed));
    // What waits for the customer may have been given up meanwhile.
    let is_waiting = state.is_some_and(|payment| payment.action.is_some());
    let attempt = || state.and_then(|payment| payment.authorization.as_ref()).map_or(0, |had| had.attempt);
    match event {
        PaymentEvent::PaymentActionRequired(_) => (is_blank || stuck_at(Operation::Authorize)) && !is_waiting,
        // What was about to lapse is held again by a further attempt.
        PaymentEvent::PaymentAuthorized(event) => {
            let is_again = status == Some(Authorized) && event.attempt > attempt();
            is_blank || is_waiting || stuck_at(Operation::Authorize) || is_again
        }
        PaymentEvent::PaymentDeclined(_) => is_blank || is_waiting || stuck_at(Operation::Authorize),
        PaymentEvent::PaymentCaptured(_) | PaymentEvent::PaymentCaptureFailed(_) => {
            status == Some(Authorized) || stuck_at(Operation::Capture)
        }
        PaymentEvent::PaymentVoided(_) => is_blank || is_waiting || is_held || stuck_at(Operation::Void),
        PaymentEvent::PaymentStuck(event) => is_blank || is_waiting || is_held || stuck_at(event.operation.into()),
        PaymentEvent::PaymentRefunded(_) => status == Some(Captured),
        // Nothing was taken: that is what it says.
        PaymentEvent::PaymentRefundFailed(_) => true,
        PaymentEvent::PaymentRefundReversed(event) => {
            state.is_some_and(|payment| payment.refunded(&event.refund_id).is_some())
        }
        PaymentEvent::PaymentDisputed(_) => status == Some(Captured),
    }
}

fn apply(mut payment: Payment, event: &PaymentEvent) -> Payment {
    payment.version = event.version();
    match event {
        PaymentEvent::PaymentActionRequired(event) => {
            payment.action = Some(Action::said(event));
            payment.stuck = None;
        }
        PaymentEvent::PaymentAuthorized(event) => payment.authorized(event),
        PaymentEvent::PaymentDeclined(event) => {
            payment.authorization = Some(Authorization {
                version: event.version,
                at: event.at,
                customer_id: event.customer_id.clone(),
                currency: event.currency.clone(),
                amount_minor: event.amount_minor,
                outcome: AuthorizationOutcome::Declined { detail: event.detail.clone() },
                method: None,
                expires_at: None,
                attempt: FIRST_ATTEMPT,
            });
            (payment.action, payment.stuck) = (None, None);
        }
        PaymentEvent::PaymentCaptured(event) => {
            let outcome = CaptureOutcome::Captured { provider_reference: event.provider_reference.clone() };
            payment.capture = Some(Capture { version: event.version, at: event.at, outcome });
            payment.stuck = None;
        }
        PaymentEvent::PaymentCaptureFailed(event) => {
            let outcome = CaptureOutcome::Failed { detail: event.detail.clone() };
            payment.capture = Some(Capture { version: event.version, at: event.at, outcome });
            payment.stuck = None;
        }
        PaymentEvent::PaymentVoided(event) => {
            let (version, at, reason_code) = (event.version, event.at, event.reason_code.clone());
            payment.void = Some(Void { version, at, reason_code });
            (payment.action, payment.stuck) = (None, None);
        }
        PaymentEvent::PaymentStuck(event) => {
            let (operation, detail) = (event.operation.into(), event.detail.clone());
            let (version, at, refused_attempts) = (event.version, event.at, event.refused_attempts);
            payment.stuck = Some(Stuck { version, at, operation, detail, refused_attempts });
        }
        PaymentEvent::PaymentRefunded(event) => payment.refund_ended(Refund {
            refund_id: event.refund_id.clone(),
            version: event.version,
            at: event.at,
            amount_minor: event.amount_minor,
            outcome: RefundOutcome::Refunded { provider_reference: event.provider_reference.clone() },
        }),
        PaymentEvent::PaymentRefundFailed(event) => {
            let detail = event.detail.clone();
            let is_refused = event.outcome == REFUSED;
            payment.refund_ended(Refund {
                refund_id: event.refund_id.clone(),
                version: event.version,
                at: event.at,
                amount_minor: event.amount_minor,
                outcome: if is_refused { RefundOutcome::Refused { detail } } else { RefundOutcome::Unknown { detail } },
            });
        }
        PaymentEvent::PaymentRefundReversed(event) => payment.refund_reversed(event),
        PaymentEvent::PaymentDisputed(event) => payment.disputed(event),
    }
    payment
}

/// What `PaymentRefundFailed` calls a refund that was refused.
pub(super) const REFUSED: &str = "refused";
/// What it calls one of which nobody knows.
pub(super) const UNKNOWN: &str = "unknown";
