//! The port to a payment provider: what is asked of it and what it can answer.
//!
//! Whoever implements it maps its own protocol to these answers and guesses nothing: an answer that is not certain is
//! `Unknown`. What to do about an answer is decided in `charge`, never here.

mod action;

use std::fmt;
use std::pin::Pin;

use schemas::{CommandId, CustomerId, OrderId, PaymentOperation, Time};
use serde::{Deserialize, Serialize};

pub use action::{ActionUrl, Directions};

/// Names one effect at the provider: asking again with the same key has no second effect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey(String);

/// The attempt of a release: so its key is that of no void which is commanded.
pub(crate) const RELEASE_ATTEMPT: i32 = 0;

impl IdempotencyKey {
    /// The key of an attempt at an operation that an order has once, at most 96 bytes.
    pub fn new(order_id: &OrderId, operation: Operation, attempt: i32) -> Self {
        IdempotencyKey(format!("{order_id}/{}/{attempt}", operation.as_str()))
    }

    /// The key of letting go of an order's hold that another took the place of.
    pub fn release(order_id: &OrderId) -> Self {
        IdempotencyKey::new(order_id, Operation::Void, RELEASE_ATTEMPT)
    }

    /// The key of an attempt at a refund, at most 160 bytes.
    pub fn refund(order_id: &OrderId, refund_id: &CommandId, attempt: i32) -> Self {
        IdempotencyKey(format!("{order_id}/{}/{}/{attempt}", Operation::Refund.as_str(), refund_id.as_str()))
    }

    /// The key as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the provider is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// Hold an amount.
    Authorize,
    /// Take what is held.
    Capture,
    /// Let go of what is held.
    Void,
    /// Give back some of what was taken.
    Refund,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Operation; 4] = [Operation::Authorize, Operation::Capture, Operation::Void, Operation::Refund];

    /// The name in keys, statements, columns and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Operation::Authorize => "authorize",
            Operation::Capture => "capture",
            Operation::Void => "void",
            Operation::Refund => "refund",
        }
    }

    /// The operation of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Operation::ALL.into_iter().find(|operation| operation.as_str() == name)
    }

    /// What `PaymentStuck` calls it; none where a failure has an event of its own.
    pub const fn in_stuck(self) -> Option<PaymentOperation> {
        match self {
            Operation::Authorize => Some(PaymentOperation::Authorize),
            Operation::Capture => Some(PaymentOperation::Capture),
            Operation::Void => Some(PaymentOperation::Void),
            Operation::Refund => None,
        }
    }
}

impl From<PaymentOperation> for Operation {
    fn from(operation: PaymentOperation) -> Self {
        match operation {
            PaymentOperation::Authorize => Operation::Authorize,
            PaymentOperation::Capture => Operation::Capture,
            PaymentOperation::Void => Operation::Void,
        }
    }
}

/// With what an order is paid: the provider's own name for it, never a card's number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// Which account of ours at the provider; empty: the default one.
    pub provider: String,
    /// The provider's token for the customer's means of payment; empty: none was given.
    pub token: String,
}

impl PaymentMethod {
    /// As messages and columns say it; none where neither is said.
    pub fn of(provider: Option<&str>, token: Option<&str>) -> Option<Self> {
        let text = |said: Option<&str>| said.unwrap_or_default().to_owned();
        (provider.is_some() || token.is_some()).then(|| PaymentMethod { provider: text(provider), token: text(token) })
    }

    /// The account and the token, as messages and columns say them.
    pub fn said(method: Option<&Self>) -> (Option<String>, Option<String>) {
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        method.map_or((None, None), |method| (text(&method.provider), text(&method.token)))
    }
}

/// The token is for the provider's eyes: it stands in no log.
impl fmt::Debug for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentMethod").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// What is asked of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRequest {
    /// The effect's name.
    pub key: IdempotencyKey,
    /// For which order.
    pub order_id: OrderId,
    /// What to do.
    pub operation: Operation,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How much, in minor units; above 0.
    pub amount_minor: i64,
    /// The provider's name for the authorization that a capture or a void is about, or for the capture that a refund is about.
    pub authorization: Option<String>,
    /// With what it is paid; none where the order did not say.
    pub method: Option<PaymentMethod>,
    /// How many times this key was sent before and answered, however uncertainly.
    pub sent_before: i32,
}

