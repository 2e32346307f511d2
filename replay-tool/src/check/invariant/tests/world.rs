//! The three services in memory: the real cores, each record taken once and in order, everything else as simple as can be.

use std::collections::{BTreeMap, HashMap};

use domain::charge::{self, Answer, Call, CallChange, CallStep, Payment, Posting};
use domain::decision::Decision;
use domain::planted::Planted;
use domain::provider::{Operation, ProviderAnswer};
use domain::saga::{self, Input, Order};
use domain::statement::{StatementLine, StatementOutcome};
use domain::stock::{self, Level, Product, Receipt, Reservation};
use schemas::{Message, OrderId, PlaceOrder, ServiceName, Sku, StockCommand, Time, TopicName, message_id};
use uuid::Uuid;

use super::shelf::{OutboxRow, OwnedRecord, PARTITIONS, Shelf, header};
use crate::log::Channel;

/// An order beyond this amount is declined.
pub(super) const DECLINED_FROM: i64 = 100_000;

/// The pipeline.
pub(super) struct World {
    pub(super) shelf: Shelf,
    pub(super) planted: Planted,
    pub(super) policy: saga::Policy,
    pub(super) orders: HashMap<OrderId, Order>,
    pub(super) reservations: HashMap<OrderId, Reservation>,
    pub(super) levels: BTreeMap<Sku, Level>,
    pub(super) receipts: HashMap<(Sku, String), Receipt>,
    pub(super) products: BTreeMap<Sku, Product>,
    pub(super) payments: HashMap<OrderId, Payment>,
    pub(super) postings: Vec<Posting>,
    pub(super) statement: Vec<StatementLine>,
    /// How far each topic is read.
    pub(super) read: BTreeMap<(TopicName, i32), usize>,
    /// The provider's first answer to every call is lost.
    pub(super) answers_are_lost: bool,
    /// What the provider refuses.
    pub(super) refused: Vec<(OrderId, Operation)>,
    calls: HashMap<OrderId, Call>,
    now: i64,
    sent: u128,
}

/// Where an input stood.
#[derive(Debug, Clone, Copy)]
struct Cause {
    topic: TopicName,
    partition: i32,
    offset: i64,
    id: Option<Uuid>,
}

impl World {
    pub(super) fn with_bug(planted: Planted) -> Self {
        World {
            shelf: Shelf::new(),
            planted,
            policy: saga::Policy { confirm_within_ms: 30_000, ..saga::Policy::default() },
            orders: HashMap::new(),
            reservations: HashMap::new(),
            levels: BTreeMap::new(),
            receipts: HashMap::new(),
            products: BTreeMap::new(),
            payments: HashMap::new(),
            postings: Vec::new(),
            statement: Vec::new(),
            read: BTreeMap::new(),
            answers_are_lost: false,
            refused: Vec::new(),
            calls: HashMap::new(),
            now: 1_700_000_000_000_000,
            sent: 0,
        }
    }

    /// What a client or an operator sends.
    pub(super) fn send(&mut self, message: impl Into<Message>) {
        self.sent += 1;
        self.shelf.send(&message.into(), Uuid::from_u128(self.sent));
    }

    /// Go on until nothing is left to read.
    pub(super) fn run(&mut self) {
        while TopicName::ALL.into_iter().any(|topic| (0..PARTITIONS).any(|partition| self.step(topic, partition))) {}
    }

    /// So much time goes by, and every deadline that has passed then is looked after.
    pub(super) fn pass(&mut self, ms: i64) {
        self.now += ms * 1000;
        let now = self.now();
        let is_due = |order: &&Order| order.deadline().is_some_and(|deadline| deadline <= now);
        let due: Vec<OrderId> = self.orders.values().filter(is_due).map(|order| order.order_id.clone()).collect();
        for order_id in due {
            // The ids of what follows are made of the order's version; nothing stood anywhere.
            let cause = Cause { topic: TopicName::OrderCommands, partition: 0, offset: -1, id: None };
            self.saga(Input::DeadlinePassed(&order_id), cause);
        }
        self.run();
    }

    /// Take the next record; whether there was one.
    pub(super) fn step(&mut self, topic: TopicName, partition: i32) -> bool {
        let (Some(reader), next) = (topic.read_by(), self.read.entry((topic, partition)).or_default()) else {
            return false;
        };
        let records = self.shelf.topics.get(&(Channel::Messages(topic), partition));
        let Some(record) = records.and_then(|records| records.get(*next)).cloned() else { return false };
        let offset = i64::try_from(*next).unwrap();
        *next += 1;
        self.now += 1000;
        let seen = record.at(partition, offset);
        let cause = Cause { topic, partition, offset, id: seen.id(false) };
        let is_stranger = topic.written_by().is_some_and(|writer| seen.position(writer).is_none());
        let message = record.payload.as_deref().and_then(|payload| self.shelf.codec.decode(topic, payload).ok());
        match message.filter(|message| !is_stranger && record.key.as_deref() == Some(message.key().as_bytes())) {
            Some(message) => self.handle(&message, cause),
            None => self.put_aside(reader, &record, cause),
        }
        true
    }

    fn handle(&mut self, message: &Message, cause: Cause) {
        match message {
            Message::OrderCommand(command) => self.saga(Input::Command(command), cause),
            Message::InventoryEvent(event) => self.saga(Input::Inventory(event), cause),
            Message::PaymentEvent(event) => self.saga(Input::Payment(event), cause),
            Message::InventoryCommand(_) => self.reserve(message, cause),
            Message::StockCommand(command) => self.restock(command, cause),
            Message::PaymentCommand(command) => self.charge(charge::Input::Command(command), cause),
            Message::OrderEvent(_) | Message::StockEvent(_) => unreachable!("nobody reads them"),
        }
    }

