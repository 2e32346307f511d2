//! The saga under any history whatever, also such as no other service would make.

use domain::decision::Outcome;
use domain::saga::{Order, Phase, evolve};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::{collection::vec, sample::select};
use schemas::{Message, OrderEvent};

use super::fixtures::{CONFIRM_WITHIN_MS, noon};
use super::order_table::{Given, messages, then, when};

fn any_history() -> impl Strategy<Value = Vec<(Given, i64)>> {
    let inputs: Vec<Given> = messages().into_iter().map(|(_, given)| given).collect();
    vec((select(inputs), 0..CONFIRM_WITHIN_MS / 2), 0..40)
}

fn commands_about(said: &[Message], name: &str) -> usize {
    said.iter().filter(|message| message.name() == name).count()
}

proptest! {
    #[test]
    fn any_history_keeps_the_rules(history in any_history(), salt in any::<u8>()) {
        let mut order: Option<Order> = None;
        let mut events: Vec<OrderEvent> = Vec::new();
        let mut said: Vec<Message> = Vec::new();
        let mut now = noon().plus_ms(i64::from(salt));
        for (given, pause_ms) in history {
            now = now.plus_ms(pause_ms);
            let decision = when(order.as_ref(), &given, now);
            prop_assert_eq!(&decision, &when(order.as_ref(), &given, now));
            let was_finished = order.as_ref().is_some_and(Order::is_finished);
            prop_assert!(!was_finished || decision.outcome != Outcome::Applied, "an end is no end");
            prop_assert!(decision.outcome == Outcome::Applied || decision.commands.is_empty());
            if let Some(event) = decision.change() {
                events.push(event.clone());
                prop_assert_eq!(Message::from(event.clone()).version(), i64::try_from(events.len()).ok());
            }
            order = then(order, &decision);
            said.extend(decision.messages());
        }
        let folded = events.iter().try_fold(None, evolve).unwrap();
        prop_assert_eq!(&folded, &order);
        // Twice the same events, as after a redrive: nothing changes.
        let again = events.iter().try_fold(folded, evolve).unwrap();
        prop_assert_eq!(again, order.clone());
        for name in ["ReserveStock", "AuthorizePayment", "CapturePayment", "CommitStock", "VoidPayment", "ReleaseStock"] {
            prop_assert!(commands_about(&said, name) <= 1, "{} twice", name);
        }
        let place = |name: &str| said.iter().position(|message| message.name() == name);
        if let (Some(void), Some(release)) = (place("VoidPayment"), place("ReleaseStock")) {
            prop_assert!(void < release, "released before voided");
        }
        if place("CommitStock").is_some() {
            prop_assert!(place("VoidPayment").is_none() && place("ReleaseStock").is_none(), "undone after the goods left");
        }
    }

    /// From wherever a history has led, the awaited replies bring the order to an end.
    #[test]
    fn every_order_ends_once_it_is_answered(history in any_history()) {
        use super::fixtures::{pay, stock};
        use domain::saga::Step;
        let mut order = history.iter().fold(None, |order: Option<Order>, (given, _)| {
            let decision = when(order.as_ref(), given, noon());
            then(order, &decision)
        });
        for _ in 0..6 {
            let Some(Phase::Forward(awaiting) | Phase::Undoing(awaiting)) = order.as_ref().map(Order::phase) else { break };
            let reply = match awaiting {
                Step::StockReservation => Given::Inventory(stock::reserved()),
                Step::PaymentAuthorization => Given::Payment(pay::authorized()),
                Step::PaymentCapture => Given::Payment(pay::captured()),
                Step::StockCommit => Given::Inventory(stock::committed()),
                Step::PaymentVoid => Given::Payment(pay::voided()),
                Step::PaymentRefund => Given::Payment(pay::refunded("cancellation", 850)),
                Step::StockRelease => Given::Inventory(stock::released()),
            };
            let decision = when(order.as_ref(), &reply, noon());
            prop_assert_eq!(decision.outcome, Outcome::Applied);
            order = then(order, &decision);
        }
        prop_assert!(order.is_none_or(|order| order.is_finished()));
    }
}
