//! What the provider says that it did, held against what we say: at most one effect per operation, and none forgotten.
//!
//! A key that stands in the statement twice is one effect: the same request was sent again. Two keys are two effects.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use domain::statement::{StatementLine, StatementOutcome};

use crate::check::evidence::Expectations;
use crate::check::findings::{Findings, Invariant};
use crate::rows::{PaymentRow, Rows};

/// What was done for an order, by key.
#[derive(Debug, Default)]
struct Effects<'s> {
    authorize: BTreeSet<&'s str>,
    capture: BTreeSet<&'s str>,
    void: BTreeSet<&'s str>,
}

impl<'s> Effects<'s> {
    fn of(&mut self, operation: &str) -> Option<&mut BTreeSet<&'s str>> {
        match operation {
            "authorize" => Some(&mut self.authorize),
            "capture" => Some(&mut self.capture),
            "void" => Some(&mut self.void),
            _ => None,
        }
    }
}

pub(crate) fn check(
    rows: &Rows,
    statement: &[StatementLine],
    open_calls: &HashSet<String>,
    expectations: Expectations,
    findings: &mut Findings,
) {
    let effects = effects(rows, statement, findings);
    for (order_id, effects) in &effects {
        for (name, keys) in
            [("authorized", &effects.authorize), ("charged", &effects.capture), ("voided", &effects.void)]
        {
            if keys.len() > 1 {
                let keys = keys.iter().copied().collect::<Vec<_>>().join(", ");
                findings.add(Invariant::Money, *order_id, format!("{name} more than once at the provider: {keys}"));
            }
        }
    }
    let nothing = Effects::default();
    for payment in rows.payments.values() {
        let done = effects.get(payment.order_id.as_str()).unwrap_or(&nothing);
        check_recorded(payment, done, findings);
    }
    for (order_id, done) in effects {
        // An effect whose record is still under way is none that was forgotten.
        let is_settled = expectations.quiescent && !open_calls.contains(order_id);
        if is_settled {
            check_known(order_id, rows.payments.get(&(order_id.to_owned(),)), &done, findings);
        }
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
        let order = rows.orders.get(&(order_id.to_owned(),));
        if order.is_some_and(|order| order.total_minor != line.amount_minor || order.currency != line.currency) {
            let detail = format!("{} {} at the provider is not the order's total", line.amount_minor, line.currency);
            findings.add(Invariant::Money, order_id, detail);
        }
        if line.outcome == StatementOutcome::Succeeded
            && let Some(keys) = effects.entry(order_id).or_default().of(&line.operation)
        {
            keys.insert(key);
        }
    }
    effects
}

/// What we say was done, the provider did.
fn check_recorded(payment: &PaymentRow, done: &Effects<'_>, findings: &mut Findings) {
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
    if payment.was_authorized() && payment.void_version.is_some() && done.void.is_empty() {
        missing("voided");
    }
}

/// What the provider did, we know of, and nothing is left held.
fn check_known(order_id: &str, payment: Option<&PaymentRow>, done: &Effects<'_>, findings: &mut Findings) {
    let mut add = |detail: &str| findings.add(Invariant::Money, order_id, detail);
    if payment.is_some_and(|payment| payment.status == "stuck") {
        return; // a person looks
    }
    if !done.capture.is_empty() && !payment.is_some_and(PaymentRow::is_captured) {
        add("the provider took the money, but no capture is recorded");
    }
    if !done.void.is_empty() && payment.is_none_or(|payment| payment.void_version.is_none()) {
        add("the provider voided the authorization, but no void is recorded");
    }
    if !done.authorize.is_empty() && done.capture.is_empty() && done.void.is_empty() {
        add("the provider still holds the amount, which nobody will take");
    }
}
