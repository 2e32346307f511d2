//! State as events make it: the daemons' own `evolve`, and nothing else.
//!
//! Leaner than the checker's folds, which also keep what they need to judge (versions, ids, requests): a rebuild keeps
//! the aggregates alone, so that it is bounded by them and by how fast messages can be read. An aggregate whose events
//! contradict each other has no state.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;
use schemas::{InventoryEvent, Message, OrderEvent, OrderId, PaymentEvent, Sku, StockEvent};
use workers::decision::Inconsistent;
use workers::inventory::stock::{self, Level, LevelChange, Receipt, Reservation, evolve_stock};
use workers::order::saga::{self, Order};
use workers::payment::charge::{self, Payment, Posting};

use super::wanted::Wanted;
use crate::rows::{ContentsRow, OrderRow, PaymentRow, PostingRow, ReceiptRow, ReservationRow, TableRow};

/// Aggregates by id; none where events contradict each other. Boxed, because a map that grows moves what is in it. Hashed
/// by foldhash, which is seeded like the standard library's hash and takes a fraction of its time.
type Aggregates<K, S> = HashMap<K, Box<Option<S>>, RandomState>;

/// State of some or all services, of some or all keys.
#[derive(Debug, Default)]
pub(crate) struct State {
    orders: Aggregates<OrderId, Order>,
    reservations: Aggregates<OrderId, Reservation>,
    payments: Aggregates<OrderId, Payment>,
    postings: Vec<Posting>,
    receipts: Vec<Receipt>,
    levels: HashMap<Sku, Level, RandomState>,
    /// SKUs whose receipts contradict each other.
    contradicted: HashMap<Sku, ()>,
}

impl State {
    /// The next message of its aggregate. Repeated versions and messages that change nothing are passed over.
    pub(crate) fn apply(&mut self, message: &Message) -> Result<(), Inconsistent> {
        match message {
            Message::OrderEvent(event) => self.order(event),
            Message::InventoryEvent(event) => self.reservation(event),
            Message::StockEvent(event) => self.receipt(event),
            Message::PaymentEvent(event) => self.payment(event),
            Message::OrderCommand(_)
            | Message::InventoryCommand(_)
            | Message::StockCommand(_)
            | Message::PaymentCommand(_) => Ok(()),
        }
    }

    fn order(&mut self, event: &OrderEvent) -> Result<(), Inconsistent> {
        let id = match event {
            OrderEvent::OrderPlaced(event) => &event.order_id,
            OrderEvent::OrderStockReserved(event) => &event.order_id,
            OrderEvent::OrderConfirmed(event) => &event.order_id,
            OrderEvent::OrderPaymentCaptured(event) => &event.order_id,
            OrderEvent::OrderCompleted(event) => &event.order_id,
            OrderEvent::OrderCancelling(event) => &event.order_id,
            OrderEvent::OrderCancelled(event) => &event.order_id,
            OrderEvent::OrderStuck(event) => &event.order_id,
            // It touches no order.
            OrderEvent::OrderRejected(_) => return Ok(()),
        };
        step(&mut self.orders, id, |order| saga::evolve(order, event))
    }

    fn reservation(&mut self, event: &InventoryEvent) -> Result<(), Inconsistent> {
        let id = match event {
            InventoryEvent::StockReserved(event) => &event.order_id,
            InventoryEvent::StockRejected(event) => &event.order_id,
            InventoryEvent::StockCommitted(event) => &event.order_id,
            InventoryEvent::StockReleased(event) => &event.order_id,
            InventoryEvent::StockCommitRefused(_) => return Ok(()),
        };
        let mut changes = Vec::new();
        step(&mut self.reservations, id, |reservation| {
            let evolved = stock::evolve(reservation, event)?;
            changes = evolved.changes;
            Ok(evolved.reservation)
        })?;
        changes.iter().for_each(|change| self.add(change));
        Ok(())
    }

    /// What reservations do to a level is a sum, so it does not matter that receipts are read from another topic.
    fn add(&mut self, change: &LevelChange) {
        if let Some(level) = self.levels.get_mut(&change.sku) {
            level.reserved = level.reserved.saturating_add(change.reserved);
            level.shipped = level.shipped.saturating_add(change.shipped);
        } else {
            let level = Level { reserved: change.reserved, shipped: change.shipped, ..Level::default() };
            self.levels.insert(change.sku.clone(), level);
        }
    }

