//! The inventory service: what there is, and what is held for whom.
//!
//! Wiring only: which topics it reads, and how a batch goes through `stock` (pure) and `store` (SQL).

mod store;

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;

use domain::decision::Outcome;
use domain::planted::Planted;
use domain::stock::{self, Level, Receipt, Reservation};
use jiff::Timestamp;
use outbox::Transaction;
use schemas::{InventoryCommand, Message, OrderId, ServiceName, Sku, StockCommand, Time, TopicName};
use tokio_postgres::Client;

use crate::pipeline_contract::Pipeline;
use consumer::{Body, Emitter, Failure, Service, Working};
use store::Statements;

/// The inventory service.
#[derive(Debug)]
pub struct InventoryService {
    planted: Planted,
}

/// What the service decides about.
#[derive(Debug)]
pub enum Input {
    /// About what is held for an order.
    Inventory(InventoryCommand),
    /// About what there is of a SKU.
    Stock(StockCommand),
}

/// What a batch touches.
#[derive(Debug)]
pub struct Batch {
    reservations: Working<OrderId, Reservation>,
    levels: Working<Sku, Level>,
    /// The levels as loaded, to compare when they are written.
    before: HashMap<Sku, Level>,
    receipts: HashMap<(Sku, String), Receipt>,
    new_receipts: Vec<Receipt>,
}

impl InventoryService {
    /// A service that makes this mistake, in tests.
    pub fn new(planted: Planted) -> Self {
        InventoryService { planted }
    }
}

impl Batch {
    fn level(&self, sku: &Sku) -> Level {
        self.levels.get(sku).copied().unwrap_or_default()
    }

    fn reserve(
        &mut self,
        command: &InventoryCommand,
        now: Time,
        planted: Planted,
        emitter: &mut Emitter<Pipeline>,
    ) -> Result<Outcome, Failure> {
        let id = command.key();
        let decision = stock::decide(self.reservations.get(id), command, |sku| self.level(sku), now);
        let decision = planted.alter_reservation(command, decision);
        if let Some(event) = decision.change() {
            let evolved = stock::evolve(self.reservations.take(id), event).map_err(poison)?;
            self.reservations.put(id.clone(), evolved.reservation);
            for change in &evolved.changes {
                let next = self.level(&change.sku).after(change);
                let next = next
                    .ok_or_else(|| Failure::Poison(format!("the level of {} does not fit into 64 bits", change.sku)))?;
                self.levels.put(change.sku.clone(), Some(next));
            }
        }
        let outcome = decision.outcome;
        decision.messages().for_each(|message| emitter.emit(message));
        Ok(outcome)
    }

    fn restock(
        &mut self,
        command: &StockCommand,
        now: Time,
        emitter: &mut Emitter<Pipeline>,
    ) -> Result<Outcome, Failure> {
        let sku = command.key();
        let key = (sku.clone(), command.command_id().as_str().to_owned());
        let decision = stock::decide_stock(self.receipts.get(&key), self.level(sku), command, now);
        if let Some(event) = decision.change() {
            let next = stock::evolve_stock(sku, self.level(sku), event).map_err(poison)?;
            self.levels.put(sku.clone(), Some(next));
            if let Some(receipt) = Receipt::of(event) {
                self.receipts.insert(key, receipt.clone());
                self.new_receipts.push(receipt);
            }
        }
        let outcome = decision.outcome;
        decision.messages().for_each(|message| emitter.emit(message));
        Ok(outcome)
    }
}

fn poison(error: domain::decision::Inconsistent) -> Failure {
    Failure::Poison(error.to_string())
}

/// The rows that a batch's commands name.
#[derive(Debug, Default)]
struct Named<'b> {
    orders: BTreeSet<&'b str>,
    /// Orders whose reserved SKUs change too.
    settled: BTreeSet<&'b str>,
    skus: BTreeSet<&'b str>,
    receipts: BTreeSet<(&'b str, &'b str)>,
}

