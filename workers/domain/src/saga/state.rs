//! An order as its events tell it, and the fold that tells it.
//!
//! Every field comes from an event, so that a replay of the topic gives the table row. The fold knows which stage follows
//! which, not why: that is `decide`'s.

use std::collections::BTreeMap;

use schemas::{
    CancelReason, CommandId, CustomerId, Hold, OrderCancelled, OrderCancelling, OrderEvent, OrderId, OrderLine,
    OrderPlaced, Time,
};
use serde::{Deserialize, Serialize};

use super::aftercare::{self, Aftercare};
use super::content::ContentDigest;
use super::course::stage_after;
use super::step::Step;
use super::terms::{Capture, Fulfilment, Terms};
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
    /// Sum over the lines and the adjustments, in minor units.
    pub total_minor: i64,
    /// What else was agreed on; none where nothing was.
    pub terms: Option<Box<Terms>>,
    /// Identity of what was placed.
    pub content: ContentDigest,
    /// Until then it is confirmed, or it is undone.
    pub confirm_by: Time,
    /// Until when the customer has to act before the payment is authorized, as long as it waits for that.
    pub action_until: Option<Time>,
    /// Until when it should be shipped, as long as it waits for that.
    pub ship_by: Option<Time>,
    /// What happened to it beside its way; none where nothing did.
    pub aftercare: Option<Box<Aftercare>>,
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
    /// Authorized and held: waits for a person before it is confirmed.
    Authorized,
    /// The customer has it; waits for the capture.
    Confirmed,
    /// Waits for the commit of the stock, and goes forward alone.
    PaymentCaptured,
    /// Waits for `ShipOrder`.
    ReadyToShip,
    /// The goods have left, from here on it goes forward alone; waits for the commit of the stock.
    Shipped,
    /// Waits for the capture, after the goods have left.
    StockCommitted,
    /// The goods have left and are paid for.
    Completed,
    /// Being undone.
    Cancelling {
        /// The reply that it waits for.
        step: Step,
    },
    /// Undone.
    Cancelled,
    /// Waits for a person.
    Stuck {
        /// The reply that it had been waiting for.
        step: Step,
        /// What the failing service said.
        detail: String,
    },
}

impl Stage {
    /// The names of the stages in which an order goes on, or a person has to see to it.
    pub const UNFINISHED: [&'static str; 10] = [
        "placed",
        "stock_reserved",
        "authorized",
        "confirmed",
        "payment_captured",
        "ready_to_ship",
        "shipped",
        "stock_committed",
        "cancelling",
        "stuck",
    ];

    /// The names of all stages: the two ends come last.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Stage::UNFINISHED.into_iter().chain([Stage::Completed.as_str(), Stage::Cancelled.as_str()])
    }

    /// The stage's name, for a column or a label.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Stage::Placed => "placed",
            Stage::StockReserved => "stock_reserved",
            Stage::Authorized => "authorized",
            Stage::Confirmed => "confirmed",
            Stage::PaymentCaptured => "payment_captured",
            Stage::ReadyToShip => "ready_to_ship",
            Stage::Shipped => "shipped",
            Stage::StockCommitted => "stock_committed",
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
    /// The same more precisely, where somebody said it.
    pub code: Option<String>,
}

/// What an order waits for, and in which direction it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A reply, towards completion.
    Forward(Step),
    /// A reply, towards cancellation.
    Undoing(Step),
    /// A command: to be released, or to be shipped.
    Command,
    /// Nothing; it has ended.
    Finished,
}

impl Order {
    /// What the order waits for.
    pub const fn phase(&self) -> Phase {
        match self.stage {
            Stage::Placed => Phase::Forward(Step::StockReservation),
            Stage::StockReserved => Phase::Forward(Step::PaymentAuthorization),
            Stage::Confirmed | Stage::StockCommitted => Phase::Forward(Step::PaymentCapture),
            Stage::PaymentCaptured | Stage::Shipped => Phase::Forward(Step::StockCommit),
            Stage::Authorized | Stage::ReadyToShip => Phase::Command,
            Stage::Cancelling { step } => Phase::Undoing(step),
            Stage::Completed | Stage::Cancelled | Stage::Stuck { .. } => Phase::Finished,
        }
    }

    /// When `DeadlinePassed` is due; none where nothing happens by itself.
    pub fn deadline(&self) -> Option<Time> {
        let confirm_by = match self.phase() {
            Phase::Forward(step) | Phase::Undoing(step) => match step {
                Step::StockReservation | Step::PaymentAuthorization => Some(self.confirm_by),
                Step::PaymentCapture
                | Step::StockCommit
                | Step::PaymentVoid
                | Step::PaymentRefund
                | Step::StockRelease => None,
            },
            Phase::Command | Phase::Finished => None,
        };
        confirm_by.into_iter().chain(self.wakes_at()).min()
    }