    fn receipt(&mut self, event: &StockEvent) -> Result<(), Inconsistent> {
        let Some(receipt) = Receipt::of(event) else { return Ok(()) };
        if self.contradicted.contains_key(&receipt.sku) {
            return Ok(());
        }
        let level = self.levels.get(&receipt.sku).copied().unwrap_or_default();
        match evolve_stock(&receipt.sku, level, event) {
            Ok(next) => {
                if next.version > level.version {
                    self.levels.insert(receipt.sku.clone(), next);
                    self.receipts.push(receipt);
                }
                Ok(())
            }
            Err(inconsistent) => {
                self.contradicted.insert(receipt.sku, ());
                Err(inconsistent)
            }
        }
    }

    fn payment(&mut self, event: &PaymentEvent) -> Result<(), Inconsistent> {
        let id = match event {
            PaymentEvent::PaymentAuthorized(event) => &event.order_id,
            PaymentEvent::PaymentDeclined(event) => &event.order_id,
            PaymentEvent::PaymentCaptured(event) => &event.order_id,
            PaymentEvent::PaymentCaptureFailed(event) => &event.order_id,
            PaymentEvent::PaymentVoided(event) => &event.order_id,
            PaymentEvent::PaymentStuck(event) => &event.order_id,
        };
        let postings = &mut self.postings;
        step(&mut self.payments, id, |payment| {
            let evolved = charge::evolve(payment, event)?;
            postings.extend(evolved.postings);
            Ok(evolved.payment)
        })
    }

    /// Every row but those of levels, made when it is asked for, table by table; and the levels, which other parts of the
    /// topics may add to. Rows come in no order; `partitions` is that of every topic.
    pub(crate) fn rows<T: TakeRows>(&self, partitions: i32, take: &mut T) -> Result<(), T::Error> {
        let orders = || self.orders.values().filter_map(|order| Option::as_ref(order));
        take.rows(orders().map(|order| OrderRow::of(order, partitions)))?;
        take.rows(orders().map(ContentsRow::of))?;
        take.rows(self.reservations.values().filter_map(|one| Option::as_ref(one)).map(ReservationRow::of))?;
        take.rows(self.receipts.iter().map(ReceiptRow::of))?;
        take.rows(self.payments.values().filter_map(|one| Option::as_ref(one)).map(PaymentRow::of))?;
        let is_told =
            |posting: &&Posting| self.payments.get(&posting.order_id).is_some_and(|payment| payment.is_some());
        take.rows(self.postings.iter().filter(is_told).map(PostingRow::of))
    }

    /// What this part of the topics does to levels.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (&Sku, Level)> {
        self.levels.iter().map(|(sku, level)| (sku, *level))
    }

    /// Forget what is not of this SKU's level: others are made up of more than was read.
    pub(crate) fn retain(&mut self, wanted: &Wanted) {
        self.levels.retain(|sku, _| wanted.has_level_of(sku.as_str()));
        if let Wanted::Sku(_) = wanted {
            self.reservations.clear();
        }
    }
}

/// Takes rows, table by table.
pub(crate) trait TakeRows {
    /// Why it cannot.
    type Error;

    /// All rows of a table that there are.
    fn rows<R: TableRow>(&mut self, rows: impl Iterator<Item = R>) -> Result<(), Self::Error>;
}

/// Take an aggregate one event on.
fn step<K: Clone + Eq + Hash, S>(
    aggregates: &mut Aggregates<K, S>,
    id: &K,
    evolve: impl FnOnce(Option<S>) -> Result<Option<S>, Inconsistent>,
) -> Result<(), Inconsistent> {
    match aggregates.get_mut(id) {
        // A contradiction was told when it came.
        Some(slot) if slot.is_none() => {}
        // What cannot go on leaves nothing behind.
        Some(slot) => **slot = evolve(slot.take())?,
        None => {
            let evolved = evolve(None);
            if let Ok(Some(_)) | Err(_) = &evolved {
                let (state, result) = match evolved {
                    Ok(state) => (state, Ok(())),
                    Err(inconsistent) => (None, Err(inconsistent)),
                };
                aggregates.insert(id.clone(), Box::new(state));
                return result;
            }
        }
    }
    Ok(())
}
