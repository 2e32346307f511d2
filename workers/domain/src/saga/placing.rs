//! `PlaceOrder`: what is accepted, and every reason why something is not.
//!
//! A refusal lists all mistakes at once, so that whoever sent the order can mend it in one go; the list is bounded. The terms,
//! all that may be left out, are looked at in `check_terms`.

use schemas::{
    Hold, OrderCommandName, OrderEvent, OrderLine, OrderPlaced, PlaceOrder, RejectionCode, Time, currency, limits,
};

use super::content::ContentDigest;
use super::refusal::{Code, Mistake, Refused, refuse};
use super::state::Order;
use super::terms::{Capture, Fulfilment};
use super::{Policy, request, terms};
use crate::decision::{Decision, Outcome};

/// What an adjustment can be for.
const ADJUSTMENTS: [&str; 4] = ["shipping", "tax", "discount", "fee"];

pub(super) fn place(state: Option<&Order>, command: &PlaceOrder, now: Time, policy: &Policy) -> Decision<OrderEvent> {
    if let Some(order) = state {
        return repeated(order, command, now);
    }
    match check(command) {
        Ok(total_minor) => accept(command, total_minor, now, policy),
        Err(mistakes) => reject(command, mistakes, now),
    }
}

fn repeated(order: &Order, command: &PlaceOrder, now: Time) -> Decision<OrderEvent> {
    // What is refused has no place in the digest, so that it would look like what was placed without it.
    let mut mistakes = Vec::new();
    check_terms(command, &mut mistakes);
    if mistakes.is_empty() && order.content == ContentDigest::of_command(command) {
        return Decision::silent(Outcome::NoEffect);
    }
    let detail = format!("order {} was placed before with other content", order.order_id);
    reject(command, vec![Mistake::plain(RejectionCode::ContentDiffers, detail)], now)
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
        payment_provider: command.payment_provider.clone(),
        payment_token: command.payment_token.clone(),
        capture: command.capture.clone(),
        fulfilment: command.fulfilment.clone(),
        adjustments: command.adjustments.clone(),
        attributes: command.attributes.clone(),
        replaces_order_id: command.replaces_order_id.clone(),
        hold: hold(command, total_minor, now, policy),
    };
    let command = request::reserve(&placed.order_id, &placed.lines);
    Decision::applied(placed, vec![command])
}

/// Whether the policy wants a person to look before the order is confirmed.
fn hold(command: &PlaceOrder, total_minor: i64, now: Time, policy: &Policy) -> Option<Hold> {
    let is_large = policy.hold_above_minor.is_some_and(|limit| total_minor > limit);
    let is_listed = policy.hold_customers.contains(&command.customer_id);
    let reason_code = match (is_large, is_listed) {
        (_, true) => "CustomerListed",
        (true, false) => "AmountAboveLimit",
        (false, false) => return None,
    };
    Some(Hold { reason_code: reason_code.to_owned(), until: now.plus_ms(policy.hold_within_ms) })
}

fn reject(command: &PlaceOrder, mistakes: Vec<Mistake>, now: Time) -> Decision<OrderEvent> {
    refuse(&command.order_id, Refused::Named(OrderCommandName::PlaceOrder, None), mistakes, now)
}

