//! The payment service: what is held and taken from whom, by way of a provider.
//!
//! Wiring only: which topics it reads, and how a batch goes through `charge` (pure) and `store` (SQL). The provider is
//! called outside of every transaction (`calls`), between the commit of the intent and the commit of the outcome. What it says
//! afterwards is looked at when somebody gives a hint (`looks`, `webhooks`).

mod actions;
pub(crate) mod believed;
mod calls;
mod looks;
pub mod options;
pub(crate) mod simulator;
mod store;
pub(crate) mod webhooks;

use std::collections::BTreeMap;
use std::sync::Arc;

use consumer::Database;
use domain::charge::{self, Answer, Call, CallChange, Input, Payment, PaymentStatus, Policy, Posting, Seen};
use domain::decision::Outcome;
use domain::planted::Planted;
use domain::provider::{Operation, Provider};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use outbox::Transaction;
use schemas::{Message, OrderId, PaymentCommand, ServiceName, Time, TopicName, partitioner};
use tokio_postgres::Client;

use crate::pipeline_contract::Pipeline;
use crate::prepared::Form;
pub(crate) use looks::Lookout;

use calls::Calls;
use consumer::{Body, Cause, Emitter, Failure, Lanes, Memory, Service, Signal, Wanted, Working};
use looks::Looks;
use store::{CallWrites, Guard, Statements};
use tables::PaymentCallRow;

/// The payment service.
pub struct PaymentService {
    policy: Policy,
    planted: Planted,
    partitions: i32,
    calls: Calls,
    looks: Looks,
    payments: Memory<OrderId, Payment>,
    open: Memory<OrderId, OpenCall>,
}

/// How many payments are remembered, and how many calls.
const REMEMBERED: usize = 4096;

/// What the provider says.
#[derive(Debug, Clone)]
pub struct Answered {
    what: What,
    lane: i32,
    cause: Cause,
}

/// To a call, or after the calls had ended.
#[derive(Debug, Clone)]
enum What {
    Answer(Answer),
    Seen(Seen),
    /// What is held for this order is about to lapse.
    Lapsing(OrderId),
}

impl Signal for Answered {
    fn lane(&self) -> i32 {
        self.lane
    }

    fn cause(&self) -> Cause {
        self.cause.clone()
    }
}

/// A call as it is stored: with what caused it.
#[derive(Debug, Clone)]
pub struct OpenCall {
    call: Call,
    cause: Cause,
}

/// What a batch touches.
#[derive(Debug)]
pub struct Batch {
    payments: Working<OrderId, Payment>,
    calls: BTreeMap<OrderId, CallEntry>,
    postings: Vec<Posting>,
}

/// A call before and after the batch.
#[derive(Debug, Default)]
struct CallEntry {
    /// As it was stored, or not at all.
    stored: Option<Guard>,
    /// It was not read from its row.
    is_recalled: bool,
    is_changed: bool,
    now: Option<OpenCall>,
}

impl CallEntry {
    /// A call that is stored, or was as far as is known.
    fn of(open: Option<OpenCall>, is_recalled: bool) -> Self {
        let stored = open.as_ref().map(|open| PaymentCallRow::guard_of(&open.call));
        CallEntry { stored, is_recalled, is_changed: false, now: open }
    }
}

/// What a batch has come to.
#[derive(Debug)]
pub struct Committed {
    /// Calls to be made.
    open: Vec<OpenCall>,
    /// Calls that stay as they are.
    unchanged: Vec<OpenCall>,
    payments: Vec<Payment>,
}

/// What is looked up by the clock.
struct Query {
    now: Time,
    /// The lanes whose due calls are wanted.
    lanes: Lanes,
    /// Calls that are due after this are due by a wrong clock.
    latest: Time,
    /// What lapses by then is to be held again.
    lapses_by: Time,
    partitions: i32,
    due_limit: i64,
}

/// What comes of it: calls with their lanes, and orders whose payment is to be looked at, whoever owns them.
pub struct Found {
    now: Time,
    calls: Vec<(OpenCall, i32)>,
    looks: Vec<OrderId>,
    /// Orders for which something lapses.
    lapsing: Vec<Answered>,
}

impl PaymentService {
    /// A service that asks this provider, for topics of so many partitions.
    pub(crate) fn new(
        policy: Policy,
        planted: Planted,
        partitions: i32,
        provider: Arc<dyn Provider>,
        most_calls: usize,
        lookout: Lookout,
    ) -> Self {
        let (payments, open) = (Memory::new(REMEMBERED), Memory::new(REMEMBERED));
        let looks = Looks::new(believed::or_what_was_heard(provider.clone()), policy, partitions, lookout);
        PaymentService {
            policy,
            planted,
            partitions,
            calls: Calls::new(provider, policy, most_calls),
            looks,
            payments,
            open,
        }
    }

