//! Payments: every state, with and without a call under way, against every command and answer.

use domain::charge::{Answer, Call, CallChange, CallStep, Decided, Input, Payment, Seen, decide, evolve};
use domain::decision::Outcome;
use domain::provider::{ProviderAnswer, Sighting};
use schemas::{PaymentCommand, Time};

use super::fixtures::{charge_policy, noon, order_id, pay};
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
    Seen(Sighting),
    Lapsing,
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
            Given::Lapsing => decide(payment, call, Input::Lapsing(&order_id()), now, &charge_policy()),
            Given::Seen(sighting) => {
                let seen = Seen { order_id: order_id(), sighting: sighting.clone() };
                decide(payment, call, Input::Seen(&seen), now, &charge_policy())
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
            CallChange::Set(call) => Some((**call).clone()),
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
    Given::Answer(ProviderAnswer::Succeeded { reference: "ref".into(), expires_at: None })
}

pub(crate) fn refused() -> Given {
    Given::Answer(ProviderAnswer::Refused { detail: "no funds".into() })
}

pub(crate) fn unknown() -> Given {
    Given::Answer(ProviderAnswer::Unknown { detail: "timed out".into() })
}

/// Held, for a minute.
pub(crate) fn held_for_a_minute() -> Given {
    let expires_at = Some(noon().plus_ms(60_000));
    Given::Answer(ProviderAnswer::Succeeded { reference: "ref".into(), expires_at })
}

/// Held again, for a minute, under another name.
pub(crate) fn held_again() -> Given {
    let expires_at = Some(noon().plus_ms(60_000));
    Given::Answer(ProviderAnswer::Succeeded { reference: "ref-2".into(), expires_at })
}

/// Accepted, and not done yet.
pub(crate) fn pending() -> Given {
    Given::Answer(ProviderAnswer::Pending { reference: "ref".into() })
}

/// The bank says so of the dispute `dp-1`, of 850 and a fee of 15.
pub(crate) fn disputed(status: &str) -> Given {
    Given::Seen(Sighting::Disputed {
        dispute_id: "dp-1".into(),
        status: status.into(),
        amount_minor: 850,
        currency: "EUR".into(),
        fee_minor: 15,
    })
}

