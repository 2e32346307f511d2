//! Bugs planted on purpose, so that the checker and the simulation can show that they would see them.
//!
//! A bug alters what a core has decided; no core knows of it. Without the feature `planted-bugs` the choice is a type of size
//! 0 that gives every decision back as it is, so that a release has neither the bug nor a way to ask for it.

use schemas::{InventoryCommand, InventoryEvent, OrderEvent};

use crate::charge::{self, Decided};
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
    /// Payment takes a new idempotency key after an unknown outcome.
    DoubleCharge,
    /// Order ends a cancelled order at once and ignores the reply that was outstanding.
    IgnoreLateReply,
    /// Order does nothing when a deadline has passed.
    DeadlineIgnored,
    /// Order forgets to ask for the commit of the stock, and never completes.
    CommitForgotten,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 8] = [
        Bug::Oversell,
        Bug::ReleaseForgotten,
        Bug::CompensateInWrongOrder,
        Bug::PayBeforeReserving,
        Bug::DoubleCharge,
        Bug::IgnoreLateReply,
        Bug::DeadlineIgnored,
        Bug::CommitForgotten,
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
            Bug::Oversell | Bug::DoubleCharge => decision,
        }
    }

    /// What inventory does instead of what `stock::decide` has decided about this command.
    pub fn alter_reservation(
        self,
        command: &InventoryCommand,
        decision: Decision<InventoryEvent>,
    ) -> Decision<InventoryEvent> {
        if self.0 == Some(Bug::Oversell) { alter::oversell(command, decision) } else { decision }
    }

    /// What payment does instead of what `charge::decide` has decided about this input.
    pub fn alter_charge(self, input: charge::Input<'_>, decided: Decided) -> Decided {
        if self.0 == Some(Bug::DoubleCharge) { alter::double_charge(input, decided) } else { decided }
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
    pub fn alter_charge(self, _: charge::Input<'_>, decided: Decided) -> Decided {
        decided
    }
}

/// The bugs themselves, each as what it makes of a right decision.
#[cfg(feature = "planted-bugs")]
mod alter {
    use schemas::{
        AuthorizePayment, Awaiting, InventoryCommand, InventoryEvent, OrderCancelled, OrderCancelling, OrderEvent,
        ReleaseStock, VoidPayment,
    };

    use crate::charge::{self, CallChange, Decided};
    use crate::decision::{Decision, Outcome};
    use crate::provider::ProviderAnswer;
    use crate::saga::{self, Order, Phase, Step};
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

    pub(super) fn double_charge(input: charge::Input<'_>, mut decided: Decided) -> Decided {
        let charge::Input::Answer(answer) = input else { return decided };
        let is_unknown = matches!(answer.answer, ProviderAnswer::Unknown { .. });
        if let CallChange::Set(call) = &mut decided.call
            && is_unknown
            && decided.decision.outcome == Outcome::Pending
        {
            (call.attempt, call.sends) = (call.attempt + 1, 0);
        }
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
