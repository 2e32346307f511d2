//! Bugs planted on purpose, so that the checker and the simulation can show that they would see them.
//!
//! A bug alters what a core has decided; no core knows of it. Without the feature `planted-bugs` the choice is a type of size
//! 0 that gives every decision back as it is, so that a release has neither the bug nor a way to ask for it.

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

/// The bugs themselves, each as what it makes of a right decision.
#[cfg(feature = "planted-bugs")]
mod alter {
    use schemas::{
        AuthorizePayment, Awaiting, CapturePayment, CommitStock, InventoryCommand, InventoryEvent, OrderAuthorized,
        OrderCancelled, OrderCancelling, OrderCommand, OrderConfirmed, OrderEvent, PaymentCommand, PaymentEvent,
        ReleaseStock, StockEvent, VoidPayment,
    };

    use crate::charge::{self, Call, CallChange, Decided};
    use crate::decision::{Decision, Outcome};
    use crate::provider::{Operation, ProviderAnswer};
    use crate::saga::{self, Capture, Order, Phase, Stage, Step};
    use crate::stock::{self, Level};

    pub(super) fn pay_before_reserving(mut decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
        if let Some(OrderEvent::OrderPlaced(placed)) = decision.change() {
            let payment = AuthorizePayment {
                order_id: placed.order_id.clone(),
                customer_id: placed.customer_id.clone(),
                currency: placed.currency.clone(),
                amount_minor: placed.total_minor,
                payment_provider: None,
                payment_token: None,
            };
            decision.commands.insert(0, payment.into());
        }
        decision
    }

    pub(super) fn deadline_ignored(
        state: Option<&Order>,
        input: saga::Input<'_>,
        decision: Decision<OrderEvent>,
    ) -> Decision<OrderEvent> {
        let is_due = state.is_some() && matches!(input, saga::Input::DeadlinePassed(_));
        if is_due { Decision::silent(Outcome::NoEffect) } else { decision }
    }

    pub(super) fn commit_forgotten(mut decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
        if matches!(decision.change(), Some(OrderEvent::OrderPaymentCaptured(_))) {
            decision.commands.clear();
        }
        decision
    }

    /// A cancel whose step is outstanding waits for its reply: it asks for nothing.
    pub(super) fn ignore_late_reply(state: Option<&Order>, decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
        let is_reserving = state.map(Order::phase) == Some(Phase::Forward(Step::StockReservation));
        match cancelling(&decision) {
            Some(event) if is_reserving && decision.commands.is_empty() => ended(event),
            Some(_) | None => decision,
        }
    }

    pub(super) fn release_forgotten(state: Option<&Order>, decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
        let is_authorizing = state.map(Order::phase) == Some(Phase::Forward(Step::PaymentAuthorization));
        match cancelling(&decision) {
            Some(event) if is_authorizing && event.awaiting == Awaiting::StockRelease => ended(event),
            Some(_) | None => decision,
        }
    }

    /// The release comes where the void should, then the void, and then the end.
    pub(super) fn compensate_in_wrong_order(
        state: Option<&Order>,
        decision: Decision<OrderEvent>,
    ) -> Decision<OrderEvent> {
        let phase = state.map(Order::phase);
        if let Some(event) = cancelling(&decision) {
            if event.awaiting == Awaiting::PaymentVoid {
                let command = ReleaseStock { order_id: event.order_id.clone() };
                let event = OrderCancelling { awaiting: Awaiting::StockRelease, ..event.clone() };
                return Decision::applied(event, vec![command.into()]);
            }
            let is_voided = phase == Some(Phase::Undoing(Step::PaymentVoid));
            return if is_voided && event.awaiting == Awaiting::StockRelease { ended(event) } else { decision };
        }
        match decision.change() {
            Some(OrderEvent::OrderCancelled(event)) if phase == Some(Phase::Undoing(Step::StockRelease)) => {
                let command = VoidPayment { order_id: event.order_id.clone() };
                let OrderCancelled { order_id, version, at, reason, command_id, attributes, origin, reason_code } =
                    event.clone();
                let awaiting = Awaiting::PaymentVoid;
                let event = OrderCancelling {
                    order_id,
                    version,
                    at,
                    reason,
                    awaiting,
                    command_id,
                    attributes,
                    origin,
                    reason_code,
                    step: None,
                };
                Decision::applied(event, vec![command.into()])
            }
            Some(_) | None => decision,
        }
    }

    fn cancelling(decision: &Decision<OrderEvent>) -> Option<&OrderCancelling> {
        if let Some(OrderEvent::OrderCancelling(event)) = decision.change() { Some(event) } else { None }
    }

    /// The order ends where it should be undone further.
    fn ended(event: &OrderCancelling) -> Decision<OrderEvent> {
        let OrderCancelling { order_id, version, at, reason, command_id, attributes, origin, reason_code, .. } =
            event.clone();
        let ended = OrderCancelled { order_id, version, at, reason, command_id, attributes, origin, reason_code };
        Decision::applied(ended, Vec::new())
    }

