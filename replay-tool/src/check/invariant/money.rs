//! Money: a completed order is paid once and in full, a cancelled one has all of it back, no more is given back than was taken,
//! and every booking sums to zero.

use std::collections::BTreeMap;

use domain::charge::{Account, Payment, RefundOutcome};
use domain::saga::Order;

use crate::check::findings::{Findings, Invariant};
use crate::check::state::State;
use crate::rows::{OrderRow, PaymentRow, Rows};

pub(crate) fn check(state: &State<'_>, findings: &mut Findings) {
    let rows = state.rows;
    check_ledger(rows, findings);
    for payment in rows.payments.values() {
        let refunds = state.payments.get(payment.order_id.as_str());
        check_force(payment, findings);
        check_refunds(payment, refunds, findings);
        check_booked(payment, refunds, rows, findings);
    }
    for order in rows.orders.values().filter(|order| !state.is_vouched_for(order)) {
        let payment = rows.payments.get(&(order.order_id.clone(),));
        if is_paid(order, state.order(&order.order_id)) {
            check_paid(order, payment, findings);
        }
        if order.stage == "cancelled"
            && let Some(payment) = payment.filter(|payment| payment.is_captured())
        {
            check_given_back(payment, findings);
        }
    }
}

/// Whether an order in this stage has been paid for.
fn is_paid(row: &OrderRow, order: Option<&Order>) -> bool {
    matches!(row.stage.as_str(), "completed" | "payment_captured") || order.is_some_and(Order::is_paid)
}

/// A captured payment is that of the order.
fn check_paid(order: &OrderRow, payment: Option<&PaymentRow>, findings: &mut Findings) {
    let mut add = |detail: String| findings.add(Invariant::Money, order.order_id.as_str(), detail);
    let Some(payment) = payment.filter(|payment| payment.is_captured()) else {
        let status = payment.map_or("none", |payment| payment.status.as_str());
        return add(format!("{}, but its payment is not captured ({status})", order.stage));
    };
    if payment.amount_minor != Some(order.total_minor) || payment.currency.as_ref() != Some(&order.currency) {
        add(format!(
            "its total is {} {}, but {} {} was captured",
            order.total_minor,
            order.currency,
            payment.amount_minor.unwrap_or_default(),
            payment.currency.as_deref().unwrap_or("of nothing"),
        ));
    }
    if payment.customer_id.as_ref() != Some(&order.customer_id) {
        let customer = payment.customer_id.as_deref().unwrap_or("nobody");
        add(format!("ordered by {}, but paid by {customer}", order.customer_id));
    }
}

/// Of an order that was undone after its capture nothing is kept.
fn check_given_back(payment: &PaymentRow, findings: &mut Findings) {
    let taken = payment.amount_minor.unwrap_or_default();
    if payment.refunded_minor != taken {
        let detail = format!(
            "cancelled, but its payment is captured, and of {taken} that were taken {} are given back",
            payment.refunded_minor
        );
        findings.add(Invariant::Money, payment.order_id.as_str(), detail);
    }
}

/// Nothing is taken but what is authorized, and not let go of.
fn check_force(payment: &PaymentRow, findings: &mut Findings) {
    let mut add = |detail: &str| findings.add(Invariant::Money, payment.order_id.as_str(), detail);
    if payment.is_captured() && !payment.was_authorized() {
        add("its payment is captured, but was not authorized");
    }
    if payment.is_captured() && payment.void_version.is_some() {
        add("its payment is captured, but the authorization was voided");
    }
}