/// The total in minor units, or every mistake.
fn check(command: &PlaceOrder) -> Result<i64, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let count = command.lines.len();
    if count == 0 {
        mistakes.push(Mistake::plain(RejectionCode::NoLines, "the order has no line"));
    }
    if count > limits::MAX_LINES {
        let detail = format!("the order has {count} lines; at most {} are allowed", limits::MAX_LINES);
        mistakes.push(Mistake::plain(RejectionCode::TooManyLines, detail));
    }
    if !currency::is_known(&command.currency) {
        let detail = format!("{:?} is no current ISO 4217 currency code", command.currency);
        mistakes.push(Mistake::plain(RejectionCode::CurrencyUnknown, detail));
    }
    // Lines above the limit are refused as a whole; looking at them would only cost time.
    let mut total = Some(0_i64);
    for (index, line) in command.lines.iter().take(limits::MAX_LINES).enumerate() {
        let amount = check_line(index + 1, line, &mut mistakes);
        total = total.and_then(|total| total.checked_add(amount));
    }
    check_terms(command, &mut mistakes);
    let adjusted = command.adjustments.iter().take(limits::MAX_ADJUSTMENTS);
    let total = adjusted.fold(total, |total, one| total.and_then(|total| total.checked_add(one.amount_minor)));
    check_total(total, &mut mistakes);
    match total {
        Some(total) if mistakes.is_empty() => Ok(total),
        Some(_) | None => Err(bounded(mistakes)),
    }
}

/// A total that other programs can read exactly: JavaScript's numbers end there.
fn check_total(total: Option<i64>, mistakes: &mut Vec<Mistake>) {
    match total {
        None => {
            let detail = "the order's total does not fit into 64 bits of minor units";
            mistakes.push(Mistake::plain(RejectionCode::AmountOverflow, detail));
        }
        Some(total) if total > limits::MAX_TOTAL_MINOR => {
            let detail = format!("the total is {total}; at most {} is allowed", limits::MAX_TOTAL_MINOR);
            mistakes.push(Mistake::new(Code::TotalTooLarge, detail));
        }
        Some(total) if total < 0 => {
            let detail = format!("with its adjustments the total is {total}; it must not be below 0");
            mistakes.push(Mistake::new(Code::TotalNegative, detail));
        }
        Some(_) => {}
    }
}

/// The line's amount; 0 where there is a mistake in it.
fn check_line(number: usize, line: &OrderLine, mistakes: &mut Vec<Mistake>) -> i64 {
    let OrderLine { sku, quantity, unit_price_minor } = line;
    if *quantity <= 0 {
        let detail = format!("line {number}, SKU {sku}: the quantity is {quantity}; it must be above 0");
        mistakes.push(Mistake::plain(RejectionCode::QuantityNotPositive, detail));
    }
    if *unit_price_minor < 0 {
        let detail = format!("line {number}, SKU {sku}: the price is {unit_price_minor}; it must not be below 0");
        mistakes.push(Mistake::plain(RejectionCode::PriceNegative, detail));
    }
    if *quantity <= 0 || *unit_price_minor < 0 {
        return 0;
    }
    quantity.checked_mul(*unit_price_minor).unwrap_or_else(|| {
        let detail = format!(
            "line {number}, SKU {sku}: {quantity} times {unit_price_minor} does not fit into 64 bits of minor units"
        );
        mistakes.push(Mistake::plain(RejectionCode::AmountOverflow, detail));
        0
    })
}

