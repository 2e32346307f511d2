//! The bugs themselves, each as what it makes of a right decision. Only with the feature `planted-bugs`.

use schemas::{
    AuthorizePayment, Awaiting, CapturePayment, CommitStock, InventoryCommand, InventoryEvent, OrderAuthorized,
    OrderCancelled, OrderCancelling, OrderCommand, OrderConfirmed, OrderEvent, PaymentCommand, PaymentEvent,
    ReleaseStock, StockEvent, VoidPayment,
};

use crate::charge::{self, Call, CallChange, Decided};
use crate::decision::{Decision, Outcome};
use crate::provider::{Operation, ProviderAnswer};
use crate::saga::{self, Capture, Order, Phase, Stage, Step};
use crate::stock::{self, Level};

pub(super) fn pay_before_reserving(mut decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
    if let Some(OrderEvent::OrderPlaced(placed)) = decision.change() {
        let payment = AuthorizePayment {
            order_id: placed.order_id.clone(),
            customer_id: placed.customer_id.clone(),
            currency: placed.currency.clone(),
            amount_minor: placed.total_minor,
            payment_provider: None,
            payment_token: None,
        };
        decision.commands.insert(0, payment.into());
    }
    decision
}

pub(super) fn deadline_ignored(
    state: Option<&Order>,
    input: saga::Input<'_>,
    decision: Decision<OrderEvent>,
) -> Decision<OrderEvent> {
    let is_due = state.is_some() && matches!(input, saga::Input::DeadlinePassed(_));
    if is_due { Decision::silent(Outcome::NoEffect) } else { decision }
}

pub(super) fn commit_forgotten(mut decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
    if matches!(decision.change(), Some(OrderEvent::OrderPaymentCaptured(_))) {
        decision.commands.clear();
    }
    decision
}

/// A cancel whose step is outstanding waits for its reply: it asks for nothing.
pub(super) fn ignore_late_reply(state: Option<&Order>, decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
    let is_reserving = state.map(Order::phase) == Some(Phase::Forward(Step::StockReservation));
    match cancelling(&decision) {
        Some(event) if is_reserving && decision.commands.is_empty() => ended(event),
        Some(_) | None => decision,
    }
}

pub(super) fn release_forgotten(state: Option<&Order>, decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
    let is_authorizing = state.map(Order::phase) == Some(Phase::Forward(Step::PaymentAuthorization));
    match cancelling(&decision) {
        Some(event) if is_authorizing && event.awaiting == Awaiting::StockRelease => ended(event),
        Some(_) | None => decision,
    }
}

/// The release comes where the void should, then the void, and then the end.
pub(super) fn compensate_in_wrong_order(state: Option<&Order>, decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
    let phase = state.map(Order::phase);
    if let Some(event) = cancelling(&decision) {
        if event.awaiting == Awaiting::PaymentVoid {
            let command = ReleaseStock { order_id: event.order_id.clone() };
            let event = OrderCancelling { awaiting: Awaiting::StockRelease, ..event.clone() };
            return Decision::applied(event, vec![command.into()]);
        }
        let is_voided = phase == Some(Phase::Undoing(Step::PaymentVoid));
        return if is_voided && event.awaiting == Awaiting::StockRelease { ended(event) } else { decision };
    }
    match decision.change() {
        Some(OrderEvent::OrderCancelled(event)) if phase == Some(Phase::Undoing(Step::StockRelease)) => {
            let command = VoidPayment { order_id: event.order_id.clone() };
            let OrderCancelled { order_id, version, at, reason, command_id, attributes, origin, reason_code } =
                event.clone();
            let awaiting = Awaiting::PaymentVoid;
            let event = OrderCancelling {
                order_id,
                version,
                at,
                reason,
                awaiting,
                command_id,
                attributes,
                origin,
                reason_code,
                step: None,
            };
            Decision::applied(event, vec![command.into()])
        }
        Some(_) | None => decision,
    }
}

fn cancelling(decision: &Decision<OrderEvent>) -> Option<&OrderCancelling> {
    if let Some(OrderEvent::OrderCancelling(event)) = decision.change() { Some(event) } else { None }
}

/// The order ends where it should be undone further.
fn ended(event: &OrderCancelling) -> Decision<OrderEvent> {
    let OrderCancelling { order_id, version, at, reason, command_id, attributes, origin, reason_code, .. } =
        event.clone();
    let ended = OrderCancelled { order_id, version, at, reason, command_id, attributes, origin, reason_code };
    Decision::applied(ended, Vec::new())
}

