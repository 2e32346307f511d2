//! What commands about an order that is there make happen: cancel, ship, hold, release, reject; and of a stuck one: retry, skip,
//! resolve. Refunds, returns and what is asked again have files of their own.
//!
//! Each is allowed where the state says so and refused with words everywhere else; repeated, it has no effect.

use schemas::{
    CancelReason, CommandId, HoldOrder, LineQuantity, OrderCommand, OrderEvent, OrderHeld, OrderReleased,
    OrderResolved, OrderRetried, OrderShipped, Origin, RejectionCode, ResolveOrder, ShipOrder, limits,
};

use super::aftercare::MAX_CHANGES;
use super::course::{CANCELLED, COMPLETED};
use super::refusal::{Code, Mistake};
use super::state::{Order, Phase, Stage};
use super::step::Step;
use super::terms::Fulfilment;
use super::transition::{Head, Transition, requested};
use super::{Policy, redrive, refunds, refusal, request, returns};
use crate::decision::{Decision, Outcome};
use schemas::Time;

/// What the command makes happen, or its refusal.
pub(super) fn decide(order: &Order, command: &OrderCommand, now: Time, policy: &Policy) -> Decision<OrderEvent> {
    let Some(origin) = origin_of(command) else { return Decision::silent(Outcome::NoEffect) };
    if order.has_taken(&origin.command_id) {
        return Decision::silent(Outcome::NoEffect);
    }
    let at = Transition { order, now, policy, origin: Some(&origin) };
    let taken = order.aftercare.as_ref().map_or(0, |aftercare| aftercare.taken.len());
    let decided = if taken >= MAX_CHANGES && opens_something(command) {
        let detail = format!("{taken} commands have changed order {}; it keeps no more", order.order_id);
        Err(Mistake::new(Code::TooManyChanges, detail))
    } else {
        check_reason(command).and_then(|()| carry_out(at, command))
    };
    decided
        .unwrap_or_else(|mistake| refusal::refuse(&order.order_id, refusal::Refused::of(command), vec![mistake], now))
}

/// Whether it can be asked for again and again. What brings an order on comes to an end by itself, and is never refused for it.
const fn opens_something(command: &OrderCommand) -> bool {
    match command {
        OrderCommand::RefundOrder(_)
        | OrderCommand::HoldOrder(_)
        | OrderCommand::RequestReturn(_)
        | OrderCommand::RetryOrder(_)
        | OrderCommand::RedriveDeadLetter(_) => true,
        OrderCommand::PlaceOrder(_)
        | OrderCommand::CancelOrder(_)
        | OrderCommand::ShipOrder(_)
        | OrderCommand::ReleaseOrder(_)
        | OrderCommand::RejectOrder(_)
        | OrderCommand::ReceiveReturn(_)
        | OrderCommand::SkipOrderStep(_)
        | OrderCommand::ResolveOrder(_) => false,
    }
}

fn carry_out(at: Transition<'_>, command: &OrderCommand) -> Result<Decision<OrderEvent>, Mistake> {
    match command {
        // Placed before: `placing` has looked at it.
        OrderCommand::PlaceOrder(_) => Ok(Decision::silent(Outcome::NoEffect)),
        OrderCommand::CancelOrder(command) => cancel(at, &command.command_id, command.reason_code.as_deref()),
        OrderCommand::RejectOrder(command) => cancel(at, &command.command_id, Some(&command.reason_code)),
        OrderCommand::RefundOrder(command) => refunds::refund(at, command),
        OrderCommand::ShipOrder(command) => ship(at, command),
        OrderCommand::HoldOrder(command) => hold(at, command),
        OrderCommand::ReleaseOrder(_) => release(at),
        OrderCommand::RequestReturn(command) => returns::request(at, command),
        OrderCommand::ReceiveReturn(command) => returns::receive(at, command),
        OrderCommand::RetryOrder(command) => retry(at, command.step.as_deref(), &command.command_id),
        OrderCommand::SkipOrderStep(command) => Ok(at.succeeded(stuck_step(at, command.step.as_deref())?)),
        OrderCommand::ResolveOrder(command) => resolve(at, command),
        OrderCommand::RedriveDeadLetter(command) => redrive::ask_again(at, command),
    }
}

