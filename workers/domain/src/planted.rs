//! Bugs planted on purpose, so that the checker and the simulation can show that they would see them.
//!
//! A bug alters what a core has decided; no core knows of it. Without the feature `planted-bugs` the choice is a type of size
//! 0 that gives every decision back as it is, so that a release has neither the bug nor a way to ask for it.

#[cfg(feature = "planted-bugs")]
mod alter;

use schemas::{InventoryCommand, InventoryEvent, OrderEvent, StockEvent};

use crate::charge::{self, Call, Decided};
use crate::decision::Decision;
use crate::saga::{self, Order};

/// A mistake that a core seems to make when asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bug {
    /// Inventory reserves without looking at what is available.
    Oversell,
    /// Order ends a declined order without releasing its stock.
    ReleaseForgotten,
    /// Order releases the stock before it voids the payment.
    CompensateInWrongOrder,
    /// Order asks for the payment before the stock is reserved.
    PayBeforeReserving,
    /// Payment takes a new idempotency key after an unknown outcome; of a refund, see `DoubleRefund`.
    DoubleCharge,
    /// Order ends a cancelled order at once and ignores the reply that was outstanding.
    IgnoreLateReply,
    /// Order does nothing when a deadline has passed.
    DeadlineIgnored,
    /// Order forgets to ask for the commit of the stock, and never completes.
    CommitForgotten,
    /// Payment takes a new idempotency key after an unknown outcome of a refund.
    DoubleRefund,
    /// Payment gives back twice what was asked for.
    RefundAboveCapture,
    /// Inventory puts what came back into stock twice.
    RestockTwice,
    /// Order refuses to ship what is being undone, and lets the goods leave all the same.
    ShipAfterCancel,
    /// Order confirms a held order as if nobody held it.
    HoldForgotten,
    /// Inventory describes a product at another price than was asked for.
    PriceSlips,
    /// Payment says that it has let go of what was held, and takes it.
    CaptureAfterCancel,
    /// Payment goes on waiting for a customer whose time is over.
    ActionDeadlineIgnored,
    /// Order does not hear that the customer has to act, and calls the order off at its usual time.
    CustomerNotAwaited,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 17] = [
        Bug::Oversell,
        Bug::ReleaseForgotten,
        Bug::CompensateInWrongOrder,
        Bug::PayBeforeReserving,
        Bug::DoubleCharge,
        Bug::IgnoreLateReply,
        Bug::DeadlineIgnored,
        Bug::CommitForgotten,
        Bug::DoubleRefund,
        Bug::RefundAboveCapture,
        Bug::RestockTwice,
        Bug::ShipAfterCancel,
        Bug::HoldForgotten,
        Bug::PriceSlips,
        Bug::CaptureAfterCancel,
        Bug::ActionDeadlineIgnored,
        Bug::CustomerNotAwaited,
    ];

    /// The name to select it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Bug::Oversell => "oversell",
            Bug::ReleaseForgotten => "release-forgotten",
            Bug::CompensateInWrongOrder => "compensate-in-wrong-order",
            Bug::PayBeforeReserving => "pay-before-reserving",
            Bug::DoubleCharge => "double-charge",
            Bug::IgnoreLateReply => "ignore-late-reply",
            Bug::DeadlineIgnored => "deadline-ignored",
            Bug::CommitForgotten => "commit-forgotten",
            Bug::DoubleRefund => "double-refund",
            Bug::RefundAboveCapture => "refund-above-capture",
            Bug::RestockTwice => "restock-twice",
            Bug::ShipAfterCancel => "ship-after-cancel",
            Bug::HoldForgotten => "hold-forgotten",
            Bug::PriceSlips => "price-slips",
            Bug::CaptureAfterCancel => "capture-after-cancel",
            Bug::ActionDeadlineIgnored => "action-deadline-ignored",
            Bug::CustomerNotAwaited => "customer-not-awaited",
        }
    }
}

/// Which bug is on: at most one.
#[cfg(feature = "planted-bugs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted(Option<Bug>);

#[cfg(feature = "planted-bugs")]
impl Planted {
    /// No bug.
    pub const NONE: Planted = Planted(None);

    /// This bug.
    pub const fn with(bug: Bug) -> Self {
        Planted(Some(bug))
    }

