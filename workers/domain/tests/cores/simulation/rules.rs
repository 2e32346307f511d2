//! The rules: what is said is checked as it is said, what is held is checked all the time and at the end.

use std::collections::BTreeMap;

use domain::charge::{Payment, PaymentStatus};
use domain::saga::{Order, Stage};
use domain::stock::{Reservation, ReservationStatus};
use schemas::{InventoryEvent, Message, OrderId, PaymentEvent};

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
    found: Vec<Violation>,
}

/// What is held for the order that a message is about, when the message is said.
pub(super) struct Held<'a> {
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

    /// What must hold when something new is said.
    pub(super) fn check_new(&mut self, message: &Message, held: &Held<'_>) {
        let id = message.key();
        match message {
            Message::PaymentEvent(PaymentEvent::PaymentAuthorized(_)) if !has(held, ReservationStatus::Reserved) => {
                self.break_rule("payment before reservation", format!("{id} is authorized, its stock is not reserved"));
            }
            Message::PaymentEvent(PaymentEvent::PaymentCaptured(_)) if !has(held, ReservationStatus::Reserved) => {
                self.break_rule("payment before reservation", format!("{id} is captured, its stock is not reserved"));
            }
            Message::InventoryEvent(InventoryEvent::StockReleased(_)) => {
                let is_held = held.payment.is_some_and(|payment| match payment.status() {
                    PaymentStatus::Authorized | PaymentStatus::Captured | PaymentStatus::CaptureFailed => true,
                    PaymentStatus::Declined | PaymentStatus::Voided | PaymentStatus::Stuck => false,
                });
                if is_held || held.is_being_authorized {
                    self.break_rule("order of undoing", format!("{id}: stock released before its payment is voided"));
                }
            }
            Message::InventoryEvent(InventoryEvent::StockCommitted(_)) if !is_paid(held.payment) => {
                self.break_rule("no shipment unpaid", format!("{id}: stock committed, payment not captured"));
            }
            Message::InventoryEvent(_)
            | Message::PaymentEvent(_)
            | Message::OrderCommand(_)
            | Message::OrderEvent(_)
            | Message::InventoryCommand(_)
            | Message::StockCommand(_)
            | Message::StockEvent(_)
            | Message::PaymentCommand(_) => {}
        }
    }

    /// What must hold of an order when nothing happens any more.
    pub(super) fn check_end(&mut self, order: &Order, held: &Held<'_>) {
        let id: &OrderId = &order.order_id;
        let problem = match &order.stage {
            Stage::Completed if !has(held, ReservationStatus::Committed) || !is_paid(held.payment) => {
                ("completion", format!("{id} is completed, but not paid and committed"))
            }
            Stage::Cancelled if has(held, ReservationStatus::Reserved) || has(held, ReservationStatus::Committed) => {
                ("compensation", format!("{id} is cancelled and still has stock"))
            }
            Stage::Cancelled if !is_clear(held) => {
                ("compensation", format!("{id} is cancelled and its payment is still held or taken"))
            }
            Stage::Stuck { .. } if held.payment.is_none_or(|payment| payment.status() != PaymentStatus::Stuck) => {
                ("stuck", format!("{id} is stuck, but its payment is not"))
            }
            Stage::Completed | Stage::Cancelled | Stage::Stuck { .. } => return,
            Stage::Placed
            | Stage::StockReserved
            | Stage::Confirmed
            | Stage::PaymentCaptured
            | Stage::Cancelling { .. } => ("termination", format!("{id} ends {}", order.stage.as_str())),
        };
        self.break_rule(problem.0, problem.1);
    }
}

fn has(held: &Held<'_>, status: ReservationStatus) -> bool {
    held.reservation.is_some_and(|reservation| reservation.status == status)
}

fn is_paid(payment: Option<&Payment>) -> bool {
    payment.is_some_and(|payment| payment.status() == PaymentStatus::Captured)
}

fn is_clear(held: &Held<'_>) -> bool {
    let is_over = held.payment.is_none_or(|payment| match payment.status() {
        PaymentStatus::Declined | PaymentStatus::Voided => true,
        PaymentStatus::Authorized | PaymentStatus::Captured | PaymentStatus::CaptureFailed | PaymentStatus::Stuck => {
            false
        }
    });
    is_over && !held.is_being_authorized
}