/// A code of the sender's is short, and is there where it has to be.
fn check_reason(command: &OrderCommand) -> Result<(), Mistake> {
    let (code, is_needed) = match command {
        OrderCommand::CancelOrder(command) => (command.reason_code.as_deref(), false),
        OrderCommand::RefundOrder(command) => (command.reason_code.as_deref(), false),
        OrderCommand::RequestReturn(command) => (command.reason_code.as_deref(), false),
        OrderCommand::HoldOrder(command) => (Some(command.reason_code.as_str()), true),
        OrderCommand::RejectOrder(command) => (Some(command.reason_code.as_str()), true),
        OrderCommand::PlaceOrder(_)
        | OrderCommand::ShipOrder(_)
        | OrderCommand::ReleaseOrder(_)
        | OrderCommand::ReceiveReturn(_)
        | OrderCommand::RetryOrder(_)
        | OrderCommand::SkipOrderStep(_)
        | OrderCommand::ResolveOrder(_)
        | OrderCommand::RedriveDeadLetter(_) => (None, false),
    };
    match code {
        Some(code) if code.len() > limits::MAX_REASON_CODE_BYTES || is_needed && code.is_empty() => {
            let least = usize::from(is_needed);
            let detail = format!("reason_code takes {least} to {} bytes", limits::MAX_REASON_CODE_BYTES);
            Err(Mistake::new(Code::TextLength, detail))
        }
        Some(_) | None => Ok(()),
    }
}

/// Who asks for what, and why; none for `PlaceOrder`, which is no change of an order.
fn origin_of(command: &OrderCommand) -> Option<Origin> {
    let (by, note) = match command {
        OrderCommand::PlaceOrder(_) => return None,
        OrderCommand::CancelOrder(command) => (&command.by, &command.note),
        OrderCommand::RefundOrder(command) => (&command.by, &command.note),
        OrderCommand::ShipOrder(command) => (&command.by, &command.note),
        OrderCommand::HoldOrder(command) => (&command.by, &command.note),
        OrderCommand::ReleaseOrder(command) => (&command.by, &command.note),
        OrderCommand::RejectOrder(command) => (&command.by, &command.note),
        OrderCommand::RequestReturn(command) => (&command.by, &command.note),
        OrderCommand::ReceiveReturn(command) => (&command.by, &command.note),
        OrderCommand::RetryOrder(command) => (&command.by, &command.note),
        OrderCommand::SkipOrderStep(command) => (&command.by, &command.note),
        OrderCommand::ResolveOrder(command) => (&command.by, &command.note),
        OrderCommand::RedriveDeadLetter(command) => (&command.by, &command.note),
    };
    Some(Origin {
        command: command.name().to_owned(),
        command_id: command.command_id()?.clone(),
        by: by.as_deref().map(limits::detail),
        note: note.as_deref().map(limits::detail),
    })
}

fn cancel(at: Transition<'_>, command_id: &CommandId, code: Option<&str>) -> Result<Decision<OrderEvent>, Mistake> {
    let order = at.order;
    match &order.stage {
        Stage::Placed | Stage::StockReserved | Stage::Authorized | Stage::Confirmed | Stage::ReadyToShip => {
            Ok(at.cancel(requested(command_id, code)))
        }
        Stage::Cancelling { .. } => Ok(Decision::silent(Outcome::NoEffect)),
        Stage::PaymentCaptured | Stage::Shipped | Stage::StockCommitted => {
            Err(Mistake::plain(RejectionCode::TooLate, format!("the goods of order {} are leaving", order.order_id)))
        }
        Stage::Completed | Stage::Cancelled | Stage::Stuck { .. } => Err(finished(order)),
    }
}

