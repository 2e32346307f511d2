//! Refunds: money that is given back for an order that is paid.
//!
//! An order has one refund with the payment service at a time, the others wait for their turn; so no two of them race for what
//! is left. A refund that was refused frees its amount; one of which nobody knows does not, since the money may have gone.
//! Undoing a paid order refunds all that is left, after the refund that is under way. Where nobody knows of such a refund, the
//! payment service asks about it again once somebody tries again; its outcome is then said under its old name.

use schemas::{
    CommandId, LineQuantity, OrderEvent, OrderRefundFailed, OrderRefundRequested, OrderRefunded, PaymentRefundFailed,
    PaymentRefundReversed, PaymentRefunded, RefundOrder, RejectionCode, limits,
};

use super::aftercare::{Refund, RefundState};
use super::refusal::{Code, Mistake};
use super::state::{Order, Phase, Stage};
use super::step::Step;
use super::transition::{Head, Transition};
use super::{replies, request};
use crate::decision::Decision;

/// What `PaymentRefundFailed` and `OrderRefundFailed` call a refund whose amount is free again.
const REFUSED: &str = "refused";

/// What `RefundOrder` makes happen, or what is wrong with it.
pub(super) fn refund(at: Transition<'_>, command: &RefundOrder) -> Result<Decision<OrderEvent>, Mistake> {
    let order = at.order;
    check_id(&command.command_id)?;
    if let Stage::Cancelling { .. } = order.stage {
        let detail = format!("order {} is being undone: all that was taken is given back", order.order_id);
        return Err(Mistake::new(Code::Cancelling, detail));
    }
    if !order.is_paid() {
        let detail =
            format!("order {} is {}: nothing is taken that could be given back", order.order_id, order.stage.as_str());
        return Err(Mistake::new(Code::NotPaid, detail));
    }
    let left = order.refundable_minor();
    let amount_minor = match command.amount_minor {
        Some(amount_minor) => amount_minor,
        None if command.lines.is_empty() => left,
        None => price_of(order, command.lines.iter().map(|line| (line.line, line.quantity)))?,
    };
    check_lines(order, &command.lines)?;
    if amount_minor <= 0 {
        return Err(Mistake::new(Code::AmountNotPositive, format!("the amount is {amount_minor}; it must be above 0")));
    }
    if amount_minor > left {
        let detail = format!("the amount is {amount_minor}; of {} that were taken {left} are left", order.total_minor);
        return Err(Mistake::new(Code::AmountTooLarge, detail));
    }
    Ok(request_refund(at, &command.command_id, amount_minor, &command.lines, command.reason_code.as_deref(), None))
}

/// The refund is asked for; it goes to the payment service at once unless another one is there.
pub(super) fn request_refund(
    at: Transition<'_>,
    refund_id: &CommandId,
    amount_minor: i64,
    lines: &[LineQuantity],
    reason_code: Option<&str>,
    return_id: Option<&CommandId>,
) -> Decision<OrderEvent> {
    let Head { order_id, version, at: now, attributes, origin } = at.head();
    let is_first = at.order.aftercare.as_ref().is_none_or(|aftercare| aftercare.refund_under_way().is_none());
    let commands = is_first.then(|| request::refund(&order_id, refund_id, Some(amount_minor)));
    let event = OrderRefundRequested {
        order_id,
        version,
        at: now,
        attributes,
        origin,
        refund_id: refund_id.clone(),
        amount_minor,
        lines: lines.to_vec(),
        reason_code: reason_code.map(limits::detail),
        return_id: return_id.cloned(),
    };
    Decision::applied(event, commands.into_iter().collect())
}

/// A refund's id is not that of the refund that undoes an order.
pub(super) fn check_id(refund_id: &CommandId) -> Result<(), Mistake> {
    if refund_id.as_str() != request::CANCELLATION {
        return Ok(());
    }
    Err(Mistake::plain(RejectionCode::NotSupported, "this id is kept for the refund that undoes an order"))
}

/// The payment service has given money back.
pub(super) fn refunded(at: Transition<'_>, reply: &PaymentRefunded) -> Decision<OrderEvent> {
    if is_open(at.order, &reply.refund_id) {
        let Head { order_id, version, at: now, attributes, origin } = at.head();
        let (refund_id, amount_minor) = (reply.refund_id.clone(), reply.amount_minor);
        let event = OrderRefunded { order_id, version, at: now, attributes, origin, refund_id, amount_minor };
        return Decision::applied(event, next_after(at, &reply.refund_id));
    }
    if undoes(at.order, &reply.refund_id) { at.undo(Step::StockRelease) } else { replies::late() }
}

/// The payment service has not given money back, or nobody knows.
pub(super) fn failed(at: Transition<'_>, reply: &PaymentRefundFailed) -> Decision<OrderEvent> {
    let (order, refund_id) = (at.order, &reply.refund_id);
    let is_refused = reply.outcome == REFUSED;
    if is_under_way(order, refund_id) || (is_refused && is_open(order, refund_id)) {
        let event = not_given_back(at, refund_id, reply.amount_minor, &reply.outcome, &reply.detail);
        return Decision::applied(event, next_after(at, refund_id));
    }
    if order.awaited() != Phase::Undoing(Step::PaymentRefund) {
        return replies::late();
    }
    match find(order, refund_id) {
        // Nothing is left but what nobody knows of, and nobody knows it yet.
        Some(_) if !is_refused && is_open(order, refund_id) && order.refundable_minor() == 0 => at.stuck(&reply.detail),
        Some(_) => replies::late(),
        // That an earlier try has failed is certain only now: the later one goes on.
        None if is_refused && request::undoing_refund(order).as_ref() != Some(refund_id) => {
            at.undo(Step::PaymentRefund)
        }
        None => at.stuck(&reply.detail),
    }
}

