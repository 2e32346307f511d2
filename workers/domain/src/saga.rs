//! The order saga: what an order does next, as a pure function of its state, one input and the present.
//!
//! Reserve stock, authorize payment, confirm (the pivot), capture, commit the stock; or undo, in reverse, every step that
//! was requested and not definitively refused. The table of states and messages is `docs/state-machine.md`.
//! There is no I/O here, no clock, no randomness and no logging; effects are messages in a [`Decision`].

mod content;
mod placing;
mod replies;
mod request;
mod state;

use schemas::{
    CancelOrder, CancelReason, InventoryEvent, Message, OrderCommand, OrderCommandName, OrderEvent, OrderId,
    OrderRejected, PaymentEvent, RefundOrder, RejectionCode, Time,
};

pub use content::ContentDigest;
pub use state::{Cancellation, Order, Phase, Stage, evolve};

use crate::decision::{Decision, Outcome};
use replies::Transition;

/// What is set by configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long after its placing an order may take to be confirmed, in milliseconds.
    pub confirm_within_ms: i64,
}

/// What an order reacts to.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// From `order.commands.v1`.
    Command(&'a OrderCommand),
    /// From `inventory.events.v1`.
    Inventory(&'a InventoryEvent),
    /// From `payment.events.v1`.
    Payment(&'a PaymentEvent),
    /// The order's [`Order::deadline`] has passed, and everything that was in the topics by then is read.
    DeadlinePassed(&'a OrderId),
}

impl<'a> Input<'a> {
    /// The order that it is about.
    pub fn order_id(self) -> &'a OrderId {
        match self {
            Input::Command(command) => command.key(),
            Input::Inventory(event) => event.key(),
            Input::Payment(event) => event.key(),
            Input::DeadlinePassed(order_id) => order_id,
        }
    }
}

/// What the order does about the input. `state` is that of [`Input::order_id`], none where there is no such order.
pub fn decide(state: Option<&Order>, input: Input<'_>, now: Time, policy: &Policy) -> Decision<OrderEvent> {
    match input {
        Input::Command(OrderCommand::PlaceOrder(command)) => placing::place(state, command, now, policy),
        Input::Command(OrderCommand::CancelOrder(command)) => cancel(state, command, now),
        Input::Command(OrderCommand::RefundOrder(command)) => refund(state, command, now),
        Input::Inventory(event) => match state {
            Some(order) => replies::from_inventory(Transition { order, now }, event),
            None => Decision::silent(Outcome::Unknown),
        },
        Input::Payment(event) => match state {
            Some(order) => replies::from_payment(Transition { order, now }, event),
            None => Decision::silent(Outcome::Unknown),
        },
        Input::DeadlinePassed(_) => match state {
            Some(order) => deadline_passed(Transition { order, now }),
            None => Decision::silent(Outcome::Unknown),
        },
    }
}

/// The command whose reply the order waits for, to be sent again by a redrive; none where it waits for nothing.
pub fn outstanding(order: &Order) -> Option<Message> {
    match order.phase() {
        Phase::Forward(awaiting) | Phase::Undoing(awaiting) => Some(request::of(order, awaiting)),
        Phase::Finished => None,
    }
}

fn cancel(state: Option<&Order>, command: &CancelOrder, now: Time) -> Decision<OrderEvent> {
    let reject = |code, detail| {
        let name = OrderCommandName::CancelOrder;
        Decision::rejected(OrderRejected {
            order_id: command.order_id.clone(),
            at: now,
            command: name,
            command_id: Some(command.command_id.clone()),
            reasons: vec![placing::reason(code, detail)],
        })
    };
    let Some(order) = state else {
        return reject(RejectionCode::OrderUnknown, format!("there is no order {}", command.order_id));
    };
    let is_repeated =
        order.cancellation.as_ref().is_some_and(|had| had.command_id.as_ref() == Some(&command.command_id));
    if is_repeated {
        return Decision::silent(Outcome::NoEffect);
    }
    match &order.stage {
        Stage::Placed | Stage::StockReserved => {
            let cancellation =
                Cancellation { reason: CancelReason::Requested, command_id: Some(command.command_id.clone()) };
            Transition { order, now }.wait_then_undo(cancellation)
        }
        Stage::Cancelling { .. } => Decision::silent(Outcome::NoEffect),
        Stage::Confirmed | Stage::PaymentCaptured => {
            reject(RejectionCode::TooLate, format!("order {} is confirmed", order.order_id))
        }
        Stage::Completed | Stage::Cancelled | Stage::Stuck { .. } => {
            reject(RejectionCode::OrderFinished, format!("order {} is {}", order.order_id, order.stage.as_str()))
        }
    }
}

fn refund(state: Option<&Order>, command: &RefundOrder, now: Time) -> Decision<OrderEvent> {
    let (code, detail) = match state {
        None => (RejectionCode::OrderUnknown, format!("there is no order {}", command.order_id)),
        Some(_) => (RejectionCode::NotSupported, "refunds are not carried out by this version".into()),
    };
    Decision::rejected(OrderRejected {
        order_id: command.order_id.clone(),
        at: now,
        command: OrderCommandName::RefundOrder,
        command_id: Some(command.command_id.clone()),
        reasons: vec![placing::reason(code, detail)],
    })
}

/// Undo what was requested: the step that has not been answered may have been taken. An order that was accepted at a time
/// still to come got its deadline from a clock that was ahead; whoever says that it passed has waited long enough.
fn deadline_passed(transition: Transition<'_>) -> Decision<OrderEvent> {
    let order = transition.order;
    let has_passed = |deadline| transition.now >= deadline || order.accepted_at > transition.now;
    let is_due = order.deadline().is_some_and(has_passed);
    if !is_due {
        return Decision::silent(Outcome::NoEffect);
    }
    let cancellation =
        order.cancellation.clone().unwrap_or(Cancellation { reason: CancelReason::DeadlinePassed, command_id: None });
    transition.undo_unanswered(cancellation)
}
