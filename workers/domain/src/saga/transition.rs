//! A step of one order: its event, and the commands that go with it.
//!
//! What each step leads to stands here once, whether its reply came, or a person took it for done.

use std::collections::BTreeMap;

use schemas::{
    CancelReason, CommandId, Message, OrderActionRequired, OrderAuthorized, OrderCancelled, OrderCancelling,
    OrderCompleted, OrderConfirmed, OrderEvent, OrderId, OrderPaymentCaptured, OrderStockCommitted, OrderStockReserved,
    OrderStuck, Origin, Time, limits,
};

use super::state::{Cancellation, Order, Phase};
use super::step::Step;
use super::terms::{Capture, Fulfilment};
use super::{Policy, request};
use crate::decision::{Decision, Outcome};

/// An order, the present, the policy, and the command that makes something happen, where one does.
#[derive(Clone, Copy)]
pub(super) struct Transition<'a> {
    pub(super) order: &'a Order,
    pub(super) now: Time,
    pub(super) policy: &'a Policy,
    pub(super) origin: Option<&'a Origin>,
}

/// What the beginning of every event of an order says.
pub(super) struct Head {
    pub(super) order_id: OrderId,
    pub(super) version: i64,
    pub(super) at: Time,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) origin: Option<Origin>,
}

impl Transition<'_> {
    pub(super) fn head(self) -> Head {
        Head {
            order_id: self.order.order_id.clone(),
            version: self.order.version + 1,
            at: self.now,
            attributes: self.order.attributes(),
            origin: self.origin.cloned(),
        }
    }

    /// The step has been taken: what comes next.
    pub(super) fn succeeded(self, step: Step) -> Decision<OrderEvent> {
        if self.order.cancellation.is_some() {
            return match step {
                Step::StockReservation | Step::PaymentVoid | Step::PaymentRefund => self.undo(Step::StockRelease),
                Step::PaymentAuthorization => self.undo(Step::PaymentVoid),
                Step::PaymentCapture => self.undo(Step::PaymentRefund),
                Step::StockRelease => self.cancelled(),
                Step::StockCommit => Decision::silent(Outcome::Late),
            };
        }
        match step {
            Step::StockReservation => self.stock_reserved(),
            Step::PaymentAuthorization if self.order.hold().is_some() => self.authorized(),
            Step::PaymentAuthorization => self.confirmed(),
            Step::PaymentCapture if self.order.is_shipped() => self.completed(),
            Step::PaymentCapture => self.payment_captured(),
            Step::StockCommit if self.order.is_shipped() && self.order.capture() == Capture::AtShipment => {
                self.stock_committed()
            }
            Step::StockCommit => self.completed(),
            // Nothing is undone that is not being cancelled.
            Step::PaymentVoid | Step::PaymentRefund | Step::StockRelease => Decision::silent(Outcome::Late),
        }
    }

    fn stock_reserved(self) -> Decision<OrderEvent> {
        let Head { order_id, version, at, attributes, origin } = self.head();
        let event = OrderStockReserved { order_id, version, at, attributes, origin };
        Decision::applied(event, self.asking(Step::PaymentAuthorization))
    }

    /// The customer has to act first: the order waits for that, and some time longer for the word of it.
    pub(super) fn action_required(self, until: Time) -> Decision<OrderEvent> {
        let Head { order_id, version, at, attributes, origin } = self.head();
        let confirm_by = self.order.confirm_by.max(until.plus_ms(self.policy.confirm_within_ms));
        let event = OrderActionRequired { order_id, version, at, until, confirm_by, attributes, origin };
        Decision::applied(event, Vec::new())
    }

    fn authorized(self) -> Decision<OrderEvent> {
        let Head { order_id, version, at, attributes, origin } = self.head();
        Decision::applied(OrderAuthorized { order_id, version, at, attributes, origin }, Vec::new())
    }

    /// The customer has the order: the payment is taken, or it waits to be shipped first.
    pub(super) fn confirmed(self) -> Decision<OrderEvent> {
        let Head { order_id, version, at, attributes, origin } = self.head();
        let is_ready = self.order.fulfilment() == Fulfilment::OnCommand && self.order.capture() == Capture::AtShipment;
        let (ship_by, commands) =
            if is_ready { (Some(self.ship_by()), Vec::new()) } else { (None, self.asking(Step::PaymentCapture)) };
        Decision::applied(OrderConfirmed { order_id, version, at, attributes, origin, ship_by }, commands)
    }

    fn payment_captured(self) -> Decision<OrderEvent> {
        let Head { order_id, version, at, attributes, origin } = self.head();
        let (ship_by, commands) = match self.order.fulfilment() {
            Fulfilment::OnCommand => (Some(self.ship_by()), Vec::new()),
            Fulfilment::Automatic => (None, self.asking(Step::StockCommit)),
        };
        Decision::applied(OrderPaymentCaptured { order_id, version, at, attributes, origin, ship_by }, commands)
    }

    fn stock_committed(self) -> Decision<OrderEvent> {
        let Head { order_id, version, at, attributes, origin } = self.head();
        let event = OrderStockCommitted { order_id, version, at, attributes, origin };
        Decision::applied(event, self.asking(Step::PaymentCapture))
    }

    fn completed(self) -> Decision<OrderEvent> {
        let Head { order_id, version, at, attributes, origin } = self.head();
        Decision::applied(OrderCompleted { order_id, version, at, attributes, origin }, Vec::new())
    }

    fn ship_by(self) -> Time {
        self.now.plus_ms(self.policy.ship_within_ms)
    }

    /// Undo what was taken, for this reason. A step whose reply is outstanding is waited for, unless that is the customer's; an order that has gone too far
    /// is left as it is.
    pub(super) fn cancel(self, cancellation: Cancellation) -> Decision<OrderEvent> {
        match self.order.phase() {
            // The customer's answer is not waited for.
            Phase::Forward(Step::PaymentAuthorization) if self.order.action_until.is_some() => {
                self.undo_by(Step::PaymentVoid, cancellation)
            }
            Phase::Forward(step) if self.order.stage.may_be_undone() => {
                Decision::applied(self.cancelling(step, cancellation), Vec::new())
            }
            Phase::Command if self.order.is_paid() => self.undo_by(Step::PaymentRefund, cancellation),
            Phase::Command => self.undo_by(Step::PaymentVoid, cancellation),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Finished => Decision::silent(Outcome::NoEffect),
        }
    }

    /// The outstanding step may or may not have been taken: undo it as if it had.
    pub(super) fn undo_unanswered(self, cancellation: Cancellation) -> Decision<OrderEvent> {
        match self.order.phase() {
            Phase::Forward(Step::StockReservation) | Phase::Undoing(Step::StockReservation) => {
                self.undo_by(Step::StockRelease, cancellation)
            }
            Phase::Forward(Step::PaymentAuthorization) | Phase::Undoing(Step::PaymentAuthorization) => {
                self.undo_by(Step::PaymentVoid, cancellation)
            }
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Command | Phase::Finished => {
                Decision::silent(Outcome::NoEffect)
            }
        }
    }

    /// Undo by this step, for the reason that is recorded.
    pub(super) fn undo(self, step: Step) -> Decision<OrderEvent> {
        self.undo_by(step, self.recorded())
    }

    /// Undo by this step. A refund that is with the payment service already is waited for.
    pub(super) fn undo_by(self, step: Step, cancellation: Cancellation) -> Decision<OrderEvent> {
        let is_refunding = self.order.aftercare.as_ref().is_some_and(|one| one.refund_under_way().is_some());
        let commands = if step == Step::PaymentRefund && is_refunding { Vec::new() } else { self.asking(step) };
        Decision::applied(self.cancelling(step, cancellation), commands)
    }

    fn cancelling(self, step: Step, cancellation: Cancellation) -> OrderCancelling {
        let Head { order_id, version, at, attributes, origin } = self.head();
        OrderCancelling {
            order_id,
            version,
            at,
            reason: cancellation.reason,
            awaiting: step.awaiting(),
            command_id: cancellation.command_id,
            attributes,
            origin,
            reason_code: cancellation.code,
            step: step.beside_awaiting(),
        }
    }

    /// Nothing is left to undo, for the reason that is recorded.
    pub(super) fn cancelled(self) -> Decision<OrderEvent> {
        self.cancelled_by(self.recorded())
    }

    /// Nothing was taken that would have to be undone.
    pub(super) fn cancelled_by(self, cancellation: Cancellation) -> Decision<OrderEvent> {
        let Head { order_id, version, at, attributes, origin } = self.head();
        let Cancellation { reason, command_id, code: reason_code } = cancellation;
        let event = OrderCancelled { order_id, version, at, reason, command_id, attributes, origin, reason_code };
        Decision::applied(event, Vec::new())
    }

    /// The step that is awaited failed for good.
    pub(super) fn stuck(self, detail: &str) -> Decision<OrderEvent> {
        let step = match self.order.phase() {
            Phase::Forward(step) | Phase::Undoing(step) => step,
            Phase::Command | Phase::Finished => return Decision::silent(Outcome::Late),
        };
        let Head { order_id, version, at, attributes, origin } = self.head();
        let (awaiting, detail, step) = (step.awaiting(), limits::detail(detail), step.beside_awaiting());
        Decision::applied(OrderStuck { order_id, version, at, awaiting, detail, attributes, origin, step }, Vec::new())
    }

    /// The command that asks for this step.
    pub(super) fn asking(self, step: Step) -> Vec<Message> {
        request::of(self.order, step).into_iter().collect()
    }

    /// Why the order is being undone. An order that is being undone always has a reason; `Requested` stands in for none.
    pub(super) fn recorded(self) -> Cancellation {
        self.order.cancellation.clone().unwrap_or(because(CancelReason::Requested))
    }
}

/// A reason that nobody asked for.
pub(super) fn because(reason: CancelReason) -> Cancellation {
    Cancellation { reason, command_id: None, code: None }
}

/// Somebody asked for it.
pub(super) fn requested(command_id: &CommandId, code: Option<&str>) -> Cancellation {
    let code = code.map(limits::detail);
    Cancellation { reason: CancelReason::Requested, command_id: Some(command_id.clone()), code }
}
