//! The read model: what the services' events say, folded with the services' own `evolve`, exactly once.
//!
//! A service that answers nobody: it reads the topics of events and keeps the rows that the services keep, in one schema.
//! Orders, reservations, payments and products follow their aggregates' versions; a SKU's level is a sum over two topics, so what is
//! written there is a difference. What was said is kept beside, with where it stood: a row's position, the history of an order,
//! the answer to a command.
//!
//! Deliberately absent: decisions and messages of its own; a look at any service's tables. What a restored database has made void
//! cannot be taken back out of rows: then the feed is held, and `rewind` has all of it read again.

mod reads;
mod shared;
mod store;
mod together;

use std::collections::BTreeMap;
use std::convert::Infallible;

use consumer::{Body, Emitter, Failure, Service, Working};
use domain::charge::{self, Payment};
use domain::saga::{self, Order};
use domain::stock::{self, Level, LevelChange, Product, Reservation};
use jiff::Timestamp;
use outbox::Transaction;
use schemas::{InventoryEvent, Message, OrderEvent, OrderId, PaymentEvent, Sku, StockEvent, TopicName};
use tables::HeardRow;
use tokio_postgres::Client;
use view::INPUTS;
use workers::pipeline_contract::Pipeline;

pub use reads::{Became, Filter, Open, Owed, Reads, SESSION, Said, SaidAt, Sold, Standing, Takings, Told, Waiting};
use store::Statements;

/// Keeps the read model.
#[derive(Debug)]
pub struct View {
    partitions: i32,
}

impl View {
    /// For topics of so many partitions.
    pub fn new(partitions: i32) -> Self {
        View { partitions }
    }
}

/// What a batch touches.
#[derive(Debug)]
pub struct Batch {
    orders: Working<OrderId, Order>,
    reservations: Working<OrderId, Reservation>,
    payments: Working<OrderId, Payment>,
    /// The newest version of each SKU that receipts are about.
    versions: BTreeMap<Sku, i64>,
    products: Working<Sku, Product>,
    /// What is to be added to levels; a version is the newest one.
    levels: BTreeMap<Sku, Level>,
    heard: Vec<HeardRow>,
}

impl Service for View {
    const NAME: &'static str = "view";
    type Contract = Pipeline;
    const INPUTS: &'static [TopicName] = INPUTS;
    type Input = Message;
    type Signal = Infallible;
    type Statements = Statements;
    type Batch = Batch;
    type FollowUp = ();
    type Found = ();

    fn narrow(message: Message) -> Option<Message> {
        match message {
            Message::OrderEvent(_) | Message::InventoryEvent(_) | Message::PaymentEvent(_) | Message::StockEvent(_) => {
                Some(message)
            }
            Message::OrderCommand(_)
            | Message::InventoryCommand(_)
            | Message::StockCommand(_)
            | Message::PaymentCommand(_) => None,
        }
    }

    async fn prepare(&self, client: &Client) -> Result<Statements, tokio_postgres::Error> {
        Statements::prepare(client).await
    }

    async fn load(
        &self,
        tx: &Transaction<'_>,
        statements: &Statements,
        inputs: &[&Body<Message, Infallible>],
    ) -> Result<Batch, Failure> {
        let messages = || inputs.iter().map(|body| message_of(body));
        let versioned = |topic| move |message: &&Message| message.version().is_some() && message.topic() == topic;
        let of = |topic| ascending(messages().filter(versioned(topic)));
        let (orders, reservations) = (of(TopicName::OrderEvents), of(TopicName::InventoryEvents));
        let (payments, skus) = (of(TopicName::PaymentEvents), of(TopicName::StockEvents));
        let products = ascending(messages().filter(|message| described(message).is_some()));
        let (orders, reservations, payments, versions, products) = tokio::try_join!(
            statements.lock_orders(tx, &orders),
            statements.lock_reservations(tx, &reservations),
            statements.lock_payments(tx, &payments),
            statements.versions(tx, &skus),
            statements.lock_products(tx, &products),
        )?;
        Ok(Batch { orders, reservations, payments, versions, products, levels: BTreeMap::new(), heard: Vec::new() })
    }

