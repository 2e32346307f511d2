//! What happens at the bank without anybody asking: authorizations lapse, refunds are done or fail, customers act and dispute.

use crate::bank::{Bank, Done};
use crate::objects::{Dispute, Payment, Status};
use crate::problem::Problem;

/// What a dispute costs, in minor units.
const DISPUTE_FEE: i64 = 1_500;

impl Bank {
    /// All that is due by now.
    pub(crate) fn settle(&mut self, now_ms: i64) {
        if self.lapses_next_ms <= now_ms {
            self.lapse(now_ms);
        }
        self.settle_refunds(now_ms);
    }

    fn lapse(&mut self, now_ms: i64) {
        let lapsed = |payment: &&Payment| payment.status == Status::RequiresCapture && payment.lapses_ms <= now_ms;
        let ids: Vec<(String, String)> = self
            .payments
            .values()
            .filter(lapsed)
            .map(|payment| (payment.account.clone(), payment.id.clone()))
            .collect();
        for (account, id) in ids {
            // It was to be captured a moment ago, so it can be let go of.
            drop(self.cancel(&account, &id, Some("automatic"), now_ms));
        }
        let held = self.payments.values().filter(|payment| payment.status == Status::RequiresCapture);
        self.lapses_next_ms = held.map(|payment| payment.lapses_ms).min().unwrap_or(i64::MAX);
    }

    fn settle_refunds(&mut self, now_ms: i64) {
        let mut settled = Vec::new();
        for refund in &mut self.refunds {
            if let Some((at_ms, status)) = refund.settles
                && at_ms <= now_ms
            {
                (refund.settles, refund.status) = (None, status);
                refund.failure_reason = (status == "failed").then_some("lost_or_stolen_card");
                settled.push(refund.clone());
            }
        }
        for refund in settled {
            let Some(payment) = self.payments.get_mut(&refund.payment) else { continue };
            let kind = match refund.status {
                "failed" => "refund.failed",
                _ => "refund.updated",
            };
            if refund.status == "failed" {
                payment.refunded -= refund.amount;
            }
            let payment = payment.clone();
            if refund.status == "failed" {
                self.moved("refund_failure", "refund_failure", &payment, refund.id.clone(), refund.amount, 0, now_ms);
            }
            self.event(&refund.account, kind, &payment.order_id(), refund.shown(), now_ms);
        }
    }

    /// The customer confirms the payment, or fails to.
    pub(crate) fn act(&mut self, id: &str, goes_well: bool, now_ms: i64) -> Done {
        let payment = self.payments.get_mut(id).ok_or_else(|| Problem::missing("payment_intent", id))?;
        if payment.status != Status::RequiresAction {
            return Err(Problem::state(payment.status.as_str()));
        }
        payment.status = if goes_well { Status::RequiresCapture } else { Status::RequiresPaymentMethod };
        payment.error_code = (!goes_well).then_some("payment_intent_authentication_failure");
        let payment = payment.clone();
        self.tell_of_payment(&payment, now_ms);
        Ok(payment.shown(true))
    }

    /// The customer disputes the payment: the money is gone at once.
    pub(crate) fn dispute(&mut self, payment: &Payment, now_ms: i64) {
        let id = payment.id.replacen("pi_", "dp_", 1);
        self.moved("adjustment", "dispute", payment, id.clone(), -payment.received, DISPUTE_FEE, now_ms);
        let dispute = Dispute {
            id,
            account: payment.account.clone(),
            payment: payment.id.clone(),
            created_ms: now_ms,
            amount: payment.received,
            currency: payment.currency.clone(),
            status: "needs_response",
            fee: DISPUTE_FEE,
            metadata: payment.metadata.clone(),
        };
        self.event(&payment.account, "charge.dispute.created", &payment.order_id(), dispute.shown(), now_ms);
        self.disputes.push(dispute);
    }

    /// The dispute of a payment ends; won, the money comes back.
    pub(crate) fn close_dispute(&mut self, id: &str, is_won: bool, now_ms: i64) -> Done {
        let found = self.disputes.iter_mut().find(|dispute| dispute.id == id);
        let dispute = found.ok_or_else(|| Problem::missing("dispute", id))?;
        if dispute.status != "needs_response" {
            return Err(Problem::new(400, "dispute_closed", "This dispute is already closed."));
        }
        dispute.status = if is_won { "won" } else { "lost" };
        let dispute = dispute.clone();
        if let (true, Some(payment)) = (is_won, self.payments.get(&dispute.payment).cloned()) {
            self.moved("adjustment", "dispute_reversal", &payment, dispute.id.clone(), dispute.amount, 0, now_ms);
        }
        let order_id = dispute.metadata.get("order_id").cloned().unwrap_or_default();
        self.event(&dispute.account, "charge.dispute.closed", &order_id, dispute.shown(), now_ms);
        Ok(dispute.shown())
    }
}
