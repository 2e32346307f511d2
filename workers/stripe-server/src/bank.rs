//! What the server holds, and what is done to it: pure, with time as an input.
//!
//! An operation gives the object, or the provider's error. What moves money leaves a movement of the balance; what a shop wants to know
//! leaves an event for the webhooks.

use std::collections::{BTreeMap, HashMap};

use domain::amounts::of_provider;
use serde_json::Value;

use crate::events::Event;
use crate::objects::{Dispute, Movement, Payment, Refund, Status};
use crate::problem::Problem;

/// What is asked for when money is to be held.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) token: String,
    pub(crate) metadata: BTreeMap<String, String>,
    /// The simulator's verdict.
    pub(crate) is_refused: bool,
    pub(crate) lapses_ms: i64,
    pub(crate) action_url: String,
}

/// What is asked for when money is to be given back.
#[derive(Debug, Clone)]
pub(crate) struct Returned {
    pub(crate) id: String,
    pub(crate) payment: String,
    /// All that is left where none is given.
    pub(crate) amount: Option<i64>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) is_refused: bool,
    pub(crate) settles_ms: i64,
}

/// All that is held.
#[derive(Debug)]
pub(crate) struct Bank {
    pub(crate) payments: BTreeMap<String, Payment>,
    /// Each the oldest first.
    pub(crate) order: Vec<String>,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) disputes: Vec<Dispute>,
    pub(crate) movements: Vec<Movement>,
    /// Not delivered yet.
    pub(crate) events: Vec<Event>,
    pub(crate) numbered: u64,
    /// How many payments each order has.
    holds: HashMap<String, usize>,
    /// When the next authorization may lapse; nothing lapses before.
    pub(crate) lapses_next_ms: i64,
}

impl Default for Bank {
    fn default() -> Self {
        Bank {
            payments: BTreeMap::new(),
            order: Vec::new(),
            refunds: Vec::new(),
            disputes: Vec::new(),
            movements: Vec::new(),
            events: Vec::new(),
            numbered: 0,
            holds: HashMap::new(),
            lapses_next_ms: i64::MAX,
        }
    }
}

/// An object, or why there is none.
pub(crate) type Done = Result<Value, Problem>;

impl Bank {
    /// Hold the amount.
    pub(crate) fn authorize(&mut self, wanted: Wanted, now_ms: i64) -> Done {
        let refusal = match wanted.token.as_str() {
            _ if wanted.is_refused => Some("card_declined"),
            "pm_card_chargeDeclined" | "pm_card_visa_chargeDeclined" | "tok_chargeDeclined" => Some("card_declined"),
            "pm_card_chargeDeclinedInsufficientFunds" => Some("insufficient_funds"),
            "pm_card_chargeDeclinedExpiredCard" => Some("expired_card"),
            _ => None,
        };
        let is_known = ["pm_", "tok_", "card_", "src_"].iter().any(|start| wanted.token.starts_with(start));
        if !is_known {
            let message = format!("No such PaymentMethod: '{}'", wanted.token);
            return Err(Problem::new(400, "resource_missing", message).about("payment_method"));
        }
        let has_to_act = wanted.token.contains("authenticationRequired") || wanted.token.contains("threeDSecure");
        let status = match (refusal, has_to_act) {
            (Some(_), _) => Status::RequiresPaymentMethod,
            (None, true) => Status::RequiresAction,
            (None, false) => Status::RequiresCapture,
        };
        let Wanted { id, account, amount, currency, token, metadata, lapses_ms, action_url, .. } = wanted;
        let payment = Payment {
            id: id.clone(),
            account,
            created_ms: now_ms,
            amount,
            received: 0,
            refunded: 0,
            currency,
            token,
            status,
            metadata,
            cancellation_reason: None,
            error_code: refusal,
            lapses_ms,
            action_url: Some(action_url),
        };
        self.tell_of_payment(&payment, now_ms);
        let shown = payment.shown(true);
        *self.holds.entry(payment.order_id()).or_default() += 1;
        self.lapses_next_ms = self.lapses_next_ms.min(lapses_ms);
        self.order.push(id.clone());
        self.payments.insert(id, payment);
        refusal.map_or(Ok(shown), |code| Err(Problem::of_card(code)))
    }

    /// Take this much of what is held; the rest is let go.
    pub(crate) fn capture(&mut self, account: &str, id: &str, amount: Option<i64>, refused: bool, now_ms: i64) -> Done {
        let payment = self.payment_mut(account, id)?;
        match payment.status {
            Status::RequiresCapture => {}
            other @ (Status::RequiresPaymentMethod | Status::RequiresAction | Status::Succeeded | Status::Canceled) => {
                return Err(Problem::state(other.as_str()));
            }
        }
        let amount = amount.unwrap_or(payment.amount);
        if amount < 1 || amount > payment.amount {
            return Err(Problem::new(400, "amount_too_large", "The amount is not within what is held."));
        }
        if refused {
            let message = "The charge cannot be captured because the authorization has expired.";
            return Err(Problem::new(400, "charge_expired_for_capture", message));
        }
        payment.status = Status::Succeeded;
        payment.received = amount;
        let payment = payment.clone();
        let fee = fee_of(&payment.currency, amount);
        self.moved("charge", "charge", &payment, payment.id.replacen("pi_", "ch_", 1), amount, fee, now_ms);
        self.tell_of_payment(&payment, now_ms);
        if payment.token.contains("createDispute") {
            self.dispute(&payment, now_ms);
        }
        Ok(payment.shown(true))
    }

