//! Returns: goods of a completed order that come back.
//!
//! Requested, received (each line restocked or written off), refunded. Inventory corrects the stock before money is given back,
//! both once, whatever is repeated. Goods that do not come in time leave the return expired.

use schemas::{
    CommandId, OrderEvent, OrderReturnClosed, OrderReturnReceived, OrderReturnRequested, ReceiveReturn, RequestReturn,
    ReturnedLine, limits,
};

use super::aftercare::{Return, ReturnState};
use super::refunds::{check_id, check_lines, price_of, request_refund};
use super::refusal::{Code, Mistake};
use super::state::{Order, Stage};
use super::transition::{Head, Transition};
use super::{replies, request};
use crate::decision::Decision;

/// How many lines all returns of an order have, so that its row stays small.
const MAX_RETURNED_LINES: usize = 4 * limits::MAX_LINES;
/// What becomes of pieces that can be sold again.
pub(super) const RESTOCK: &str = "restock";
/// What becomes of the others.
const WRITE_OFF: &str = "write_off";

/// What `RequestReturn` makes happen, or what is wrong with it.
pub(super) fn request(at: Transition<'_>, command: &RequestReturn) -> Result<Decision<OrderEvent>, Mistake> {
    let order = at.order;
    // What is refunded for a return has the return's id.
    check_id(&command.command_id)?;
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
    let kept: usize = order.aftercare.iter().flat_map(|had| &had.returns).map(|one| one.lines.len()).sum();
    if kept.saturating_add(lines.len()) > MAX_RETURNED_LINES {
        let detail = format!("its returns have {kept} lines; it keeps at most {MAX_RETURNED_LINES}");
        return Err(Mistake::new(Code::TooManyChanges, detail));
    }
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
    check_received(requested, &command.lines)?;
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

/// Each line is one that was to come back, with no more pieces, and stands there at most once for what becomes of it.
fn check_received(requested: &Return, lines: &[ReturnedLine]) -> Result<(), Mistake> {
    if lines.is_empty() {
        return Err(Mistake::new(Code::LinesInvalid, "nothing came back"));
    }
    for (index, one) in lines.iter().enumerate() {
        let ReturnedLine { line, quantity, disposition } = one;
        let wrong = |what: String| Err(Mistake::new(Code::LinesInvalid, format!("line {line}: {what}")));
        if ![RESTOCK, WRITE_OFF].contains(&disposition.as_str()) {
            return wrong(format!("{disposition:?} is neither {RESTOCK} nor {WRITE_OFF}"));
        }
        if *quantity <= 0 {
            return wrong(format!("{quantity} pieces; it must be above 0"));
        }
        let earlier = || lines.iter().take(index).filter(|had| had.line == *line);
        if earlier().any(|had| had.disposition == *disposition) {
            return wrong(format!("{disposition} stands there twice"));
        }
        let expected = requested.lines.iter().find(|had| had.line == *line).map_or(0, |had| had.quantity);
        let came = earlier().fold(*quantity, |sum, had| sum.saturating_add(had.quantity));
        if came > expected {
            return wrong(format!("{came} pieces of {expected} that were to come"));
        }
    }
    Ok(())
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