    /// When a hold or an open return comes to its end; none where there is neither. A stuck order stays held, but waits for a
    /// person anyway.
    pub fn wakes_at(&self) -> Option<Time> {
        let is_waiting = matches!(self.phase(), Phase::Forward(_) | Phase::Command);
        let held_until = self.hold().filter(|_| is_waiting).map(|hold| hold.until);
        let returned_by = self.aftercare.as_ref().and_then(|aftercare| aftercare.closes_at());
        held_until.into_iter().chain(returned_by).min()
    }

    /// The step at which it is stuck.
    pub const fn stuck_at(&self) -> Option<Step> {
        match self.stage {
            Stage::Stuck { step, .. } => Some(step),
            Stage::Placed
            | Stage::StockReserved
            | Stage::Authorized
            | Stage::Confirmed
            | Stage::PaymentCaptured
            | Stage::ReadyToShip
            | Stage::Shipped
            | Stage::StockCommitted
            | Stage::Completed
            | Stage::Cancelling { .. }
            | Stage::Cancelled => None,
        }
    }

    /// What the order waits for, or would if it were not stuck: the reply may come after all.
    pub fn awaited(&self) -> Phase {
        match self.stuck_at() {
            Some(step) if self.cancellation.is_some() => Phase::Undoing(step),
            Some(step) => Phase::Forward(step),
            None => self.phase(),
        }
    }

    /// Whether its goods have left by a command.
    pub fn is_shipped(&self) -> bool {
        self.aftercare.as_ref().is_some_and(|aftercare| aftercare.shipment.is_some())
    }

    /// Whether the machine is done with it.
    pub const fn is_finished(&self) -> bool {
        matches!(self.phase(), Phase::Finished)
    }

    /// That somebody holds it.
    pub fn hold(&self) -> Option<&Hold> {
        self.aftercare.as_ref().and_then(|aftercare| aftercare.hold.as_ref())
    }

    /// Whether this command has made something happen before.
    pub fn has_taken(&self, command_id: &CommandId) -> bool {
        let cancelled_by = self.cancellation.as_ref().and_then(|had| had.command_id.as_ref());
        let taken = self.aftercare.iter().flat_map(|aftercare| &aftercare.taken);
        taken.chain(cancelled_by).any(|taken| taken == command_id)
    }

    /// How the goods leave.
    pub fn fulfilment(&self) -> Fulfilment {
        self.terms.as_ref().map(|terms| terms.fulfilment).unwrap_or_default()
    }

    /// When the payment is taken.
    pub fn capture(&self) -> Capture {
        self.terms.as_ref().map(|terms| terms.capture).unwrap_or_default()
    }

    /// What all its events carry.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        self.terms.as_ref().map(|terms| terms.attributes.clone()).unwrap_or_default()
    }

    /// Whether its payment was taken, as far as its way says.
    pub fn is_paid(&self) -> bool {
        match self.stage {
            Stage::PaymentCaptured | Stage::Completed => true,
            Stage::ReadyToShip | Stage::Shipped => self.capture() == Capture::AtConfirm,
            Stage::Placed
            | Stage::StockReserved
            | Stage::Authorized
            | Stage::Confirmed
            | Stage::StockCommitted
            | Stage::Cancelling { .. }
            | Stage::Cancelled
            | Stage::Stuck { .. } => false,
        }
    }

    /// How much of what was taken is neither given back nor going to be, in minor units.
    pub fn refundable_minor(&self) -> i64 {
        let refunded = self.aftercare.as_ref().map_or(0, |aftercare| aftercare.refunded_minor());
        self.total_minor.saturating_sub(refunded)
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
            terms: Terms::of_placed(event),
            content: ContentDigest::of_placed(event),
            confirm_by: event.confirm_by,
            action_until: None,
            ship_by: None,
            aftercare: None,
            accepted_at: event.at,
            changed_at: event.at,
        }
    }
}

/// The state after the event. A repeated event (its version is not above the state's) and refusals change nothing.
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
            cancellation: cancellation_in(event, &stage).or(order.cancellation),
            confirm_by: if let OrderEvent::OrderActionRequired(event) = event {
                event.confirm_by
            } else {
                order.confirm_by
            },
            action_until: action_until_after(order.action_until, event, &stage),
            ship_by: ship_by_after(order.ship_by, event),
            aftercare: aftercare_after(order.aftercare, event),
            stage,
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
    match (state, event) {
        (None, OrderEvent::OrderPlaced(placed)) => {
            let order = Order::placed(placed);
            Ok(Next::Begins(Box::new(Order { aftercare: aftercare_after(None, event), ..order })))
        }
        (None, _) => Err(transition.contradicts(Contradiction::Impossible("none"))),
        (Some(order), _) => match stage_after(order, event) {
            Some(stage) => Ok(Next::Reaches(stage)),
            None => Err(transition.contradicts(Contradiction::Impossible(order.stage.as_str()))),
        },
    }
}