    fn query(&mut self, now: Time, wanted: Wanted) -> Query {
        self.calls.look_begins();
        Query {
            now,
            lanes: wanted.due,
            latest: Call::latest_due(now, &self.policy),
            lapses_by: now.plus_ms(self.policy.renew_before_ms),
            partitions: self.partitions,
            due_limit: wanted.due_limit,
        }
    }

    /// One input, as the charge sees it.
    fn decide_one(
        &self,
        batch: &mut Batch,
        input: Input<'_>,
        now: Time,
        emitter: &mut Emitter<Pipeline>,
    ) -> Result<Outcome, Failure> {
        let id = input.order_id();
        let decided = charge::decide(batch.payments.get(id), batch.call(id), input, now, &self.policy);
        let decided = self.planted.alter_charge(batch.call(id), input, decided);
        if let Some(event) = decided.decision.change() {
            let evolved =
                charge::evolve(batch.payments.take(id), event).map_err(|error| Failure::Poison(error.to_string()))?;
            batch.payments.put(id.clone(), evolved.payment);
            batch.postings.extend(evolved.postings);
        }
        batch.change_call(id, decided.call, emitter.cause());
        let outcome = decided.decision.outcome;
        decided.decision.messages().for_each(|message| emitter.emit(message));
        Ok(outcome)
    }
}

/// The input as the charge sees it.
fn input_of(body: &Body<PaymentCommand, Answered>) -> Input<'_> {
    match body {
        Body::Signal(Answered { what: What::Answer(answer), .. }) => Input::Answer(answer),
        Body::Signal(Answered { what: What::Seen(seen), .. }) => Input::Seen(seen),
        Body::Signal(Answered { what: What::Lapsing(order_id), .. }) => Input::Lapsing(order_id),
        Body::Message(command) => Input::Command(command),
    }
}

impl Batch {
    fn call(&self, id: &OrderId) -> Option<&Call> {
        self.calls.get(id).and_then(|entry| entry.now.as_ref()).map(|open| &open.call)
    }

    /// A call keeps the cause that it was opened with, until another operation takes its place.
    fn change_call(&mut self, id: &OrderId, change: CallChange, cause: &Cause) {
        let entry = self.calls.entry(id.clone()).or_default();
        match change {
            CallChange::Unchanged => {}
            CallChange::Cleared => {
                entry.now = None;
                entry.is_changed = true;
            }
            CallChange::Set(call) => {
                let kept = entry.now.take().filter(|open| open.call.key() == call.key()).map(|open| open.cause);
                entry.now = Some(OpenCall { call: *call, cause: kept.unwrap_or_else(|| cause.clone()) });
                entry.is_changed = true;
            }
        }
    }
}

impl Service for PaymentService {
    const NAME: &'static str = ServiceName::Payment.as_str();
    type Contract = Pipeline;
    const INPUTS: &'static [TopicName] = ServiceName::Payment.inputs();
    type Input = PaymentCommand;
    type Signal = Answered;
    type Statements = Statements;
    type Batch = Batch;
    type FollowUp = Committed;
    type Found = Found;

    fn narrow(message: Message) -> Option<PaymentCommand> {
        PaymentCommand::try_from(message).ok()
    }

    async fn prepare(&self, client: &Client) -> Result<Statements, tokio_postgres::Error> {
        Statements::prepare(client).await
    }

    async fn load(
        &self,
        tx: &Transaction<'_>,
        statements: &Statements,
        inputs: &[&Body<PaymentCommand, Answered>],
    ) -> Result<Batch, Failure> {
        let mut ids: Vec<&str> = inputs.iter().map(|body| input_of(body).order_id().as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        // A call's row is only touched under its payment's lanes; where there is no payment row yet, the call's row is
        // the lock.
        let (payments, calls) = tokio::join!(statements.lock_payments(tx, &ids), statements.lock_calls(tx, &ids));
        let calls = calls?
            .into_iter()
            .map(|open| {
                let id = open.call.order_id.clone();
                (id, CallEntry::of(Some(open), false))
            })
            .collect();
        Ok(Batch { payments: payments?, calls, postings: Vec::new() })
    }

    fn recall(&mut self, inputs: &[&Body<PaymentCommand, Answered>]) -> Option<Batch> {
        let inputs = || inputs.iter().map(|body| input_of(body));
        // What is to be authorized is not there yet; anything else is, and has to be read if it is not remembered.
        let is_known = |input: Input<'_>| {
            let id = input.order_id();
            let is_new = matches!(input, Input::Command(PaymentCommand::AuthorizePayment(_)));
            is_new || self.payments.has(id) || self.open.has(id)
        };
        if !inputs().all(is_known) {
            return None;
        }
        let ids = || inputs().map(|input| input.order_id());
        let payments = Working::recall(ids(), &mut self.payments, |payment| payment.version);
        let mut calls = BTreeMap::new();
        for id in ids() {
            calls.entry(id.clone()).or_insert_with(|| CallEntry::of(self.open.take(id), true));
        }
        Some(Batch { payments, calls, postings: Vec::new() })
    }

