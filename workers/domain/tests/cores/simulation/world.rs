//! The world: one step at a time it lets something happen, good or bad; then the faults heal and everything has to end.

use std::collections::{BTreeMap, BTreeSet};

use domain::charge::{self, Answer, CallStep, Payment};
use domain::decision::{Inconsistent, Outcome};
use domain::planted::Planted;
use domain::provider::{Operation, ProviderAnswer};
use domain::saga;
use domain::simulator::{Simulator, SimulatorConfig};
use schemas::{CustomerId, Message, OrderId, PaymentCommand, Time, TopicName};

use super::bus::{Bus, Lane, partition_of};
use super::clients::{Clients, LISTED};
use super::inventory::{Books, Inventory};
use super::operators::Operators;
use super::order::Orders;
use super::payment::Payments;
use super::random::Random;
use super::rules::{Held, Rules, Violation};
use crate::fixtures::noon;

/// What a run is like.
pub(super) struct Setting {
    steps: usize,
    planted: Planted,
    give_up_after_ms: i64,
    provider: SimulatorConfig,
}

impl Setting {
    /// Every fifth seed has a provider that is given up soon, so that payments get stuck.
    pub(super) fn of_seed(seed: u64, planted: Planted) -> Self {
        let provider = SimulatorConfig {
            seed,
            decline_per_million: 150_000,
            capture_failure_per_million: 120_000,
            refund_failure_per_million: 150_000,
            void_failure_per_million: 40_000,
            timeout_before_effect_per_million: 120_000,
            timeout_after_effect_per_million: 120_000,
            server_error_per_million: 60_000,
            conflict_per_million: 60_000,
            faulty_tries: 6,
            ..SimulatorConfig::default()
        };
        let give_up_after_ms = if seed % 5 == 4 { 1_500 } else { 3_600_000 };
        Setting { steps: 1_500, planted, give_up_after_ms, provider }
    }
}

pub(super) struct World {
    random: Random,
    now: Time,
    steps: usize,
    pub(super) bus: Bus,
    clients: Clients,
    operators: Operators,
    pub(super) orders: Orders,
    pub(super) inventory: Inventory,
    pub(super) payments: Payments,
    pub(super) rules: Rules,
    history: Vec<Message>,
    pub(super) sights: BTreeSet<String>,
}

impl World {
    pub(super) fn new(random: Random, setting: Setting) -> Self {
        let Setting { steps, planted, give_up_after_ms, provider } = setting;
        let payment_policy = charge::Policy {
            retry_first_ms: 50,
            retry_max_ms: 800,
            accepted_max_ms: 800,
            renew_before_ms: 1_000,
            idempotency_window_ms: 700,
            action_within_ms: 5_000,
            action_look_ms: 400,
            give_up_after_ms,
        };
        let provider = Simulator::new(provider);
        World {
            random,
            now: noon(),
            steps,
            bus: Bus::default(),
            clients: Clients::default(),
            operators: Operators::default(),
            orders: Orders { policy: order_policy(), planted, orders: BTreeMap::new() },
            inventory: Inventory { planted, books: Books::default() },
            payments: Payments::new(payment_policy, planted, provider),
            rules: Rules::default(),
            history: Vec::new(),
            sights: BTreeSet::new(),
        }
    }

    /// Things happen, faults among them.
    pub(super) fn suffer(&mut self) {
        for _ in 0..6 {
            let receipt = self.clients.receive(&mut self.random);
            self.say(receipt);
        }
        for _ in 0..self.steps {
            if self.random.is_exhausted() {
                break;
            }
            self.step();
        }
    }

    fn step(&mut self) {
        let ms = self.random.number(0, 40);
        self.now = self.now.plus_ms(ms);
        match self.random.below(100) {
            0..=4 => {
                let message = self.clients.publish(&mut self.random);
                self.say(message);
            }
            5..=8 => {
                let command = self.operators.act(&mut self.random, &self.orders.orders);
                command.into_iter().for_each(|command| self.say(command.into()));
            }
            9..=64 => self.deliver_somewhere(),
            65..=74 => self.start_call(),
            75..=84 => self.finish_call(),
            85..=86 => self.let_a_customer_act(),
            87..=92 => self.fire_timers(),
            93..=95 => self.repeat_something(),
            96 => self.waste_a_decision(),
            97 => self.payments.pause(),
            98 => self.payments.crash(),
            _ => self.rebuild_payment(),
        }
    }

