//! `PlaceOrder`: what is accepted, and every reason why something is not.
//!
//! A refusal lists all mistakes at once, so that whoever sent the order can mend it in one go; the list is bounded.

use schemas::{
    OrderCommandName, OrderEvent, OrderLine, OrderPlaced, OrderRejected, PlaceOrder, Rejection, RejectionCode, Time,
    currency, limits,
};

use super::content::ContentDigest;
use super::state::Order;
use super::{Policy, request};
use crate::decision::{Decision, Outcome};

pub(super) fn place(state: Option<&Order>, command: &PlaceOrder, now: Time, policy: &Policy) -> Decision<OrderEvent> {
    if let Some(order) = state {
        return repeated(order, command, now);
    }
    match check(command) {
        Ok(total_minor) => accept(command, total_minor, now, policy),
        Err(reasons) => reject(command, reasons, now),
    }
}

fn repeated(order: &Order, command: &PlaceOrder, now: Time) -> Decision<OrderEvent> {
    if order.content == ContentDigest::of_command(command) {
        return Decision::silent(Outcome::NoEffect);
    }
    let detail = format!("order {} was placed before with other content", order.order_id);
    reject(command, vec![reason(RejectionCode::ContentDiffers, detail)], now)
}

fn accept(command: &PlaceOrder, total_minor: i64, now: Time, policy: &Policy) -> Decision<OrderEvent> {
    let placed = OrderPlaced {
        order_id: command.order_id.clone(),
        version: 1,
        at: now,
        customer_id: command.customer_id.clone(),
        placed_at: command.placed_at,
        currency: command.currency.clone(),
        lines: command.lines.clone(),
        total_minor,
        confirm_by: now.plus_ms(policy.confirm_within_ms),
    };
    let command = request::reserve(&placed.order_id, &placed.lines);
    Decision::applied(placed, vec![command])
}

fn reject(command: &PlaceOrder, reasons: Vec<Rejection>, now: Time) -> Decision<OrderEvent> {
    Decision::rejected(OrderRejected {
        order_id: command.order_id.clone(),
        at: now,
        command: OrderCommandName::PlaceOrder,
        command_id: None,
        reasons,
    })
}

/// The total in minor units, or every mistake.
fn check(command: &PlaceOrder) -> Result<i64, Vec<Rejection>> {
    let mut reasons = Vec::new();
    let count = command.lines.len();
    if count == 0 {
        reasons.push(reason(RejectionCode::NoLines, "the order has no line".into()));
    }
    if count > limits::MAX_LINES {
        let detail = format!("the order has {count} lines; at most {} are allowed", limits::MAX_LINES);
        reasons.push(reason(RejectionCode::TooManyLines, detail));
    }
    if !currency::is_known(&command.currency) {
        let detail = format!("{:?} is no current ISO 4217 currency code", command.currency);
        reasons.push(reason(RejectionCode::CurrencyUnknown, detail));
    }
    // Lines above the limit are refused as a whole; looking at them would only cost time.
    let mut total = Some(0_i64);
    for (index, line) in command.lines.iter().take(limits::MAX_LINES).enumerate() {
        let amount = check_line(index + 1, line, &mut reasons);
        total = total.and_then(|total| total.checked_add(amount));
    }
    if total.is_none() {
        let detail = "the order's total does not fit into 64 bits of minor units".into();
        reasons.push(reason(RejectionCode::AmountOverflow, detail));
    }
    match total {
        Some(total) if reasons.is_empty() => Ok(total),
        Some(_) | None => Err(bounded(reasons)),
    }
}

/// The line's amount; 0 where there is a mistake in it.
fn check_line(number: usize, line: &OrderLine, reasons: &mut Vec<Rejection>) -> i64 {
    let OrderLine { sku, quantity, unit_price_minor } = line;
    if *quantity <= 0 {
        let detail = format!("line {number}, SKU {sku}: the quantity is {quantity}; it must be above 0");
        reasons.push(reason(RejectionCode::QuantityNotPositive, detail));
    }
    if *unit_price_minor < 0 {
        let detail = format!("line {number}, SKU {sku}: the price is {unit_price_minor}; it must not be below 0");
        reasons.push(reason(RejectionCode::PriceNegative, detail));
    }
    if *quantity <= 0 || *unit_price_minor < 0 {
        return 0;
    }
    quantity.checked_mul(*unit_price_minor).unwrap_or_else(|| {
        let detail = format!(
            "line {number}, SKU {sku}: {quantity} times {unit_price_minor} does not fit into 64 bits of minor units"
        );
        reasons.push(reason(RejectionCode::AmountOverflow, detail));
        0
    })
}

/// At most `MAX_REASONS`, with the first of each kind among them, in the order in which they were found.
fn bounded(reasons: Vec<Rejection>) -> Vec<Rejection> {
    let is_first = |index: usize| reasons[..index].iter().all(|earlier| earlier.code != reasons[index].code);
    let (mut kept, repeated): (Vec<usize>, Vec<usize>) = (0..reasons.len()).partition(|index| is_first(*index));
    let room = limits::MAX_REASONS.saturating_sub(kept.len());
    kept.extend(repeated.into_iter().take(room));
    kept.sort_unstable();
    kept.into_iter().map(|index| reasons[index].clone()).collect()
}

pub(super) fn reason(code: RejectionCode, detail: String) -> Rejection {
    Rejection { code, detail: limits::detail(detail) }
}
