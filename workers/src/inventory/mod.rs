//! The inventory service: what there is, and what is held for whom.
//!
//! Wiring only: which topics it reads, and how a batch goes through `stock` (pure) and `store` (SQL).

mod levels;
mod store;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use domain::decision::Outcome;
use domain::planted::Planted;
use domain::stock::{self, Deed, Product, Receipt, Reservation, ReservationStatus};
use jiff::Timestamp;
use outbox::Transaction;
use schemas::{InventoryCommand, InventoryEvent, Message, OrderId, ServiceName, Sku, StockCommand, Time, TopicName};
use tokio_postgres::Client;

use crate::pipeline_contract::Pipeline;
use consumer::{Body, Emitter, Failure, Memory, Service, Working};
use levels::Levels;
use store::Statements;
#[cfg(test)]
pub(crate) use store::TAKE;

/// The inventory service.
#[derive(Debug)]
pub struct InventoryService {
    planted: Planted,
    memory: Memory<OrderId, Reservation>,
    /// SKUs of which there was not enough for somebody.
    short: Memory<Sku, ()>,
}

/// How many reservations are remembered, with their lines.
const REMEMBERED: usize = 2048;
/// How many SKUs are remembered of which there was not enough.
const REMEMBERED_SHORT: usize = 1024;

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
    levels: Levels,
    receipts: HashMap<(Sku, String), Receipt>,
    new_receipts: Vec<Receipt>,
    products: Working<Sku, Product>,
}

/// What a batch has come to.
#[derive(Debug)]
pub struct Committed {
    reservations: Vec<Reservation>,
    /// SKUs of which pieces came, or were counted again.
    received: Vec<Sku>,
}

impl InventoryService {
    /// A service that makes this mistake, in tests.
    pub fn new(planted: Planted) -> Self {
        let (memory, short) = (Memory::new(REMEMBERED), Memory::new(REMEMBERED_SHORT));
        InventoryService { planted, memory, short }
    }
}

