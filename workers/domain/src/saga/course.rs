//! Which stage follows which: what an event of an order leads to from where the order is.
//!
//! Why it does is `decide`'s. An event that cannot follow is refused by the fold: a history has a gap, or is not ours.

use schemas::{OrderCancelling, OrderEvent, OrderStuck};

use super::state::{Order, Phase, Stage};
use super::step::Step;
use super::terms::{Capture, Fulfilment};

/// What `ResolveOrder` and `OrderResolved` call an order whose goods are with the customer.
pub(super) const COMPLETED: &str = "completed";
/// What they call one whose goods are not.
pub(super) const CANCELLED: &str = "cancelled";

/// The stage that the event leads to from where the order is, if it can. A reply or a person may free an order that is stuck at a
/// step: then the event of the step follows.
pub(super) fn stage_after(order: &Order, event: &OrderEvent) -> Option<Stage> {
    use Stage::{
        Authorized, Completed, Confirmed, PaymentCaptured, Placed, ReadyToShip, Shipped, StockCommitted, StockReserved,
    };
    let (stage, stuck_at) = (&order.stage, |step| order.stuck_at() == Some(step));
    let is_on_command = order.fulfilment() == Fulfilment::OnCommand;
    match event {
        OrderEvent::OrderPlaced(_) | OrderEvent::OrderRejected(_) | OrderEvent::OrderCommandRefused(_) => None,
        OrderEvent::OrderStockReserved(_) => {
            to(StockReserved, matches!(stage, Placed) || stuck_at(Step::StockReservation))
        }
        OrderEvent::OrderActionRequired(_) => {
            to(StockReserved, matches!(stage, StockReserved) || stuck_at(Step::PaymentAuthorization))
        }
        OrderEvent::OrderAuthorized(_) => {
            to(Authorized, matches!(stage, StockReserved) || stuck_at(Step::PaymentAuthorization))
        }
        OrderEvent::OrderConfirmed(_) => {
            let is_ready = is_on_command && order.capture() == Capture::AtShipment;
            let possible = matches!(stage, StockReserved | Authorized) || stuck_at(Step::PaymentAuthorization);
            to(if is_ready { ReadyToShip } else { Confirmed }, possible)
        }
        OrderEvent::OrderPaymentCaptured(_) => {
            let possible = matches!(stage, Confirmed) || stuck_at(Step::PaymentCapture);
            to(if is_on_command { ReadyToShip } else { PaymentCaptured }, possible)
        }
        OrderEvent::OrderShipped(_) => to(Shipped, matches!(stage, ReadyToShip)),
        OrderEvent::OrderStockCommitted(_) => {
            to(StockCommitted, matches!(stage, Shipped) || stuck_at(Step::StockCommit))
        }
        OrderEvent::OrderCompleted(_) => {
            let possible = matches!(stage, PaymentCaptured | Shipped | StockCommitted);
            to(Completed, possible || stuck_at(Step::StockCommit) || stuck_at(Step::PaymentCapture))
        }
        OrderEvent::OrderCancelling(event) => cancelling(order, event),
        OrderEvent::OrderCancelled(_) => {
            let possible = matches!(stage, Placed | StockReserved | Stage::Cancelling { .. });
            to(Stage::Cancelled, possible || stuck_at(Step::StockRelease))
        }
        OrderEvent::OrderStuck(event) => stuck(order, event),
        OrderEvent::OrderRetried(_) => order.stuck_at().map(|step| order.stage_before(step)),
        // What it waits for stays the same.
        OrderEvent::OrderAskedAgain(_) => Some(stage.clone()),
        OrderEvent::OrderResolved(event) => {
            let end = if event.outcome == COMPLETED { Completed } else { Stage::Cancelled };
            to(end, order.stuck_at().is_some())
        }
        OrderEvent::OrderHeld(_) => to(stage.clone(), stage.may_be_undone()),
        // Also where it got stuck meanwhile.
        OrderEvent::OrderReleased(_) => to(stage.clone(), order.hold().is_some()),
        OrderEvent::OrderRefundRequested(_) | OrderEvent::OrderRefunded(_) | OrderEvent::OrderRefundFailed(_) => {
            Some(stage.clone())
        }
        OrderEvent::OrderReturnRequested(_) | OrderEvent::OrderReturnReceived(_) | OrderEvent::OrderReturnClosed(_) => {
            to(Completed, matches!(stage, Completed))
        }
    }
}

fn cancelling(order: &Order, event: &OrderCancelling) -> Option<Stage> {
    let is_under_way = matches!(order.stage, Stage::Cancelling { .. });
    let possible = order.stage.may_be_undone() || is_under_way || order.stuck_at().is_some();
    to(Stage::Cancelling { step: Step::of(event.awaiting, event.step.as_deref()) }, possible)
}

/// Where nothing is awaited, nothing gets stuck.
fn stuck(order: &Order, event: &OrderStuck) -> Option<Stage> {
    let possible = match order.phase() {
        Phase::Forward(_) | Phase::Undoing(_) => true,
        Phase::Command | Phase::Finished => false,
    };
    let step = Step::of(event.awaiting, event.step.as_deref());
    to(Stage::Stuck { step, detail: event.detail.clone() }, possible)
}

fn to(next: Stage, possible: bool) -> Option<Stage> {
    possible.then_some(next)
}

impl Stage {
    /// Whether an order in this stage may still be undone: its goods stay.
    pub(super) const fn may_be_undone(&self) -> bool {
        match self {
            Stage::Placed | Stage::StockReserved | Stage::Authorized | Stage::Confirmed | Stage::ReadyToShip => true,
            Stage::PaymentCaptured
            | Stage::Shipped
            | Stage::StockCommitted
            | Stage::Completed
            | Stage::Cancelling { .. }
            | Stage::Cancelled
            | Stage::Stuck { .. } => false,
        }
    }
}

impl Order {
    /// The stage in which the order waited for the reply to this step, before it got stuck at it.
    fn stage_before(&self, step: Step) -> Stage {
        if self.cancellation.is_some() {
            return Stage::Cancelling { step };
        }
        match step {
            Step::StockReservation => Stage::Placed,
            Step::PaymentAuthorization => Stage::StockReserved,
            Step::PaymentCapture if self.is_shipped() => Stage::StockCommitted,
            Step::PaymentCapture => Stage::Confirmed,
            Step::StockCommit if self.is_shipped() => Stage::Shipped,
            Step::StockCommit => Stage::PaymentCaptured,
            Step::PaymentVoid | Step::PaymentRefund | Step::StockRelease => Stage::Cancelling { step },
        }
    }
}