/// No more is given back than was taken, each refund once. One of which nobody knows counts as if the money had gone.
fn check_refunds(payment: &PaymentRow, refunds: Option<&Payment>, findings: &mut Findings) {
    let mut add = |detail: String| findings.add(Invariant::Money, payment.order_id.as_str(), detail);
    let taken = if payment.is_captured() { payment.amount_minor.unwrap_or_default() } else { 0 };
    if payment.refunded_minor > taken {
        add(format!("{} given back, but only {taken} was taken", payment.refunded_minor));
    }
    let summed = refunds.map_or(0, Payment::refunded_minor);
    if payment.refunded_minor != summed {
        add(format!("{} given back, but its refunds sum to {summed}", payment.refunded_minor));
    }
    for (index, refund) in refunds.iter().flat_map(|payment| &payment.refunds).enumerate() {
        let mut earlier = refunds.iter().flat_map(|payment| &payment.refunds).take(index);
        if earlier.any(|one| one.refund_id == refund.refund_id) {
            add(format!("refund {} ended more than once", refund.refund_id));
        }
        if refund.amount_minor < 0 {
            add(format!("refund {} is of {}", refund.refund_id, refund.amount_minor));
        }
    }
}

/// Per currency, and per order and version, debits and credits are equal.
fn check_ledger(rows: &Rows, findings: &mut Findings) {
    let mut currencies: BTreeMap<&str, i128> = BTreeMap::new();
    let mut bookings: BTreeMap<(&str, i64, &str), i128> = BTreeMap::new();
    for posting in rows.ledger.values() {
        let amount = i128::from(posting.amount_minor);
        *currencies.entry(&posting.currency).or_default() += amount;
        *bookings.entry((&posting.order_id, posting.version, &posting.currency)).or_default() += amount;
    }
    for (currency, sum) in currencies.into_iter().filter(|(_, sum)| *sum != 0) {
        findings.add(Invariant::Money, format!("ledger {currency}"), format!("sums to {sum}, not to 0"));
    }
    for ((order_id, version, currency), sum) in bookings.into_iter().filter(|(_, sum)| *sum != 0) {
        let detail = format!("the booking of version {version} sums to {sum} {currency}, not to 0");
        findings.add(Invariant::Money, order_id, detail);
    }
}

/// What is booked of an order: owed by the provider, earned, and given back.
fn booked(rows: &Rows, order_id: &str) -> (i128, i128, i128) {
    let from = (order_id.to_owned(), i64::MIN, String::new());
    let bookings = rows.ledger.range(from..).take_while(|((of, _, _), _)| of == order_id);
    bookings.fold((0, 0, 0), |(owed, sales, refunds), ((_, _, account), posting)| {
        let amount = i128::from(posting.amount_minor);
        match Account::parse(account) {
            Some(Account::ProviderReceivable) => (owed + amount, sales, refunds),
            // What we have earned stands on the other side.
            Some(Account::Sales) => (owed, sales - amount, refunds),
            Some(Account::Refunds) => (owed, sales, refunds + amount),
            None => (owed, sales, refunds),
        }
    })
}

/// What was captured, and not given back for certain, is booked as owed by the provider, and nothing else is.
fn check_booked(payment: &PaymentRow, refunds: Option<&Payment>, rows: &Rows, findings: &mut Findings) {
    let order_id = payment.order_id.as_str();
    let captured = if payment.is_captured() { payment.amount_minor.unwrap_or_default() } else { 0 };
    let is_done = |outcome: &RefundOutcome| matches!(outcome, RefundOutcome::Refunded { .. });
    let refunds = refunds.iter().flat_map(|payment| &payment.refunds).filter(|refund| is_done(&refund.outcome));
    let refunded: i128 = refunds.map(|refund| i128::from(refund.amount_minor)).sum();
    let mut add = |detail: String| findings.add(Invariant::Money, order_id, detail);
    let (owed, sales, given_back) = booked(rows, order_id);
    if owed != i128::from(captured) - refunded {
        let of = if refunded == 0 { String::new() } else { format!(" and {refunded} given back") };
        add(format!("{captured} captured{of}, but {owed} booked"));
    }
    if sales != i128::from(captured) {
        add(format!("{captured} captured, but {sales} booked as sales"));
    }
    if given_back != refunded {
        add(format!("{refunded} given back, but {given_back} booked as refunds"));
    }
}
