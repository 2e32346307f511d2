//! What an order does about the replies of inventory and payment.
//!
//! A reply moves the order only if it is the awaited one, or tells that the awaited one can never come. All others are
//! late or doubled and ordinary.

use schemas::{
    Awaiting, CancelReason, InventoryEvent, OrderCancelled, OrderCancelling, OrderCompleted, OrderConfirmed,
    OrderEvent, OrderPaymentCaptured, OrderStockReserved, OrderStuck, PaymentEvent, Time, limits,
};

use super::request;
use super::state::{Cancellation, Order, Phase};
use crate::decision::{Decision, Outcome};

pub(super) fn from_inventory(at: Transition<'_>, event: &InventoryEvent) -> Decision<OrderEvent> {
    match event {
        InventoryEvent::StockReserved(_) => match at.order.phase() {
            Phase::Forward(Awaiting::StockReservation) => at.stock_reserved(),
            Phase::Undoing(Awaiting::StockReservation) => at.undo(Awaiting::StockRelease, at.recorded()),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Finished => late(),
        },
        // Of nothing reserved there is nothing to release, whether it was refused or (a tombstone) released before.
        InventoryEvent::StockRejected(_) | InventoryEvent::StockReleased(_) => match at.order.phase() {
            Phase::Forward(Awaiting::StockReservation) => at.cancelled(because(CancelReason::OutOfStock)),
            Phase::Undoing(Awaiting::StockReservation | Awaiting::StockRelease) => at.cancelled(at.recorded()),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Finished => late(),
        },
        InventoryEvent::StockCommitted(_) => match at.order.phase() {
            Phase::Forward(Awaiting::StockCommit) => at.completed(),
            Phase::Undoing(Awaiting::StockRelease) => at.stuck("the stock cannot be released: it has been committed"),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Finished => late(),
        },
        InventoryEvent::StockCommitRefused(event) => match at.order.phase() {
            Phase::Forward(Awaiting::StockCommit) => at.stuck(&event.detail),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Finished => late(),
        },
    }
}

pub(super) fn from_payment(at: Transition<'_>, event: &PaymentEvent) -> Decision<OrderEvent> {
    match event {
        PaymentEvent::PaymentAuthorized(_) => match at.order.phase() {
            Phase::Forward(Awaiting::PaymentAuthorization) => at.confirmed(),
            Phase::Undoing(Awaiting::PaymentAuthorization) => at.undo(Awaiting::PaymentVoid, at.recorded()),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Finished => late(),
        },
        // Nothing is held, whether it was refused or (a tombstone) voided before.
        PaymentEvent::PaymentDeclined(_) | PaymentEvent::PaymentVoided(_) => match at.order.phase() {
            Phase::Forward(Awaiting::PaymentAuthorization) => {
                at.undo(Awaiting::StockRelease, because(CancelReason::PaymentDeclined))
            }
            Phase::Forward(Awaiting::PaymentCapture) => {
                at.undo(Awaiting::StockRelease, because(CancelReason::CaptureFailed))
            }
            Phase::Undoing(Awaiting::PaymentAuthorization | Awaiting::PaymentVoid) => {
                at.undo(Awaiting::StockRelease, at.recorded())
            }
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Finished => late(),
        },
        PaymentEvent::PaymentCaptured(_) => match at.order.phase() {
            Phase::Forward(Awaiting::PaymentCapture) => at.payment_captured(),
            Phase::Undoing(Awaiting::PaymentVoid) => at.stuck("the payment cannot be voided: it has been captured"),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Finished => late(),
        },
        PaymentEvent::PaymentCaptureFailed(_) => match at.order.phase() {
            Phase::Forward(Awaiting::PaymentCapture) => {
                at.undo(Awaiting::PaymentVoid, because(CancelReason::CaptureFailed))
            }
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Finished => late(),
        },
        PaymentEvent::PaymentStuck(event) => match at.order.phase() {
            Phase::Forward(Awaiting::PaymentAuthorization | Awaiting::PaymentCapture)
            | Phase::Undoing(Awaiting::PaymentAuthorization | Awaiting::PaymentVoid) => at.stuck(&event.detail),
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Finished => late(),
        },
    }
}