fn check_terms(command: &PlaceOrder, mistakes: &mut Vec<Mistake>) {
    let mut wrong = |code, detail: String| mistakes.push(Mistake::new(code, detail));
    let (capture, fulfilment) =
        (Capture::parse(command.capture.as_deref()), Fulfilment::parse(command.fulfilment.as_deref()));
    if capture.is_none() {
        wrong(Code::TermsUnknown, format!("capture {:?} is neither at_confirm nor at_shipment", command.capture));
    }
    if fulfilment.is_none() {
        wrong(Code::TermsUnknown, format!("fulfilment {:?} is neither automatic nor on_command", command.fulfilment));
    }
    if (capture, fulfilment) == (Some(Capture::AtShipment), Some(Fulfilment::Automatic)) {
        wrong(
            Code::TermsUnknown,
            "capture at_shipment needs fulfilment on_command: nobody says when it is shipped".into(),
        );
    }
    let is_name =
        |name: &String| (1..=schemas::MAX_ID_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    if command.payment_provider.as_ref().is_some_and(|name| !is_name(name)) {
        let detail = format!("payment_provider takes 1 to {} bytes without control characters", schemas::MAX_ID_BYTES);
        wrong(Code::TextLength, detail);
    }
    check_token(command.payment_token.as_deref(), &mut wrong);
    check_adjustments(command, &mut wrong);
    check_attributes(command, &mut wrong);
    if command.if_short.is_some() {
        wrong(
            Code::Plain(RejectionCode::NotSupported),
            "if_short is not carried out by this version: leave it out".into(),
        );
    }
    if command.place_at.is_some() {
        wrong(
            Code::Plain(RejectionCode::NotSupported),
            "place_at is not carried out by this version: leave it out".into(),
        );
    }
}

/// A card number must never enter a topic that is kept; so the refusal does not repeat what was sent.
fn check_token(token: Option<&str>, wrong: &mut impl FnMut(Code, String)) {
    let Some(token) = token else { return };
    if token.is_empty() || token.len() > limits::MAX_DETAIL_BYTES {
        wrong(Code::TextLength, format!("payment_token takes 1 to {} bytes", limits::MAX_DETAIL_BYTES));
    }
    if terms::is_digits_alone(token) {
        let detail = "payment_token has digits alone, as a card number has: send the provider's token instead";
        wrong(Code::TokenIsDigits, detail.into());
    }
}

fn check_adjustments(command: &PlaceOrder, wrong: &mut impl FnMut(Code, String)) {
    let count = command.adjustments.len();
    if count > limits::MAX_ADJUSTMENTS {
        let detail = format!("the order has {count} adjustments; at most {} are allowed", limits::MAX_ADJUSTMENTS);
        wrong(Code::AdjustmentInvalid, detail);
    }
    for (index, one) in command.adjustments.iter().take(limits::MAX_ADJUSTMENTS).enumerate() {
        let number = index + 1;
        if !ADJUSTMENTS.contains(&one.kind.as_str()) {
            let kind = limits::detail(&one.kind);
            wrong(
                Code::AdjustmentInvalid,
                format!("adjustment {number}: {kind:?} is none of {}", ADJUSTMENTS.join(", ")),
            );
        }
        let is_known = |line: i32| usize::try_from(line).is_ok_and(|line| (1..=command.lines.len()).contains(&line));
        if let Some(line) = one.line.filter(|line| !is_known(*line)) {
            let detail = format!("adjustment {number}: line {line} is none of the order's {}", command.lines.len());
            wrong(Code::AdjustmentInvalid, detail);
        }
    }
}

fn check_attributes(command: &PlaceOrder, wrong: &mut impl FnMut(Code, String)) {
    let count = command.attributes.len();
    if count > limits::MAX_ATTRIBUTES {
        let detail = format!("the order has {count} attributes; at most {} are allowed", limits::MAX_ATTRIBUTES);
        wrong(Code::AttributesInvalid, detail);
    }
    let is_long = |text: &String| text.len() > limits::MAX_ATTRIBUTE_BYTES;
    for (name, value) in command.attributes.iter().take(limits::MAX_ATTRIBUTES) {
        if name.is_empty() || is_long(name) || is_long(value) {
            let (name, most) = (limits::detail(name), limits::MAX_ATTRIBUTE_BYTES);
            wrong(
                Code::AttributesInvalid,
                format!("attribute {name:?}: a name takes 1 to {most} bytes, a value 0 to {most}"),
            );
        }
    }
}

/// At most `MAX_REASONS`, with the first of each kind among them, in the order in which they were found.
fn bounded(mistakes: Vec<Mistake>) -> Vec<Mistake> {
    let is_first = |index: usize| mistakes[..index].iter().all(|earlier| earlier.code != mistakes[index].code);
    let (mut kept, repeated): (Vec<usize>, Vec<usize>) = (0..mistakes.len()).partition(|index| is_first(*index));
    let room = limits::MAX_REASONS.saturating_sub(kept.len());
    kept.extend(repeated.into_iter().take(room));
    kept.sort_unstable();
    kept.into_iter().map(|index| mistakes[index].clone()).collect()
}