/// What was given back came back: the amount is free again, and can be asked for once more. Of the refund that undid an order
/// the order keeps nothing; its payment does.
pub(super) fn reversed(at: Transition<'_>, reply: &PaymentRefundReversed) -> Decision<OrderEvent> {
    let is_refunded = find(at.order, &reply.refund_id).is_some_and(|refund| refund.state == RefundState::Refunded);
    if !is_refunded {
        return replies::late();
    }
    let detail = format!("it came back: {}", reply.detail);
    let event = not_given_back(at, &reply.refund_id, reply.amount_minor, REFUSED, &detail);
    Decision::applied(event, Vec::new())
}

fn not_given_back(
    at: Transition<'_>,
    refund_id: &CommandId,
    amount_minor: i64,
    outcome: &str,
    detail: &str,
) -> OrderRefundFailed {
    let Head { order_id, version, at: now, attributes, origin } = at.head();
    OrderRefundFailed {
        order_id,
        version,
        at: now,
        attributes,
        origin,
        refund_id: refund_id.clone(),
        amount_minor,
        outcome: outcome.to_owned(),
        detail: limits::detail(detail),
    }
}

fn is_under_way(order: &Order, refund_id: &CommandId) -> bool {
    let under_way = order.aftercare.as_ref().and_then(|aftercare| aftercare.refund_under_way());
    under_way.is_some_and(|refund| refund.refund_id == *refund_id)
}

/// Whether it is under way, or nobody knew of it so far.
fn is_open(order: &Order, refund_id: &CommandId) -> bool {
    let refund = find(order, refund_id);
    let is_unknown = refund.is_some_and(|refund| matches!(refund.state, RefundState::Unknown { .. }));
    is_unknown || is_under_way(order, refund_id)
}

fn find<'a>(order: &'a Order, refund_id: &CommandId) -> Option<&'a Refund> {
    order.aftercare.as_ref()?.refunds.iter().find(|one| one.refund_id == *refund_id)
}

/// Whether this refund undoes the order: none that somebody asked for.
fn undoes(order: &Order, refund_id: &CommandId) -> bool {
    order.awaited() == Phase::Undoing(Step::PaymentRefund) && find(order, refund_id).is_none()
}

/// Whose turn it is once this refund has ended: that of all that is left where the order is being undone.
fn next_after(at: Transition<'_>, ended: &CommandId) -> Vec<schemas::Message> {
    let order_id = &at.order.order_id;
    if at.order.awaited() == Phase::Undoing(Step::PaymentRefund) {
        let id = request::undoing_refund(at.order);
        return id.map(|id| request::refund(order_id, &id, None)).into_iter().collect();
    }
    let mut waiting = at.order.aftercare.iter().flat_map(|aftercare| &aftercare.refunds);
    let next = waiting.find(|one| one.state == RefundState::Requested && one.refund_id != *ended);
    // An unknown one that is settled late ends while another has its turn.
    let next = next.filter(|_| is_under_way(at.order, ended));
    next.map(|one| request::refund(order_id, &one.refund_id, Some(one.amount_minor))).into_iter().collect()
}

/// What these pieces of these lines cost, in minor units.
pub(super) fn price_of(order: &Order, lines: impl Iterator<Item = (i32, i64)>) -> Result<i64, Mistake> {
    let mut total = 0_i64;
    for (number, quantity) in lines {
        let line = line_of(order, number)?;
        let amount = line.unit_price_minor.checked_mul(quantity).and_then(|amount| total.checked_add(amount));
        total = amount.ok_or_else(|| {
            Mistake::new(Code::AmountTooLarge, "what the lines cost does not fit into 64 bits of minor units")
        })?;
    }
    Ok(total)
}

/// Each line is one of the order's, named once, with no more pieces than were ordered.
pub(super) fn check_lines(order: &Order, lines: &[LineQuantity]) -> Result<(), Mistake> {
    for (index, one) in lines.iter().enumerate() {
        let ordered = line_of(order, one.line)?.quantity;
        if lines.iter().take(index).any(|earlier| earlier.line == one.line) {
            return Err(Mistake::new(Code::LinesInvalid, format!("line {} stands there twice", one.line)));
        }
        if one.quantity <= 0 || one.quantity > ordered {
            let detail = format!("line {}: {} pieces of {ordered} that were ordered", one.line, one.quantity);
            return Err(Mistake::new(Code::LinesInvalid, detail));
        }
    }
    Ok(())
}

fn line_of(order: &Order, number: i32) -> Result<&schemas::OrderLine, Mistake> {
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    index.and_then(|index| order.lines.get(index)).ok_or_else(|| {
        Mistake::new(Code::LinesInvalid, format!("line {number} is none of the order's {}", order.lines.len()))
    })
}