    fn forget(&mut self) {
        self.payments.clear();
        self.open.clear();
    }

    fn decide(
        &self,
        batch: &mut Batch,
        input: &Body<PaymentCommand, Answered>,
        now: Timestamp,
        emitter: &mut Emitter<Pipeline>,
    ) -> Result<&'static str, Failure> {
        let now = Time::from(now);
        let mut outcome = self.decide_one(batch, input_of(input), now, emitter)?;
        // What the provider answers at once is decided here as well; what is opened after that many answers is made as any call.
        for _ in Operation::ALL {
            let opened = batch.call(input_of(input).order_id());
            let Some(answer) = opened.and_then(|call| self.calls.answer_at_once(call, now)) else { break };
            outcome = self.decide_one(batch, Input::Answer(&answer), now, emitter)?;
        }
        Ok(outcome.as_str())
    }

    fn save(&self, batch: Batch, statements: &Statements, tx: &mut Transaction<'_>) -> Result<Committed, Failure> {
        let Batch { payments, calls, postings } = batch;
        let form = Form::of(calls.len());
        let payments = statements.write_payments(tx, payments, &postings);
        let mut writes = CallWrites::default();
        for (id, CallEntry { stored, is_recalled, is_changed, now }) in calls {
            match (stored, now) {
                (None, Some(open)) => writes.opened.push(open),
                (Some(had), Some(open)) if is_changed => writes.changed.push((had, open)),
                (Some(had), None) => writes.closed.push((had, id)),
                (Some(had), Some(open)) if is_recalled => writes.unchanged.push((had, open)),
                (None, None) if is_recalled => writes.absent.push(id),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        statements.write_calls(tx, form, &writes, self.partitions);
        let CallWrites { opened, changed, unchanged, .. } = writes;
        let open = opened.into_iter().chain(changed.into_iter().map(|(_, open)| open));
        Ok(Committed {
            open: open.collect(),
            unchanged: unchanged.into_iter().map(|(_, open)| open).collect(),
            payments: payments.into_states().collect(),
        })
    }

    fn committed(&mut self, committed: Committed) {
        let now = Time::from(crate::clock::now());
        let open = committed.open.iter().cloned().chain(committed.unchanged);
        self.open.put_all(open.map(|open| (open.call.order_id.clone(), open)).collect());
        for open in committed.open {
            let lane = partitioner::partition_of(open.call.order_id.as_str().as_bytes(), self.partitions);
            self.calls.start(open, lane, now);
        }
        // The others are done with, or wait for a person.
        let is_awaited =
            |payment: &Payment| matches!(payment.status(), PaymentStatus::Authorized | PaymentStatus::ActionRequired);
        let held = committed.payments.into_iter().filter(is_awaited);
        self.payments.put_all(held.map(|payment| (payment.order_id.clone(), payment)).collect());
    }

    async fn signal(&mut self) -> Answered {
        tokio::select! {
            answered = self.calls.next() => answered,
            answered = self.looks.next() => answered,
        }
    }

    fn is_saturated(&self) -> bool {
        self.calls.is_full()
    }

    async fn assigned(&mut self, database: &Database, lanes: &Lanes) -> Result<(), Failure> {
        self.calls.keep(lanes);
        self.looks.keep(lanes);
        let wanted = Wanted { due: lanes.clone(), due_limit: store::DUE_LIMIT, gauges: None };
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

    /// Makes the calls that are due and not under way: after a take-over, after a pause, and what did not fit before. What lapses
    /// is decided in its lane, when that has read what is in its topics.
    fn found(&mut self, found: Found) -> Vec<Answered> {
        for (open, lane) in found.calls {
            self.calls.start_found(open, lane, found.now);
        }
        for order_id in found.looks {
            self.looks.start(order_id);
        }
        self.calls.observe();
        found.lapsing
    }
}

async fn look_up(database: &Database, query: Query) -> Result<Found, Failure> {
    let Query { now, lanes, latest, lapses_by, partitions, due_limit } = query;
    if lanes.is_empty() {
        return Ok(Found { now, calls: Vec::new(), looks: Vec::new(), lapsing: Vec::new() });
    }
    let client = database.client().await?;
    let calls = store::load_due_calls(&client, &lanes, now, latest).await?;
    let looks = store::load_due_looks(&client, now).await?;
    let lapsing = store::load_lapsing(&client, lapses_by).await?.into_iter().filter_map(|order_id| {
        let lane = partitioner::partition_of(order_id.as_str().as_bytes(), partitions);
        let answered = Answered { what: What::Lapsing(order_id), lane, cause: Cause::default() };
        lanes.contains(&lane).then_some(answered)
    });
    let lapsing = lapsing.take(usize::try_from(due_limit).unwrap_or(usize::MAX)).collect();
    Ok(Found { now, calls, looks, lapsing })
}