/// What was refused is decided again, as if everything were there.
pub(super) fn oversell(command: &InventoryCommand, decision: Decision<InventoryEvent>) -> Decision<InventoryEvent> {
    match decision.change() {
        Some(InventoryEvent::StockRejected(event)) => {
            let plenty = Level { received: i64::MAX, ..Level::default() };
            stock::decide(None, command, |_| plenty, event.at)
        }
        Some(_) | None => decision,
    }
}

/// The next try has another key: of refunds, or of everything else.
pub(super) fn new_key_after_unknown(input: charge::Input<'_>, mut decided: Decided, of_refunds: bool) -> Decided {
    let charge::Input::Answer(answer) = input else { return decided };
    let is_unknown = matches!(answer.answer, ProviderAnswer::Unknown { .. });
    if let CallChange::Set(call) = &mut decided.call
        && is_unknown
        && decided.decision.outcome == Outcome::Pending
        && (call.operation == Operation::Refund) == of_refunds
    {
        (call.attempt, call.sends) = (call.attempt + 1, 0);
    }
    decided
}

pub(super) fn refund_above_capture(input: charge::Input<'_>, mut decided: Decided) -> Decided {
    let is_asked = matches!(input, charge::Input::Command(PaymentCommand::RefundPayment(_)));
    if let CallChange::Set(call) = &mut decided.call
        && is_asked
    {
        call.amount_minor = call.amount_minor.saturating_mul(2);
    }
    decided
}

pub(super) fn capture_after_cancel(call: Option<&Call>, mut decided: Decided) -> Decided {
    if let (Some(PaymentEvent::PaymentVoided(_)), Some(call)) = (decided.decision.change(), call)
        && call.operation == Operation::Void
    {
        decided.call = CallChange::Set(Box::new(Call { operation: Operation::Capture, ..call.clone() }));
    }
    decided
}

/// It is looked at once more instead of being cancelled.
pub(super) fn action_deadline_ignored(input: charge::Input<'_>, mut decided: Decided) -> Decided {
    let charge::Input::Answer(answer) = input else { return decided };
    let is_waiting = matches!(answer.answer, ProviderAnswer::ActionRequired { .. });
    if let CallChange::Set(call) = &mut decided.call
        && is_waiting
        && call.operation == Operation::Void
    {
        call.operation = Operation::Authorize;
        (call.accepted, call.queued) = (call.authorization.take(), None);
        (call.look_ups, call.due_at) = (answer.tries.saturating_add(1), call.due_at.plus_ms(400));
    }
    decided
}

pub(super) fn customer_not_awaited(decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
    let is_told = matches!(decision.change(), Some(OrderEvent::OrderActionRequired(_)));
    if is_told { Decision::silent(Outcome::Late) } else { decision }
}

pub(super) fn restock_twice(mut decision: Decision<InventoryEvent>) -> Decision<InventoryEvent> {
    if decision.outcome == Outcome::Applied
        && let Some(InventoryEvent::StockReturned(event)) = &mut decision.event
    {
        event.lines.iter_mut().for_each(|line| line.restocked = line.restocked.saturating_mul(2));
    }
    decision
}

pub(super) fn price_slips(mut decision: Decision<StockEvent>) -> Decision<StockEvent> {
    if decision.outcome == Outcome::Applied
        && let Some(StockEvent::ProductDescribed(event)) = &mut decision.event
    {
        event.price_minor = event.price_minor.saturating_add(1);
    }
    decision
}

pub(super) fn ship_after_cancel(
    state: Option<&Order>,
    input: saga::Input<'_>,
    mut decision: Decision<OrderEvent>,
) -> Decision<OrderEvent> {
    let is_being_undone = state.is_some_and(|order| matches!(order.stage, Stage::Cancelling { .. }));
    if let saga::Input::Command(OrderCommand::ShipOrder(command)) = input
        && is_being_undone
    {
        decision.commands.push(CommitStock { order_id: command.order_id.clone() }.into());
    }
    decision
}

/// Goes on to what follows a release, without one.
pub(super) fn hold_forgotten(state: Option<&Order>, decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
    let (Some(OrderEvent::OrderAuthorized(event)), Some(order)) = (decision.change(), state) else {
        return decision;
    };
    let OrderAuthorized { order_id, version, at, attributes, origin } = event.clone();
    let capture = CapturePayment { order_id: order_id.clone() };
    let commands = if order.capture() == Capture::AtConfirm { vec![capture.into()] } else { Vec::new() };
    Decision::applied(OrderConfirmed { order_id, version, at, attributes, origin, ship_by: None }, commands)
}
