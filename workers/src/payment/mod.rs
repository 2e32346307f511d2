//! The payment service: what is held and taken from whom, by way of a provider.
//!
//! Wiring only: which topics it reads, and how a batch goes through `charge` (pure) and `store` (SQL). The provider is
//! called outside of every transaction (`calls`), between the commit of the intent and the commit of the outcome.

mod calls;
pub mod options;
pub(crate) mod simulator;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use consumer::Database;
use domain::charge::{self, Answer, Call, CallChange, Input, Payment, PaymentStatus, Policy, Posting};
use domain::planted::Planted;
use domain::provider::Provider;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use outbox::Transaction;
use schemas::{Message, OrderId, PaymentCommand, ServiceName, Time, TopicName, partitioner};
use tokio_postgres::Client;

use crate::pipeline_contract::Pipeline;
use crate::prepared::Form;
use calls::Calls;
use consumer::{Body, Cause, Emitter, Failure, Lanes, Memory, Service, Signal, Wanted, Working};
use store::{CallWrites, Guard, Statements};
use tables::PaymentCallRow;

/// The payment service.
pub struct PaymentService {
    policy: Policy,
    planted: Planted,
    partitions: i32,
    calls: Calls,
    payments: Memory<OrderId, Payment>,
    open: Memory<OrderId, OpenCall>,
}

/// How many payments are remembered, and how many calls.
const REMEMBERED: usize = 4096;

/// The provider's answer to a call.
#[derive(Debug, Clone)]
pub struct Answered {
    answer: Answer,
    lane: i32,
    cause: Cause,
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
}

/// What comes of it: calls with their lanes.
pub struct Found {
    now: Time,
    calls: Vec<(OpenCall, i32)>,
}

impl PaymentService {
    /// A service that asks this provider, for topics of so many partitions.
    pub fn new(policy: Policy, planted: Planted, partitions: i32, provider: Arc<dyn Provider>) -> Self {
        let (payments, open) = (Memory::new(REMEMBERED), Memory::new(REMEMBERED));
        PaymentService { policy, planted, partitions, calls: Calls::new(provider, policy), payments, open }
    }

    fn query(&mut self, now: Time, wanted: Wanted) -> Query {
        self.calls.look_begins();
        Query { now, lanes: wanted.due, latest: Call::latest_due(now, &self.policy) }
    }
}

/// The input as the charge sees it.
fn input_of(body: &Body<PaymentCommand, Answered>) -> Input<'_> {
    match body {
        Body::Signal(answered) => Input::Answer(&answered.answer),
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
                entry.now = Some(OpenCall { call, cause: kept.unwrap_or_else(|| cause.clone()) });
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
        let (input, now) = (input_of(input), Time::from(now));
        let id = input.order_id();
        let decided = charge::decide(batch.payments.get(id), batch.call(id), input, now, &self.policy);
        let decided = self.planted.alter_charge(input, decided);
        if let Some(event) = decided.decision.change() {
            let evolved =
                charge::evolve(batch.payments.take(id), event).map_err(|error| Failure::Poison(error.to_string()))?;
            batch.payments.put(id.clone(), evolved.payment);
            batch.postings.extend(evolved.postings);
        }
        batch.change_call(id, decided.call, emitter.cause());
        let outcome = decided.decision.outcome;
        decided.decision.messages().for_each(|message| emitter.emit(message));
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
        let held = committed.payments.into_iter().filter(|payment| payment.status() == PaymentStatus::Authorized);
        self.payments.put_all(held.map(|payment| (payment.order_id.clone(), payment)).collect());
    }

    async fn signal(&mut self) -> Answered {
        self.calls.next().await
    }

    fn is_saturated(&self) -> bool {
        self.calls.is_full()
    }

    async fn assigned(&mut self, database: &Database, lanes: &Lanes) -> Result<(), Failure> {
        self.calls.keep(lanes);
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

    /// Makes the calls that are due and not under way: after a take-over, after a pause, and what did not fit before.
    fn found(&mut self, found: Found) -> Vec<Answered> {
        for (open, lane) in found.calls {
            self.calls.start_found(open, lane, found.now);
        }
        self.calls.observe();
        Vec::new()
    }
}

async fn look_up(database: &Database, query: Query) -> Result<Found, Failure> {
    let Query { now, lanes, latest } = query;
    let calls = match lanes.is_empty() {
        true => Vec::new(),
        false => store::load_due_calls(&*database.client().await?, &lanes, now, latest).await?,
    };
    Ok(Found { now, calls })
}