    /// What was refused is decided again, as if everything were there.
    pub(super) fn oversell(command: &InventoryCommand, decision: Decision<InventoryEvent>) -> Decision<InventoryEvent> {
        match decision.change() {
            Some(InventoryEvent::StockRejected(event)) => {
                let plenty = Level { received: i64::MAX, ..Level::default() };
                stock::decide(None, command, |_| plenty, event.at)
            }
            Some(_) | None => decision,
        }
    }

    /// The next try has another key: of refunds, or of everything else.
    pub(super) fn new_key_after_unknown(input: charge::Input<'_>, mut decided: Decided, of_refunds: bool) -> Decided {
        let charge::Input::Answer(answer) = input else { return decided };
        let is_unknown = matches!(answer.answer, ProviderAnswer::Unknown { .. });
        if let CallChange::Set(call) = &mut decided.call
            && is_unknown
            && decided.decision.outcome == Outcome::Pending
            && (call.operation == Operation::Refund) == of_refunds
        {
            (call.attempt, call.sends) = (call.attempt + 1, 0);
        }
        decided
    }

    pub(super) fn refund_above_capture(input: charge::Input<'_>, mut decided: Decided) -> Decided {
        let is_asked = matches!(input, charge::Input::Command(PaymentCommand::RefundPayment(_)));
        if let CallChange::Set(call) = &mut decided.call
            && is_asked
        {
            call.amount_minor = call.amount_minor.saturating_mul(2);
        }
        decided
    }

    pub(super) fn capture_after_cancel(call: Option<&Call>, mut decided: Decided) -> Decided {
        if let (Some(PaymentEvent::PaymentVoided(_)), Some(call)) = (decided.decision.change(), call)
            && call.operation == Operation::Void
        {
            decided.call = CallChange::Set(Box::new(Call { operation: Operation::Capture, ..call.clone() }));
        }
        decided
    }

    /// It is looked at once more instead of being cancelled.
    pub(super) fn action_deadline_ignored(input: charge::Input<'_>, mut decided: Decided) -> Decided {
        let charge::Input::Answer(answer) = input else { return decided };
        let is_waiting = matches!(answer.answer, ProviderAnswer::ActionRequired { .. });
        if let CallChange::Set(call) = &mut decided.call
            && is_waiting
            && call.operation == Operation::Void
        {
            call.operation = Operation::Authorize;
            (call.accepted, call.queued) = (call.authorization.take(), None);
            (call.look_ups, call.due_at) = (answer.tries.saturating_add(1), call.due_at.plus_ms(400));
        }
        decided
    }

    pub(super) fn customer_not_awaited(decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
        let is_told = matches!(decision.change(), Some(OrderEvent::OrderActionRequired(_)));
        if is_told { Decision::silent(Outcome::Late) } else { decision }
    }

    pub(super) fn restock_twice(mut decision: Decision<InventoryEvent>) -> Decision<InventoryEvent> {
        if decision.outcome == Outcome::Applied
            && let Some(InventoryEvent::StockReturned(event)) = &mut decision.event
        {
            event.lines.iter_mut().for_each(|line| line.restocked = line.restocked.saturating_mul(2));
        }
        decision
    }

    pub(super) fn price_slips(mut decision: Decision<StockEvent>) -> Decision<StockEvent> {
        if decision.outcome == Outcome::Applied
            && let Some(StockEvent::ProductDescribed(event)) = &mut decision.event
        {
            event.price_minor = event.price_minor.saturating_add(1);
        }
        decision
    }

    pub(super) fn ship_after_cancel(
        state: Option<&Order>,
        input: saga::Input<'_>,
        mut decision: Decision<OrderEvent>,
    ) -> Decision<OrderEvent> {
        let is_being_undone = state.is_some_and(|order| matches!(order.stage, Stage::Cancelling { .. }));
        if let saga::Input::Command(OrderCommand::ShipOrder(command)) = input
            && is_being_undone
        {
            decision.commands.push(CommitStock { order_id: command.order_id.clone() }.into());
        }
        decision
    }

    /// Goes on to what follows a release, without one.
    pub(super) fn hold_forgotten(state: Option<&Order>, decision: Decision<OrderEvent>) -> Decision<OrderEvent> {
        let (Some(OrderEvent::OrderAuthorized(event)), Some(order)) = (decision.change(), state) else {
            return decision;
        };
        let OrderAuthorized { order_id, version, at, attributes, origin } = event.clone();
        let capture = CapturePayment { order_id: order_id.clone() };
        let commands = if order.capture() == Capture::AtConfirm { vec![capture.into()] } else { Vec::new() };
        Decision::applied(OrderConfirmed { order_id, version, at, attributes, origin, ship_by: None }, commands)
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