    pub(super) fn now(&self) -> Time {
        Time::from_micros(self.now)
    }

    fn saga(&mut self, input: Input<'_>, cause: Cause) {
        let id = input.order_id().clone();
        let (state, policy) = (self.orders.get(&id), self.policy.clone());
        let decision = self.planted.alter_order(state, input, saga::decide(state, input, self.now(), &policy));
        if let Some(event) = decision.change() {
            let next = saga::evolve(self.orders.remove(&id), event).unwrap().unwrap();
            self.orders.insert(id, next);
        }
        self.emit(ServiceName::Order, decision, cause);
    }

    fn reserve(&mut self, message: &Message, cause: Cause) {
        let Message::InventoryCommand(command) = message else { return };
        let id = OrderId::new(message.key()).unwrap();
        let level = |sku: &Sku| self.levels.get(sku).copied().unwrap_or_default();
        let decision = stock::decide(self.reservations.get(&id), command, level, self.now());
        let decision = self.planted.alter_reservation(command, decision);
        if let Some(event) = decision.change() {
            let evolved = stock::evolve(self.reservations.remove(&id), event).unwrap();
            self.reservations.insert(id, evolved.reservation.unwrap());
            for change in evolved.changes {
                let level = self.levels.entry(change.sku.clone()).or_default();
                *level = level.after(&change).unwrap();
            }
        }
        self.emit(ServiceName::Inventory, decision, cause);
    }

    fn restock(&mut self, command: &StockCommand, cause: Cause) {
        let (sku, command_id) = (command.key(), command.command_id());
        let key = (sku.clone(), command_id.as_str().to_owned());
        let level = self.levels.get(sku).copied().unwrap_or_default();
        let decision = stock::decide_stock(self.receipts.get(&key), level, command, self.now());
        let decision = self.planted.alter_stock(decision);
        if let Some(event) = decision.change() {
            self.levels.insert(sku.clone(), stock::evolve_stock(sku, level, event).unwrap());
            self.receipts.insert(key, Receipt::of(event).unwrap());
            self.products.extend(Product::of(event).map(|product| (sku.clone(), product)));
        }
        self.emit(ServiceName::Inventory, decision, cause);
    }

    fn charge(&mut self, input: charge::Input<'_>, cause: Cause) {
        let id = input.order_id().clone();
        let policy = charge::Policy::default();
        let decided = charge::decide(self.payments.get(&id), self.calls.get(&id), input, self.now(), &policy);
        let decided = self.planted.alter_charge(self.calls.get(&id), input, decided);
        if let Some(event) = decided.decision.change() {
            let evolved = charge::evolve(self.payments.remove(&id), event).unwrap();
            self.payments.insert(id.clone(), evolved.payment.unwrap());
            self.postings.extend(evolved.postings);
        }
        self.emit(ServiceName::Payment, decided.decision, cause);
        match decided.call {
            CallChange::Unchanged => {}
            CallChange::Cleared => drop(self.calls.remove(&id)),
            CallChange::Set(call) => {
                self.calls.insert(id, (*call).clone());
                let answer = Answer::to(&call, CallStep::Execute, self.provide(&call));
                self.charge(charge::Input::Answer(&answer), cause);
            }
        }
    }

    /// The provider does it, whatever becomes of its answer.
    fn provide(&mut self, call: &Call) -> ProviderAnswer {
        let is_refused = call.amount_minor >= DECLINED_FROM
            || self.refused.iter().any(|(id, operation)| *id == call.order_id && *operation == call.operation);
        let outcome = if is_refused { StatementOutcome::Refused } else { StatementOutcome::Succeeded };
        self.statement.push(StatementLine::of(&call.request(), outcome));
        if self.answers_are_lost && call.tries() == 0 && call.attempt == 1 {
            return ProviderAnswer::Unknown { detail: "lost".into() };
        }
        match is_refused {
            true => ProviderAnswer::Refused { detail: "refused by the issuer".into() },
            false => ProviderAnswer::Succeeded { reference: "ref".into(), expires_at: None },
        }
    }

    /// With the ids that the services' emitter gives.
    fn emit<E: Into<Message>>(&mut self, service: ServiceName, decision: Decision<E>, cause: Cause) {
        let mut version = None;
        for (message, index) in decision.messages().zip(0..) {
            version = message.version().or(version);
            let id = match version {
                Some(version) if message.topic() == TopicName::StockEvents => {
                    message_id::of_sku_version(message.key(), version, index)
                }
                Some(version) => message_id::of_version(service, message.key(), version, index),
                None => message_id::of_input(service, cause.topic.as_str(), cause.partition, cause.offset, index),
            };
            self.shelf.emit(service, &message, id, cause.id);
        }
    }

    fn put_aside(&mut self, reader: ServiceName, record: &OwnedRecord, cause: Cause) {
        let Cause { topic, partition, offset, .. } = cause;
        let mut record = record.clone();
        record.headers.extend([
            header("kafka_dlt-original-topic", topic.as_str()),
            ("kafka_dlt-original-partition".into(), Some(partition.to_be_bytes().to_vec())),
            ("kafka_dlt-original-offset".into(), Some(offset.to_be_bytes().to_vec())),
            header("kafka_dlt-exception-fqcn", "undecodable"),
        ]);
        let id = message_id::of_input(reader, topic.as_str(), partition, offset, 0);
        let row = OutboxRow { id, ce_type: None, source: reader.source(), cause: None, record };
        self.shelf.commit(reader, Channel::DeadLetters(topic), partition, row);
    }

    /// What a client places.
    pub(super) fn place(&mut self, order: PlaceOrder) {
        self.send(order);
    }
}
