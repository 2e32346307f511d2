//! Charges under any history of commands and answers, also such as nobody would make.

use domain::charge::{Account, PaymentStatus, evolve};
use domain::decision::Outcome;
use domain::provider::{Operation, ProviderAnswer};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use schemas::{Message, PaymentEvent};

use super::fixtures::{noon, pay};
use super::payment_table::{Given, Held, command, refused, succeeded, unknown};

fn any_history() -> impl Strategy<Value = Vec<(Given, i64)>> {
    let later = Given::Answer(ProviderAnswer::RetryLater { detail: "409".into(), after_ms: None });
    let mut commands = vec![command(pay::authorize(850)), command(pay::capture()), command(pay::void())];
    for (id, amount_minor) in [("r-1", Some(300)), ("r-2", Some(600)), ("r-3", Some(900)), ("r-4", None), ("r-5", None)]
    {
        commands.push(command(pay::refund(id, amount_minor)));
    }
    commands.push(command(pay::retry("k")));
    let answers = vec![succeeded(), refused(), unknown(), later, Given::Answer(ProviderAnswer::NotFound)];
    let pauses = prop_oneof![8 => Just(10_i64), 2 => Just(20_000), 1 => Just(70_000)];
    vec((prop_oneof![select(commands), select(answers)], pauses), 0..60)
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
                prop_assert_eq!(call.attempt, 1 + refused, "{:?}", call);
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
        prop_assert_eq!(folded, held.payment);
        prop_assert_eq!(posted.iter().map(|posting| posting.amount_minor).sum::<i64>(), 0);
        let on = |account| posted.iter().filter(move |posting| posting.account == account);
        prop_assert!(on(Account::Sales).count() <= 1, "charged more than once: {posted:?}");
        let left: i64 = on(Account::ProviderReceivable).map(|posting| posting.amount_minor).sum();
        prop_assert!(left >= 0, "more given back than taken: {posted:?}");
    }
}