    /// No more faults: whatever waits is done, until nothing is left to do.
    pub(super) fn heal(&mut self) {
        for _ in 0..50_000 {
            if let Some(lane) = self.bus.waiting().first() {
                self.deliver(*lane);
            } else if self.payments.under_way() > 0 {
                self.finish_call();
            } else if !self.payments.due(self.now).is_empty() {
                self.start_call();
            } else if !self.orders.overdue(self.now).is_empty() {
                self.fire_timers();
            } else if let Some(next) =
                [self.payments.next_due(), self.orders.next_deadline()].into_iter().flatten().min()
            {
                self.now = self.now.max(next);
            } else if let Some(command) = self.operators.finish(&self.orders.orders) {
                self.say(command.into());
            } else {
                return self.check_end();
            }
        }
        let left = format!("calls {:?}, deadlines {:?}", self.payments.calls, self.orders.overdue(self.now));
        self.rules.break_rule("termination", format!("there is always something left to do: {left}"));
    }

    pub(super) fn into_violations(self) -> Vec<Violation> {
        self.rules.into_found()
    }

    /// Everything that was said, in order.
    pub(super) fn history(self) -> Vec<Message> {
        self.history
    }

    /// What was seen to happen.
    pub(super) fn sights(self) -> BTreeSet<String> {
        self.sights
    }

    // ------------------------------------------------------------ messages

    fn deliver_somewhere(&mut self) {
        let waiting = self.bus.waiting();
        if let Some(lane) = pick(&mut self.random, &waiting) {
            self.deliver(*lane);
        }
    }

    fn deliver(&mut self, lane: Lane) {
        let Some(message) = self.bus.peek(lane).cloned() else { return };
        self.bus.advance(lane);
        let now = self.now;
        let done = match &message {
            Message::OrderCommand(command) => self.orders.handle(saga::Input::Command(command), now),
            Message::InventoryEvent(event) => self.orders.handle(saga::Input::Inventory(event), now),
            Message::PaymentEvent(event) => self.orders.handle(saga::Input::Payment(event), now),
            Message::InventoryCommand(command) => self.inventory.handle(command, now),
            Message::StockCommand(command) => {
                let done = self.inventory.handle_stock(command, now);
                if let Ok((said, _)) = &done {
                    self.rules.check_deed(command, said);
                }
                done
            }
            Message::PaymentCommand(command) => self.payments.handle(charge::Input::Command(command), now),
            Message::OrderEvent(_) | Message::StockEvent(_) => return,
        };
        self.settle(done);
    }

    /// What was decided is said, and the rules look at it.
    fn settle(&mut self, done: Result<(Vec<Message>, Outcome), Inconsistent>) {
        match done {
            Ok((messages, outcome)) => {
                self.sights.insert(outcome.as_str().to_owned());
                messages.into_iter().for_each(|message| self.say(message));
            }
            Err(inconsistent) => self.rules.break_rule("consistency", inconsistent.to_string()),
        }
        if let Some((sku, level)) = self.inventory.books.levels.iter().find(|(_, level)| !level.is_sound()) {
            self.rules.break_rule("stock", format!("{sku}: {level:?}"));
        }
        if self.payments.calls.values().any(|call| call.queued.is_some()) {
            self.sights.insert("queued".into());
        }
    }

    fn say(&mut self, message: Message) {
        if self.rules.is_new(&message) {
            let held = held(&self.orders, &self.inventory, &self.payments, message.key());
            self.rules.check_new(&message, &held);
        }
        self.history.push(message.clone());
        self.bus.append(message);
    }

    /// A redrive: something that was said is said again, to whoever reads it.
    fn repeat_something(&mut self) {
        let message = pick(&mut self.random, &self.history).cloned();
        message.into_iter().for_each(|message| self.say(message));
    }

    /// A process dies between deciding and committing: the decision must not have left a trace, and comes out the same.
    fn waste_a_decision(&mut self) {
        let waiting = self.bus.waiting();
        let Some(message) = pick(&mut self.random, &waiting).and_then(|lane| self.bus.peek(*lane)) else { return };
        let is_same = match message {
            Message::OrderCommand(command) => {
                let decide = || self.orders.decide(saga::Input::Command(command), self.now);
                decide() == decide()
            }
            Message::InventoryCommand(command) => {
                self.inventory.decide(command, self.now) == self.inventory.decide(command, self.now)
            }
            Message::PaymentCommand(command) => {
                let decide = || self.payments.decide(charge::Input::Command(command), self.now);
                decide() == decide()
            }
            Message::OrderEvent(_)
            | Message::InventoryEvent(_)
            | Message::StockCommand(_)
            | Message::StockEvent(_)
            | Message::PaymentEvent(_) => true,
        };
        if !is_same {
            self.rules.break_rule("purity", format!("{message:?} is decided in two ways"));
        }
    }

    // ------------------------------------------------------------ time and calls

