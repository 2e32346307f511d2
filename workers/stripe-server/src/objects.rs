//! The objects, and how they are shown: with the fields that a client of payments reads.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresAction,
    RequiresCapture,
    Succeeded,
    Canceled,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Status::RequiresPaymentMethod => "requires_payment_method",
            Status::RequiresAction => "requires_action",
            Status::RequiresCapture => "requires_capture",
            Status::Succeeded => "succeeded",
            Status::Canceled => "canceled",
        }
    }
}

/// A payment.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) created_ms: i64,
    pub(crate) amount: i64,
    pub(crate) received: i64,
    pub(crate) refunded: i64,
    pub(crate) currency: String,
    pub(crate) token: String,
    pub(crate) status: Status,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) cancellation_reason: Option<&'static str>,
    pub(crate) error_code: Option<&'static str>,
    pub(crate) lapses_ms: i64,
    /// Where a customer goes who has to confirm it.
    pub(crate) action_url: Option<String>,
}

impl Payment {
    pub(crate) fn order_id(&self) -> String {
        self.metadata.get("order_id").cloned().unwrap_or_default()
    }

    /// With its charge whole where it was asked for.
    pub(crate) fn shown(&self, is_expanded: bool) -> Value {
        let Payment { id, amount, received, currency, status, metadata, cancellation_reason, .. } = self;
        let charge_id = id.replacen("pi_", "ch_", 1);
        let held = matches!(status, Status::RequiresCapture).then(|| self.lapses_ms / 1_000);
        let charge = json!({
            "id": charge_id, "object": "charge", "amount": amount, "amount_refunded": self.refunded, "currency": currency,
            "captured": *status == Status::Succeeded, "payment_intent": id, "metadata": metadata,
            "payment_method_details": { "type": "card", "card": { "brand": "visa", "capture_before": held } },
        });
        let has_charge = *status != Status::RequiresAction;
        let action = self.action_url.as_ref().filter(|_| *status == Status::RequiresAction);
        json!({
            "id": id, "object": "payment_intent", "amount": amount, "amount_received": received,
            "amount_capturable": if *status == Status::RequiresCapture { *amount } else { 0 },
            "currency": currency, "capture_method": "manual", "status": status.as_str(), "metadata": metadata,
            "created": self.created_ms / 1_000, "livemode": false, "cancellation_reason": cancellation_reason,
            "client_secret": format!("{id}_secret_planted"),
            "last_payment_error": self.error_code.map(|code| json!({ "type": "card_error", "code": code })),
            "latest_charge": match (has_charge, is_expanded) {
                (false, _) => Value::Null,
                (true, false) => Value::String(charge_id),
                (true, true) => charge,
            },
            "next_action": action.map(|url| json!({ "type": "redirect_to_url", "redirect_to_url": { "url": url } })),
        })
    }
}

/// A refund.
#[derive(Debug, Clone)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) payment: String,
    pub(crate) created_ms: i64,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) status: &'static str,
    pub(crate) failure_reason: Option<&'static str>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// What becomes of it, and when.
    pub(crate) settles: Option<(i64, &'static str)>,
}

impl Refund {
    pub(crate) fn shown(&self) -> Value {
        let Refund { id, payment, amount, currency, status, failure_reason, metadata, .. } = self;
        json!({
            "id": id, "object": "refund", "payment_intent": payment, "charge": payment.replacen("pi_", "ch_", 1),
            "amount": amount, "currency": currency, "status": status, "failure_reason": failure_reason,
            "metadata": metadata, "created": self.created_ms / 1_000,
        })
    }
}

/// A payment that its customer disputes.
#[derive(Debug, Clone)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) payment: String,
    pub(crate) created_ms: i64,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) status: &'static str,
    /// What it costs.
    pub(crate) fee: i64,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Dispute {
    pub(crate) fn shown(&self) -> Value {
        let Dispute { id, payment, amount, currency, status, metadata, .. } = self;
        json!({
            "id": id, "object": "dispute", "payment_intent": payment, "charge": payment.replacen("pi_", "ch_", 1),
            "amount": amount, "currency": currency, "status": status, "reason": "fraudulent", "metadata": metadata,
            "created": self.created_ms / 1_000, "balance_transactions": [{ "amount": -amount, "fee": self.fee }],
        })
    }
}

/// A movement of the balance.
#[derive(Debug, Clone)]
pub(crate) struct Movement {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) created_ms: i64,
    /// `charge`, `refund`, `refund_failure` or `adjustment`.
    pub(crate) kind: &'static str,
    pub(crate) reporting: &'static str,
    pub(crate) amount: i64,
    pub(crate) fee: i64,
    pub(crate) currency: String,
    /// The payment, and what of it moved money.
    pub(crate) payment: String,
    pub(crate) source: String,
    pub(crate) order_id: String,
}

impl Movement {
    /// With its source whole where it was asked for.
    pub(crate) fn shown(&self, is_expanded: bool) -> Value {
        let Movement { id, kind, reporting, amount, fee, currency, payment, source, order_id, .. } = self;
        let whole = || json!({ "id": source, "payment_intent": payment, "metadata": { "order_id": order_id } });
        json!({
            "id": id, "object": "balance_transaction", "amount": amount, "fee": fee, "net": amount - fee,
            "currency": currency, "type": kind, "reporting_category": reporting, "status": "available",
            "created": self.created_ms / 1_000,
            "source": if is_expanded { whole() } else { Value::String(source.clone()) },
        })
    }
}

/// A page of a list that is sorted the newest first.
pub(crate) fn page<T>(
    url: &str,
    all: &[&T],
    limit: usize,
    after: Option<&str>,
    id: fn(&T) -> &str,
    shown: impl Fn(&T) -> Value,
) -> Value {
    let begin = after.and_then(|after| all.iter().position(|one| id(one) == after)).map_or(0, |at| at + 1);
    let rest = all.get(begin..).unwrap_or_default();
    let data: Vec<Value> = rest.iter().take(limit).map(|one| shown(one)).collect();
    json!({ "object": "list", "url": url, "has_more": rest.len() > limit, "data": data })
}
