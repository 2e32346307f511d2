//! The order service: the saga that orchestrates the other two.
//!
//! Wiring only: which topics it reads, and how a batch goes through `saga` (pure) and `store` (SQL).

mod deadlines;
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
    lanes: BTreeMap<i32, deadlines::Lane>,
}

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
        OrderService { policy, partitions, lanes: BTreeMap::new() }
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
        self.lanes = lanes.iter().map(|lane| (*lane, deadlines::Lane::default())).collect();
        // Lanes that moved away are not counted here any more, from now on and not from the next look on.
        self.observe(client, lanes, Time::from(crate::clock::now())).await
    }

    /// Looks at what became due since the last look; and now and then at everything unfinished.
    async fn due(
        &mut self,
        client: &Client,
        lanes: &Lanes,
        now: Time,
        limit: i64,
    ) -> Result<Vec<DeadlinePassed>, Failure> {
        let within_ms = self.policy.confirm_within_ms;
        let mut due = Vec::new();
        for lane in lanes {
            let Some(state) = self.lanes.get_mut(lane) else { continue };
            let look = state.look(now);
            let mut found = store::load_due(client, *lane, look.from, now, limit).await?;
            if found.is_empty() {
                state.looked(look, now);
            }
            if look.is_sweep {
                found.extend(due_by_a_wrong_clock(client, *lane, state, now, within_ms, limit).await?);
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

/// Orders that were accepted while a clock was ahead wait for a time that may be far off: they get the time to confirm from
/// when they are seen, and are undone then.
async fn due_by_a_wrong_clock(
    client: &Client,
    lane: i32,
    state: &mut deadlines::Lane,
    now: Time,
    within_ms: i64,
    limit: i64,
) -> Result<Vec<OrderId>, Failure> {
    let found = store::load_ahead(client, lane, deadlines::ahead_of(now), now.plus_ms(within_ms), limit).await?;
    if let (Some(first), false) = (found.first(), state.knows_of_ahead()) {
        tracing::error!(
            lane,
            orders = found.len(),
            %first,
            within_ms,
            "orders were accepted at a time that is still to come: a clock was ahead; their deadlines count from now"
        );
    }
    let is_over = state.is_ahead_over(!found.is_empty(), now, within_ms);
    Ok(if is_over { found } else { Vec::new() })
}
