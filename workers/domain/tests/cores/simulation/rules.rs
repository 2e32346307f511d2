//! The rules: what is said is checked as it is said, what is held is checked all the time and at the end.
//!
//! What a person did by hand about a stuck order is that person's to answer for: of such an order only money and stock are
//! looked at.

use std::collections::{BTreeMap, BTreeSet};

use domain::charge::{Payment, PaymentStatus, RefundOutcome};
use domain::provider::Operation;
use domain::saga::{self, Capture, Order, Refund, RefundState, ReturnState, Stage, Step};
use domain::stock::{Deed, Reservation, ReservationStatus};
use schemas::{
    CancelReason, InventoryEvent, Message, OrderEvent, OrderId, PaymentEvent, ReturnedStock, StockCommand,
    StockReturned,
};

use super::payment::Payments;

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) rule: &'static str,
    pub(super) detail: String,
}

/// What has been said so far, and what was wrong with it.
#[derive(Default)]
pub(super) struct Rules {
    said: BTreeMap<(&'static str, String), Vec<Message>>,
    /// Orders that a person holds, or has freed by hand.
    held: BTreeSet<OrderId>,
    by_hand: BTreeSet<OrderId>,
    found: Vec<Violation>,
}

/// What is held for the order that a message is about, when the message is said.
pub(super) struct Held<'a> {
    pub(super) order: Option<&'a Order>,
    pub(super) reservation: Option<&'a Reservation>,
    pub(super) payment: Option<&'a Payment>,
    pub(super) is_being_authorized: bool,
}

impl Rules {
    pub(super) fn break_rule(&mut self, rule: &'static str, detail: impl Into<String>) {
        // One run can break a rule at every step; the first times tell enough.
        if self.found.len() < 5 {
            self.found.push(Violation { rule, detail: detail.into() });
        }
    }

    pub(super) fn into_found(self) -> Vec<Violation> {
        self.found
    }

    /// Versions of an aggregate are gapless, and what is said again is said in the same words. True for what is new.
    pub(super) fn is_new(&mut self, message: &Message) -> bool {
        let Some(version) = message.version() else { return false };
        let said = self.said.entry((message.topic().as_str(), message.key().to_owned())).or_default();
        let index = usize::try_from(version - 1).unwrap();
        let problem = match said.get(index) {
            None if said.len() == index => {
                said.push(message.clone());
                return true;
            }
            None => format!("version {version} after {}: {message:?}", said.len()),
            Some(earlier) if earlier == message => return false,
            Some(earlier) => format!("said {message:?} where it had said {earlier:?}"),
        };
        self.break_rule("versions", problem);
        false
    }

    /// What is said of a stock command that was carried out, now or before, is what it asks for.
    pub(super) fn check_deed(&mut self, command: &StockCommand, said: &[Message]) {
        for message in said {
            let done = if let Message::StockEvent(event) = message { Deed::told_by(event) } else { None };
            if done.is_some_and(|done| done != Deed::asked_by(command)) {
                self.break_rule("deed", format!("{command:?}: {message:?}"));
            }
        }
    }

    /// What must hold when something new is said.
    pub(super) fn check_new(&mut self, message: &Message, held: &Held<'_>) {
        match message {
            Message::OrderEvent(event) => {
                self.check_order(event);
                self.check_time(event, held);
            }
            Message::InventoryEvent(event) => self.check_stock(event, held),
            Message::PaymentEvent(event) => self.check_payment(event, held),
            Message::OrderCommand(_)
            | Message::InventoryCommand(_)
            | Message::StockCommand(_)
            | Message::StockEvent(_)
            | Message::PaymentCommand(_) => {}
        }
    }

