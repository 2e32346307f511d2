//! The order saga: what an order does next, as a pure function of its state, one input and the present.
//!
//! Reserve stock, authorize payment, confirm, capture, commit the stock; or undo, in reverse, every step that was requested and
//! not definitively refused. An order that is fulfilled on command waits for `ShipOrder` before its stock is committed, and can
//! be undone until then. Beside its way it is held, refunded and taken back (`aftercare`). The table of states and messages is
//! `docs/state-machine.md`. There is no I/O here, no clock, no randomness and no logging; effects are messages in a [`Decision`].

mod aftercare;
mod commands;
mod content;
mod course;
mod placing;
mod redrive;
mod refunds;
mod refusal;
mod replies;
mod request;
mod returns;
mod state;
mod step;
mod terms;
mod transition;

use std::collections::BTreeSet;

use schemas::{
    CancelReason, CustomerId, InventoryEvent, Message, OrderCommand, OrderEvent, OrderId, PaymentEvent, RejectionCode,
    Time,
};

pub use aftercare::{Aftercare, MAX_CHANGES, Refund, RefundState, Return, ReturnState, Shipment, origin};
pub use content::ContentDigest;
pub use redrive::{can_be_asked_for, part_of};
pub use refusal::Code;
pub use state::{Cancellation, Order, Phase, Stage, evolve};
pub use step::Step;
pub use terms::{Capture, Fulfilment, Terms, is_digits_alone};

use crate::decision::{Decision, Outcome};
use refusal::Mistake;
use transition::{Transition, because};

/// What is set by configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long after its placing an order may take to be confirmed, in milliseconds.
    pub confirm_within_ms: i64,
    /// How long a confirmed order should wait for `ShipOrder`, in milliseconds. Nothing happens then by itself: an alarm.
    pub ship_within_ms: i64,
    /// How long an order is held before it is undone, unless whoever holds it says until when, in milliseconds.
    pub hold_within_ms: i64,
    /// How long goods may take to come back, in milliseconds.
    pub return_within_ms: i64,
    /// An order above this total is held, in minor units of whatever currency; none is held for its total where it is not set.
    pub hold_above_minor: Option<i64>,
    /// Whose orders are held.
    pub hold_customers: BTreeSet<CustomerId>,
}

impl Default for Policy {
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Policy {
            confirm_within_ms: 60_000,
            ship_within_ms: 72 * HOUR_MS,
            hold_within_ms: 48 * HOUR_MS,
            return_within_ms: 30 * 24 * HOUR_MS,
            hold_above_minor: None,
            hold_customers: BTreeSet::new(),
        }
    }
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

/// What the order does about the input. `state` is that of [`Input::order_id`], none where there is no such order. Where
/// [`needs_lines`] says so, the order must have its lines.
pub fn decide(state: Option<&Order>, input: Input<'_>, now: Time, policy: &Policy) -> Decision<OrderEvent> {
    let at = |order| Transition { order, now, policy, origin: None };
    match (input, state) {
        (Input::Command(OrderCommand::PlaceOrder(command)), _) => placing::place(state, command, now, policy),
        (Input::Command(command), Some(order)) => commands::decide(order, command, now, policy),
        (Input::Command(command), None) => {
            let detail = format!("there is no order {}", command.key());
            let mistake = Mistake::plain(RejectionCode::OrderUnknown, detail);
            refusal::refuse(command.key(), refusal::Refused::of(command), vec![mistake], now)
        }
        (Input::Inventory(event), Some(order)) => replies::from_inventory(at(order), event),
        (Input::Payment(event), Some(order)) => replies::from_payment(at(order), event),
        (Input::DeadlinePassed(_), Some(order)) => deadline_passed(at(order)),
        (Input::Inventory(_) | Input::Payment(_) | Input::DeadlinePassed(_), None) => {
            Decision::silent(Outcome::Unknown)
        }
    }
}

/// Whether a decision about this input looks at the order's lines. All others leave them out, so that they need not be read.
pub fn needs_lines(input: Input<'_>) -> bool {
    match input {
        Input::Command(command) => match command {
            OrderCommand::RefundOrder(command) => !command.lines.is_empty(),
            OrderCommand::ShipOrder(command) => !command.lines.is_empty(),
            OrderCommand::RequestReturn(_)
            | OrderCommand::ReceiveReturn(_)
            | OrderCommand::RetryOrder(_)
            | OrderCommand::RedriveDeadLetter(_) => true,
            OrderCommand::PlaceOrder(_)
            | OrderCommand::CancelOrder(_)
            | OrderCommand::HoldOrder(_)
            | OrderCommand::ReleaseOrder(_)
            | OrderCommand::RejectOrder(_)
            | OrderCommand::SkipOrderStep(_)
            | OrderCommand::ResolveOrder(_) => false,
        },
        Input::Inventory(_) | Input::Payment(_) | Input::DeadlinePassed(_) => false,
    }
}

/// The commands whose replies the order waits for, to be sent again by a redrive; none where it waits for nothing. The order
/// must have its lines.
pub fn outstanding(order: &Order) -> Vec<Message> {
    let on_its_way = match order.phase() {
        Phase::Forward(step) | Phase::Undoing(step) => request::of(order, step),
        Phase::Command | Phase::Finished => None,
    };
    let refunds = order.phase() == Phase::Undoing(Step::PaymentRefund);
    let beside = request::beside(order).filter(|message| !refunds || Some(message) != on_its_way.as_ref());
    on_its_way.clone().into_iter().chain(beside.collect::<Vec<_>>()).collect()
}

/// Undo what was requested: the step that has not been answered may have been taken. An order that was accepted at a time
/// still to come got its deadline from a clock that was ahead; whoever says that it passed has waited long enough. A hold that
/// nobody released undoes the order too; a return that did not come is closed.
fn deadline_passed(at: Transition<'_>) -> Decision<OrderEvent> {
    let order = at.order;
    let has_passed = |deadline| at.now >= deadline || order.accepted_at > at.now;
    let is_unanswered = match order.phase() {
        Phase::Forward(step) | Phase::Undoing(step) => {
            matches!(step, Step::StockReservation | Step::PaymentAuthorization)
        }
        Phase::Command | Phase::Finished => false,
    };
    if is_unanswered && has_passed(order.confirm_by) {
        let cancellation = order.cancellation.clone().unwrap_or(because(CancelReason::DeadlinePassed));
        return at.undo_unanswered(cancellation);
    }
    if commands::is_hold_over(order, at.now) {
        return at.cancel(commands::hold_expired());
    }
    returns::expire(at).unwrap_or(Decision::silent(Outcome::NoEffect))
}
