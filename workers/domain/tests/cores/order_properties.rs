//! The saga under any history whatever, also such as no other service and no person would make.

use domain::decision::{Decision, Outcome};
use domain::saga::{self, Order, Phase, Stage, Step, evolve};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;
use proptest::{collection::vec, sample::select};
use schemas::{Message, OrderCommand, OrderEvent, PaymentCommand, PaymentEvent, Time};

use super::fixtures::{CONFIRM_WITHIN_MS, ask, noon, pay, stock};
use super::order_table::{Given, messages, then, when};

/// What people ask, under few ids, so that they come together.
fn commands() -> Vec<OrderCommand> {
    let mut commands = vec![ask::place_on_command(), ask::place_at_shipment(), ask::resolve("k-1", "completed")];
    for id in ["k-1", "k-2", "k-3"] {
        commands.extend([
            ask::ship(id),
            ask::hold(id),
            ask::release(id),
            ask::reject(id),
            ask::refund_as(id),
            ask::refund_of(id, 300),
            ask::give_back(id, &[]),
            ask::give_back(id, &[(1, 1)]),
            ask::receive("got", id, &[(1, 1, "restock")]),
            ask::receive("got-2", id, &[(1, 1, "write_off"), (2, 1, "restock")]),
            ask::retry(id, None),
            ask::skip(id, None),
            ask::resolve(id, "cancelled"),
        ]);
    }
    commands
}

fn replies() -> Vec<Given> {
    let mut replies: Vec<Given> = messages().into_iter().map(|(_, given)| given).collect();
    for id in ["k-1", "k-2", "k-3"] {
        replies.extend([
            pay::refunded(id, 300).into(),
            pay::refund_failed(id, 300, "refused").into(),
            pay::refund_failed(id, 300, "unknown").into(),
            stock::returned(id).into(),
            stock::return_refused(id).into(),
        ]);
    }
    replies.push(pay::refund_failed("cancellation", 850, "unknown").into());
    replies
}

fn any_history() -> impl Strategy<Value = Vec<(Given, i64)>> {
    let commands = commands().into_iter().map(Given::Command);
    let inputs: Vec<Given> = commands.chain(replies()).collect();
    vec((select(inputs), 0..CONFIRM_WITHIN_MS / 2), 0..80)
}

/// What an order was told to do, and what it did.
#[derive(Default)]
struct Walk {
    order: Option<Order>,
    events: Vec<OrderEvent>,
    said: Vec<Message>,
}

impl Walk {
    fn step(&mut self, given: &Given, now: Time) -> Result<(), TestCaseError> {
        let decision = when(self.order.as_ref(), given, now);
        prop_assert_eq!(&decision, &when(self.order.as_ref(), given, now));
        prop_assert!(decision.outcome == Outcome::Applied || decision.commands.is_empty());
        if let Some(event) = decision.change() {
            self.check_event(event)?;
        }
        let before = self.order.clone();
        self.order = then(self.order.take(), &decision);
        if let (Some(before), Some(after)) = (&before, &self.order) {
            let is_end = matches!(before.stage, Stage::Completed | Stage::Cancelled);
            prop_assert!(!is_end || before.stage == after.stage, "an end is no end");
            check_sums(after)?;
        }
        self.check_deadline(now)?;
        self.said.extend(decision.messages());
        Ok(())
    }

    fn check_event(&mut self, event: &OrderEvent) -> Result<(), TestCaseError> {
        self.events.push(event.clone());
        prop_assert_eq!(Message::from(event.clone()).version(), i64::try_from(self.events.len()).ok());
        let is_held = self.order.as_ref().is_some_and(|order| order.hold().is_some());
        let by = saga::origin(event).map_or("", |origin| origin.command.as_str());
        prop_assert!(!is_held || event.name() != "OrderShipped", "held, and shipped");
        prop_assert!(!is_held || event.name() != "OrderConfirmed" || by == "ReleaseOrder", "held, and confirmed");
        Ok(())
    }

    /// A deadline that has passed makes something happen: else it would fire for ever.
    fn check_deadline(&self, now: Time) -> Result<(), TestCaseError> {
        let deadline = self.order.as_ref().and_then(Order::deadline);
        if deadline.is_some_and(|deadline| deadline <= now) {
            let Decision { outcome, .. } = when(self.order.as_ref(), &Given::Deadline, now);
            prop_assert_eq!(outcome, Outcome::Applied, "{:?}", self.order);
        }
        Ok(())
    }

    fn asked(&self, name: &str) -> usize {
        self.said.iter().filter(|message| message.name() == name).count()
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.said.iter().position(|message| message.name() == name)
    }
}