    /// What is held goes no further than to where it is held, unless somebody releases it.
    fn check_order(&mut self, event: &OrderEvent) {
        let id = event.key().clone();
        let by = saga::origin(event).map_or("", |origin| origin.command.as_str());
        if ["SkipOrderStep", "ResolveOrder"].contains(&by) {
            self.by_hand.insert(id.clone());
        }
        match event {
            OrderEvent::OrderPlaced(event) if event.hold.is_some() => {
                self.held.insert(id);
            }
            OrderEvent::OrderHeld(_) => {
                self.held.insert(id);
            }
            OrderEvent::OrderConfirmed(_) if self.held.contains(&id) && by != "ReleaseOrder" => {
                self.break_rule("hold", format!("{id} is held, and confirmed"));
            }
            OrderEvent::OrderShipped(_) if self.held.contains(&id) => {
                self.break_rule("hold", format!("{id} is held, and shipped"));
            }
            OrderEvent::OrderReleased(_)
            | OrderEvent::OrderConfirmed(_)
            | OrderEvent::OrderCancelling(_)
            | OrderEvent::OrderCancelled(_)
            | OrderEvent::OrderResolved(_) => {
                self.held.remove(&id);
            }
            OrderEvent::OrderPlaced(_)
            | OrderEvent::OrderActionRequired(_)
            | OrderEvent::OrderStockReserved(_)
            | OrderEvent::OrderAuthorized(_)
            | OrderEvent::OrderPaymentCaptured(_)
            | OrderEvent::OrderShipped(_)
            | OrderEvent::OrderStockCommitted(_)
            | OrderEvent::OrderCompleted(_)
            | OrderEvent::OrderStuck(_)
            | OrderEvent::OrderRetried(_)
            | OrderEvent::OrderAskedAgain(_)
            | OrderEvent::OrderRefundRequested(_)
            | OrderEvent::OrderRefunded(_)
            | OrderEvent::OrderRefundFailed(_)
            | OrderEvent::OrderReturnRequested(_)
            | OrderEvent::OrderReturnReceived(_)
            | OrderEvent::OrderReturnClosed(_)
            | OrderEvent::OrderRejected(_)
            | OrderEvent::OrderCommandRefused(_) => {}
        }
    }

    /// The customer has the time that was said.
    fn check_time(&mut self, event: &OrderEvent, held: &Held<'_>) {
        let OrderEvent::OrderCancelling(cancelling) = event else { return };
        let until = held.payment.and_then(Payment::awaited_action).map(|action| action.until);
        // A hold may come to its end before.
        let is_called_off = cancelling.reason == CancelReason::DeadlinePassed && cancelling.reason_code.is_none();
        if is_called_off && until.is_some_and(|until| cancelling.at < until) {
            let id = &cancelling.order_id;
            self.break_rule("the customer's time", format!("{id} is called off before its customer's time is over"));
        }
    }

    fn check_stock(&mut self, event: &InventoryEvent, held: &Held<'_>) {
        let id = event.key();
        match event {
            InventoryEvent::StockReleased(_) if !self.by_hand.contains(id) => {
                if !is_given_back(held.payment) || held.is_being_authorized {
                    self.break_rule("order of undoing", format!("{id}: stock released before its payment is undone"));
                }
            }
            InventoryEvent::StockCommitted(_) => {
                let is_first_shipped = held.order.is_some_and(|order| order.capture() == Capture::AtShipment);
                if !is_first_shipped && !is_paid(held.payment) && !self.by_hand.contains(id) {
                    self.break_rule("no shipment unpaid", format!("{id}: stock committed, payment not captured"));
                }
                if held.order.is_none_or(|order| order.cancellation.is_some()) {
                    self.break_rule("ship or cancel", format!("{id}: its goods leave, and it is being undone"));
                }
            }
            InventoryEvent::StockReturned(event) if held.order.is_none_or(|order| !is_what_came(order, event)) => {
                self.break_rule("one return", format!("{id}: {:?} is not what came back", event.lines));
            }
            InventoryEvent::StockReleased(_)
            | InventoryEvent::StockReserved(_)
            | InventoryEvent::StockRejected(_)
            | InventoryEvent::StockReturned(_)
            | InventoryEvent::StockCommitRefused(_)
            | InventoryEvent::StockReturnRefused(_) => {}
        }
    }

    fn check_payment(&mut self, event: &PaymentEvent, held: &Held<'_>) {
        let id = event.key();
        let is_reserved = has(held, ReservationStatus::Reserved);
        let (authorized, refunded) = held.payment.map_or((0, 0), |payment| {
            (payment.authorization.as_ref().map_or(0, |had| had.amount_minor), payment.refunded_minor())
        });
        if refunded > authorized {
            self.break_rule("refund above capture", format!("{id}: {refunded} of {authorized} are given back"));
        }
        match event {
            PaymentEvent::PaymentActionRequired(_) | PaymentEvent::PaymentAuthorized(_)
                if !is_reserved && !self.by_hand.contains(id) =>
            {
                self.break_rule("payment before reservation", format!("{id} is authorized, its stock is not reserved"));
            }
            PaymentEvent::PaymentCaptured(_) => {
                let has_left = has(held, ReservationStatus::Committed);
                if !is_reserved && !has_left && !self.by_hand.contains(id) {
                    self.break_rule("payment before reservation", format!("{id} is captured, nothing is reserved"));
                }
            }
            PaymentEvent::PaymentActionRequired(_)
            | PaymentEvent::PaymentAuthorized(_)
            | PaymentEvent::PaymentDeclined(_)
            | PaymentEvent::PaymentCaptureFailed(_)
            | PaymentEvent::PaymentVoided(_)
            | PaymentEvent::PaymentStuck(_)
            | PaymentEvent::PaymentRefunded(_)
            | PaymentEvent::PaymentRefundFailed(_)
            | PaymentEvent::PaymentRefundReversed(_)
            | PaymentEvent::PaymentDisputed(_) => {}
        }
    }

