//! The order service: the saga that orchestrates the other two.
//!
//! Wiring only: which topics it reads, and how a batch goes through `saga` (pure) and `store` (SQL).

pub mod saga;
mod store;

use std::collections::BTreeMap;

use outbox::Transaction;
use schemas::{Message, OrderId, ServiceName, Time, TopicName};
use tokio_postgres::Client;

use crate::decision::Outcome;
use crate::metrics;
use crate::runtime::{Body, Emitter, Failure, Lanes, Service, Working};
use saga::{Input, Order, Policy};
use store::Statements;

/// The order service.
#[derive(Debug)]
pub struct OrderService {
    policy: Policy,
    partitions: i32,
    clocks: BTreeMap<i32, Clock>,
}

/// How far a lane's deadlines were looked after.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// Nothing at or before this can turn up any more; stored.
    swept: Time,
    /// When that was found out.
    swept_at: Time,
    /// What was committed by then was looked at up to this.
    looked: Time,
}

/// How often deadlines are swept from the stored time on.
const SWEEP_PERIOD_MS: i64 = 20_000;

/// An order may become visible so long after its transaction took the time; longer than any transaction lives.
const VISIBLE_WITHIN_MS: i64 = 60_000;

/// A passed deadline.
#[derive(Debug, Clone)]
pub struct DeadlinePassed {
    order_id: OrderId,
    lane: i32,
}

/// The orders that a batch touches.
#[derive(Debug)]
pub struct Batch {
    orders: Working<OrderId, Order>,
    transitions: BTreeMap<&'static str, u64>,
}

impl OrderService {
    /// A service for topics of so many partitions.
    pub fn new(policy: Policy, partitions: i32) -> Self {
        OrderService { policy, partitions, clocks: BTreeMap::new() }
    }
}

/// The input as the saga sees it; none for messages that are not for it.
fn input_of(body: &Body<DeadlinePassed>) -> Option<Input<'_>> {
    match body {
        Body::Signal(due) => Some(Input::DeadlinePassed(&due.order_id)),
        Body::Message(Message::OrderCommand(command)) => Some(Input::Command(command)),
        Body::Message(Message::InventoryEvent(event)) => Some(Input::Inventory(event)),
        Body::Message(Message::PaymentEvent(event)) => Some(Input::Payment(event)),
        Body::Message(
            Message::OrderEvent(_)
            | Message::InventoryCommand(_)
            | Message::StockCommand(_)
            | Message::StockEvent(_)
            | Message::PaymentCommand(_),
        ) => None,
    }
}

impl Service for OrderService {
    const NAME: ServiceName = ServiceName::Order;
    const INPUTS: &'static [TopicName] =
        &[TopicName::OrderCommands, TopicName::InventoryEvents, TopicName::PaymentEvents];
    type Signal = DeadlinePassed;
    type Statements = Statements;
    type Batch = Batch;
    type FollowUp = BTreeMap<&'static str, u64>;

    fn lane_of(signal: &DeadlinePassed) -> i32 {
        signal.lane
    }

    async fn prepare(&self, client: &Client) -> Result<Statements, tokio_postgres::Error> {
        Statements::prepare(client).await
    }

    async fn load(
        &self,
        tx: &Transaction<'_>,
        statements: &Statements,
        inputs: &[&Body<DeadlinePassed>],
    ) -> Result<Batch, Failure> {
        let mut ids: Vec<&str> =
            inputs.iter().filter_map(|body| input_of(body)).map(|input| input.order_id().as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let orders = statements.lock_orders(tx, &ids).await?;
        Ok(Batch { orders, transitions: BTreeMap::new() })
    }

    fn decide(
        &self,
        batch: &mut Batch,
        input: &Body<DeadlinePassed>,
        now: Time,
        emitter: &mut Emitter,
    ) -> Result<Outcome, Failure> {
        let Some(input) = input_of(input) else { return Ok(Outcome::NoEffect) };
        let id = input.order_id();
        let decision = saga::decide(batch.orders.get(id), input, now, &self.policy);
        if let Some(event) = decision.change() {
            let next =
                saga::evolve(batch.orders.take(id), event).map_err(|error| Failure::Poison(error.to_string()))?;
            batch.orders.put(id.clone(), next);
            *batch.transitions.entry(Message::from(event.clone()).name()).or_default() += 1;
        }
        let outcome = decision.outcome;
        for message in decision.messages() {
            emitter.emit(message);
        }
        Ok(outcome)
    }

    fn save(
        &self,
        batch: Batch,
        statements: &Statements,
        tx: &mut Transaction<'_>,
    ) -> Result<BTreeMap<&'static str, u64>, Failure> {
        let (inserts, updates) = batch.orders.into_writes();
        statements.insert_orders(tx, &inserts, self.partitions);
        statements.update_orders(tx, &updates);
        Ok(batch.transitions)
    }

    fn committed(&mut self, transitions: BTreeMap<&'static str, u64>) {
        for (event, count) in transitions {
            metrics::transition(event, count);
        }
    }

    async fn signal(&mut self) -> DeadlinePassed {
        // Deadlines come from `due`.
        std::future::pending().await
    }

    async fn assigned(&mut self, client: &Client, lanes: &Lanes) -> Result<(), Failure> {
        let stored = store::load_watermarks(client, lanes).await?;
        let clock = |lane: &i32| {
            let swept = stored.get(lane).copied().unwrap_or(Time::EARLIEST);
            (*lane, Clock { swept, swept_at: Time::EARLIEST, looked: swept })
        };
        self.clocks = lanes.iter().map(clock).collect();
        Ok(())
    }

    /// Looks at what became due since the last look; and now and then from further back, for orders that a slow transaction
    /// made visible later than their time.
    async fn due(
        &mut self,
        client: &Client,
        lanes: &Lanes,
        now: Time,
        limit: i64,
    ) -> Result<Vec<DeadlinePassed>, Failure> {
        let mut due = Vec::new();
        for lane in lanes {
            let Some(clock) = self.clocks.get_mut(lane) else { continue };
            let is_sweep = now >= clock.swept_at.plus_ms(SWEEP_PERIOD_MS);
            let from = if is_sweep { clock.swept } else { clock.looked };
            let found = store::load_due(client, *lane, from, now, limit).await?;
            if found.is_empty() {
                clock.looked = now;
                if is_sweep {
                    let swept = now.plus_ms(-VISIBLE_WITHIN_MS).max(clock.swept);
                    store::save_watermark(client, *lane, swept).await?;
                    (clock.swept, clock.swept_at) = (swept, now);
                }
            }
            due.extend(found.into_iter().map(|order_id| DeadlinePassed { order_id, lane: *lane }));
        }
        Ok(due)
    }

    async fn observe(&self, client: &Client, lanes: &Lanes, now: Time) -> Result<(), Failure> {
        for (stage, count, oldest_age_s) in store::count_unfinished(client, lanes, now).await? {
            metrics::sagas(stage, count, oldest_age_s);
        }
        Ok(())
    }
}
