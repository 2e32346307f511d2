//! What happens to an order beside its way: holds, the shipment, refunds, returns, and which commands made it happen.
//!
//! Most orders have none of it; such an order carries nothing, and its row a null. What an order can keep is bounded.

use schemas::{
    CommandId, Hold, LineQuantity, OrderEvent, OrderRefundRequested, OrderReturnRequested, Origin, ReturnedLine, Time,
};
use serde::{Deserialize, Serialize};

use super::step::Step;

/// How much can be done to an order by commands, so that its row stays small.
pub const MAX_CHANGES: usize = 200;

/// What happened to an order beside its way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Aftercare {
    /// That somebody holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// That its goods have left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipment: Option<Shipment>,
    /// Its refunds, in the order in which they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<Refund>,
    /// The refund that undoes the order, where somebody asked to try it again; until then it has a name of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undoing_refund: Option<CommandId>,
    /// Its returns, in the order in which they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<Return>,
    /// The commands that made something happen, so that a repeated one has no effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<CommandId>,
}

/// That the goods have left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    /// When the order service heard of it.
    pub at: Time,
    /// Who carries it.
    pub carrier: Option<String>,
    /// The carrier's number.
    pub tracking: Option<String>,
}

/// Money that is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its command's id.
    pub refund_id: CommandId,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// How far it has come.
    pub state: RefundState,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<String>,
    /// The return that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_id: Option<CommandId>,
    /// When it was asked for.
    pub at: Time,
}

/// How far a refund has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Asked for. The first of an order is with the payment service, the others wait for it.
    Requested,
    /// The money was given back.
    Refunded,
    /// It was refused: no money was given back.
    Refused {
        /// The payment service's words.
        detail: String,
    },
    /// Nobody knows: the money may have been given back, and counts as if it had.
    Unknown {
        /// The payment service's words.
        detail: String,
    },
    /// The order was undone before it was this refund's turn; all that was left was given back then.
    Superseded,
}

/// Goods that come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// Its command's id.
    pub return_id: CommandId,
    /// How far it has come.
    pub state: ReturnState,
    /// What is to come back.
    pub lines: Vec<LineQuantity>,
    /// What came, and what becomes of it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub received: Vec<ReturnedLine>,
    /// How much is refunded once the stock is right, in minor units.
    pub refund_minor: i64,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<String>,
    /// Until then the goods come, or the return is closed.
    pub close_by: Time,
}

/// How far a return has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnState {
    /// The goods are to come.
    Requested,
    /// They have come; the stock is being corrected.
    Received,
    /// The stock is right, and what there is to refund is a refund.
    TakenBack,
    /// They did not come in time.
    Expired,
    /// Inventory refused them.
    Refused,
}

impl RefundState {
    /// The state's name, for people.
    pub const fn as_str(&self) -> &'static str {
        match self {
            RefundState::Requested => "requested",
            RefundState::Refunded => "refunded",
            RefundState::Refused { .. } => "refused",
            RefundState::Unknown { .. } => "unknown",
            RefundState::Superseded => "superseded",
        }
    }

    /// Whether the money is, or may be, given back, or is going to be.
    pub const fn counts(&self) -> bool {
        match self {
            RefundState::Requested | RefundState::Refunded | RefundState::Unknown { .. } => true,
            RefundState::Refused { .. } | RefundState::Superseded => false,
        }
    }
}

impl ReturnState {
    /// The state's name, for people and for the field `outcome`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReturnState::Requested => "requested",
            ReturnState::Received => "received",
            ReturnState::TakenBack => "taken_back",
            ReturnState::Expired => "expired",
            ReturnState::Refused => "refused",
        }
    }

    /// How a return ended, by the field `outcome`.
    pub(super) fn of_outcome(outcome: &str) -> Self {
        let ended = [ReturnState::TakenBack, ReturnState::Expired, ReturnState::Refused];
        ended.into_iter().find(|one| one.as_str() == outcome).unwrap_or(ReturnState::Refused)
    }

    /// Whether its goods are back, on their way, or may still come.
    pub const fn counts(self) -> bool {
        match self {
            ReturnState::Requested | ReturnState::Received | ReturnState::TakenBack => true,
            ReturnState::Expired | ReturnState::Refused => false,
        }
    }
}