fn finished(order: &Order) -> Mistake {
    Mistake::plain(RejectionCode::OrderFinished, format!("order {} is {}", order.order_id, order.stage.as_str()))
}

fn ship(at: Transition<'_>, command: &ShipOrder) -> Result<Decision<OrderEvent>, Mistake> {
    let order = at.order;
    let id = &order.order_id;
    match &order.stage {
        Stage::ReadyToShip => {}
        Stage::Cancelling { .. } => {
            return Err(Mistake::new(
                Code::Cancelling,
                format!("order {id} is being undone: its goods must not leave"),
            ));
        }
        Stage::Cancelled | Stage::Stuck { .. } => return Err(finished(order)),
        _ if order.fulfilment() == Fulfilment::Automatic => {
            let detail = format!("order {id} was placed without fulfilment on_command: its goods leave by themselves");
            return Err(Mistake::new(Code::NotOnCommand, detail));
        }
        Stage::Shipped | Stage::StockCommitted | Stage::Completed => {
            return Err(Mistake::new(Code::Shipped, format!("the goods of order {id} have left")));
        }
        Stage::Placed | Stage::StockReserved | Stage::Authorized | Stage::Confirmed | Stage::PaymentCaptured => {
            let detail = format!("order {id} is {}: it is not ready to be shipped", order.stage.as_str());
            return Err(Mistake::new(Code::NotReady, detail));
        }
    }
    if let Some(hold) = order.hold() {
        return Err(Mistake::new(Code::Held, format!("order {id} is held: {}", hold.reason_code)));
    }
    if !command.lines.is_empty() && !is_everything(order, &command.lines) {
        let detail = "a part of an order cannot be shipped by this version: leave the lines out, or name all of them";
        return Err(Mistake::plain(RejectionCode::NotSupported, detail));
    }
    let Head { order_id, version, at: now, attributes, origin } = at.head();
    let event = OrderShipped {
        order_id,
        version,
        at: now,
        attributes,
        origin,
        carrier: command.carrier.as_deref().map(limits::detail),
        tracking: command.tracking.as_deref().map(limits::detail),
    };
    Ok(Decision::applied(event, at.asking(Step::StockCommit)))
}

fn is_everything(order: &Order, lines: &[LineQuantity]) -> bool {
    let named = |(number, line): (i32, &schemas::OrderLine)| {
        let quantity = lines.iter().filter(|one| one.line == number).map(|one| one.quantity);
        quantity.fold(0, i64::saturating_add) == line.quantity
    };
    lines.len() == order.lines.len() && (1..).zip(&order.lines).all(named)
}

fn hold(at: Transition<'_>, command: &HoldOrder) -> Result<Decision<OrderEvent>, Mistake> {
    let order = at.order;
    let id = &order.order_id;
    let is_on_command = order.fulfilment() == Fulfilment::OnCommand;
    match &order.stage {
        Stage::Placed | Stage::StockReserved | Stage::Authorized | Stage::ReadyToShip => {}
        Stage::Confirmed if is_on_command => {}
        Stage::Confirmed | Stage::PaymentCaptured | Stage::Shipped | Stage::StockCommitted => {
            let detail = format!("order {id} is {}: its goods are leaving", order.stage.as_str());
            return Err(Mistake::plain(RejectionCode::TooLate, detail));
        }
        Stage::Cancelling { .. } => {
            return Err(Mistake::new(Code::Cancelling, format!("order {id} is being undone")));
        }
        Stage::Completed | Stage::Cancelled | Stage::Stuck { .. } => return Err(finished(order)),
    }
    let until = command.until.unwrap_or(at.now.plus_ms(at.policy.hold_within_ms));
    if until <= at.now {
        return Err(Mistake::new(Code::TermsUnknown, format!("until {until} is not in the future")));
    }
    let Head { order_id, version, at: now, attributes, origin } = at.head();
    let reason_code = limits::detail(&command.reason_code);
    let event = OrderHeld { order_id, version, at: now, attributes, origin, reason_code, until };
    Ok(Decision::applied(event, Vec::new()))
}