/// A refund came back that was given under the name that every answer has here.
pub(crate) fn came_back() -> Given {
    Given::Seen(Sighting::RefundFailed { reference: "ref".into(), detail: "account closed".into() })
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

fn states_of_refunds() -> Vec<(&'static str, Held)> {
    let captured = [command(pay::authorize(850)), succeeded(), command(pay::capture()), succeeded()];
    let after = |more: &[Given]| Held::after(&[&captured[..], more].concat());
    let part = command(pay::refund("r-1", Some(300)));
    let all = command(pay::refund("r-1", None));
    vec![
        ("no payment", Held::default()),
        ("Authorized", Held::after(&captured[..2])),
        ("Captured", after(&[])),
        ("refunding", after(std::slice::from_ref(&part))),
        ("refunding all", after(std::slice::from_ref(&all))),
        ("refunded", after(&[part.clone(), succeeded()])),
        ("refused", after(&[part.clone(), refused()])),
        ("unknown", given_up(after(&[part]))),
        ("all unknown", given_up(after(&[all]))),
    ]
}

fn states_of_retries() -> Vec<(&'static str, Held)> {
    let authorized = [command(pay::authorize(850)), succeeded()];
    let after = |more: &[Given]| Held::after(&[&authorized[..], more].concat());
    let at = |held: Held| given_up(held);
    let retried = |held: Held| {
        let decided = held.when(&command(pay::retry("retry-1")), noon().plus_ms(charge_policy().give_up_after_ms + 1));
        held.then(&decided)
    };
    let (authorize, capture) = (at(authorizing()), at(after(&[command(pay::capture())])));
    vec![
        ("stuck at authorize", authorize.clone()),
        ("stuck at capture", capture.clone()),
        ("stuck at void", at(after(&[command(pay::void())]))),
        ("nothing to capture", Held::after(&[command(pay::capture())])),
        ("authorizing again", retried(authorize)),
        ("capturing again", retried(capture)),
        ("not stuck", after(&[])),
    ]
}

fn states_of_lapsing() -> Vec<(&'static str, Held)> {
    let near = noon().plus_ms(40_000);
    let on = |held: Held, given: &Given| {
        let decided = held.when(given, near);
        held.then(&decided)
    };
    let authorized = Held::after(&[command(pay::authorize(850)), held_for_a_minute()]);
    let renewing = on(authorized.clone(), &Given::Lapsing);
    vec![
        ("Authorized, with no end", Held::after(&[command(pay::authorize(850)), succeeded()])),
        ("Authorized", authorized.clone()),
        ("capturing", on(authorized, &command(pay::capture()))),
        ("renewing", renewing.clone()),
        ("renewing, capture waits", on(renewing.clone(), &command(pay::capture()))),
        ("renewing, void waits", on(renewing.clone(), &command(pay::void()))),
        ("renewed", on(renewing.clone(), &held_for_a_minute())),
        ("releasing", on(renewing.clone(), &held_again())),
        ("releasing, capture waits", on(on(renewing, &command(pay::capture())), &held_again())),
    ]
}

fn states_of_sightings() -> Vec<(&'static str, Held)> {
    let captured = [command(pay::authorize(850)), succeeded(), command(pay::capture()), succeeded()];
    let after = |more: &[Given]| Held::after(&[&captured[..], more].concat());
    let part = command(pay::refund("r-1", Some(300)));
    vec![
        ("no payment", Held::default()),
        ("Authorized", Held::after(&captured[..2])),
        ("Captured", after(&[])),
        ("refunding", after(std::slice::from_ref(&part))),
        ("refunded", after(&[part.clone(), succeeded()])),
        ("came back", after(&[part, succeeded(), came_back()])),
        ("disputed", after(&[disputed("opened")])),
        ("won", after(&[disputed("won")])),
        ("lost", after(&[disputed("opened"), disputed("lost")])),
    ]
}

/// The call that is under way ends without certainty.
fn given_up(held: Held) -> Held {
    let decided = held.when(&unknown(), noon().plus_ms(charge_policy().give_up_after_ms));
    held.then(&decided)
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

pub(crate) fn row(states: &[(&'static str, Held)], given: &Given, now: Time) -> Vec<String> {
    let one = |(_, held): &(&'static str, Held)| {
        let decided = held.when(given, now);
        let call = match &decided.call {
            CallChange::Set(call) if matches!(decided.decision.outcome, Outcome::Applied) => {
                format!(", then {}", name(call))
            }
            CallChange::Set(call) if matches!(decided.decision.outcome, Outcome::Pending) => {
                let tries = match (&call.accepted, call.tries()) {
                    (Some(_), _) => ", looked up",
                    (None, 1..) => " again",
                    (None, _) => "",
                };
                let waits = call.queued.map_or(String::new(), |queued| format!(", {} waits", queued.as_str()));
                return format!("{}{tries}{waits}", name(call));
            }
            CallChange::Set(_) | CallChange::Unchanged | CallChange::Cleared => String::new(),
        };
        cell(&decided.decision) + &call
    };
    states.iter().map(one).collect()
}

fn name(call: &Call) -> &'static str {
    if call.is_release() { "release" } else { call.operation.as_str() }
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
fn refunds_are_as_documented() {
    let states = states_of_refunds();
    let mut table = Table::new(states.iter().map(|(name, _)| *name));
    for (name, given) in [
        ("RefundPayment of a part", command(pay::refund("r-2", Some(100)))),
        ("RefundPayment of all that is left", command(pay::refund("r-2", None))),
        ("RefundPayment of more than is left", command(pay::refund("r-2", Some(851)))),
        ("RefundPayment, same id", command(pay::refund("r-1", Some(300)))),
        ("CapturePayment", command(pay::capture())),
        ("VoidPayment", command(pay::void())),
        ("RetryPayment", command(pay::retry("retry-1"))),
        ("succeeded", succeeded()),
        ("refused", refused()),
        ("unknown", unknown()),
        ("accepted, not done", pending()),
    ] {
        table.row(name, row(&states, &given, noon()));
    }
    table.assert_documented("payment, refunds");
}

#[test]
fn what_lapses_is_as_documented() {
    let states = states_of_lapsing();
    let mut table = Table::new(states.iter().map(|(name, _)| *name));
    let action = Given::Answer(ProviderAnswer::ActionRequired { reference: "ref".into(), until: None });
    let (near, over) = (noon().plus_ms(40_000), noon().plus_ms(60_000));
    for (name, given, now) in [
        ("long before", Given::Lapsing, noon()),
        ("soon", Given::Lapsing, near),
        ("AuthorizePayment", command(pay::authorize(850)), near),
        ("CapturePayment", command(pay::capture()), near),
        ("VoidPayment", command(pay::void()), near),
        ("succeeded", held_for_a_minute(), near),
        ("succeeded, under another name", held_again(), near),
        ("refused", refused(), near),
        ("the customer has to act", action, near),
        ("unknown", unknown(), near),
        ("unknown, when what was held first has lapsed", unknown(), over),
    ] {
        table.row(name, row(&states, &given, now));
    }
    table.assert_documented("payment, lapsing");
}

#[test]
fn sightings_are_as_documented() {
    let states = states_of_sightings();
    let mut table = Table::new(states.iter().map(|(name, _)| *name));
    for (name, given) in [
        ("dispute opened", disputed("opened")),
        ("dispute won", disputed("won")),
        ("dispute lost", disputed("lost")),
        ("a refund came back", came_back()),
        ("RefundPayment, same id", command(pay::refund("r-1", Some(300)))),
        ("RefundPayment of all that is left", command(pay::refund("r-2", None))),
    ] {
        table.row(name, row(&states, &given, noon()));
    }
    table.assert_documented("payment, seen afterwards");
}

#[test]
fn retries_are_as_documented() {
    let states = states_of_retries();
    let later = noon().plus_ms(charge_policy().give_up_after_ms + 2);
    let mut table = Table::new(states.iter().map(|(name, _)| *name));
    for (name, given) in [
        ("RetryPayment", command(pay::retry("retry-1"))),
        ("AuthorizePayment", command(pay::authorize(850))),
        ("CapturePayment", command(pay::capture())),
        ("VoidPayment", command(pay::void())),
        ("succeeded", succeeded()),
        ("refused", refused()),
    ] {
        table.row(name, row(&states, &given, later));
    }
    table.assert_documented("payment, tried again");
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
        ("accepted, not done", pending(), given_up),
        ("unknown, time to give up", unknown(), given_up),
    ] {
        table.row(name, row(&states, &given, now));
    }
    table.assert_documented("payment, call under way");
}