    /// What must hold of an order when nothing happens any more.
    pub(super) fn check_end(&mut self, order: &Order, held: &Held<'_>) {
        let id: &OrderId = &order.order_id;
        if order.deadline().is_some() {
            self.break_rule("termination", format!("{id} still has a deadline"));
        }
        if order.is_shipped() && order.cancellation.is_some() && !self.by_hand.contains(id) {
            self.break_rule("ship or cancel", format!("{id} is shipped and cancelled"));
        }
        if let Some(problem) = open_beside(order) {
            self.break_rule("termination", format!("{id}: {problem}"));
        }
        if self.by_hand.contains(id) {
            return;
        }
        let problem = match &order.stage {
            Stage::Completed if !has(held, ReservationStatus::Committed) || !is_paid(held.payment) => {
                ("completion", format!("{id} is completed, but not paid and committed"))
            }
            Stage::Cancelled if has(held, ReservationStatus::Reserved) || has(held, ReservationStatus::Committed) => {
                ("compensation", format!("{id} is cancelled and still has stock"))
            }
            Stage::Cancelled if !is_given_back(held.payment) || is_stuck(held.payment) || held.is_being_authorized => {
                ("compensation", format!("{id} is cancelled and its payment is still held or taken"))
            }
            Stage::Cancelled if is_undone_by_guess(order, held.payment) => {
                ("compensation", format!("{id} is cancelled, and nobody knows whether its payment was given back"))
            }
            Stage::Stuck { step, .. } if !is_stuck_at(*step, held.payment) => {
                ("stuck", format!("{id} is stuck at {step}, but its payment is not"))
            }
            Stage::Completed | Stage::Cancelled | Stage::Stuck { .. } => return,
            Stage::Placed
            | Stage::StockReserved
            | Stage::Authorized
            | Stage::Confirmed
            | Stage::PaymentCaptured
            | Stage::ReadyToShip
            | Stage::Shipped
            | Stage::StockCommitted
            | Stage::Cancelling { .. } => ("termination", format!("{id} ends {}", order.stage.as_str())),
        };
        self.break_rule(problem.0, problem.1);
    }

    /// What the provider did is what payment has recorded, and what the order says.
    pub(super) fn check_money(&mut self, order: &Order, held: &Held<'_>, payments: &Payments) {
        let id: &OrderId = &order.order_id;
        let (taken, given) = (payments.moved(id, Operation::Capture), payments.moved(id, Operation::Refund));
        if taken > order.total_minor || given > taken {
            self.break_rule("money", format!("{id}: of {} {taken} were taken and {given} given", order.total_minor));
        }
        let Some(payment) = held.payment else { return };
        if taken > 0 && payment.status() == PaymentStatus::Voided {
            self.break_rule("money", format!("{id}: {taken} were taken of what payment says it has let go of"));
        }
        let recorded = |is_counted: fn(&RefundOutcome) -> bool| -> i64 {
            let refunds = payment.refunds.iter().filter(|refund| is_counted(&refund.outcome));
            refunds.map(|refund| refund.amount_minor).sum()
        };
        let sure = recorded(|outcome| matches!(outcome, RefundOutcome::Refunded { .. }));
        let unsure = recorded(|outcome| matches!(outcome, RefundOutcome::Unknown { .. }));
        if given < sure || given > sure + unsure {
            let detail = format!("{id}: {given} were given back, recorded are {sure} and perhaps {unsure}");
            self.break_rule("money", detail);
        }
        let refunds = order.aftercare.as_ref().map_or(&[][..], |aftercare| &aftercare.refunds);
        for refund in refunds.iter().filter(|refund| !agrees(payment, refund)) {
            self.break_rule("money", format!("{id}: payment knows nothing of {refund:?}"));
        }
    }
}

