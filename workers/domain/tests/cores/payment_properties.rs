//! Charges under any history of commands and answers, also such as nobody would make.

use std::collections::BTreeMap;

use domain::charge::{
    Account, AuthorizationOutcome, DisputeStatus, Payment, PaymentStatus, Posting, Refund, RefundOutcome, evolve,
};
use domain::decision::Outcome;
use domain::provider::{Operation, ProviderAnswer, Sighting};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use schemas::{Message, PaymentEvent};

use super::fixtures::{noon, pay};
use super::payment_table::{
    Given, Held, came_back, command, disputed, held_again, held_for_a_minute, pending, refused, succeeded, unknown,
};

fn any_history() -> impl Strategy<Value = Vec<(Given, i64)>> {
    let later = Given::Answer(ProviderAnswer::RetryLater { detail: "409".into(), after_ms: None });
    let mut commands = vec![command(pay::authorize(850)), command(pay::capture()), command(pay::void())];
    for (id, amount_minor) in [("r-1", Some(300)), ("r-2", Some(600)), ("r-3", Some(900)), ("r-4", None), ("r-5", None)]
    {
        commands.push(command(pay::refund(id, amount_minor)));
    }
    commands.push(command(pay::retry("k")));
    let answers = vec![
        succeeded(),
        held_for_a_minute(),
        held_again(),
        refused(),
        unknown(),
        pending(),
        later,
        Given::Answer(ProviderAnswer::NotFound),
    ];
    let seen =
        vec![disputed("opened"), disputed("won"), disputed("lost"), came_back(), other_dispute(), Given::Lapsing];
    let pauses = prop_oneof![8 => Just(10_i64), 2 => Just(20_000), 1 => Just(70_000)];
    vec((prop_oneof![3 => select(commands), 3 => select(answers), 1 => select(seen)], pauses), 0..60)
}

/// Of another dispute, in the currency in which the bank withholds.
fn other_dispute() -> Given {
    Given::Seen(Sighting::Disputed {
        dispute_id: "dp-2".into(),
        status: "opened".into(),
        amount_minor: 90,
        currency: "USD".into(),
        fee_minor: 0,
    })
}

/// What is booked on an account in a currency.
fn booked(posted: &[Posting], account: Account, currency: &str) -> i64 {
    let of = |posting: &&Posting| posting.account == account && posting.currency == currency;
    posted.iter().filter(of).map(|posting| posting.amount_minor).sum()
}

/// What the state says of an account, by hand: the ledger is made of events alone.
fn expected(payment: Option<&Payment>, account: Account, currency: &str) -> i64 {
    let Some(payment) = payment else { return 0 };
    let taken = if payment.status() == PaymentStatus::Captured && currency == "EUR" { 850 } else { 0 };
    let is_done = |refund: &&Refund| matches!(refund.outcome, RefundOutcome::Refunded { .. });
    let given = payment.refunds.iter().filter(is_done).map(|refund| refund.amount_minor).sum::<i64>();
    let given = if currency == "EUR" { given } else { 0 };
    let of = |status| payment.disputes.iter().filter(move |one| one.currency == currency && one.standing() == status);
    let sum = |status| of(status).map(|one| one.amount_minor).sum::<i64>();
    let (opened, lost) = (sum(DisputeStatus::Opened), sum(DisputeStatus::Lost));
    let fees = payment.disputes.iter().filter(|one| one.currency == currency).map(|one| one.fee_minor).sum::<i64>();
    match account {
        Account::ProviderReceivable => taken - given - opened - lost - fees,
        Account::Sales => -taken,
        Account::Refunds => given,
        Account::Disputes => opened,
        Account::WriteOffs => lost,
        Account::Fees => fees,
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 600, ..Default::default() })]

    #[test]
    fn any_history_keeps_the_rules(history in any_history()) {
        let mut held = Held::default();
        let mut events: Vec<PaymentEvent> = Vec::new();
        let mut posted = Vec::new();
        let mut now = noon();
        for (given, pause_ms) in history {
            now = now.plus_ms(pause_ms);
            let decided = held.when(&given, now);
            let decision = &decided.decision;
            prop_assert!(decision.commands.is_empty());
            match decision.outcome {
                Outcome::Applied => {
                    let event = decision.event.clone().unwrap();
                    posted.extend(evolve(held.payment.clone(), &event).unwrap().postings);
                    events.push(event.clone());
                    prop_assert_eq!(Message::from(event).version(), i64::try_from(events.len()).ok());
                }
                Outcome::Repeated => prop_assert!(events.contains(decision.event.as_ref().unwrap()), "new words"),
                Outcome::Pending | Outcome::NoEffect | Outcome::Late => prop_assert!(decision.event.is_none()),
                // A retry of what is not there.
                Outcome::Unknown => prop_assert!(held.payment.is_none() && decision.event.is_none()),
                Outcome::Rejected => prop_assert!(false, "{decision:?}"),
            }
            held = held.then(&decided);
            // A further attempt, with a key of its own, follows only a definitive refusal, and only where somebody tries again.
            let stuck = held.payment.as_ref().and_then(|payment| payment.stuck.as_ref());
            if let Some(call) = &held.call {
                let refused = stuck.filter(|stuck| stuck.operation == call.operation).map_or(0, |stuck| stuck.refused_attempts);
                let is_again = call.operation == Operation::Authorize && stuck.is_none() && call.attempt == 2;
                prop_assert!(is_again || call.is_release() || call.attempt == 1 + refused, "{:?}", call);
                // What is let go of for good, or taken, is what is in force; a release is never of that.
                let in_force = AuthorizationOutcome::Authorized { provider_reference: call.authorization.clone() };
                let authorization = held.payment.as_ref().and_then(|payment| payment.authorization.as_ref());
                let is_in_force = authorization.is_some_and(|held| held.outcome == in_force);
                let is_about_it = matches!(call.operation, Operation::Capture | Operation::Void);
                prop_assert!(!is_about_it || is_in_force != call.is_release(), "{:?}", call);
            }
            if let Some(payment) = &held.payment {
                let taken = if payment.status() == PaymentStatus::Captured { 850 } else { 0 };
                prop_assert!(payment.refunded_minor() <= taken, "{:?}", payment.refunds);
                let under_way = held.call.as_ref().filter(|call| call.operation == Operation::Refund);
                let asked = under_way.map_or(0, |call| call.amount_minor);
                let is_known = under_way.is_some_and(|call| {
                    payment.refunds.iter().any(|refund| Some(&refund.refund_id) == call.refund_id.as_ref())
                });
                prop_assert!(is_known || payment.refunded_minor() + asked <= taken, "{:?}", held.call);
            }
        }
        let folded = events.iter().try_fold(None, |state, event| evolve(state, event).map(|next| next.payment)).unwrap();
        prop_assert_eq!(&folded, &held.payment);
        let mut sums: BTreeMap<(i64, &str), i64> = BTreeMap::new();
        for posting in &posted {
            *sums.entry((posting.version, posting.currency.as_str())).or_default() += posting.amount_minor;
        }
        prop_assert!(sums.values().all(|sum| *sum == 0), "no zero per event and currency: {:?}", posted);
        for (account, currency) in Account::ALL.into_iter().flat_map(|account| [(account, "EUR"), (account, "USD")]) {
            let expected = expected(held.payment.as_ref(), account, currency);
            prop_assert_eq!(booked(&posted, account, currency), expected, "{:?} {}", account, currency);
        }
        let on = |account| posted.iter().filter(move |posting| posting.account == account);
        prop_assert!(on(Account::Sales).count() <= 1, "charged more than once: {posted:?}");
    }
}