/// Released at the gate, an order is confirmed; before and after it, it only goes on as if it had never been held.
fn release(at: Transition<'_>) -> Result<Decision<OrderEvent>, Mistake> {
    if at.order.hold().is_none() {
        return Err(Mistake::new(Code::NotHeld, format!("nobody holds order {}", at.order.order_id)));
    }
    if at.order.stage == Stage::Authorized {
        return Ok(at.confirmed());
    }
    let Head { order_id, version, at: now, attributes, origin } = at.head();
    Ok(Decision::applied(OrderReleased { order_id, version, at: now, attributes, origin }, Vec::new()))
}

/// The step at which the order is stuck, if it is the one that is meant.
fn stuck_step(at: Transition<'_>, meant: Option<&str>) -> Result<Step, Mistake> {
    let order = at.order;
    let Stage::Stuck { step, .. } = &order.stage else {
        let detail = format!("order {} is {}, not stuck", order.order_id, order.stage.as_str());
        return Err(Mistake::new(Code::NotStuck, detail));
    };
    match meant {
        Some(meant) if meant != step.as_str() => {
            let detail = format!("order {} is stuck at {step}, not at {meant}", order.order_id);
            Err(Mistake::new(Code::OtherStep, detail))
        }
        Some(_) | None => Ok(*step),
    }
}

/// The step is asked for again. A payment that is stuck is told to try again first; one that is not says how it stands. A refund
/// gets an id of its own, since the last one has its outcome.
fn retry(at: Transition<'_>, meant: Option<&str>, command_id: &CommandId) -> Result<Decision<OrderEvent>, Mistake> {
    let step = stuck_step(at, meant)?;
    let Head { order_id, version, at: now, attributes, origin } = at.head();
    let mut commands = Vec::new();
    match step {
        Step::PaymentAuthorization | Step::PaymentCapture | Step::PaymentVoid => {
            commands.push(request::retry(at.order, command_id));
            commands.extend(at.asking(step));
        }
        Step::PaymentRefund => {
            refunds::check_id(command_id)?;
            commands.push(request::refund(&order_id, command_id, None));
        }
        Step::StockReservation | Step::StockCommit | Step::StockRelease => commands.extend(at.asking(step)),
    }
    let step = step.as_str().to_owned();
    Ok(Decision::applied(OrderRetried { order_id, version, at: now, attributes, origin, step }, commands))
}

fn resolve(at: Transition<'_>, command: &ResolveOrder) -> Result<Decision<OrderEvent>, Mistake> {
    stuck_step(at, None)?;
    if ![COMPLETED, CANCELLED].contains(&command.outcome.as_str()) {
        let detail = format!("{:?} is neither {COMPLETED} nor {CANCELLED}", command.outcome);
        return Err(Mistake::new(Code::OutcomeUnknown, detail));
    }
    let Head { order_id, version, at: now, attributes, origin } = at.head();
    let outcome = command.outcome.clone();
    Ok(Decision::applied(OrderResolved { order_id, version, at: now, attributes, origin, outcome }, Vec::new()))
}

/// Why an order is undone whose hold nobody released in time.
pub(super) fn hold_expired() -> super::Cancellation {
    super::Cancellation { reason: CancelReason::DeadlinePassed, command_id: None, code: Some("HoldExpired".to_owned()) }
}

/// Whether the order waits for a reply or a command under a hold that came to its end.
pub(super) fn is_hold_over(order: &Order, now: Time) -> bool {
    let is_waiting = matches!(order.phase(), Phase::Forward(_) | Phase::Command);
    is_waiting && order.hold().is_some_and(|hold| hold.until <= now)
}
