//! Returns: goods of a completed order that come back.
//!
//! Requested, received (each line restocked or written off), refunded. Inventory corrects the stock before money is given back,
//! both once, whatever is repeated. Goods that do not come in time leave the return expired.

use schemas::{
    CommandId, OrderEvent, OrderReturnClosed, OrderReturnReceived, OrderReturnRequested, ReceiveReturn, RequestReturn,
    limits,
};

use super::aftercare::{Return, ReturnState};
use super::refunds::{check_lines, price_of, request_refund};
use super::refusal::{Code, Mistake};
use super::state::{Order, Stage};
use super::transition::{Head, Transition};
use super::{replies, request};
use crate::decision::Decision;

/// What becomes of pieces that can be sold again.
pub(super) const RESTOCK: &str = "restock";
/// What becomes of the others.
const WRITE_OFF: &str = "write_off";

/// What `RequestReturn` makes happen, or what is wrong with it.
pub(super) fn request(at: Transition<'_>, command: &RequestReturn) -> Result<Decision<OrderEvent>, Mistake> {
    let order = at.order;
    if order.stage != Stage::Completed {
        let detail =
            format!("order {} is {}: its goods are not with the customer", order.order_id, order.stage.as_str());
        return Err(Mistake::new(Code::NotCompleted, detail));
    }
    let lines = if command.lines.is_empty() { all_that_is_out(order) } else { command.lines.clone() };
    if lines.is_empty() {
        return Err(Mistake::new(Code::LinesInvalid, "nothing of it is still out"));
    }
    check_lines(order, &lines)?;
    for one in &lines {
        let out = still_out(order, one.line);
        if one.quantity > out {
            let detail = format!("line {}: {} pieces of {out} that are still out", one.line, one.quantity);
            return Err(Mistake::new(Code::LinesInvalid, detail));
        }
    }
    let Head { order_id, version, at: now, attributes, origin } = at.head();
    let event = OrderReturnRequested {
        order_id,
        version,
        at: now,
        attributes,
        origin,
        return_id: command.command_id.clone(),
        lines,
        reason_code: command.reason_code.as_deref().map(limits::detail),
        close_by: now.plus_ms(at.policy.return_within_ms),
    };
    Ok(Decision::applied(event, Vec::new()))
}

/// What `ReceiveReturn` makes happen, or what is wrong with it.
pub(super) fn receive(at: Transition<'_>, command: &ReceiveReturn) -> Result<Decision<OrderEvent>, Mistake> {
    let order = at.order;
    let requested = find(order, &command.return_id).filter(|one| one.state == ReturnState::Requested);
    let Some(requested) = requested else {
        let detail = format!("order {} has no open return {}", order.order_id, command.return_id.as_str());
        return Err(Mistake::new(Code::ReturnUnknown, detail));
    };
    if command.lines.is_empty() {
        return Err(Mistake::new(Code::LinesInvalid, "nothing came back"));
    }
    for one in &command.lines {
        if ![RESTOCK, WRITE_OFF].contains(&one.disposition.as_str()) {
            let detail = format!("line {}: {:?} is neither {RESTOCK} nor {WRITE_OFF}", one.line, one.disposition);
            return Err(Mistake::new(Code::LinesInvalid, detail));
        }
        if one.quantity <= 0 {
            let detail = format!("line {}: {} pieces; it must be above 0", one.line, one.quantity);
            return Err(Mistake::new(Code::LinesInvalid, detail));
        }
        let expected = requested.lines.iter().find(|line| line.line == one.line).map_or(0, |line| line.quantity);
        let of_line = command.lines.iter().filter(|line| line.line == one.line);
        let came = of_line.fold(0_i64, |sum, line| sum.saturating_add(line.quantity));
        if came > expected {
            let detail = format!("line {}: {came} pieces of {expected} that were to come", one.line);
            return Err(Mistake::new(Code::LinesInvalid, detail));
        }
    }
    let refund_minor = refund_for(order, command)?;
    let Head { order_id, version, at: now, attributes, origin } = at.head();
    let received = Return { received: command.lines.clone(), refund_minor, ..requested.clone() };
    let event = OrderReturnReceived {
        order_id,
        version,
        at: now,
        attributes,
        origin,
        return_id: command.return_id.clone(),
        lines: command.lines.clone(),
        refund_minor,
    };
    Ok(Decision::applied(event, vec![request::take_back(order, &received)]))
}

