//! The order service: the saga that orchestrates the other two.
//!
//! Wiring only: which topics it reads, and how a batch goes through `saga` (pure) and `store` (SQL).

mod deadlines;
mod store;

use std::collections::BTreeMap;

use consumer::Database;
use domain::planted::Planted;
use domain::saga::{self, Input, Order, Policy};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use outbox::Transaction;
use schemas::{InventoryEvent, Message, OrderCommand, OrderId, PaymentEvent, ServiceName, Time, TopicName};
use tokio_postgres::Client;

use crate::metrics;
use crate::pipeline_contract::Pipeline;
use consumer::{Body, Emitter, Failure, Lanes, Memory, Service, Signal, Wanted, Working};
use deadlines::LaneDeadlines;
use store::Statements;

/// The order service.
#[derive(Debug)]
pub struct OrderService {
    policy: Policy,
    planted: Planted,
    partitions: i32,
    lanes: BTreeMap<i32, LaneDeadlines>,
    memory: Memory<OrderId, Order>,
}

/// How many orders are remembered.
const REMEMBERED: usize = 4096;

/// A passed deadline.
#[derive(Debug, Clone)]
pub struct DeadlinePassed {
    order_id: OrderId,
    lane: i32,
}

impl Signal for DeadlinePassed {
    fn lane(&self) -> i32 {
        self.lane
    }

    /// While the order is parked, the answer that it waits for may be parked with it.
    fn key(&self) -> Option<&[u8]> {
        Some(self.order_id.as_str().as_bytes())
    }
}

/// What of the topics' messages the saga decides about.
#[derive(Debug)]
pub enum Request {
    /// Of an order.
    Order(OrderCommand),
    /// Inventory's reply.
    Inventory(InventoryEvent),
    /// Payment's reply.
    Payment(PaymentEvent),
}

/// The orders that a batch touches.
#[derive(Debug)]
pub struct Batch {
    orders: Working<OrderId, Order>,
    transitions: BTreeMap<&'static str, u64>,
}

/// What a batch has come to.
#[derive(Debug)]
pub struct Committed {
    transitions: BTreeMap<&'static str, u64>,
    orders: Vec<Order>,
}

/// What is looked up by the clock.
struct Query {
    now: Time,
    /// By lane, where deadlines are looked for.
    looks: Vec<(i32, deadlines::Look)>,
    /// At most so many orders of a lane.
    limit: i64,
    within_ms: i64,
    /// The lanes whose unfinished orders are counted.
    counted: Option<Lanes>,
}

/// What comes of it.
pub struct Found {
    now: Time,
    lanes: Vec<FoundInLane>,
    /// What the gauges say, where it was counted.
    gauges: Option<store::Gauges>,
}

struct FoundInLane {
    lane: i32,
    look: deadlines::Look,
    due: Vec<OrderId>,
    /// Orders that were accepted while a clock was ahead; none where they were not looked for.
    ahead: Option<Vec<OrderId>>,
}

impl OrderService {
    /// A service for topics of so many partitions.
    pub fn new(policy: Policy, planted: Planted, partitions: i32) -> Self {
        OrderService { policy, planted, partitions, lanes: BTreeMap::new(), memory: Memory::new(REMEMBERED) }
    }

    /// What became due since the last look; and now and then everything unfinished.
    fn query(&self, now: Time, wanted: Wanted) -> Query {
        let Wanted { due, due_limit: limit, gauges: counted } = wanted;
        let looks = due.into_iter().filter_map(|lane| Some((lane, self.lanes.get(&lane)?.look(now)))).collect();
        Query { now, looks, limit, within_ms: self.policy.confirm_within_ms, counted }
    }
}

/// The input as the saga sees it.
fn input_of(body: &Body<Request, DeadlinePassed>) -> Input<'_> {
    match body {
        Body::Signal(due) => Input::DeadlinePassed(&due.order_id),
        Body::Message(Request::Order(command)) => Input::Command(command),
        Body::Message(Request::Inventory(event)) => Input::Inventory(event),
        Body::Message(Request::Payment(event)) => Input::Payment(event),
    }
}

impl Service for OrderService {
    const NAME: &'static str = ServiceName::Order.as_str();
    type Contract = Pipeline;
    const INPUTS: &'static [TopicName] = ServiceName::Order.inputs();
    type Input = Request;
    type Signal = DeadlinePassed;
    type Statements = Statements;
    type Batch = Batch;
    type FollowUp = Committed;
    type Found = Found;

    #[expect(clippy::result_large_err, reason = "the message goes on to the next question, by value")]
    fn narrow(message: Message) -> Option<Request> {
        let request = OrderCommand::try_from(message).map(Request::Order);
        let request = request.or_else(|other| InventoryEvent::try_from(other).map(Request::Inventory));
        request.or_else(|other| PaymentEvent::try_from(other).map(Request::Payment)).ok()
    }

    async fn prepare(&self, client: &Client) -> Result<Statements, tokio_postgres::Error> {
        Statements::prepare(client).await
    }

