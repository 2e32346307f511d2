//! An order as its events tell it, and the fold that tells it.
//!
//! Every field comes from an event, so that a replay of the topic gives the table row. The fold knows which stage follows
//! which, not why: that is `decide`'s.

use schemas::{
    Awaiting, CancelReason, CommandId, CustomerId, OrderCancelled, OrderCancelling, OrderEvent, OrderId, OrderLine,
    OrderPlaced, Time,
};
use serde::{Deserialize, Serialize};

use super::content::ContentDigest;
use crate::decision::{Contradiction, Follows, Inconsistent, Transition};

/// An order: the saga's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which order.
    pub order_id: OrderId,
    /// The number of its events.
    pub version: i64,
    /// How far it has come.
    pub stage: Stage,
    /// Why it is or was undone, once it is.
    pub cancellation: Option<Cancellation>,
    /// Who orders.
    pub customer_id: CustomerId,
    /// When the customer placed it, by the sender's clock.
    pub placed_at: Time,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// What is ordered.
    pub lines: Vec<OrderLine>,
    /// Sum over the lines, in minor units.
    pub total_minor: i64,
    /// Identity of what was placed.
    pub content: ContentDigest,
    /// Until then it is confirmed, or it is undone.
    pub confirm_by: Time,
    /// When it was accepted: the time of version 1.
    pub accepted_at: Time,
    /// The time of the last event.
    pub changed_at: Time,
}

/// How far an order has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Accepted; waits for the reservation.
    Placed,
    /// Waits for the authorization.
    StockReserved,
    /// Past the pivot; waits for the capture.
    Confirmed,
    /// Waits for the commit of the stock.
    PaymentCaptured,
    /// The goods have left and are paid for.
    Completed,
    /// Being undone.
    Cancelling {
        /// The reply that it waits for.
        awaiting: Awaiting,
    },
    /// Undone.
    Cancelled,
    /// Waits for a person.
    Stuck {
        /// The reply that it had been waiting for.
        awaiting: Awaiting,
        /// What the failing service said.
        detail: String,
    },
}

impl Stage {
    /// The stage's name, for a column or a label.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Stage::Placed => "placed",
            Stage::StockReserved => "stock_reserved",
            Stage::Confirmed => "confirmed",
            Stage::PaymentCaptured => "payment_captured",
            Stage::Completed => "completed",
            Stage::Cancelling { .. } => "cancelling",
            Stage::Cancelled => "cancelled",
            Stage::Stuck { .. } => "stuck",
        }
    }
}

/// Why an order is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    /// The first reason; later ones do not replace it.
    pub reason: CancelReason,
    /// The command that asked for it, when one did.
    pub command_id: Option<CommandId>,
}

/// What an order waits for, and in which direction it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Towards completion.
    Forward(Awaiting),
    /// Towards cancellation.
    Undoing(Awaiting),
    /// Nothing; it has ended.
    Finished,
}

impl Order {
    /// What the order waits for.
    pub const fn phase(&self) -> Phase {
        match self.stage {
            Stage::Placed => Phase::Forward(Awaiting::StockReservation),
            Stage::StockReserved => Phase::Forward(Awaiting::PaymentAuthorization),
            Stage::Confirmed => Phase::Forward(Awaiting::PaymentCapture),
            Stage::PaymentCaptured => Phase::Forward(Awaiting::StockCommit),
            Stage::Cancelling { awaiting } => Phase::Undoing(awaiting),
            Stage::Completed | Stage::Cancelled | Stage::Stuck { .. } => Phase::Finished,
        }
    }

    /// When `DeadlinePassed` is due; none where the order waits without a limit or for nothing.
    pub const fn deadline(&self) -> Option<Time> {
        match self.phase() {
            Phase::Forward(awaiting) | Phase::Undoing(awaiting) => match awaiting {
                Awaiting::StockReservation | Awaiting::PaymentAuthorization => Some(self.confirm_by),
                Awaiting::PaymentCapture | Awaiting::StockCommit | Awaiting::PaymentVoid | Awaiting::StockRelease => {
                    None
                }
            },
            Phase::Finished => None,
        }
    }

    /// Whether the machine is done with it.
    pub const fn is_finished(&self) -> bool {
        matches!(self.phase(), Phase::Finished)
    }

    fn placed(event: &OrderPlaced) -> Self {
        Order {
            order_id: event.order_id.clone(),
            version: event.version,
            stage: Stage::Placed,
            cancellation: None,
            customer_id: event.customer_id.clone(),
            placed_at: event.placed_at,
            currency: event.currency.clone(),
            lines: event.lines.clone(),
            total_minor: event.total_minor,
            content: ContentDigest::of_placed(event),
            confirm_by: event.confirm_by,
            accepted_at: event.at,
            changed_at: event.at,
        }
    }
}

