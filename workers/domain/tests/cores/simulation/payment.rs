//! The payment service of the simulation, with calls under way in a process that can die or sleep, and the provider that
//! they reach.

use std::collections::{BTreeMap, BTreeSet};

use domain::charge::{Answer, Call, CallChange, CallStep, Decided, Input, Payment, Policy, Posting, decide, evolve};
use domain::decision::{Inconsistent, Outcome};
use domain::planted::Planted;
use domain::provider::{IdempotencyKey, Operation, ProviderAnswer};
use domain::simulator::Simulator;
use domain::statement::StatementOutcome;
use schemas::{CommandId, Message, OrderId, PaymentEvent, Time};

use super::customers::Customers;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Accounts {
    pub(super) payments: BTreeMap<OrderId, Payment>,
    pub(super) ledger: Vec<Posting>,
}

/// A call that some process is making, perhaps one that has lost its payment to another.
struct Making {
    call: Call,
    step: CallStep,
    by_owner: bool,
}

pub(super) struct Payments {
    pub(super) policy: Policy,
    pub(super) planted: Planted,
    pub(super) accounts: Accounts,
    pub(super) calls: BTreeMap<OrderId, Call>,
    pub(super) provider: Simulator,
    pub(super) customers: Customers,
    /// What the provider did: the keys per order, operation and refund.
    pub(super) effects: BTreeMap<Effect, BTreeSet<IdempotencyKey>>,
    /// How much it took from a customer or gave back, by key.
    pub(super) moved: BTreeMap<IdempotencyKey, Moved>,
    making: Vec<Making>,
}

/// What has to take effect at most once.
pub(super) type Effect = (OrderId, &'static str, Option<CommandId>);

/// Money that the provider moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) order_id: OrderId,
    pub(super) operation: Operation,
    pub(super) refund_id: Option<CommandId>,
    pub(super) amount_minor: i64,
}

impl Payments {
    pub(super) fn new(policy: Policy, planted: Planted, provider: Simulator) -> Self {
        Payments {
            policy,
            planted,
            accounts: Accounts::default(),
            calls: BTreeMap::new(),
            provider,
            customers: Customers::default(),
            effects: BTreeMap::new(),
            moved: BTreeMap::new(),
            making: Vec::new(),
        }
    }

    pub(super) fn handle(&mut self, input: Input<'_>, now: Time) -> Result<(Vec<Message>, Outcome), Inconsistent> {
        let order_id = input.order_id();
        let Decided { decision, call } = self.decide(input, now);
        if let Some(event) = decision.change() {
            self.accounts.fold(order_id, event)?;
        }
        match call {
            CallChange::Unchanged => {}
            CallChange::Set(call) => {
                self.calls.insert(order_id.clone(), *call);
            }
            CallChange::Cleared => {
                self.calls.remove(order_id);
            }
        }
        let outcome = decision.outcome;
        Ok((decision.messages().collect(), outcome))
    }

    pub(super) fn decide(&self, input: Input<'_>, now: Time) -> Decided {
        let order_id = input.order_id();
        let (payment, call) = (self.accounts.payments.get(order_id), self.calls.get(order_id));
        self.planted.alter_charge(call, input, decide(payment, call, input, now, &self.policy))
    }

    /// The calls that are due and that no owner makes yet.
    pub(super) fn due(&self, now: Time) -> Vec<OrderId> {
        let is_made = |call: &Call| self.making.iter().any(|one| one.by_owner && one.call.order_id == call.order_id);
        let due = self.calls.values().filter(|call| call.due_at <= now && !is_made(call));
        due.map(|call| call.order_id.clone()).collect()
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.calls.values().map(|call| call.due_at).min()
    }

    pub(super) fn start(&mut self, order_id: &OrderId, now: Time) -> CallStep {
        let call = self.calls[order_id].clone();
        let step = call.step(now, &self.policy);
        self.making.push(Making { call, step, by_owner: true });
        step
    }

    pub(super) fn under_way(&self) -> usize {
        self.making.len()
    }

    /// The request reaches the provider, and its answer comes back.
    pub(super) fn finish(&mut self, index: usize) -> Answer {
        let Making { call, step, .. } = self.making.swap_remove(index);
        let request = call.request();
        let plan = match step {
            CallStep::Execute => self.provider.plan(&request),
            CallStep::LookUp => self.provider.plan_look_up(&request),
        };
        let answer = self.customers.answer(&request, plan.answer);
        let is_held_back = matches!(answer, ProviderAnswer::ActionRequired { .. } | ProviderAnswer::Refused { .. });
        // What it says was done counts as done, whichever try it thinks did it: two owners count their tries apart.
        let says_so = matches!(answer, ProviderAnswer::Succeeded { .. });
        if says_so || (plan.effect == Some(StatementOutcome::Succeeded) && !is_held_back) {
            let (order_id, operation, refund_id) = (call.order_id.clone(), call.operation, call.refund_id.clone());
            let moved = Moved { order_id, operation, refund_id, amount_minor: call.amount_minor };
            let effect = (moved.order_id.clone(), operation.as_str(), moved.refund_id.clone());
            self.moved.insert(request.key.clone(), moved);
            self.effects.entry(effect).or_default().insert(request.key);
        }
        Answer::to(&call, step, answer)
    }

    /// The owner sleeps and another takes over: what was being made may still be made, later, by the old one.
    pub(super) fn pause(&mut self) {
        self.making.iter_mut().for_each(|one| one.by_owner = false);
    }

    /// The owner dies; what it was making is forgotten.
    pub(super) fn crash(&mut self) {
        self.making.clear();
    }

    /// The tables are rebuilt from events; calls are no part of events.
    pub(super) fn rebuild(&mut self, accounts: Accounts) {
        self.accounts = accounts;
        self.calls.clear();
        self.pause();
    }

    /// What the provider took from the customer of an order, or gave back.
    pub(super) fn moved(&self, order_id: &OrderId, operation: Operation) -> i64 {
        let moved = self.moved.values().filter(|one| one.order_id == *order_id && one.operation == operation);
        moved.map(|one| one.amount_minor).sum()
    }

    pub(super) fn is_authorizing(&self, order_id: &OrderId) -> bool {
        self.calls.get(order_id).is_some_and(|call| call.operation == Operation::Authorize)
    }
}

impl Accounts {
    pub(super) fn fold(&mut self, order_id: &OrderId, event: &PaymentEvent) -> Result<(), Inconsistent> {
        let evolved = evolve(self.payments.remove(order_id), event)?;
        if let Some(payment) = evolved.payment {
            self.payments.insert(order_id.clone(), payment);
        }
        self.ledger.extend(evolved.postings);
        self.ledger.sort_by(|a, b| (&a.order_id, a.version, a.account).cmp(&(&b.order_id, b.version, b.account)));
        Ok(())
    }
}