    async fn load(
        &self,
        tx: &Transaction<'_>,
        statements: &Statements,
        inputs: &[&Body<Request, DeadlinePassed>],
    ) -> Result<Batch, Failure> {
        let mut ids: Vec<&str> = inputs.iter().map(|body| input_of(body).order_id().as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut orders = statements.lock_orders(tx, &ids).await?;
        let mut with_lines: Vec<&str> = Vec::new();
        for input in inputs.iter().map(|body| input_of(body)).filter(|input| saga::needs_lines(*input)) {
            with_lines.push(input.order_id().as_str());
        }
        with_lines.sort_unstable();
        with_lines.dedup();
        statements.load_lines(tx, &with_lines, &mut orders).await?;
        Ok(Batch { orders, transitions: BTreeMap::new() })
    }

    fn recall(&mut self, inputs: &[&Body<Request, DeadlinePassed>]) -> Option<Batch> {
        let inputs = || inputs.iter().map(|body| input_of(body));
        // An order that is placed is not there yet; any other is, and has to be read if it is not remembered. Lines never are.
        let is_known = |input: Input<'_>| {
            let is_new = matches!(input, Input::Command(OrderCommand::PlaceOrder(_)));
            is_new || !saga::needs_lines(input) && self.memory.has(input.order_id())
        };
        if !inputs().all(is_known) {
            return None;
        }
        let ids = inputs().map(|input| input.order_id());
        let orders = Working::recall(ids, &mut self.memory, |order| order.version);
        Some(Batch { orders, transitions: BTreeMap::new() })
    }

    fn forget(&mut self) {
        self.memory.clear();
    }

    fn decide(
        &self,
        batch: &mut Batch,
        input: &Body<Request, DeadlinePassed>,
        now: Timestamp,
        emitter: &mut Emitter<Pipeline>,
    ) -> Result<&'static str, Failure> {
        let (input, now) = (input_of(input), Time::from(now));
        let id = input.order_id();
        let state = batch.orders.get(id);
        let decision = self.planted.alter_order(state, input, saga::decide(state, input, now, &self.policy));
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
        Ok(outcome.as_str())
    }

    fn save(&self, batch: Batch, statements: &Statements, tx: &mut Transaction<'_>) -> Result<Committed, Failure> {
        let Batch { orders, transitions } = batch;
        let writes = statements.write(tx, orders, self.partitions);
        Ok(Committed { transitions, orders: writes.into_states().collect() })
    }

    fn committed(&mut self, committed: Committed) {
        for (event, count) in committed.transitions {
            metrics::transition(event, count);
        }
        let under_way = committed.orders.into_iter().filter(|order| !order.is_finished());
        let without_lines = under_way.map(|order| (order.order_id.clone(), Order { lines: Vec::new(), ..order }));
        self.memory.put_all(without_lines.collect());
    }

    async fn assigned(&mut self, database: &Database, lanes: &Lanes) -> Result<(), Failure> {
        self.lanes = lanes.iter().map(|lane| (*lane, LaneDeadlines::default())).collect();
        // Lanes that moved away are not counted here any more, from now on and not from the next look on.
        let wanted = Wanted { due: Lanes::new(), due_limit: 0, gauges: Some(lanes.clone()) };
        let query = self.query(Time::from(crate::clock::now()), wanted);
        let found = look_up(database, query).await?;
        self.found(found);
        Ok(())
    }

    fn look_up(
        &mut self,
        database: &Database,
        now: Timestamp,
        wanted: Wanted,
    ) -> Option<BoxFuture<'static, Result<Found, Failure>>> {
        let (database, query) = (database.clone(), self.query(Time::from(now), wanted));
        Some(Box::pin(async move { look_up(&database, query).await }))
    }

    fn found(&mut self, found: Found) -> Vec<DeadlinePassed> {
        let Found { now, lanes, gauges } = found;
        if let Some(store::Gauges { unfinished, overdue, held }) = gauges {
            for (stage, count, oldest_age_s) in unfinished {
                metrics::sagas(stage, count, oldest_age_s);
            }
            metrics::overdue(overdue.0, overdue.1);
            metrics::held(held);
        }
        let within_ms = self.policy.confirm_within_ms;
        let mut due = Vec::new();
        for FoundInLane { lane, look, due: mut ids, ahead } in lanes {
            let Some(state) = self.lanes.get_mut(&lane) else { continue };
            if ids.is_empty() {
                state.looked(look, now);
            }
            if let Some(ahead) = ahead {
                ids.extend(due_by_a_wrong_clock(ahead, lane, state, now, within_ms));
            }
            due.extend(ids.into_iter().map(|order_id| DeadlinePassed { order_id, lane }));
        }
        due
    }
}

async fn look_up(database: &Database, query: Query) -> Result<Found, Failure> {
    let Query { now, looks, limit, within_ms, counted } = query;
    let client = database.client().await?;
    let gauges = match counted {
        Some(lanes) => Some(store::count(&client, &lanes, now).await?),
        None => None,
    };
    let mut lanes = Vec::new();
    for (lane, look) in looks {
        let due = store::load_due(&client, lane, look.from, now, limit).await?;
        let ahead = match look.is_sweep {
            true => {
                let (from, to) = (deadlines::ahead_of(now), now.plus_ms(within_ms));
                Some(store::load_ahead(&client, lane, from, to, limit).await?)
            }
            false => None,
        };
        lanes.push(FoundInLane { lane, look, due, ahead });
    }
    Ok(Found { now, lanes, gauges })
}

/// Orders that were accepted while a clock was ahead wait for a time that may be far off: they get the time to confirm from
/// when they are seen, and are undone then.
fn due_by_a_wrong_clock(
    found: Vec<OrderId>,
    lane: i32,
    state: &mut LaneDeadlines,
    now: Time,
    within_ms: i64,
) -> Vec<OrderId> {
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
    if is_over { found } else { Vec::new() }
}