    /// Let go of what is held, or is to be.
    pub(crate) fn cancel(&mut self, account: &str, id: &str, reason: Option<&'static str>, now_ms: i64) -> Done {
        let payment = self.payment_mut(account, id)?;
        match payment.status {
            Status::RequiresCapture | Status::RequiresAction | Status::RequiresPaymentMethod => {}
            other @ (Status::Succeeded | Status::Canceled) => return Err(Problem::state(other.as_str())),
        }
        payment.status = Status::Canceled;
        payment.cancellation_reason = reason;
        let payment = payment.clone();
        self.tell_of_payment(&payment, now_ms);
        Ok(payment.shown(true))
    }

    /// Give this much back.
    pub(crate) fn refund(&mut self, account: &str, wanted: Returned, now_ms: i64) -> Done {
        let Returned { id, payment, amount, metadata, is_refused, settles_ms } = wanted;
        let payment = self.payment_mut(account, &payment)?;
        if payment.status != Status::Succeeded {
            return Err(Problem::state(payment.status.as_str()));
        }
        let left = payment.received - payment.refunded;
        if left == 0 {
            return Err(Problem::new(400, "charge_already_refunded", "The charge has already been refunded."));
        }
        let amount = amount.unwrap_or(left);
        if amount < 1 || amount > left {
            let message = format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
            return Err(Problem::new(400, "amount_too_large", message).about("amount"));
        }
        if is_refused {
            return Err(Problem::new(400, "charge_disputed", "The charge was disputed."));
        }
        payment.refunded += amount;
        let (status, settles) = match payment.token.as_str() {
            token if token.contains("pendingRefund") => ("pending", Some((settles_ms, "succeeded"))),
            token if token.contains("refundFail") => ("succeeded", Some((settles_ms, "failed"))),
            _ => ("succeeded", None),
        };
        let payment = payment.clone();
        let refund = Refund {
            id: id.clone(),
            account: account.to_owned(),
            payment: payment.id.clone(),
            created_ms: now_ms,
            amount,
            currency: payment.currency.clone(),
            status,
            failure_reason: None,
            metadata,
            settles,
        };
        self.moved("refund", "refund", &payment, id, -amount, 0, now_ms);
        let shown = refund.shown();
        self.event(account, "refund.created", &payment.order_id(), shown.clone(), now_ms);
        self.refunds.push(refund);
        Ok(shown)
    }

    /// How many payments there are of the order that these metadata name.
    pub(crate) fn holds_of(&self, metadata: &BTreeMap<String, String>) -> usize {
        metadata.get("order_id").and_then(|order_id| self.holds.get(order_id)).copied().unwrap_or_default()
    }

    /// A payment of this account.
    pub(crate) fn payment(&self, account: &str, id: &str) -> Result<&Payment, Problem> {
        let found = self.payments.get(id).filter(|payment| payment.account == account);
        found.ok_or_else(|| Problem::missing("payment_intent", id).about("intent"))
    }

    pub(crate) fn payment_mut(&mut self, account: &str, id: &str) -> Result<&mut Payment, Problem> {
        let found = self.payments.get_mut(id).filter(|payment| payment.account == account);
        found.ok_or_else(|| Problem::missing("payment_intent", id).about("intent"))
    }

    #[expect(clippy::too_many_arguments, reason = "a movement has as many parts")]
    pub(crate) fn moved(
        &mut self,
        kind: &'static str,
        reporting: &'static str,
        payment: &Payment,
        source: String,
        amount: i64,
        fee: i64,
        now_ms: i64,
    ) {
        let number = self.number();
        self.movements.push(Movement {
            id: format!("txn_{number}"),
            account: payment.account.clone(),
            created_ms: now_ms,
            kind,
            reporting,
            amount,
            fee,
            currency: payment.currency.clone(),
            payment: payment.id.clone(),
            source,
            order_id: payment.order_id(),
        });
    }

    pub(crate) fn tell_of_payment(&mut self, payment: &Payment, now_ms: i64) {
        let kind = match payment.status {
            Status::RequiresPaymentMethod => "payment_intent.payment_failed",
            Status::RequiresAction => "payment_intent.requires_action",
            Status::RequiresCapture => "payment_intent.amount_capturable_updated",
            Status::Succeeded => "payment_intent.succeeded",
            Status::Canceled => "payment_intent.canceled",
        };
        self.event(&payment.account, kind, &payment.order_id(), payment.shown(false), now_ms);
    }

    pub(crate) fn event(&mut self, account: &str, kind: &'static str, order_id: &str, object: Value, now_ms: i64) {
        let (id, account, order_id) = (format!("evt_{}", self.number()), account.to_owned(), order_id.to_owned());
        self.events.push(Event { id, account, kind, order_id, object, created_ms: now_ms });
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }
}

/// What is charged for taking this much: as much of it as our own units can say.
fn fee_of(currency: &str, amount: i64) -> i64 {
    let (least, currency) = (amount * 14 / 1_000 + 25, currency.to_ascii_uppercase());
    (least..least + 100).find(|fee| of_provider(&currency, *fee).is_ok()).unwrap_or(least)
}