/// The state after the event. A repeated event (its version is not above the state's) and `OrderRejected` change nothing.
///
/// # Errors
/// Versions are missing, the event belongs to another order, or no such order can come to this stage from where it is.
pub fn evolve(state: Option<Order>, event: &OrderEvent) -> Result<Option<Order>, Inconsistent> {
    let Some(version) = event.version() else { return Ok(state) };
    match next(state.as_ref(), event, version)? {
        Next::Unchanged => Ok(state),
        Next::Begins(order) => Ok(Some(*order)),
        Next::Reaches(stage) => Ok(state.map(|order| Order {
            version,
            stage,
            cancellation: cancellation_in(event).or(order.cancellation),
            changed_at: event.at(),
            ..order
        })),
    }
}

/// What an event makes of a state.
enum Next {
    Unchanged,
    Begins(Box<Order>),
    Reaches(Stage),
}

fn next(state: Option<&Order>, event: &OrderEvent, version: i64) -> Result<Next, Inconsistent> {
    let transition = Transition {
        aggregate: "order",
        id: event.key().as_str(),
        state: state.map(|order| (order.order_id.as_str(), order.version)),
        event: event.name(),
        event_version: version,
    };
    if transition.judge()? == Follows::Old {
        return Ok(Next::Unchanged);
    }
    let Some(order) = state else {
        return match event {
            OrderEvent::OrderPlaced(event) => Ok(Next::Begins(Box::new(Order::placed(event)))),
            OrderEvent::OrderStockReserved(_)
            | OrderEvent::OrderConfirmed(_)
            | OrderEvent::OrderPaymentCaptured(_)
            | OrderEvent::OrderCompleted(_)
            | OrderEvent::OrderCancelling(_)
            | OrderEvent::OrderCancelled(_)
            | OrderEvent::OrderStuck(_)
            | OrderEvent::OrderRejected(_) => Err(transition.contradicts(Contradiction::Impossible("none"))),
        };
    };
    match stage_after(&order.stage, event) {
        Some(stage) => Ok(Next::Reaches(stage)),
        None => Err(transition.contradicts(Contradiction::Impossible(order.stage.as_str()))),
    }
}

/// The stage that the event leads to from this one, if it can.
fn stage_after(stage: &Stage, event: &OrderEvent) -> Option<Stage> {
    use Stage::{Cancelling, Confirmed, PaymentCaptured, Placed, StockReserved};
    let to = |next: Stage, possible: bool| possible.then_some(next);
    match event {
        OrderEvent::OrderPlaced(_) | OrderEvent::OrderRejected(_) => None,
        OrderEvent::OrderStockReserved(_) => to(StockReserved, matches!(stage, Placed)),
        OrderEvent::OrderConfirmed(_) => to(Confirmed, matches!(stage, StockReserved)),
        OrderEvent::OrderPaymentCaptured(_) => to(PaymentCaptured, matches!(stage, Confirmed)),
        OrderEvent::OrderCompleted(_) => to(Stage::Completed, matches!(stage, PaymentCaptured)),
        OrderEvent::OrderCancelling(event) => {
            let possible = matches!(stage, Placed | StockReserved | Confirmed | Cancelling { .. });
            to(Cancelling { awaiting: event.awaiting }, possible)
        }
        OrderEvent::OrderCancelled(_) => {
            to(Stage::Cancelled, matches!(stage, Placed | StockReserved | Cancelling { .. }))
        }
        OrderEvent::OrderStuck(event) => {
            let possible = matches!(stage, Placed | StockReserved | Confirmed | PaymentCaptured | Cancelling { .. });
            to(Stage::Stuck { awaiting: event.awaiting, detail: event.detail.clone() }, possible)
        }
    }
}

fn cancellation_in(event: &OrderEvent) -> Option<Cancellation> {
    let (reason, command_id) = match event {
        OrderEvent::OrderCancelling(OrderCancelling { reason, command_id, .. })
        | OrderEvent::OrderCancelled(OrderCancelled { reason, command_id, .. }) => (*reason, command_id.clone()),
        OrderEvent::OrderPlaced(_)
        | OrderEvent::OrderStockReserved(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderPaymentCaptured(_)
        | OrderEvent::OrderCompleted(_)
        | OrderEvent::OrderStuck(_)
        | OrderEvent::OrderRejected(_) => return None,
    };
    Some(Cancellation { reason, command_id })
}
