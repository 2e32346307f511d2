//! The ledger: what a payment's events post to accounts, in pairs that sum to zero.
//!
//! Postings are derived from events alone and named by (order, version, account), so that a replay gives the same rows.

use schemas::{OrderId, PaymentEvent};
use serde::{Deserialize, Serialize};

use super::state::Payment;

/// One side of a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// For which order.
    pub order_id: OrderId,
    /// The payment's version that posts it.
    pub version: i64,
    /// On which account.
    pub account: Account,
    /// Minor units; positive is a debit.
    pub amount_minor: i64,
    /// ISO 4217 alphabetic code.
    pub currency: String,
}

/// An account of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Account {
    /// What the provider owes us.
    ProviderReceivable,
    /// What we have earned.
    Sales,
    /// What we have given back.
    Refunds,
}

impl Account {
    /// The account's name, for a column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Account::ProviderReceivable => "provider_receivable",
            Account::Sales => "sales",
            Account::Refunds => "refunds",
        }
    }

    /// The account of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::ProviderReceivable, Self::Sales, Self::Refunds].into_iter().find(|one| one.as_str() == name)
    }
}

/// What the event posts, given the payment after it.
pub(super) fn postings(after: &Payment, event: &PaymentEvent) -> Vec<Posting> {
    let Some(authorization) = &after.authorization else { return Vec::new() };
    let (amount_minor, from, to) = match event {
        PaymentEvent::PaymentCaptured(_) => (authorization.amount_minor, Account::Sales, Account::ProviderReceivable),
        PaymentEvent::PaymentRefunded(event) => (event.amount_minor, Account::ProviderReceivable, Account::Refunds),
        // An authorization holds money; only a capture and a refund move it. Of a refund of which nobody knows the provider's
        // statement tells, and a person.
        PaymentEvent::PaymentAuthorized(_)
        | PaymentEvent::PaymentDeclined(_)
        | PaymentEvent::PaymentCaptureFailed(_)
        | PaymentEvent::PaymentVoided(_)
        | PaymentEvent::PaymentStuck(_)
        | PaymentEvent::PaymentRefundFailed(_) => return Vec::new(),
    };
    if amount_minor == 0 {
        return Vec::new();
    }
    let posting = |account, amount_minor| Posting {
        order_id: after.order_id.clone(),
        version: after.version,
        account,
        amount_minor,
        currency: authorization.currency.clone(),
    };
    vec![posting(to, amount_minor), posting(from, amount_minor.saturating_neg())]
}