impl Aftercare {
    /// The refund that is with the payment service.
    pub fn refund_under_way(&self) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.state == RefundState::Requested)
    }

    /// How much is given back, may be, or is going to be, in minor units.
    pub fn refunded_minor(&self) -> i64 {
        let refunds = self.refunds.iter().filter(|refund| refund.state.counts()).map(|refund| refund.amount_minor);
        let coming = self.returns.iter().filter(|one| one.state == ReturnState::Received).map(|one| one.refund_minor);
        refunds.chain(coming).fold(0, i64::saturating_add)
    }

    /// How many pieces of a line are back or may still come.
    pub fn returned_of(&self, line: i32) -> i64 {
        let of = |one: &Return| match one.state {
            ReturnState::Requested => pieces(one.lines.iter().map(|one| (one.line, one.quantity)), line),
            ReturnState::Received | ReturnState::TakenBack => {
                pieces(one.received.iter().map(|one| (one.line, one.quantity)), line)
            }
            ReturnState::Expired | ReturnState::Refused => 0,
        };
        self.returns.iter().map(of).fold(0, i64::saturating_add)
    }

    /// When the first open return is closed, if its goods have not come by then.
    pub fn closes_at(&self) -> Option<Time> {
        self.returns.iter().filter(|one| one.state == ReturnState::Requested).map(|one| one.close_by).min()
    }

    /// What is of it after an event of the order.
    pub(super) fn after(mut self, event: &OrderEvent) -> Self {
        if let Some(origin) = origin(event) {
            self.taken.push(origin.command_id.clone());
        }
        match event {
            OrderEvent::OrderPlaced(event) => self.hold = event.hold.clone(),
            OrderEvent::OrderHeld(event) => {
                self.hold = Some(Hold { reason_code: event.reason_code.clone(), until: event.until });
            }
            OrderEvent::OrderReleased(_) | OrderEvent::OrderConfirmed(_) | OrderEvent::OrderResolved(_) => {
                self.hold = None;
            }
            OrderEvent::OrderCancelling(_) => self.is_undone(1),
            OrderEvent::OrderCancelled(_) => self.is_undone(0),
            OrderEvent::OrderShipped(event) => {
                let (carrier, tracking) = (event.carrier.clone(), event.tracking.clone());
                self.shipment = Some(Shipment { at: event.at, carrier, tracking });
            }
            OrderEvent::OrderRetried(event) if event.step == Step::PaymentRefund.as_str() => {
                self.undoing_refund = event.origin.as_ref().map(|origin| origin.command_id.clone());
            }
            OrderEvent::OrderRefundRequested(event) => self.refund_requested(event),
            OrderEvent::OrderRefunded(event) => self.settle(&event.refund_id, RefundState::Refunded),
            OrderEvent::OrderRefundFailed(event) => {
                let detail = event.detail.clone();
                let is_refused = event.outcome == "refused";
                let state = if is_refused { RefundState::Refused { detail } } else { RefundState::Unknown { detail } };
                self.settle(&event.refund_id, state);
            }
            OrderEvent::OrderReturnRequested(event) => self.return_requested(event),
            OrderEvent::OrderReturnReceived(event) => {
                if let Some(had) = self.return_of(&event.return_id) {
                    had.state = ReturnState::Received;
                    (had.received, had.refund_minor) = (event.lines.clone(), event.refund_minor);
                }
            }
            OrderEvent::OrderReturnClosed(event) => {
                if let Some(had) = self.return_of(&event.return_id) {
                    had.state = ReturnState::of_outcome(&event.outcome);
                }
            }
            OrderEvent::OrderStockReserved(_)
            | OrderEvent::OrderActionRequired(_)
            | OrderEvent::OrderAuthorized(_)
            | OrderEvent::OrderPaymentCaptured(_)
            | OrderEvent::OrderStockCommitted(_)
            | OrderEvent::OrderCompleted(_)
            | OrderEvent::OrderStuck(_)
            | OrderEvent::OrderRetried(_)
            | OrderEvent::OrderAskedAgain(_)
            | OrderEvent::OrderRejected(_)
            | OrderEvent::OrderCommandRefused(_) => {}
        }
        self
    }

    /// Nobody holds it any more, and only so many of its refunds still get their turn: all that is left is given back at once.
    fn is_undone(&mut self, turns: usize) {
        self.hold = None;
        let waiting = self.refunds.iter_mut().filter(|refund| refund.state == RefundState::Requested).skip(turns);
        waiting.for_each(|refund| refund.state = RefundState::Superseded);
    }

    fn refund_requested(&mut self, event: &OrderRefundRequested) {
        if let Some(had) = event.return_id.as_ref().and_then(|return_id| self.return_of(return_id)) {
            had.state = ReturnState::TakenBack;
        }
        self.refunds.push(Refund {
            refund_id: event.refund_id.clone(),
            amount_minor: event.amount_minor,
            state: RefundState::Requested,
            reason_code: event.reason_code.clone(),
            return_id: event.return_id.clone(),
            at: event.at,
        });
    }

    fn return_requested(&mut self, event: &OrderReturnRequested) {
        self.returns.push(Return {
            return_id: event.return_id.clone(),
            state: ReturnState::Requested,
            lines: event.lines.clone(),
            received: Vec::new(),
            refund_minor: 0,
            reason_code: event.reason_code.clone(),
            close_by: event.close_by,
        });
    }

    fn return_of(&mut self, return_id: &CommandId) -> Option<&mut Return> {
        self.returns.iter_mut().find(|one| one.return_id == *return_id)
    }

    fn settle(&mut self, refund_id: &CommandId, state: RefundState) {
        if let Some(refund) = self.refunds.iter_mut().find(|refund| refund.refund_id == *refund_id) {
            refund.state = state;
        }
    }
}

