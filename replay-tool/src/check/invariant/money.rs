//! Money: a completed order is paid once and in full, a cancelled one not at all, and every booking sums to zero.

use std::collections::BTreeMap;

use crate::check::findings::{Findings, Invariant};
use crate::rows::{OrderRow, PaymentRow, Rows};

pub(crate) fn check(rows: &Rows, findings: &mut Findings) {
    check_ledger(rows, findings);
    for payment in rows.payments.values() {
        check_booked(payment, rows, findings);
    }
    for order in rows.orders.values() {
        let payment = rows.payments.get(&(order.order_id.clone(),));
        match order.stage.as_str() {
            "completed" | "payment_captured" => check_paid(order, payment, findings),
            "cancelled" if payment.is_some_and(PaymentRow::is_captured) => {
                findings.add(Invariant::Money, order.order_id.as_str(), "cancelled, but its payment is captured");
            }
            _ => {}
        }
    }
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

/// What was captured is booked as owed by the provider, and nothing else is.
fn check_booked(payment: &PaymentRow, rows: &Rows, findings: &mut Findings) {
    let order_id = &payment.order_id;
    let from = (order_id.clone(), i64::MIN, String::new());
    let bookings = rows.ledger.range(from..).take_while(|((of, _, _), _)| of == order_id);
    let receivable = bookings.filter(|((_, _, account), _)| account == "provider_receivable");
    let booked: i128 = receivable.map(|(_, posting)| i128::from(posting.amount_minor)).sum();
    let captured = if payment.is_captured() { payment.amount_minor.unwrap_or_default() } else { 0 };
    if booked != i128::from(captured) {
        findings.add(Invariant::Money, order_id.as_str(), format!("{captured} captured, but {booked} booked"));
    }
}