/// What is asked for, or what the lines cost as far as that is left.
fn refund_for(order: &Order, command: &ReceiveReturn) -> Result<i64, Mistake> {
    let left = order.refundable_minor();
    match command.refund_minor {
        Some(asked) if asked < 0 => {
            Err(Mistake::new(Code::AmountNotPositive, format!("the refund is {asked}; it must not be below 0")))
        }
        Some(asked) if asked > left => {
            let detail = format!("the refund is {asked}; of {} that were taken {left} are left", order.total_minor);
            Err(Mistake::new(Code::AmountTooLarge, detail))
        }
        Some(asked) => Ok(asked),
        None => Ok(price_of(order, command.lines.iter().map(|line| (line.line, line.quantity)))?.min(left)),
    }
}

/// Inventory has corrected the stock: what there is to refund is refunded.
pub(super) fn taken_back(at: Transition<'_>, return_id: &CommandId) -> Decision<OrderEvent> {
    let Some(returned) = received(at.order, return_id) else { return replies::late() };
    if returned.refund_minor > 0 {
        let reason = returned.reason_code.as_deref();
        return request_refund(at, return_id, returned.refund_minor, &[], reason, Some(return_id));
    }
    closed(at, return_id, ReturnState::TakenBack, "")
}

/// Inventory has refused what came back.
pub(super) fn refused(at: Transition<'_>, return_id: &CommandId, detail: &str) -> Decision<OrderEvent> {
    match received(at.order, return_id) {
        Some(_) => closed(at, return_id, ReturnState::Refused, detail),
        None => replies::late(),
    }
}

/// The first return whose goods did not come in time is closed.
pub(super) fn expire(at: Transition<'_>) -> Option<Decision<OrderEvent>> {
    let returns = at.order.aftercare.as_ref().map_or(&[][..], |aftercare| &aftercare.returns);
    let late = returns.iter().find(|one| one.state == ReturnState::Requested && one.close_by <= at.now)?;
    Some(closed(at, &late.return_id, ReturnState::Expired, ""))
}

fn closed(at: Transition<'_>, return_id: &CommandId, state: ReturnState, detail: &str) -> Decision<OrderEvent> {
    let Head { order_id, version, at: now, attributes, origin } = at.head();
    let (return_id, outcome, detail) = (return_id.clone(), state.as_str().to_owned(), limits::detail(detail));
    let event = OrderReturnClosed { order_id, version, at: now, attributes, origin, return_id, outcome, detail };
    Decision::applied(event, Vec::new())
}

fn find<'a>(order: &'a Order, return_id: &CommandId) -> Option<&'a Return> {
    order.aftercare.as_ref()?.returns.iter().find(|one| one.return_id == *return_id)
}

fn received<'a>(order: &'a Order, return_id: &CommandId) -> Option<&'a Return> {
    find(order, return_id).filter(|one| one.state == ReturnState::Received)
}

fn still_out(order: &Order, line: i32) -> i64 {
    let index = usize::try_from(line).ok().and_then(|number| number.checked_sub(1));
    let ordered = index.and_then(|index| order.lines.get(index)).map_or(0, |line| line.quantity);
    ordered.saturating_sub(order.aftercare.as_ref().map_or(0, |aftercare| aftercare.returned_of(line)))
}

fn all_that_is_out(order: &Order) -> Vec<schemas::LineQuantity> {
    let numbers = (1..).take(order.lines.len());
    let out = numbers.map(|line| schemas::LineQuantity { line, quantity: still_out(order, line) });
    out.filter(|one| one.quantity > 0).collect()
}