fn pieces(lines: impl Iterator<Item = (i32, i64)>, line: i32) -> i64 {
    lines.filter(|(number, _)| *number == line).map(|(_, quantity)| quantity).fold(0, i64::saturating_add)
}

/// The command that made an event happen.
pub fn origin(event: &OrderEvent) -> Option<&Origin> {
    match event {
        OrderEvent::OrderPlaced(_) | OrderEvent::OrderRejected(_) | OrderEvent::OrderCommandRefused(_) => None,
        OrderEvent::OrderStockReserved(event) => event.origin.as_ref(),
        OrderEvent::OrderActionRequired(event) => event.origin.as_ref(),
        OrderEvent::OrderAuthorized(event) => event.origin.as_ref(),
        OrderEvent::OrderConfirmed(event) => event.origin.as_ref(),
        OrderEvent::OrderPaymentCaptured(event) => event.origin.as_ref(),
        OrderEvent::OrderHeld(event) => event.origin.as_ref(),
        OrderEvent::OrderReleased(event) => event.origin.as_ref(),
        OrderEvent::OrderShipped(event) => event.origin.as_ref(),
        OrderEvent::OrderStockCommitted(event) => event.origin.as_ref(),
        OrderEvent::OrderCompleted(event) => event.origin.as_ref(),
        OrderEvent::OrderCancelling(event) => event.origin.as_ref(),
        OrderEvent::OrderCancelled(event) => event.origin.as_ref(),
        OrderEvent::OrderStuck(event) => event.origin.as_ref(),
        OrderEvent::OrderRetried(event) => event.origin.as_ref(),
        OrderEvent::OrderAskedAgain(event) => event.origin.as_ref(),
        OrderEvent::OrderResolved(event) => event.origin.as_ref(),
        OrderEvent::OrderRefundRequested(event) => event.origin.as_ref(),
        OrderEvent::OrderRefunded(event) => event.origin.as_ref(),
        OrderEvent::OrderRefundFailed(event) => event.origin.as_ref(),
        OrderEvent::OrderReturnRequested(event) => event.origin.as_ref(),
        OrderEvent::OrderReturnReceived(event) => event.origin.as_ref(),
        OrderEvent::OrderReturnClosed(event) => event.origin.as_ref(),
    }
}