impl Batch {
    fn reserve(
        &mut self,
        command: &InventoryCommand,
        now: Time,
        planted: Planted,
        emitter: &mut Emitter<Pipeline>,
    ) -> Result<Outcome, Failure> {
        let id = command.key();
        let decision = stock::decide(self.reservations.get(id), command, |sku| self.levels.of(sku), now);
        let decision = planted.alter_reservation(command, decision);
        if let Some(event) = decision.change() {
            if let (InventoryEvent::StockRejected(_), false) = (event, self.levels.are_known()) {
                return Err(Failure::Retry(format!("whether there is enough for order {id} has to be read")));
            }
            let evolved = stock::evolve(self.reservations.take(id), event).map_err(poison)?;
            self.reservations.put(id.clone(), evolved.reservation);
            for change in &evolved.changes {
                self.levels.change(change)?;
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
        planted: Planted,
        emitter: &mut Emitter<Pipeline>,
    ) -> Result<Outcome, Failure> {
        let sku = command.key();
        let key = (sku.clone(), command.command_id().as_str().to_owned());
        let decision = stock::decide_stock(self.receipts.get(&key), self.levels.of(sku), command, now);
        let decision = planted.alter_stock(decision);
        if let Some(event) = decision.change() {
            let next = stock::evolve_stock(sku, self.levels.of(sku), event).map_err(poison)?;
            self.levels.put(sku, next)?;
            if let Some(product) = Product::of(event) {
                self.products.put(sku.clone(), Some(product));
            }
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
    described: BTreeSet<&'b str>,
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
                    InventoryCommand::CommitStock(_)
                    | InventoryCommand::ReleaseStock(_)
                    | InventoryCommand::ReturnStock(_) => {
                        named.settled.insert(id);
                    }
                }
            }
            Body::Message(Input::Stock(command)) => {
                let sku = command.key().as_str();
                named.skus.insert(sku);
                named.receipts.insert((sku, command.command_id().as_str()));
                match command {
                    StockCommand::DescribeProduct(_) => {
                        named.described.insert(sku);
                    }
                    StockCommand::ReceiveStock(_) | StockCommand::AdjustStock(_) => {}
                }
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
    type FollowUp = Committed;
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
        let described: Vec<&str> = named.described.into_iter().collect();
        // Sent in this order: reservations are locked before SKUs, and levels before products, everywhere.
        let (reservations, levels, receipts, products) = tokio::join!(
            statements.lock_reservations(tx, &orders),
            statements.lock_levels(tx, &skus, &settled),
            statements.load_receipts(tx, &receipts),
            statements.lock_products(tx, &described),
        );
        Ok(Batch {
            reservations: reservations?,
            levels: Levels::read(levels?),
            receipts: receipts?,
            new_receipts: Vec::new(),
            products: products?,
        })
    }

    fn recall(&mut self, inputs: &[&Body<Input, Infallible>]) -> Option<Batch> {
        let commands = inputs.iter().map(|body| match body {
            Body::Message(Input::Inventory(command)) => Some(command),
            Body::Message(Input::Stock(_)) => None,
            Body::Signal(never) => match *never {},
        });
        let commands = commands.collect::<Option<Vec<&InventoryCommand>>>()?;
        // What is to be reserved is not there yet, and there is enough unless it was short of late.
        let is_known = |command: &&InventoryCommand| match command {
            InventoryCommand::ReserveStock(command) => !command.lines.iter().any(|line| self.short.has(&line.sku)),
            InventoryCommand::CommitStock(_) | InventoryCommand::ReleaseStock(_) => self.memory.has(command.key()),
            // Its reservation was committed long ago.
            InventoryCommand::ReturnStock(_) => false,
        };
        if !commands.iter().all(is_known) {
            return None;
        }
        let ids = commands.into_iter().map(InventoryCommand::key);
        let reservations = Working::recall(ids, &mut self.memory, |reservation| reservation.version);
        let levels = Levels::Unseen(BTreeMap::new());
        let products = Working::with_capacity(0);
        Some(Batch { reservations, levels, receipts: HashMap::new(), new_receipts: Vec::new(), products })
    }

    fn forget(&mut self) {
        self.memory.clear();
        self.short.clear();
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
            Body::Message(Input::Stock(command)) => batch.restock(command, now, self.planted, emitter),
            Body::Signal(never) => match *never {},
        };
        outcome.map(Outcome::as_str)
    }

    fn save(&self, batch: Batch, statements: &Statements, tx: &mut Transaction<'_>) -> Result<Committed, Failure> {
        let Batch { reservations, levels, receipts: _, new_receipts, products } = batch;
        let has_moved = |receipt: &&Receipt| match receipt.deed {
            Deed::Received(_) | Deed::Adjusted(_) => true,
            Deed::Described(_) => false,
        };
        let received = new_receipts.iter().filter(has_moved).map(|receipt| receipt.sku.clone()).collect();
        let writes = statements.write_reservations(tx, reservations);
        match levels {
            Levels::Read(levels, before) => statements.save_levels(tx, levels, &before),
            Levels::Unseen(demands) => statements.take(tx, demands),
        }
        statements.insert_receipts(tx, &new_receipts);
        statements.write_products(tx, products);
        Ok(Committed { reservations: writes.into_states().collect(), received })
    }

    fn committed(&mut self, committed: Committed) {
        for shortage in committed.reservations.iter().flat_map(|reservation| &reservation.shortages) {
            self.short.put(shortage.sku.clone(), ());
        }
        let reserved = committed.reservations.into_iter();
        let reserved = reserved.filter(|reservation| reservation.status == ReservationStatus::Reserved);
        self.memory.put_all(reserved.map(|reservation| (reservation.order_id.clone(), reservation)).collect());
        for sku in committed.received {
            self.short.take(&sku);
        }
    }
}