fn late() -> Decision<OrderEvent> {
    Decision::silent(Outcome::Late)
}

fn because(reason: CancelReason) -> Cancellation {
    Cancellation { reason, command_id: None }
}

/// A step of one order: builds its event and the commands that go with it.
#[derive(Clone, Copy)]
pub(super) struct Transition<'a> {
    pub(super) order: &'a Order,
    pub(super) now: Time,
}

macro_rules! forward {
    ($(#[$doc:meta])* $name:ident, $event:ident, $next:expr) => {
        $(#[$doc])*
        fn $name(self) -> Decision<OrderEvent> {
            let next: Option<Awaiting> = $next;
            let commands = next.map(|awaiting| request::of(self.order, awaiting)).into_iter().collect();
            let event = $event { order_id: self.order.order_id.clone(), version: self.version(), at: self.now };
            Decision::applied(event, commands)
        }
    };
}

impl Transition<'_> {
    forward!(stock_reserved, OrderStockReserved, Some(Awaiting::PaymentAuthorization));
    forward!(confirmed, OrderConfirmed, Some(Awaiting::PaymentCapture));
    forward!(payment_captured, OrderPaymentCaptured, Some(Awaiting::StockCommit));
    forward!(completed, OrderCompleted, None);

    /// A step is outstanding: its reply, or the deadline, comes first.
    pub(super) fn wait_then_undo(self, cancellation: Cancellation) -> Decision<OrderEvent> {
        match self.order.phase() {
            Phase::Forward(awaiting) => Decision::applied(self.cancelling(awaiting, cancellation), Vec::new()),
            Phase::Undoing(_) | Phase::Finished => Decision::silent(Outcome::NoEffect),
        }
    }

    /// The outstanding step may or may not have been taken: undo it as if it had.
    pub(super) fn undo_unanswered(self, cancellation: Cancellation) -> Decision<OrderEvent> {
        match self.order.phase() {
            Phase::Forward(Awaiting::StockReservation) | Phase::Undoing(Awaiting::StockReservation) => {
                self.undo(Awaiting::StockRelease, cancellation)
            }
            Phase::Forward(Awaiting::PaymentAuthorization) | Phase::Undoing(Awaiting::PaymentAuthorization) => {
                self.undo(Awaiting::PaymentVoid, cancellation)
            }
            Phase::Forward(_) | Phase::Undoing(_) | Phase::Finished => Decision::silent(Outcome::NoEffect),
        }
    }

    fn undo(self, awaiting: Awaiting, cancellation: Cancellation) -> Decision<OrderEvent> {
        Decision::applied(self.cancelling(awaiting, cancellation), vec![request::of(self.order, awaiting)])
    }

    fn cancelling(self, awaiting: Awaiting, cancellation: Cancellation) -> OrderCancelling {
        OrderCancelling {
            order_id: self.order.order_id.clone(),
            version: self.version(),
            at: self.now,
            reason: cancellation.reason,
            awaiting,
            command_id: cancellation.command_id,
        }
    }

    fn cancelled(self, cancellation: Cancellation) -> Decision<OrderEvent> {
        let event = OrderCancelled {
            order_id: self.order.order_id.clone(),
            version: self.version(),
            at: self.now,
            reason: cancellation.reason,
            command_id: cancellation.command_id,
        };
        Decision::applied(event, Vec::new())
    }

    fn stuck(self, detail: &str) -> Decision<OrderEvent> {
        let awaiting = match self.order.phase() {
            Phase::Forward(awaiting) | Phase::Undoing(awaiting) => awaiting,
            Phase::Finished => return Decision::silent(Outcome::Late),
        };
        let event = OrderStuck {
            order_id: self.order.order_id.clone(),
            version: self.version(),
            at: self.now,
            awaiting,
            detail: limits::detail(detail),
        };
        Decision::applied(event, Vec::new())
    }

    /// Why the order is being undone. An order that is being undone always has a reason; `Requested` stands in for none.
    fn recorded(self) -> Cancellation {
        self.order.cancellation.clone().unwrap_or(because(CancelReason::Requested))
    }

    fn version(self) -> i64 {
        self.order.version + 1
    }
}