fn check_sums(order: &Order) -> Result<(), TestCaseError> {
    let Some(aftercare) = &order.aftercare else { return Ok(()) };
    prop_assert!(aftercare.refunded_minor() <= order.total_minor, "{:?}", aftercare.refunds);
    for (number, line) in (1..).zip(&order.lines) {
        prop_assert!(aftercare.returned_of(number) <= line.quantity, "line {number}: {:?}", aftercare.returns);
    }
    Ok(())
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 600, ..Default::default() })]

    #[test]
    fn any_history_keeps_the_rules(history in any_history(), salt in any::<u8>()) {
        let mut walk = Walk::default();
        let mut now = noon().plus_ms(i64::from(salt));
        for (given, pause_ms) in history {
            now = now.plus_ms(pause_ms);
            walk.step(&given, now)?;
        }
        let folded = walk.events.iter().try_fold(None, evolve).unwrap();
        prop_assert_eq!(&folded, &walk.order);
        // Twice the same events, as after a redrive: nothing changes.
        let again = walk.events.iter().try_fold(folded, evolve).unwrap();
        prop_assert_eq!(&again, &walk.order);
        let retries = walk.asked("OrderRetried");
        for name in ["ReserveStock", "AuthorizePayment", "CapturePayment", "CommitStock", "VoidPayment", "ReleaseStock"] {
            prop_assert!(walk.asked(name) <= 1 + retries, "{} twice", name);
        }
        if let (Some(void), Some(release)) = (walk.place("VoidPayment"), walk.place("ReleaseStock")) {
            prop_assert!(void < release, "released before voided");
        }
        let undoes = |message: &Message| matches!(message, Message::PaymentCommand(PaymentCommand::RefundPayment(one)) if one.amount_minor.is_none());
        if walk.place("CommitStock").is_some() {
            prop_assert!(walk.place("VoidPayment").is_none() && walk.place("ReleaseStock").is_none(), "undone after the goods left");
            prop_assert!(!walk.said.iter().any(undoes), "given back after the goods left");
        }
    }

    /// An order of which nobody asks anything is as it was before there was more to ask.
    #[test]
    fn a_plain_order_carries_nothing_and_says_nothing_new(history in vec((select(messages()), 0..CONFIRM_WITHIN_MS / 2), 0..40)) {
        let mut walk = Walk::default();
        let mut now = noon();
        let is_plain = |name: &str| !name.starts_with("CancelOrder");
        for ((_, given), pause_ms) in history.into_iter().filter(|((name, _), _)| is_plain(name)) {
            now = now.plus_ms(pause_ms);
            // Payment never says so: a capture that was not asked for, or had failed.
            let is_voided = walk.order.as_ref().is_some_and(|order| order.awaited() == Phase::Undoing(Step::PaymentVoid));
            if !(is_voided && matches!(given, Given::Payment(PaymentEvent::PaymentCaptured(_)))) {
                walk.step(&given, now)?;
            }
        }
        if let Some(order) = &walk.order {
            prop_assert_eq!((&order.terms, &order.aftercare, order.ship_by), (&None, &None, None));
        }
        for message in &walk.said {
            let is_event = matches!(message, Message::OrderEvent(_));
            let fields = if is_event { format!("{message:?}") } else { message.name().to_owned() };
            for new in ["Some(Origin", "step: Some", "reason_code: Some", "ship_by: Some", "hold: Some", "RetryPayment", "RefundPayment"] {
                prop_assert!(!fields.contains(new), "{fields}");
            }
        }
    }

    /// From wherever a history has led, the awaited replies and commands bring the order to an end.
    #[test]
    fn every_order_ends_once_it_is_answered(history in any_history()) {
        let mut order = history.iter().fold(None, |order: Option<Order>, (given, _)| {
            let decision = when(order.as_ref(), given, noon());
            then(order, &decision)
        });
        for number in 0..12 {
            let Some(before) = &order else { break };
            let Some(next) = awaited(before, number) else { break };
            let decision = when(order.as_ref(), &next, noon());
            prop_assert_eq!(decision.outcome, Outcome::Applied, "{:?} {:?}", order, next);
            order = then(order, &decision);
        }
        prop_assert!(order.is_none_or(|order| matches!(order.stage, Stage::Completed | Stage::Cancelled)));
    }
}

/// What brings the order on: none where it has ended.
fn awaited(order: &Order, number: i32) -> Option<Given> {
    let id = format!("last-{number}");
    let under_way = order.aftercare.as_ref().and_then(|aftercare| aftercare.refund_under_way());
    Some(match order.phase() {
        Phase::Forward(step) | Phase::Undoing(step) => match step {
            Step::StockReservation => stock::reserved().into(),
            Step::PaymentAuthorization => pay::authorized().into(),
            Step::PaymentCapture => pay::captured().into(),
            Step::StockCommit => stock::committed().into(),
            Step::PaymentVoid => pay::voided().into(),
            Step::PaymentRefund => match under_way {
                Some(refund) => pay::refunded(refund.refund_id.as_str(), refund.amount_minor).into(),
                None => pay::refunded("cancellation", 850).into(),
            },
            Step::StockRelease => stock::released().into(),
        },
        Phase::Command if order.hold().is_some() => ask::release(&id).into(),
        Phase::Command => ask::ship(&id).into(),
        Phase::Finished => match order.stage {
            Stage::Stuck { .. } => ask::skip(&id, None).into(),
            Stage::Placed
            | Stage::StockReserved
            | Stage::Authorized
            | Stage::Confirmed
            | Stage::PaymentCaptured
            | Stage::ReadyToShip
            | Stage::Shipped
            | Stage::StockCommitted
            | Stage::Completed
            | Stage::Cancelling { .. }
            | Stage::Cancelled => return None,
        },
    })
}