    fn decide(
        &self,
        batch: &mut Batch,
        input: &Body<Message, Infallible>,
        _now: Timestamp,
        emitter: &mut Emitter<Pipeline>,
    ) -> Result<&'static str, Failure> {
        let message = message_of(input);
        match message {
            Message::OrderEvent(event) => batch.order(event)?,
            Message::InventoryEvent(event) => batch.reservation(event)?,
            Message::PaymentEvent(event) => batch.payment(event)?,
            Message::StockEvent(event) => batch.receipt(event)?,
            Message::OrderCommand(_)
            | Message::InventoryCommand(_)
            | Message::StockCommand(_)
            | Message::PaymentCommand(_) => return Ok("passed"),
        }
        let cause = emitter.cause().caused_by.as_deref();
        batch.heard.extend(emitter.input().and_then(|(_, place)| view::heard(message, place, cause)));
        Ok("kept")
    }

    fn save(&self, batch: Batch, statements: &Statements, tx: &mut Transaction<'_>) -> Result<(), Failure> {
        statements.write(tx, batch, self.partitions);
        Ok(())
    }
}

fn message_of(body: &Body<Message, Infallible>) -> &Message {
    match body {
        Body::Message(message) => message,
        Body::Signal(never) => match *never {},
    }
}

/// The keys of these messages, each once.
fn ascending<'m>(messages: impl Iterator<Item = &'m Message>) -> Vec<&'m str> {
    let mut keys: Vec<&str> = messages.map(Message::key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The product that a message makes.
fn described(message: &Message) -> Option<Product> {
    if let Message::StockEvent(event) = message { Product::of(event) } else { None }
}

fn poison(error: impl std::fmt::Display) -> Failure {
    Failure::Poison(error.to_string())
}

impl Batch {
    fn order(&mut self, event: &OrderEvent) -> Result<(), Failure> {
        if event.version().is_some() {
            let id = event.key();
            let next = saga::evolve(self.orders.take(id), event).map_err(poison)?;
            self.orders.put(id.clone(), next);
        }
        Ok(())
    }

    fn reservation(&mut self, event: &InventoryEvent) -> Result<(), Failure> {
        if event.version().is_some() {
            let id = event.key();
            let stock::Evolved { reservation, changes } =
                stock::evolve(self.reservations.take(id), event).map_err(poison)?;
            self.reservations.put(id.clone(), reservation);
            changes.iter().try_for_each(|change| change_level(&mut self.levels, change)).map_err(poison)?;
        }
        Ok(())
    }

    fn payment(&mut self, event: &PaymentEvent) -> Result<(), Failure> {
        let id = event.key();
        let charge::Evolved { payment, .. } = charge::evolve(self.payments.take(id), event).map_err(poison)?;
        self.payments.put(id.clone(), payment);
        Ok(())
    }

    /// Adds what a receipt or an adjustment changes. It may be said again, and then changes nothing.
    fn receipt(&mut self, event: &StockEvent) -> Result<(), Failure> {
        let sku = event.key();
        let known = self.versions.get(sku).copied().unwrap_or_default();
        let nothing = Level { version: known, ..Level::default() };
        let added = stock::evolve_stock(sku, nothing, event).map_err(poison)?;
        if added.version == known {
            return Ok(());
        }
        self.versions.insert(sku.clone(), added.version);
        if let Some(product) = Product::of(event) {
            self.products.put(sku.clone(), Some(product));
        }
        let level = self.levels.entry(sku.clone()).or_default();
        let received = level.received.checked_add(added.received).ok_or_else(|| poison(too_much(sku)))?;
        *level = Level { version: added.version, received, ..*level };
        Ok(())
    }
}

/// Adds what a reservation's event changes.
fn change_level(levels: &mut BTreeMap<Sku, Level>, change: &LevelChange) -> Result<(), String> {
    let level = levels.entry(change.sku.clone()).or_default();
    *level = level.after(change).ok_or_else(|| too_much(&change.sku))?;
    Ok(())
}

fn too_much(sku: &Sku) -> String {
    format!("the level of {sku} does not fit into 64 bits")
}