fn cancellation_in(event: &OrderEvent, stage: &Stage) -> Option<Cancellation> {
    match event {
        OrderEvent::OrderCancelling(OrderCancelling { reason, command_id, reason_code, .. })
        | OrderEvent::OrderCancelled(OrderCancelled { reason, command_id, reason_code, .. }) => {
            Some(Cancellation { reason: *reason, command_id: command_id.clone(), code: reason_code.clone() })
        }
        // Whoever ended it by hand asked for it.
        OrderEvent::OrderResolved(event) if *stage == Stage::Cancelled => {
            let command_id = event.origin.as_ref().map(|origin| origin.command_id.clone());
            Some(Cancellation { reason: CancelReason::Requested, command_id, code: None })
        }
        OrderEvent::OrderPlaced(_)
        | OrderEvent::OrderStockReserved(_)
        | OrderEvent::OrderActionRequired(_)
        | OrderEvent::OrderAuthorized(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderPaymentCaptured(_)
        | OrderEvent::OrderHeld(_)
        | OrderEvent::OrderReleased(_)
        | OrderEvent::OrderShipped(_)
        | OrderEvent::OrderStockCommitted(_)
        | OrderEvent::OrderCompleted(_)
        | OrderEvent::OrderStuck(_)
        | OrderEvent::OrderRetried(_)
        | OrderEvent::OrderAskedAgain(_)
        | OrderEvent::OrderResolved(_)
        | OrderEvent::OrderRefundRequested(_)
        | OrderEvent::OrderRefunded(_)
        | OrderEvent::OrderRefundFailed(_)
        | OrderEvent::OrderReturnRequested(_)
        | OrderEvent::OrderReturnReceived(_)
        | OrderEvent::OrderReturnClosed(_)
        | OrderEvent::OrderRejected(_)
        | OrderEvent::OrderCommandRefused(_) => None,
    }
}

/// It is there as long as the order waits for the customer.
fn action_until_after(had: Option<Time>, event: &OrderEvent, stage: &Stage) -> Option<Time> {
    let said = if let OrderEvent::OrderActionRequired(event) = event { Some(event.until) } else { had };
    said.filter(|_| matches!(stage, Stage::StockReserved))
}

/// It is there as long as the order waits to be shipped.
fn ship_by_after(had: Option<Time>, event: &OrderEvent) -> Option<Time> {
    match event {
        OrderEvent::OrderConfirmed(event) => event.ship_by,
        OrderEvent::OrderPaymentCaptured(event) => event.ship_by,
        OrderEvent::OrderPlaced(_)
        | OrderEvent::OrderStockReserved(_)
        | OrderEvent::OrderActionRequired(_)
        | OrderEvent::OrderAuthorized(_)
        | OrderEvent::OrderHeld(_)
        | OrderEvent::OrderReleased(_)
        | OrderEvent::OrderStockCommitted(_)
        | OrderEvent::OrderCompleted(_)
        | OrderEvent::OrderStuck(_)
        | OrderEvent::OrderRetried(_)
        | OrderEvent::OrderAskedAgain(_)
        | OrderEvent::OrderResolved(_)
        | OrderEvent::OrderRefundRequested(_)
        | OrderEvent::OrderRefunded(_)
        | OrderEvent::OrderRefundFailed(_)
        | OrderEvent::OrderReturnRequested(_)
        | OrderEvent::OrderReturnReceived(_)
        | OrderEvent::OrderReturnClosed(_)
        | OrderEvent::OrderRejected(_)
        | OrderEvent::OrderCommandRefused(_) => had,
        OrderEvent::OrderShipped(_) | OrderEvent::OrderCancelling(_) | OrderEvent::OrderCancelled(_) => None,
    }
}

/// What is there stays there; nothing begins where no command and no policy made the event happen.
fn aftercare_after(had: Option<Box<Aftercare>>, event: &OrderEvent) -> Option<Box<Aftercare>> {
    let is_held = matches!(event, OrderEvent::OrderPlaced(placed) if placed.hold.is_some());
    if had.is_none() && !is_held && aftercare::origin(event).is_none() {
        return None;
    }
    Some(Box::new(had.map(|had| *had).unwrap_or_default().after(event)))
}