/// What the provider answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderAnswer {
    /// Done. Definitive.
    Succeeded {
        /// The provider's name for what was done, at most `MAX_DETAIL_BYTES` bytes.
        reference: String,
        /// When what is held lapses by itself, where the provider says so.
        expires_at: Option<Time>,
    },
    /// The customer has to act before anything is held; nothing is held yet. The same key has no second effect.
    ActionRequired {
        /// The provider's name for what waits.
        reference: String,
        /// Until when it waits, where the provider says so.
        until: Option<Time>,
    },
    /// Accepted, and neither done nor refused yet: a look-up tells later.
    Pending {
        /// The provider's name for what was accepted.
        reference: String,
    },
    /// Refused for good. Definitive.
    Refused {
        /// The provider's words.
        detail: String,
    },
    /// It was or may have been sent, and there is no answer to rely on: it may have been done.
    Unknown {
        /// What happened.
        detail: String,
    },
    /// Not now: too many requests, or the same key is being worked on. It may be done later, under the same key.
    RetryLater {
        /// What happened.
        detail: String,
        /// How long the provider asks to wait, in milliseconds.
        after_ms: Option<i64>,
    },
    /// To a look-up: nothing was done under this key so far. A request that is still on its way may yet do it.
    NotFound,
}

/// What a provider says of a payment beside the answers to calls: what came after they had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sighting {
    /// The customer's bank disputes what was taken, or has decided.
    Disputed {
        /// The provider's name for the dispute.
        dispute_id: String,
        /// `opened`, `won` or `lost`.
        status: String,
        /// How much is disputed, in minor units.
        amount_minor: i64,
        /// ISO 4217 alphabetic code.
        currency: String,
        /// What the provider charges for it so far, in minor units.
        fee_minor: i64,
    },
    /// A refund that had succeeded came back.
    RefundFailed {
        /// The provider's name for the refund, as its answer said it.
        reference: String,
        /// The provider's words.
        detail: String,
    },
}

/// An answer that is still to come.
pub type Asked<'a> = Pin<Box<dyn Future<Output = ProviderAnswer> + Send + 'a>>;

/// Sightings that are still to come; the error says in words why there are none.
pub type Looked<'a> = Pin<Box<dyn Future<Output = Result<Vec<Sighting>, String>> + Send + 'a>>;

/// Directions that are still to come.
pub type Directed<'a> = Pin<Box<dyn Future<Output = Directions> + Send + 'a>>;

/// A payment provider.
pub trait Provider: Send + Sync {
    /// Do it, unless it was done under this key before; the answer is the same either way.
    fn execute<'a>(&'a self, request: &'a ProviderRequest) -> Asked<'a>;

    /// The answer of a provider that decides by itself, such as a shop's own credit: a pure function of the request and the time,
    /// with no effect outside, so that it may be asked any number of times and nothing is to be known of it after a crash. Such a
    /// call is opened and answered in one transaction. None where the provider has to be asked, as nearly all have.
    fn at_once(&self, _request: &ProviderRequest, _now: Time) -> Option<ProviderAnswer> {
        None
    }

    /// What became of the request's key, without doing anything.
    fn look_up<'a>(&'a self, request: &'a ProviderRequest) -> Asked<'a>;

    /// What came after the calls of this payment had ended, all of it, every time. The request is that of the authorization in
    /// force, with the provider's name for it. None where a provider has no such thing.
    fn sightings<'a>(&'a self, _request: &'a ProviderRequest) -> Looked<'a> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Where the customer goes to act, now. The request is that of the authorization that waits for it, with the provider's name for
    /// what waits. Nowhere where a provider asks customers for nothing.
    fn directions<'a>(&'a self, _request: &'a ProviderRequest) -> Directed<'a> {
        Box::pin(std::future::ready(Directions::NoActionNeeded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bounded_and_tells_order_operation_and_attempt_apart() {
        let order = |id: &str| OrderId::new(id).unwrap();
        let key = |id, operation, attempt| IdempotencyKey::new(&order(id), operation, attempt);
        let base = key("o-1", Operation::Authorize, 1);
        assert_eq!(base.as_str(), "o-1/authorize/1");
        assert_ne!(base, key("o-2", Operation::Authorize, 1));
        assert_ne!(base, key("o-1", Operation::Void, 1));
        assert_ne!(base, key("o-1", Operation::Authorize, 2));
        assert!(key(&"x".repeat(64), Operation::Authorize, i32::MAX).as_str().len() <= 96);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        for operation in Operation::ALL {
            assert_eq!(Operation::parse(operation.as_str()), Some(operation));
        }
        assert_eq!(Operation::parse("dispute"), None);
    }

    #[test]
    fn every_refund_has_a_key_of_its_own() {
        let (order_id, longest) = (OrderId::new("x".repeat(64)).unwrap(), CommandId::new("y".repeat(64)).unwrap());
        let key = |refund: &CommandId, attempt| IdempotencyKey::refund(&order_id, refund, attempt);
        assert_ne!(key(&longest, 1), key(&CommandId::new("y").unwrap(), 1));
        assert_ne!(key(&longest, 1), key(&longest, 2));
        assert!(key(&longest, i32::MAX).as_str().len() <= 160);
    }
}
