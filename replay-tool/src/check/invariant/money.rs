//! Money: a completed order is paid once and in full, a cancelled one has all of it back, no more is given back than was taken,
//! and every booking sums to zero.

use std::collections::{BTreeMap, BTreeSet};

use domain::charge::{Account, Dispute, DisputeStatus, Payment, RefundOutcome};
use domain::saga::Order;

use crate::check::findings::{Findings, Invariant};
use crate::check::state::State;
use crate::rows::{OrderRow, PaymentRow, PostingRow, Rows};

pub(crate) fn check(state: &State<'_>, findings: &mut Findings) {
    let rows = state.rows;
    check_ledger(rows, findings);
    for payment in rows.payments.values() {
        let folded = state.payments.get(payment.order_id.as_str());
        check_force(payment, findings);
        check_refunds(payment, folded, findings);
        check_booked(payment, folded, rows, findings);
    }
    for order in rows.orders.values().filter(|order| !state.is_vouched_for(order)) {
        let payment = rows.payments.get(&(order.order_id.clone(),));
        if is_paid(order, state.order(&order.order_id)) {
            check_paid(order, payment, findings);
        }
        if order.stage == "cancelled"
            && let Some(payment) = payment.filter(|payment| payment.is_captured())
        {
            check_given_back(payment, state.payments.get(payment.order_id.as_str()), findings);
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

/// Of an order that was undone after its capture nothing is kept, but what the provider could not deliver.
fn check_given_back(payment: &PaymentRow, refunds: Option<&Payment>, findings: &mut Findings) {
    let taken = payment.amount_minor.unwrap_or_default();
    let came_back = sum_of(refunds, |outcome| matches!(outcome, RefundOutcome::Reversed { .. }));
    let kept = i128::from(taken) - i128::from(payment.refunded_minor);
    if !(0..=came_back).contains(&kept) {
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

/// What is booked of an order on an account in a currency.
fn booked(rows: &Rows, order_id: &str, account: Account, currency: &str) -> i128 {
    let from = (order_id.to_owned(), i64::MIN, String::new());
    let bookings = rows.ledger.range(from..).take_while(|((of, _, _), _)| of == order_id);
    let is_on = |row: &PostingRow| row.account == account.as_str() && row.currency == currency;
    bookings.filter(|(_, row)| is_on(row)).map(|(_, row)| i128::from(row.amount_minor)).sum()
}

/// How much its refunds come to that ended so.
fn sum_of(payment: Option<&Payment>, is_it: impl Fn(&RefundOutcome) -> bool) -> i128 {
    let refunds = payment.iter().flat_map(|payment| &payment.refunds).filter(|refund| is_it(&refund.outcome));
    refunds.map(|refund| i128::from(refund.amount_minor)).sum()
}

/// What was captured, and neither given back for certain nor withheld for a dispute, is booked as owed by the provider, and
/// nothing else is.
fn check_booked(payment: &PaymentRow, state: Option<&Payment>, rows: &Rows, findings: &mut Findings) {
    let order_id = payment.order_id.as_str();
    let own = payment.currency.as_deref().unwrap_or_default();
    let captured = if payment.is_captured() { i128::from(payment.amount_minor.unwrap_or_default()) } else { 0 };
    let refunded = sum_of(state, |outcome| matches!(outcome, RefundOutcome::Refunded { .. }));
    let mut add = |detail: String| findings.add(Invariant::Money, order_id, detail);
    let disputes = || state.iter().flat_map(|payment| &payment.disputes);
    for currency in BTreeSet::from_iter(disputes().map(|dispute| dispute.currency.as_str()).chain([own])) {
        let (captured, refunded) = if currency == own { (captured, refunded) } else { (0, 0) };
        let of = |is_it: fn(&Dispute) -> bool, amount: fn(&Dispute) -> i64| -> i128 {
            disputes().filter(|one| one.currency == currency && is_it(one)).map(|one| i128::from(amount(one))).sum()
        };
        let opened = of(|one| one.standing() == DisputeStatus::Opened, |one| one.amount_minor);
        let lost = of(|one| one.standing() == DisputeStatus::Lost, |one| one.amount_minor);
        let fees = of(|_| true, |one| one.fee_minor);
        let on = |account| booked(rows, order_id, account, currency);
        let owed = on(Account::ProviderReceivable);
        if owed != captured - refunded - opened - lost - fees {
            let back = if refunded == 0 { String::new() } else { format!(" and {refunded} given back") };
            let withheld = opened + lost + fees;
            let withheld = if withheld == 0 { String::new() } else { format!(" and {withheld} withheld") };
            add(format!("{captured} captured{back}{withheld}, but {owed} booked"));
        }
        // What we have earned stands on the other side.
        let sales = -on(Account::Sales);
        if sales != captured {
            add(format!("{captured} captured, but {sales} booked as sales"));
        }
        let others = [
            (Account::Refunds, refunded, "given back", "refunds"),
            (Account::Disputes, opened, "disputed", "disputes"),
            (Account::WriteOffs, lost, "lost", "write-offs"),
            (Account::Fees, fees, "charged for disputes", "fees"),
        ];
        for (account, said, what, name) in others {
            let booked = on(account);
            if booked != said {
                add(format!("{said} {what}, but {booked} booked as {name}"));
            }
        }
    }
}