    fn fire_timers(&mut self) {
        for order_id in self.orders.overdue(self.now) {
            if !self.bus.order_has_caught_up(partition_of(order_id.as_str())) {
                continue;
            }
            let before = self.orders.orders.get(&order_id).map(|order| order.version);
            let done = self.orders.handle(saga::Input::DeadlinePassed(&order_id), self.now);
            self.settle(done);
            if self.orders.orders.get(&order_id).map(|order| order.version) == before {
                self.rules.break_rule("deadline", format!("{order_id} goes on waiting"));
                // It would fire for ever.
                self.orders.orders.remove(&order_id);
            }
        }
    }

    fn start_call(&mut self) {
        let due = self.payments.due(self.now);
        if let Some(order_id) = pick(&mut self.random, &due) {
            match self.payments.start(order_id, self.now) {
                CallStep::Execute => {}
                CallStep::LookUp => {
                    self.sights.insert("looked up".into());
                }
            }
        }
    }

    fn finish_call(&mut self) {
        let under_way = self.payments.under_way();
        if under_way == 0 {
            return;
        }
        let answer = self.payments.finish(self.random.index(under_way));
        let call = self.payments.calls.get(&answer.order_id);
        let is_awaited = call.is_some_and(|call| call.key() == answer.key && call.tries() == answer.tries);
        self.pay(charge::Input::Answer(&answer));
        if is_awaited {
            self.check_time(&answer);
        }
        for ((order_id, operation, refund_id), keys) in &self.payments.effects {
            if keys.len() > 1 {
                let rule = if refund_id.is_some() { "one refund" } else { "one charge" };
                self.rules.break_rule(rule, format!("{order_id}: {operation} took effect under {keys:?}"));
            }
        }
    }

    fn let_a_customer_act(&mut self) {
        let awaited = self.payments.customers.awaited();
        if let Some(order_id) = pick(&mut self.random, &awaited).filter(|_| self.random.one_in(3)) {
            let confirms = !self.random.one_in(4);
            self.payments.customers.act(order_id, confirms);
        }
    }

    fn pay(&mut self, input: charge::Input<'_>) {
        let done = self.payments.handle(input, self.now);
        self.settle(done);
    }

    /// Whoever is told that the customer has to act after the time for it is over does not go on waiting.
    fn check_time(&mut self, answer: &Answer) {
        let payment = self.payments.accounts.payments.get(&answer.order_id);
        let is_over = payment.and_then(Payment::awaited_action).is_some_and(|action| action.until <= self.now);
        let is_still = matches!(answer.answer, ProviderAnswer::ActionRequired { .. });
        let call = self.payments.calls.get(&answer.order_id);
        if is_over && is_still && call.is_some_and(|call| call.operation == Operation::Authorize) {
            self.rules
                .break_rule("the customer's time", format!("{} goes on waiting for its customer", answer.order_id));
        }
    }

    /// The payment service loses its tables, folds them from its topic and reads its commands again.
    fn rebuild_payment(&mut self) {
        let Some(accounts) = self.folded_accounts() else { return };
        self.payments.rebuild(accounts);
        // Only what had been read before: the rest still waits in its topic. Reading all of it again is harmless.
        let commands = self.bus.already_read(TopicName::PaymentCommands);
        let again: Vec<PaymentCommand> = commands
            .filter_map(|message| match message {
                Message::PaymentCommand(command) => Some(command.clone()),
                Message::OrderCommand(_)
                | Message::OrderEvent(_)
                | Message::InventoryCommand(_)
                | Message::InventoryEvent(_)
                | Message::StockCommand(_)
                | Message::StockEvent(_)
                | Message::PaymentEvent(_) => None,
            })
            .collect();
        for command in &again {
            self.pay(charge::Input::Command(command));
        }
    }
}

/// Times of the same order as those of a run, so that all of them pass in it.
fn order_policy() -> saga::Policy {
    saga::Policy {
        confirm_within_ms: 3_000,
        ship_within_ms: 3_000,
        hold_within_ms: 4_000,
        return_within_ms: 5_000,
        hold_above_minor: Some(1_500),
        hold_customers: [CustomerId::new(LISTED).unwrap()].into(),
    }
}

pub(super) fn held<'a>(orders: &'a Orders, inventory: &'a Inventory, payments: &'a Payments, key: &str) -> Held<'a> {
    let Ok(order_id) = OrderId::new(key) else {
        return Held { order: None, reservation: None, payment: None, is_being_authorized: false };
    };
    Held {
        order: orders.orders.get(&order_id),
        reservation: inventory.books.reservations.get(&order_id),
        payment: payments.accounts.payments.get(&order_id),
        is_being_authorized: payments.is_authorizing(&order_id),
    }
}

fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> Option<&'a T> {
    (!from.is_empty()).then(|| &from[random.index(from.len())])
}
