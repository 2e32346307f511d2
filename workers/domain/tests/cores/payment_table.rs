//! Payments: every state, with and without a call under way, against every command and answer.

use domain::charge::{Answer, Call, CallChange, CallStep, Decided, Input, Payment, decide, evolve};
use domain::decision::Outcome;
use domain::provider::{Operation, ProviderAnswer};
use schemas::{PaymentCommand, Time};

use super::fixtures::{charge_policy, noon, pay};
use super::table::{Table, cell};

/// A payment with the call that is under way for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    pub(crate) payment: Option<Payment>,
    pub(crate) call: Option<Call>,
}

/// What happens to a payment.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    Command(PaymentCommand),
    Answer(ProviderAnswer),
}

impl Held {
    pub(crate) fn when(&self, given: &Given, now: Time) -> Decided {
        let (payment, call) = (self.payment.as_ref(), self.call.as_ref());
        match given {
            Given::Command(command) => decide(payment, call, Input::Command(command), now, &charge_policy()),
            Given::Answer(answer) => {
                // Without a call, the answer is to one that has ended.
                let ended = call.cloned().unwrap_or_else(|| authorizing().call.unwrap());
                let answer = Answer::to(&ended, CallStep::Execute, answer.clone());
                decide(payment, call, Input::Answer(&answer), now, &charge_policy())
            }
        }
    }

    pub(crate) fn then(self, decided: &Decided) -> Self {
        let payment = match decided.decision.change() {
            Some(event) => evolve(self.payment, event).unwrap().payment,
            None => self.payment,
        };
        let call = match &decided.call {
            CallChange::Unchanged => self.call,
            CallChange::Set(call) => Some(call.clone()),
            CallChange::Cleared => None,
        };
        Held { payment, call }
    }

    pub(crate) fn after(history: &[Given]) -> Self {
        history.iter().fold(Held::default(), |held, given| {
            let decided = held.when(given, noon());
            held.then(&decided)
        })
    }
}

pub(crate) fn succeeded() -> Given {
    Given::Answer(ProviderAnswer::Succeeded { reference: "ref".into() })
}

pub(crate) fn refused() -> Given {
    Given::Answer(ProviderAnswer::Refused { detail: "no funds".into() })
}

pub(crate) fn unknown() -> Given {
    Given::Answer(ProviderAnswer::Unknown { detail: "timed out".into() })
}

pub(crate) fn command(command: PaymentCommand) -> Given {
    Given::Command(command)
}

pub(crate) fn authorizing() -> Held {
    Held::after(&[command(pay::authorize(850))])
}

fn states_without_call() -> Vec<(&'static str, Held)> {
    let authorized = [command(pay::authorize(850)), succeeded()];
    let after = |more: &[Given]| Held::after(&[&authorized[..], more].concat());
    vec![
        ("no payment", Held::default()),
        ("Authorized", after(&[])),
        ("Declined", Held::after(&[command(pay::authorize(850)), refused()])),
        ("Captured", after(&[command(pay::capture()), succeeded()])),
        ("CaptureFailed", after(&[command(pay::capture()), refused()])),
        ("Voided", after(&[command(pay::void()), succeeded()])),
        ("Voided, version 1", Held::after(&[command(pay::void())])),
        ("Stuck", after(&[command(pay::void()), refused()])),
    ]
}

fn states_with_call() -> Vec<(&'static str, Held)> {
    let authorized = [command(pay::authorize(850)), succeeded()];
    let after = |more: &[Given]| Held::after(&[&authorized[..], more].concat());
    vec![
        ("authorizing", authorizing()),
        ("authorizing, void waits", Held::after(&[command(pay::authorize(850)), command(pay::void())])),
        ("capturing", after(&[command(pay::capture())])),
        ("capturing, void waits", after(&[command(pay::capture()), command(pay::void())])),
        ("voiding", after(&[command(pay::void())])),
    ]
}

fn row(states: &[(&'static str, Held)], given: &Given, now: Time) -> Vec<String> {
    let one = |(_, held): &(&'static str, Held)| {
        let decided = held.when(given, now);
        let call = match &decided.call {
            CallChange::Set(call) if matches!(decided.decision.outcome, Outcome::Applied) => {
                format!(", then {}", name(call.operation))
            }
            CallChange::Set(call) if matches!(decided.decision.outcome, Outcome::Pending) => {
                let tries = if call.tries() > 0 { " again" } else { "" };
                let waits = if call.queued.is_some() { ", void waits" } else { "" };
                return format!("{}{tries}{waits}", name(call.operation));
            }
            CallChange::Set(_) | CallChange::Unchanged | CallChange::Cleared => String::new(),
        };
        cell(&decided.decision) + &call
    };
    states.iter().map(one).collect()
}

fn name(operation: Operation) -> &'static str {
    operation.as_str()
}

#[test]
fn payments_are_as_documented() {
    let states = states_without_call();
    let mut table = Table::new(states.iter().map(|(name, _)| *name));
    for (name, given) in [
        ("AuthorizePayment", command(pay::authorize(850))),
        ("AuthorizePayment of 0", command(pay::authorize(0))),
        ("CapturePayment", command(pay::capture())),
        ("VoidPayment", command(pay::void())),
        ("any answer", succeeded()),
    ] {
        table.row(name, row(&states, &given, noon()));
    }
    table.assert_documented("payment");
}

#[test]
fn calls_are_as_documented() {
    let states = states_with_call();
    let given_up = noon().plus_ms(charge_policy().give_up_after_ms);
    let retry_later = Given::Answer(ProviderAnswer::RetryLater { detail: "409".into(), after_ms: None });
    let not_found = Given::Answer(ProviderAnswer::NotFound);
    let mut table = Table::new(states.iter().map(|(name, _)| *name));
    for (name, given, now) in [
        ("AuthorizePayment", command(pay::authorize(850)), noon()),
        ("VoidPayment", command(pay::void()), noon()),
        ("succeeded", succeeded(), noon()),
        ("refused", refused(), noon()),
        ("unknown", unknown(), noon()),
        ("retry later", retry_later, noon()),
        ("not found", not_found, noon()),
        ("unknown, time to give up", unknown(), given_up),
    ] {
        table.row(name, row(&states, &given, now));
    }
    table.assert_documented("payment, call under way");
}
