//! What the order service asks of payment, and what payment says.

use serde::{Deserialize, Serialize};

use crate::symbols::symbols;
use crate::{CommandId, CustomerId, OrderId, Time};

/// Hold the amount on the customer's means of payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizePayment {
    /// For which order.
    pub order_id: OrderId,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    #[serde(with = "crate::text")]
    pub currency: String,
    /// How much, in minor units; 0 needs no provider.
    pub amount_minor: i64,
    /// The account of a payment provider to charge; none for the default one.
    #[serde(default, with = "crate::text::optional")]
    pub payment_provider: Option<String>,
    /// The provider's token for the customer's means of payment.
    #[serde(default, with = "crate::text::optional")]
    pub payment_token: Option<String>,
}

/// Take what is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturePayment {
    /// For which order.
    pub order_id: OrderId,
}

/// Let go of what is held; where nothing is yet, refuse the authorization when it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidPayment {
    /// For which order.
    pub order_id: OrderId,
}

/// The amount is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentAuthorized {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    #[serde(with = "crate::text")]
    pub currency: String,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// The provider's name for it; none when the amount is 0.
    #[serde(with = "crate::text::optional")]
    pub provider_reference: Option<String>,
    /// The account of a payment provider that is charged; none for the default one.
    #[serde(default, with = "crate::text::optional")]
    pub payment_provider: Option<String>,
    /// The provider's token for the customer's means of payment.
    #[serde(default, with = "crate::text::optional")]
    pub payment_token: Option<String>,
    /// When what is held lapses by itself; none where the provider does not say.
    #[serde(default)]
    pub expires_at: Option<Time>,
    /// Which attempt at holding it; one above the first takes the place of one that was about to lapse.
    #[serde(default = "first_attempt")]
    pub attempt: i32,
}

const fn first_attempt() -> i32 {
    1
}

/// The provider refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentDeclined {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    #[serde(with = "crate::text")]
    pub currency: String,
    /// How much was asked for, in minor units.
    pub amount_minor: i64,
    /// The provider's words, at most `MAX_DETAIL_BYTES`.
    #[serde(with = "crate::text")]
    pub detail: String,
}

/// The amount is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCaptured {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// The provider's name for it; none when the amount is 0.
    #[serde(with = "crate::text::optional")]
    pub provider_reference: Option<String>,
}

/// The provider refused the capture for good; the amount is still held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCaptureFailed {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// The provider's words, at most `MAX_DETAIL_BYTES`.
    #[serde(with = "crate::text")]
    pub detail: String,
}

/// Nothing is held any more, or (version 1) the authorization was refused before it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentVoided {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// Why, where nobody asked for it: `expired`, what was held lapses and could not be held again; `action_expired`, the customer
    /// has not acted in time.
    #[serde(default, with = "crate::text::optional")]
    pub reason_code: Option<String>,
}

/// No definitive answer could be had from the provider: a person has to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentStuck {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// What was asked of the provider.
    pub operation: PaymentOperation,
    /// What happened, at most `MAX_DETAIL_BYTES`.
    #[serde(with = "crate::text")]
    pub detail: String,
    /// How many attempts at the operation the provider has refused for good: the next one has the next number.
    #[serde(default)]
    pub refused_attempts: i32,
}

/// Give back some of what was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPayment {
    /// Of which order.
    pub order_id: OrderId,
    /// Which refund; makes a repeated command harmless.
    pub refund_id: CommandId,
    /// How much, in minor units; none for all that is left.
    pub amount_minor: Option<i64>,
}

/// Try the operation again at which a payment is stuck: the provider is asked first what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPayment {
    /// Of which order.
    pub order_id: OrderId,
    /// Makes a repeated command harmless.
    pub command_id: CommandId,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    #[serde(with = "crate::text")]
    pub currency: String,
    /// The order's total, in minor units.
    pub amount_minor: i64,
    /// The account of a payment provider to charge; none for the default one.
    #[serde(default, with = "crate::text::optional")]
    pub payment_provider: Option<String>,
    /// The provider's token for the customer's means of payment.
    #[serde(default, with = "crate::text::optional")]
    pub payment_token: Option<String>,
}

/// Some of what was taken is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefunded {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// Which refund.
    pub refund_id: CommandId,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// The provider's name for it; none where nothing was left to give back.
    #[serde(with = "crate::text::optional")]
    pub provider_reference: Option<String>,
}

/// The customer has to act before the amount is held, such as to confirm the payment with the bank. Nothing is held yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentActionRequired {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// Who pays.
    pub customer_id: CustomerId,
    /// ISO 4217 alphabetic code.
    #[serde(with = "crate::text")]
    pub currency: String,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// The provider's name for what waits.
    #[serde(with = "crate::text")]
    pub provider_reference: String,
    /// The account of a payment provider that is charged; none for the default one.
    #[serde(default, with = "crate::text::optional")]
    pub payment_provider: Option<String>,
    /// Until then the customer acts; then what waits is cancelled at the provider.
    pub until: Time,
}

/// A refund was refused, or no definitive answer could be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefundFailed {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// Which refund.
    pub refund_id: CommandId,
    /// How much was asked for, in minor units.
    pub amount_minor: i64,
    /// `refused` or `unknown`.
    #[serde(with = "crate::text")]
    pub outcome: String,
    /// What happened, at most `MAX_DETAIL_BYTES`.
    #[serde(with = "crate::text")]
    pub detail: String,
}

/// A refund that was given back came back to us: the provider could not deliver it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefundReversed {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// Which refund.
    pub refund_id: CommandId,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// The provider's words, at most `MAX_DETAIL_BYTES`.
    #[serde(with = "crate::text")]
    pub detail: String,
}

/// The customer's bank disputes what was taken, or has decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentDisputed {
    /// For which order.
    pub order_id: OrderId,
    /// Of the payment.
    pub version: i64,
    /// When the service recorded it.
    pub at: Time,
    /// The provider's name for the dispute, at most `MAX_DETAIL_BYTES`.
    #[serde(with = "crate::text")]
    pub dispute_id: String,
    /// `opened`: the amount is withheld. `won`: it is ours again. `lost`: it is gone. With any other the amount is withheld.
    #[serde(with = "crate::text")]
    pub status: String,
    /// How much is disputed, in minor units.
    pub amount_minor: i64,
    /// ISO 4217 alphabetic code.
    #[serde(with = "crate::text")]
    pub currency: String,
    /// What the provider charges for the dispute so far, in minor units.
    #[serde(default)]
    pub fee_minor: i64,
}

symbols!(
    /// What the provider is asked to do.
    PaymentOperation {
        /// Hold an amount.
        Authorize,
        /// Take what is held.
        Capture,
        /// Let go of what is held.
        Void,
    }
);
