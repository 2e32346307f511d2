//! What the provider says that it did, held against what we say: at most one effect per operation and per refund, none
//! forgotten, and the same money left with us.
//!
//! A key that stands in the statement twice is one effect: the same request was sent again. Two keys are two effects. That a hold was let
//! go of which another took the place of has a key of its own, and no record of ours.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use domain::charge::{EXPIRED, Payment, Refund, RefundOutcome};
use domain::provider::IdempotencyKey;
use domain::statement::{StatementLine, StatementOutcome};

use crate::check::evidence::Expectations;
use crate::check::findings::{Findings, Invariant};
use crate::check::state::State;
use crate::rows::{PaymentRow, Rows};

/// What was done for an order, by key.
#[derive(Debug, Default)]
struct Effects<'s> {
    authorize: BTreeSet<&'s str>,
    capture: BTreeSet<&'s str>,
    void: BTreeSet<&'s str>,
    /// How often a hold was let go of that another took the place of: the same key is written once or more.
    releases: usize,
    /// The key and the amount of each refund that was done, by the refund's id.
    refunds: BTreeMap<&'s str, BTreeMap<&'s str, i64>>,
}

impl<'s> Effects<'s> {
    fn add(&mut self, line: &'s StatementLine) {
        let key = line.key.as_str();
        match line.operation.as_str() {
            "authorize" => drop(self.authorize.insert(key)),
            "capture" => drop(self.capture.insert(key)),
            "void" if line.key == IdempotencyKey::release(&line.order_id) => self.releases += 1,
            "void" => drop(self.void.insert(key)),
            "refund" => drop(self.refunds.entry(refund_in(line)).or_default().insert(key, line.amount_minor)),
            _ => {}
        }
    }
}

/// The refund in a key of the form `<order>/refund/<refund>/<attempt>`; the whole key where it has another one.
fn refund_in(line: &StatementLine) -> &str {
    let key = line.key.as_str();
    let behind = key.strip_prefix(line.order_id.as_str()).and_then(|rest| rest.strip_prefix("/refund/"));
    behind.and_then(|rest| rest.rsplit_once('/')).map_or(key, |(refund_id, _)| refund_id)
}

pub(crate) fn check(
    state: &State<'_>,
    statement: &[StatementLine],
    open_calls: &HashSet<String>,
    expectations: Expectations,
    findings: &mut Findings,
) {
    let effects = effects(state.rows, statement, findings);
    for (order_id, effects) in &effects {
        let payment = state.rows.payments.get(&((*order_id).to_owned(),));
        check_once(order_id, payment, effects, findings);
    }
    let nothing = Effects::default();
    for payment in state.rows.payments.values() {
        let done = effects.get(payment.order_id.as_str()).unwrap_or(&nothing);
        check_recorded(payment, state.payments.get(payment.order_id.as_str()), done, findings);
    }
    for (order_id, done) in effects {
        // An effect whose record is still under way is none that was forgotten.
        let is_settled = expectations.quiescent && !open_calls.contains(order_id);
        if is_settled {
            check_known(order_id, state, &done, findings);
        }
    }
}

fn check_once(order_id: &str, payment: Option<&PaymentRow>, effects: &Effects<'_>, findings: &mut Findings) {
    if effects.releases > 0 && effects.authorize.len() < 2 {
        findings.add(Invariant::Money, order_id, "a hold was let go of at the provider, and no other took its place");
    }
    let mut once = |what: &str, keys: Vec<&str>, times: usize| {
        if keys.len() > times {
            let detail = format!("{what} more than once at the provider: {}", keys.join(", "));
            findings.add(Invariant::Money, order_id, detail);
        }
    };
    for (what, keys) in [("authorized", &effects.authorize), ("charged", &effects.capture), ("voided", &effects.void)] {
        // What was about to lapse is held again, once.
        let lapses = what == "authorized" && payment.is_some_and(|payment| payment.expires_at.is_some());
        once(what, keys.iter().copied().collect(), if lapses { 2 } else { 1 });
    }
    for (refund_id, keys) in &effects.refunds {
        once(&format!("refund {refund_id} was carried out"), keys.keys().copied().collect(), 1);
    }
}

