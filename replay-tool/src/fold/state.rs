//! The state of some or all keepers, of some or all keys: what a rebuild makes, and nothing else.

use domain::decision::Inconsistent;
use domain::stock::Level;
use outbox::inbox::place::Place;
use schemas::{Message, Sku};

use super::orders::Orders;
use super::payments::Payments;
use super::reservations::Reservations;
use super::stock::Stock;
use super::wanted::Wanted;
use crate::keeper::Keeper;
use crate::rows::{HeardRow, TableRow};

/// State of some or all services, of some or all keys.
#[derive(Debug, Default)]
pub(crate) struct State {
    orders: Orders,
    reservations: Reservations,
    stock: Stock,
    payments: Payments,
    /// What was said word for word; of the read model alone.
    heard: Option<Vec<HeardRow>>,
}

impl State {
    /// None yet, of what this keeper has.
    pub(crate) fn of(keeper: Keeper) -> Self {
        let heard = match keeper {
            Keeper::Service(_) => None,
            Keeper::View => Some(Vec::new()),
        };
        State { heard, ..State::default() }
    }

    /// A message that was applied, where it lies, and what it answers.
    pub(crate) fn hear(&mut self, message: &Message, place: Place, cause: Option<&str>) {
        if let Some(heard) = &mut self.heard {
            heard.extend(view::heard(message, place, cause));
        }
    }

    /// The next message of its aggregate. Repeated versions and messages that change nothing are passed over.
    pub(crate) fn apply(&mut self, message: &Message) -> Result<(), Inconsistent> {
        match message {
            Message::OrderEvent(event) => self.orders.apply(event, ()),
            Message::InventoryEvent(event) => self.reservations.apply(event, ()),
            Message::StockEvent(event) => self.stock.apply(event, ()),
            Message::PaymentEvent(event) => self.payments.apply(event, ()),
            Message::OrderCommand(_)
            | Message::InventoryCommand(_)
            | Message::StockCommand(_)
            | Message::PaymentCommand(_) => Ok(()),
        }
    }

    /// Every row but those of levels, made when it is asked for, table by table; and the levels, which other parts of the
    /// topics may add to. Rows come in no order; `partitions` is that of every topic.
    pub(crate) fn rows<T: TakeRows>(&self, partitions: i32, take: &mut T) -> Result<(), T::Error> {
        take.rows(self.orders.rows(partitions))?;
        take.rows(self.orders.contents())?;
        take.rows(self.reservations.rows())?;
        take.rows(self.stock.products())?;
        take.rows(self.payments.rows())?;
        match &self.heard {
            None => {
                take.rows(self.stock.rows())?;
                take.rows(self.payments.ledger())
            }
            Some(heard) => {
                take.rows(self.orders.skus())?;
                take.rows(heard.iter().cloned())
            }
        }
    }

    /// What this part of the topics does to levels; a SKU may come twice.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (&Sku, Level)> {
        self.stock.levels().chain(self.reservations.levels())
    }

    /// Forget what is not of this SKU's level: others are made up of more than was read.
    pub(crate) fn retain(&mut self, wanted: &Wanted) {
        let is_wanted = |sku: &Sku| wanted.has_level_of(sku.as_str());
        self.stock.retain_levels(is_wanted);
        self.reservations.retain_levels(is_wanted);
        if let Wanted::Sku(_) = wanted {
            self.reservations.aggregates.clear();
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