fn named_by<'b>(inputs: &[&'b Body<Input, Infallible>]) -> Named<'b> {
    let mut named = Named::default();
    for body in inputs {
        match body {
            Body::Message(Input::Inventory(command)) => {
                let id = command.key().as_str();
                named.orders.insert(id);
                match command {
                    InventoryCommand::ReserveStock(command) => {
                        named.skus.extend(command.lines.iter().map(|line| line.sku.as_str()));
                    }
                    InventoryCommand::CommitStock(_) | InventoryCommand::ReleaseStock(_) => {
                        named.settled.insert(id);
                    }
                }
            }
            Body::Message(Input::Stock(command)) => {
                let sku = command.key().as_str();
                named.skus.insert(sku);
                named.receipts.insert((sku, command.command_id().as_str()));
            }
            Body::Signal(never) => match *never {},
        }
    }
    named
}

impl Service for InventoryService {
    const NAME: &'static str = ServiceName::Inventory.as_str();
    type Contract = Pipeline;
    const INPUTS: &'static [TopicName] = ServiceName::Inventory.inputs();
    type Input = Input;
    type Signal = Infallible;
    type Statements = Statements;
    type Batch = Batch;
    type FollowUp = ();
    type Found = ();

    #[expect(clippy::result_large_err, reason = "the message goes on to the next question, by value")]
    fn narrow(message: Message) -> Option<Input> {
        let input = InventoryCommand::try_from(message).map(Input::Inventory);
        input.or_else(|other| StockCommand::try_from(other).map(Input::Stock)).ok()
    }

    async fn prepare(&self, client: &Client) -> Result<Statements, tokio_postgres::Error> {
        Statements::prepare(client).await
    }

    async fn load(
        &self,
        tx: &Transaction<'_>,
        statements: &Statements,
        inputs: &[&Body<Input, Infallible>],
    ) -> Result<Batch, Failure> {
        let named = named_by(inputs);
        let orders: Vec<&str> = named.orders.into_iter().collect();
        let settled: Vec<&str> = named.settled.into_iter().collect();
        let skus: Vec<&str> = named.skus.into_iter().collect();
        let receipts: Vec<(&str, &str)> = named.receipts.into_iter().collect();
        // Sent in this order: reservations are locked before SKUs, everywhere.
        let (reservations, levels, receipts) = tokio::join!(
            statements.lock_reservations(tx, &orders),
            statements.lock_levels(tx, &skus, &settled),
            statements.load_receipts(tx, &receipts),
        );
        let levels = levels?;
        let mut working = Working::with_capacity(levels.len());
        for (sku, level) in &levels {
            working.loaded(sku.clone(), level.version, *level);
        }
        Ok(Batch {
            reservations: reservations?,
            levels: working,
            before: levels,
            receipts: receipts?,
            new_receipts: Vec::new(),
        })
    }

    fn decide(
        &self,
        batch: &mut Batch,
        input: &Body<Input, Infallible>,
        now: Timestamp,
        emitter: &mut Emitter<Pipeline>,
    ) -> Result<&'static str, Failure> {
        let now = Time::from(now);
        let outcome = match input {
            Body::Message(Input::Inventory(command)) => batch.reserve(command, now, self.planted, emitter),
            Body::Message(Input::Stock(command)) => batch.restock(command, now, emitter),
            Body::Signal(never) => match *never {},
        };
        outcome.map(Outcome::as_str)
    }

    fn save(&self, batch: Batch, statements: &Statements, tx: &mut Transaction<'_>) -> Result<(), Failure> {
        let (inserts, updates) = batch.reservations.into_writes();
        statements.insert_reservations(tx, &inserts);
        statements.update_reservations(tx, &updates);
        statements.save_levels(tx, batch.levels, &batch.before);
        statements.insert_receipts(tx, &batch.new_receipts);
        Ok(())
    }
}