    /// What the order service does instead of what `saga::decide` has decided about this state and input.
    pub fn alter_order(
        self,
        state: Option<&Order>,
        input: saga::Input<'_>,
        decision: Decision<OrderEvent>,
    ) -> Decision<OrderEvent> {
        let Planted(Some(bug)) = self else { return decision };
        match bug {
            Bug::PayBeforeReserving => alter::pay_before_reserving(decision),
            Bug::DeadlineIgnored => alter::deadline_ignored(state, input, decision),
            Bug::CommitForgotten => alter::commit_forgotten(decision),
            Bug::IgnoreLateReply => alter::ignore_late_reply(state, decision),
            Bug::ReleaseForgotten => alter::release_forgotten(state, decision),
            Bug::CompensateInWrongOrder => alter::compensate_in_wrong_order(state, decision),
            Bug::ShipAfterCancel => alter::ship_after_cancel(state, input, decision),
            Bug::HoldForgotten => alter::hold_forgotten(state, decision),
            Bug::CustomerNotAwaited => alter::customer_not_awaited(decision),
            Bug::Oversell
            | Bug::DoubleCharge
            | Bug::DoubleRefund
            | Bug::RefundAboveCapture
            | Bug::RestockTwice
            | Bug::ActionDeadlineIgnored
            | Bug::PriceSlips
            | Bug::CaptureAfterCancel => decision,
        }
    }

    /// What inventory does instead of what `stock::decide` has decided about this command.
    pub fn alter_reservation(
        self,
        command: &InventoryCommand,
        decision: Decision<InventoryEvent>,
    ) -> Decision<InventoryEvent> {
        match self.0 {
            Some(Bug::Oversell) => alter::oversell(command, decision),
            Some(Bug::RestockTwice) => alter::restock_twice(decision),
            Some(_) | None => decision,
        }
    }

    /// What inventory does instead of what `stock::decide_stock` has decided.
    pub fn alter_stock(self, decision: Decision<StockEvent>) -> Decision<StockEvent> {
        match self.0 {
            Some(Bug::PriceSlips) => alter::price_slips(decision),
            Some(_) | None => decision,
        }
    }

    /// What payment does instead of what `charge::decide` has decided about this input, with this call under way.
    pub fn alter_charge(self, call: Option<&Call>, input: charge::Input<'_>, decided: Decided) -> Decided {
        match self.0 {
            Some(Bug::DoubleCharge) => alter::new_key_after_unknown(input, decided, false),
            Some(Bug::DoubleRefund) => alter::new_key_after_unknown(input, decided, true),
            Some(Bug::RefundAboveCapture) => alter::refund_above_capture(input, decided),
            Some(Bug::CaptureAfterCancel) => alter::capture_after_cancel(call, decided),
            Some(Bug::ActionDeadlineIgnored) => alter::action_deadline_ignored(input, decided),
            Some(_) | None => decided,
        }
    }
}

/// Which bug is on: none, since the feature `planted-bugs` is off.
#[cfg(not(feature = "planted-bugs"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted;

#[cfg(not(feature = "planted-bugs"))]
impl Planted {
    /// No bug.
    pub const NONE: Planted = Planted;

    /// What is decided is done.
    #[inline]
    pub fn alter_order(
        self,
        _: Option<&Order>,
        _: saga::Input<'_>,
        decision: Decision<OrderEvent>,
    ) -> Decision<OrderEvent> {
        decision
    }

    /// What is decided is done.
    #[inline]
    pub fn alter_reservation(
        self,
        _: &InventoryCommand,
        decision: Decision<InventoryEvent>,
    ) -> Decision<InventoryEvent> {
        decision
    }

    /// What is decided is done.
    #[inline]
    pub fn alter_stock(self, decision: Decision<StockEvent>) -> Decision<StockEvent> {
        decision
    }

    /// What is decided is done.
    #[inline]
    pub fn alter_charge(self, _: Option<&Call>, _: charge::Input<'_>, decided: Decided) -> Decided {
        decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let distinct: std::collections::BTreeSet<_> = Bug::ALL.into_iter().map(Bug::as_str).collect();
        assert_eq!(distinct.len(), Bug::ALL.len());
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[test]
    fn a_release_carries_nothing() {
        assert_eq!(size_of::<Planted>(), 0);
    }
}