/// Whether payment says the same of a refund as the order.
fn agrees(payment: &Payment, refund: &Refund) -> bool {
    let outcome = payment.refunds.iter().find(|had| had.refund_id == refund.refund_id).map(|had| &had.outcome);
    match refund.state {
        RefundState::Refunded => matches!(outcome, Some(RefundOutcome::Refunded { .. })),
        RefundState::Refused { .. } => {
            matches!(outcome, Some(RefundOutcome::Refused { .. } | RefundOutcome::Reversed { .. }))
        }
        RefundState::Unknown { .. } => matches!(outcome, Some(RefundOutcome::Unknown { .. })),
        RefundState::Superseded => outcome.is_none(),
        RefundState::Requested => false,
    }
}

/// What is still under way beside an order's way.
fn open_beside(order: &Order) -> Option<String> {
    let aftercare = order.aftercare.as_ref()?;
    let refund = aftercare.refund_under_way().map(|refund| format!("{refund:?} goes on"));
    let is_open = |state| matches!(state, ReturnState::Requested | ReturnState::Received);
    refund.or_else(|| aftercare.returns.iter().find(|one| is_open(one.state)).map(|one| format!("{one:?} goes on")))
}

/// Whether these pieces are those that the order says came back.
fn is_what_came(order: &Order, event: &StockReturned) -> bool {
    let returns = order.aftercare.as_ref().map_or(&[][..], |aftercare| &aftercare.returns);
    let Some(returned) = returns.iter().find(|one| one.return_id == event.return_id) else { return false };
    let mut came: BTreeMap<_, (i64, i64)> = BTreeMap::new();
    for one in &returned.received {
        let index = usize::try_from(one.line - 1).unwrap();
        let (restocked, written_off) = came.entry(order.lines[index].sku.clone()).or_default();
        if one.disposition == "restock" { *restocked += one.quantity } else { *written_off += one.quantity }
    }
    let lines = came.into_iter().map(|(sku, (restocked, written_off))| ReturnedStock { sku, restocked, written_off });
    lines.eq(event.lines.iter().cloned())
}

fn has(held: &Held<'_>, status: ReservationStatus) -> bool {
    held.reservation.is_some_and(|reservation| reservation.status == status)
}

fn is_paid(payment: Option<&Payment>) -> bool {
    payment.is_some_and(|payment| payment.status() == PaymentStatus::Captured)
}

fn is_stuck(payment: Option<&Payment>) -> bool {
    payment.is_some_and(|payment| payment.status() == PaymentStatus::Stuck)
}

/// Whether nothing of the customer's money is held or taken any more, as far as somebody knows.
fn is_given_back(payment: Option<&Payment>) -> bool {
    payment.is_none_or(|payment| match payment.status() {
        PaymentStatus::Declined | PaymentStatus::Voided | PaymentStatus::Stuck => true,
        PaymentStatus::Captured => payment.refundable_minor() == 0,
        PaymentStatus::ActionRequired | PaymentStatus::Authorized | PaymentStatus::CaptureFailed => false,
    })
}

/// Whether it is unknown what became of a refund that undoes the order: one that nobody asked for.
fn is_undone_by_guess(order: &Order, payment: Option<&Payment>) -> bool {
    let asked = order.aftercare.as_ref().map_or(&[][..], |aftercare| &aftercare.refunds);
    let is_unknown = |outcome: &RefundOutcome| matches!(outcome, RefundOutcome::Unknown { .. });
    payment.is_some_and(|payment| {
        let undoing = payment.refunds.iter().filter(|one| !asked.iter().any(|had| had.refund_id == one.refund_id));
        undoing.into_iter().any(|one| is_unknown(&one.outcome))
    })
}

fn is_stuck_at(step: Step, payment: Option<&Payment>) -> bool {
    match step {
        Step::PaymentAuthorization | Step::PaymentVoid => is_stuck(payment),
        // After the goods have left, a capture that is refused is for a person.
        Step::PaymentCapture => {
            is_stuck(payment) || payment.is_some_and(|payment| payment.status() == PaymentStatus::CaptureFailed)
        }
        Step::PaymentRefund => {
            let last = payment.and_then(|payment| payment.refunds.last());
            last.is_some_and(|refund| !matches!(refund.outcome, RefundOutcome::Refunded { .. }))
        }
        Step::StockReservation | Step::StockCommit | Step::StockRelease => false,
    }
}
