//! What came of a payment after it was taken and given back: disputes, and refunds that came back, as the payment keeps them.

use schemas::{CommandId, PaymentDisputed, PaymentRefundReversed, Time};
use serde::{Deserialize, Serialize};

use super::state::{Payment, Refund, RefundOutcome};

/// That the customer's bank disputes what was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// The provider's name for it.
    pub dispute_id: String,
    /// The payment's version that said the last of it.
    pub version: i64,
    /// When that was recorded.
    pub at: Time,
    /// What was said: `opened`, `won`, `lost`, or what a later version says.
    pub status: String,
    /// How much is disputed, in minor units.
    pub amount_minor: i64,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// What the provider charges for it so far, in minor units.
    pub fee_minor: i64,
}

/// Where the disputed amount is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisputeStatus {
    /// Withheld by the provider, until the bank decides.
    Opened,
    /// Ours again.
    Won,
    /// Gone.
    Lost,
}

impl Dispute {
    /// Where the amount is. A text that this version does not know says at least that it is not ours.
    pub fn standing(&self) -> DisputeStatus {
        match self.status.as_str() {
            "won" => DisputeStatus::Won,
            "lost" => DisputeStatus::Lost,
            _ => DisputeStatus::Opened,
        }
    }
}

impl Payment {
    /// What was given back came back.
    pub(super) fn refund_reversed(&mut self, event: &PaymentRefundReversed) {
        let Some(had) = self.refunded(&event.refund_id) else { return };
        let refunded_version = had.version;
        let provider_reference = match &had.outcome {
            RefundOutcome::Refunded { provider_reference } => provider_reference.clone(),
            RefundOutcome::Refused { .. } | RefundOutcome::Unknown { .. } | RefundOutcome::Reversed { .. } => None,
        };
        self.refund_ended(Refund {
            refund_id: event.refund_id.clone(),
            version: event.version,
            at: event.at,
            amount_minor: event.amount_minor,
            outcome: RefundOutcome::Reversed { refunded_version, provider_reference, detail: event.detail.clone() },
        });
    }

    /// The last that was said of a dispute takes the place of what was said before.
    pub(super) fn disputed(&mut self, event: &PaymentDisputed) {
        self.disputes.retain(|had| had.dispute_id != event.dispute_id);
        self.disputes.push(Dispute {
            dispute_id: event.dispute_id.clone(),
            version: event.version,
            at: event.at,
            status: event.status.clone(),
            amount_minor: event.amount_minor,
            currency: event.currency.clone(),
            fee_minor: event.fee_minor,
        });
    }

    /// A dispute by the provider's name for it.
    pub(super) fn dispute(&self, dispute_id: &str) -> Option<&Dispute> {
        self.disputes.iter().find(|dispute| dispute.dispute_id == dispute_id)
    }

    /// A refund that was given back, and has not come back.
    pub(super) fn refunded(&self, refund_id: &CommandId) -> Option<&Refund> {
        let is_done = |refund: &&Refund| matches!(refund.outcome, RefundOutcome::Refunded { .. });
        self.refunds.iter().filter(is_done).find(|refund| refund.refund_id == *refund_id)
    }
}