/// By order; the same key always says the same.
fn effects<'s>(rows: &Rows, statement: &'s [StatementLine], findings: &mut Findings) -> BTreeMap<&'s str, Effects<'s>> {
    let mut effects: BTreeMap<&str, Effects<'_>> = BTreeMap::new();
    let mut first: BTreeMap<&str, &StatementLine> = BTreeMap::new();
    for line in statement {
        let (key, order_id) = (line.key.as_str(), line.order_id.as_str());
        let before = *first.entry(key).or_insert(line);
        if before != line {
            findings.add(Invariant::Money, order_id, format!("the provider did two things under the key {key}"));
        }
        let is_right = |total: i64| match line.operation.as_str() {
            "refund" => (1..=total).contains(&line.amount_minor),
            _ => total == line.amount_minor,
        };
        let order = rows.orders.get(&(order_id.to_owned(),));
        if order.is_some_and(|order| !is_right(order.total_minor) || order.currency != line.currency) {
            let detail = format!("{} {} at the provider is not the order's total", line.amount_minor, line.currency);
            findings.add(Invariant::Money, order_id, detail);
        }
        if line.outcome == StatementOutcome::Succeeded {
            effects.entry(order_id).or_default().add(line);
        }
    }
    effects
}

/// What we say was done, the provider did.
fn check_recorded(payment: &PaymentRow, refunds: Option<&Payment>, done: &Effects<'_>, findings: &mut Findings) {
    // Nothing to pay needs no provider.
    if payment.amount_minor.unwrap_or_default() == 0 {
        return;
    }
    let mut missing = |what: &str| {
        let detail = format!("{what}, but the provider's statement does not say so");
        findings.add(Invariant::Money, payment.order_id.as_str(), detail);
    };
    if payment.was_authorized() && done.authorize.is_empty() {
        missing("authorized");
    }
    if payment.is_captured() && done.capture.is_empty() {
        missing("captured");
    }
    if payment.was_authorized() && payment.void_version.is_some() && !has_lapsed(payment) && done.void.is_empty() {
        missing("voided");
    }
    let is_done =
        |refund: &&Refund| matches!(refund.outcome, RefundOutcome::Refunded { .. }) && refund.amount_minor > 0;
    for refund in refunds.iter().flat_map(|payment| &payment.refunds).filter(is_done) {
        let amounts = done.refunds.get(refund.refund_id.as_str());
        if !amounts.is_some_and(|keys| keys.values().any(|amount| *amount == refund.amount_minor)) {
            missing(&format!("refund {} gave {} back", refund.refund_id, refund.amount_minor));
        }
    }
}

/// Whether what was held is let go of by itself.
fn has_lapsed(payment: &PaymentRow) -> bool {
    payment.void_reason.as_deref() == Some(EXPIRED)
}

/// What the provider did, we know of, and nothing is left held.
fn check_known(order_id: &str, state: &State<'_>, done: &Effects<'_>, findings: &mut Findings) {
    let mut add = |detail: String| findings.add(Invariant::Money, order_id, detail);
    let key = (order_id.to_owned(),);
    let payment = state.rows.payments.get(&key);
    check_refunds_known(state.payments.get(order_id), done, &mut add);
    if payment.is_some_and(|payment| payment.status == "stuck") {
        return; // a person looks
    }
    if !done.capture.is_empty() && !payment.is_some_and(PaymentRow::is_captured) {
        add("the provider took the money, but no capture is recorded".to_owned());
    }
    if !done.void.is_empty() && payment.is_none_or(|payment| payment.void_version.is_none()) {
        add("the provider voided the authorization, but no void is recorded".to_owned());
    }
    let order = state.rows.orders.get(&key);
    let has_ended = order
        .is_none_or(|order| matches!(order.stage.as_str(), "completed" | "cancelled") && !state.is_vouched_for(order));
    let has_lapsed = payment.is_some_and(has_lapsed);
    if has_ended && !has_lapsed && !done.authorize.is_empty() && done.capture.is_empty() && done.void.is_empty() {
        add("the provider still holds the amount, which nobody will take".to_owned());
    }
}

/// Whatever the provider gave back is recorded so, or as something of which nobody knows.
fn check_refunds_known(payment: Option<&Payment>, done: &Effects<'_>, add: &mut impl FnMut(String)) {
    for (refund_id, keys) in &done.refunds {
        let mut refunds = payment.iter().flat_map(|payment| &payment.refunds);
        match refunds.find(|refund| refund.refund_id.as_str() == *refund_id).map(|refund| &refund.outcome) {
            Some(RefundOutcome::Refunded { .. } | RefundOutcome::Unknown { .. } | RefundOutcome::Reversed { .. }) => {}
            Some(RefundOutcome::Refused { .. }) => {
                add(format!("the provider gave {} back, but refund {refund_id} is recorded as refused", sum(keys)));
            }
            None => add(format!("the provider gave {} back, but no refund {refund_id} is recorded", sum(keys))),
        }
    }
}

fn sum(keys: &BTreeMap<&str, i64>) -> i64 {
    keys.values().copied().fold(0, i64::saturating_add)
}
