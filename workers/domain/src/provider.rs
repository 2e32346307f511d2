//! The port to a payment provider: what is asked of it and what it can answer.
//!
//! Whoever implements it maps its own protocol to these answers and guesses nothing: an answer that is not certain is
//! `Unknown`. What to do about an answer is decided in `charge`, never here.

use std::pin::Pin;

use schemas::{CustomerId, OrderId, PaymentOperation};
use serde::{Deserialize, Serialize};

/// Names one effect at the provider: asking again with the same key has no second effect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of an attempt at an operation for an order, at most 96 bytes.
    pub fn new(order_id: &OrderId, operation: PaymentOperation, attempt: i32) -> Self {
        IdempotencyKey(format!("{order_id}/{}/{attempt}", operation_name(operation)))
    }

    /// The key as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The operation's name in keys, statements, columns and labels.
pub const fn operation_name(operation: PaymentOperation) -> &'static str {
    match operation {
        PaymentOperation::Authorize => "authorize",
        PaymentOperation::Capture => "capture",
        PaymentOperation::Void => "void",
    }
}

/// The operation of this name.
pub fn parse_operation(name: &str) -> Option<PaymentOperation> {
    PaymentOperation::ALL.into_iter().find(|operation| operation_name(*operation) == name)
}

/// What is asked of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRequest {
    /// The effect's name.
    pub key: IdempotencyKey,
    /// For which order.
    pub order_id: OrderId,
    /// What to do.
    pub operation: PaymentOperation,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How much, in minor units; above 0.
    pub amount_minor: i64,
    /// The provider's name for the authorization that a capture or a void is about.
    pub authorization: Option<String>,
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

/// An answer that is still to come.
pub type Asked<'a> = Pin<Box<dyn Future<Output = ProviderAnswer> + Send + 'a>>;

/// A payment provider.
pub trait Provider: Send + Sync {
    /// Do it, unless it was done under this key before; the answer is the same either way.
    fn execute<'a>(&'a self, request: &'a ProviderRequest) -> Asked<'a>;

    /// What became of the request's key, without doing anything.
    fn look_up<'a>(&'a self, request: &'a ProviderRequest) -> Asked<'a>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bounded_and_tells_order_operation_and_attempt_apart() {
        let order = |id: &str| OrderId::new(id).unwrap();
        let key = |id, operation, attempt| IdempotencyKey::new(&order(id), operation, attempt);
        let base = key("o-1", PaymentOperation::Authorize, 1);
        assert_eq!(base.as_str(), "o-1/authorize/1");
        assert_ne!(base, key("o-2", PaymentOperation::Authorize, 1));
        assert_ne!(base, key("o-1", PaymentOperation::Void, 1));
        assert_ne!(base, key("o-1", PaymentOperation::Authorize, 2));
        assert!(key(&"x".repeat(64), PaymentOperation::Authorize, i32::MAX).as_str().len() <= 96);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        for operation in [PaymentOperation::Authorize, PaymentOperation::Capture, PaymentOperation::Void] {
            assert_eq!(parse_operation(operation_name(operation)), Some(operation));
        }
        assert_eq!(parse_operation("refund"), None);
    }
}
