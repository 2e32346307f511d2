//! The end of a run: every order is at an end that fits what is held for it, and what is folded from events is what is held.

use std::collections::{BTreeMap, BTreeSet};

use domain::saga::{Order, Stage};
use domain::stock::{Level, ReservationStatus};
use schemas::{Message, OrderEvent, OrderId, Sku, TopicName};

use super::inventory::Books;
use super::order::fold;
use super::payment::Accounts;
use super::world::{World, held};

impl World {
    pub(super) fn check_end(&mut self) {
        for order in self.orders.orders.values() {
            let held = held(&self.orders, &self.inventory, &self.payments, order.order_id.as_str());
            self.rules.check_end(order, &held);
            self.rules.check_money(order, &held, &self.payments);
            self.sights.extend(seen_beside(order));
            let code = order.cancellation.as_ref().and_then(|why| why.code.as_deref());
            self.sights.extend(code.map(|code| format!("cancelled {code}")));
            self.sights.insert(match (&order.stage, &order.cancellation) {
                (Stage::Cancelled, Some(cancellation)) => format!("cancelled {:?}", cancellation.reason),
                (stage, _) => stage.as_str().to_owned(),
            });
        }
        if self.folded_orders().is_none_or(|orders| orders != self.orders.orders) {
            self.rules.break_rule("rebuild", "orders folded from their events differ");
        }
        if self.folded_books().is_none_or(|books| books != self.inventory.books) {
            self.rules.break_rule("rebuild", "stock folded from its events differs");
        }
        if self.folded_accounts().is_none_or(|accounts| accounts != self.payments.accounts) {
            self.rules.break_rule("rebuild", "payments folded from their events differ");
        }
        let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
        for posting in &self.payments.accounts.ledger {
            *sums.entry(posting.currency.as_str()).or_default() += posting.amount_minor;
        }
        if sums.values().any(|sum| *sum != 0) {
            self.rules.break_rule("ledger", format!("sums are {sums:?}"));
        }
        self.sights.extend(self.payments.customers.sights());
        self.check_answers();
        self.check_stock();
    }

    /// What there is of a SKU is what its orders have left of it.
    fn check_stock(&mut self) {
        for (sku, level) in &self.inventory.books.levels {
            let mut expected = Level { version: level.version, received: level.received, ..Level::default() };
            for reservation in self.inventory.books.reservations.values() {
                let lines = reservation.lines.iter().filter(|line| line.sku == *sku).map(|line| line.quantity);
                match reservation.status {
                    ReservationStatus::Reserved => expected.reserved += lines.sum::<i64>(),
                    ReservationStatus::Committed => expected.shipped += lines.sum::<i64>(),
                    ReservationStatus::Rejected | ReservationStatus::Released => {}
                }
                for line in reservation.returns.iter().flat_map(|one| &one.lines).filter(|line| line.sku == *sku) {
                    expected.returned += line.restocked + line.written_off;
                    expected.written_off += line.written_off;
                }
            }
            let there = level.available() + level.reserved + level.shipped + level.written_off;
            if expected != *level || level.received + level.returned != there {
                self.rules.break_rule("stock", format!("{sku}: {level:?}, but its orders have {expected:?}"));
            }
        }
    }

    /// Every order that was asked for was accepted or refused.
    fn check_answers(&mut self) {
        let refused: BTreeSet<&str> = self
            .bus
            .all(TopicName::OrderEvents)
            .filter(|message| {
                let refused = |event: &OrderEvent| {
                    matches!(event, OrderEvent::OrderRejected(_) | OrderEvent::OrderCommandRefused(_))
                };
                matches!(message, Message::OrderEvent(event) if refused(event))
            })
            .map(Message::key)
            .collect();
        for message in self.bus.all(TopicName::OrderCommands) {
            let key = message.key();
            if !refused.contains(key) && !self.orders.orders.keys().any(|order_id| order_id.as_str() == key) {
                self.rules.break_rule("answers", format!("{message:?} was neither accepted nor refused"));
            }
        }
    }

    fn folded_orders(&self) -> Option<BTreeMap<OrderId, Order>> {
        let mut orders = BTreeMap::new();
        for message in self.bus.all(TopicName::OrderEvents) {
            let Message::OrderEvent(event) = message else { return None };
            fold(&mut orders, &OrderId::new(message.key()).unwrap(), event).ok()?;
        }
        Some(orders)
    }

    fn folded_books(&self) -> Option<Books> {
        let mut books = Books::default();
        for message in self.bus.all(TopicName::InventoryEvents) {
            let Message::InventoryEvent(event) = message else { return None };
            books.fold(&OrderId::new(message.key()).unwrap(), event).ok()?;
        }
        for message in self.bus.all(TopicName::StockEvents) {
            let Message::StockEvent(event) = message else { return None };
            books.fold_stock(&Sku::new(message.key()).unwrap(), event).ok()?;
        }
        Some(books)
    }

    pub(super) fn folded_accounts(&self) -> Option<Accounts> {
        let mut accounts = Accounts::default();
        for message in self.bus.all(TopicName::PaymentEvents) {
            let Message::PaymentEvent(event) = message else { return None };
            accounts.fold(&OrderId::new(message.key()).unwrap(), event).ok()?;
        }
        Some(accounts)
    }
}

/// What happened to an order beside its way.
fn seen_beside(order: &Order) -> Vec<String> {
    let Some(aftercare) = &order.aftercare else { return Vec::new() };
    let refunds = aftercare.refunds.iter().map(|refund| format!("refund {}", refund.state.as_str()));
    let returns = aftercare.returns.iter().map(|one| format!("return {}", one.state.as_str()));
    let shipped = aftercare.shipment.iter().map(|_| "shipped".to_owned());
    refunds.chain(returns).chain(shipped).collect()
}
