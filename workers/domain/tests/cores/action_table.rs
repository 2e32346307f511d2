//! A customer who has to act: what payment and order do about every message meanwhile, and what must not happen.

use domain::charge::{ACTION_EXPIRED, CallStep, PaymentStatus};
use domain::provider::{Operation, ProviderAnswer};
use domain::saga::{Order, Stage};
use schemas::{OrderEvent, PaymentEvent, Time};

use super::fixtures::{ACTION_WITHIN_MS, CONFIRM_WITHIN_MS, ask, charge_policy, noon, order_id, pay, stock};
use super::order_table::{self, Way, check, gone, then, when};
use super::payment_table::{Given, Held, authorizing, command, refused, row, succeeded, unknown};
use super::table::Table;

fn action() -> Given {
    Given::Answer(ProviderAnswer::ActionRequired { reference: "ref".into(), until: None })
}

fn over() -> Time {
    noon().plus_ms(ACTION_WITHIN_MS)
}

fn after(held: Held, given: &Given, now: Time) -> Held {
    let decided = held.when(given, now);
    held.then(&decided)
}

fn waiting() -> Held {
    after(authorizing(), &action(), noon())
}

/// It was not cancelled at its time: what became of it is looked up.
fn not_cancelled() -> Held {
    after(after(waiting(), &action(), over()), &refused(), over())
}

fn states() -> Vec<(&'static str, Held)> {
    let to_be_voided = after(authorizing(), &command(pay::void()), noon());
    vec![
        ("authorizing", authorizing()),
        ("authorizing, void waits", to_be_voided),
        ("waiting", waiting()),
        ("waiting, tables made anew", Held { call: None, ..waiting() }),
        ("cancelled at its time", after(waiting(), &action(), over())),
        ("cancelled, void commanded", after(waiting(), &command(pay::void()), noon())),
        ("not cancelled", not_cancelled()),
        ("not cancelled, void commanded", after(after(waiting(), &command(pay::void()), noon()), &refused(), noon())),
    ]
}

#[test]
fn payments_that_wait_for_the_customer_are_as_documented() {
    let states = states();
    let mut table = Table::new(states.iter().map(|(name, _)| *name));
    let not_found = Given::Answer(ProviderAnswer::NotFound);
    for (name, given, now) in [
        ("the customer has to act", action(), noon()),
        ("the same, when its time is over", action(), over()),
        ("AuthorizePayment", command(pay::authorize(850)), noon()),
        ("VoidPayment", command(pay::void()), noon()),
        ("succeeded", succeeded(), noon()),
        ("succeeded, when its time is over", succeeded(), over()),
        ("refused", refused(), noon()),
        ("unknown", unknown(), noon()),
        ("not found", not_found, noon()),
        ("RetryPayment", command(pay::retry("retry-1")), noon()),
    ] {
        table.row(name, row(&states, &given, now));
    }
    table.assert_documented("payment, waiting for the customer");
}

#[test]
fn orders_that_wait_for_the_customer_are_as_documented() {
    use order_table::Given::{Command, Deadline, Inventory, Payment};
    let waits = Payment(pay::action_required());
    let reserved = |then: &[order_table::Given]| gone(Way::Plain, 2, then);
    let cancel = Command(ask::cancel("cancel-1"));
    let states = vec![
        ("StockReserved", reserved(&[])),
        ("waiting", reserved(std::slice::from_ref(&waits))),
        ("waiting, held", reserved(&[waits.clone(), Command(ask::hold("hold-1"))])),
        ("cancelled before", reserved(std::slice::from_ref(&cancel))),
        ("cancelled while it waited", reserved(&[waits.clone(), cancel])),
        ("Stuck at PaymentAuthorization", reserved(&[Payment(pay::stuck())])),
    ];
    let messages = vec![
        ("PaymentActionRequired", waits),
        ("PaymentAuthorized", Payment(pay::authorized())),
        ("PaymentDeclined", Payment(pay::declined())),
        ("PaymentVoided", Payment(pay::voided())),
        ("PaymentVoided, action_expired", Payment(pay::action_expired())),
        ("CancelOrder", Command(ask::cancel("cancel-2"))),
        ("StockReserved", Inventory(stock::reserved())),
        ("confirm_by of the placing passed", Deadline),
    ];
    check("order, waiting for the customer", &states, messages, noon().plus_ms(CONFIRM_WITHIN_MS));
}

#[test]
fn an_order_waits_for_the_customer_and_no_longer() {
    let order = gone(Way::Plain, 2, &[order_table::Given::Payment(pay::action_required())]).unwrap();
    assert_eq!((order.stage.clone(), order.action_until), (Stage::StockReserved, Some(over())));
    let deadline = over().plus_ms(CONFIRM_WITHIN_MS);
    assert_eq!(order.deadline(), Some(deadline));
    let early = when(Some(&order), &order_table::Given::Deadline, deadline.plus_ms(-1));
    assert_eq!(early.event, None, "the customer has time until then");
    let late = when(Some(&order), &order_table::Given::Deadline, deadline);
    assert!(matches!(late.event, Some(OrderEvent::OrderCancelling(_))), "{late:?}");
    let over = |given| then(Some(order.clone()), &when(Some(&order), &given, noon())).unwrap();
    let confirmed = over(order_table::Given::Payment(pay::authorized()));
    assert_eq!((confirmed.stage, confirmed.action_until), (Stage::Confirmed, None));
    let expired: Order = over(order_table::Given::Payment(pay::action_expired()));
    assert_eq!(expired.cancellation.and_then(|why| why.code).as_deref(), Some("CustomerActionExpired"));
    assert_eq!(expired.action_until, None);
}

#[test]
fn the_provider_may_give_the_customer_less_time_and_never_more() {
    let until = |until: Option<Time>| {
        let given = Given::Answer(ProviderAnswer::ActionRequired { reference: "ref".into(), until });
        after(authorizing(), &given, noon()).payment.unwrap().action.unwrap().until
    };
    assert_eq!(until(None), over());
    assert_eq!(until(Some(noon().plus_ms(1_000))), noon().plus_ms(1_000));
    assert_eq!(until(Some(over().plus_ms(1))), over());
    assert_eq!(until(Some(noon().plus_ms(-1))), noon());
}

#[test]
fn it_is_looked_at_by_its_name_often_and_at_the_latest_when_its_time_is_over() {
    let mut held = waiting();
    let mut now = noon();
    for _ in 0..60 {
        let call = held.call.clone().unwrap();
        assert_eq!(call.step(now, &charge_policy()), CallStep::LookUp);
        assert_eq!(call.request().authorization.as_deref(), Some("ref"));
        assert!(call.due_at <= over() && call.due_at <= now.plus_ms(charge_policy().action_look_ms), "{call:?}");
        now = call.due_at;
        if now == over() {
            break;
        }
        let given = if call.look_ups % 2 == 0 { action() } else { unknown() };
        held = after(held, &given, now);
    }
    assert_eq!(now, over());
    let cancelling = after(held, &action(), now);
    let call = cancelling.call.clone().unwrap();
    assert_eq!((call.operation, call.request().authorization.as_deref()), (Operation::Void, Some("ref")));
    assert_eq!(call.key().as_str(), "o-1/void/1");
    let decided = cancelling.when(&succeeded(), now);
    let Some(PaymentEvent::PaymentVoided(event)) = decided.decision.change() else { panic!("{decided:?}") };
    assert_eq!(event.reason_code.as_deref(), Some(ACTION_EXPIRED));
    assert_eq!(cancelling.then(&decided).payment.unwrap().status(), PaymentStatus::Voided);
}

#[test]
fn what_could_not_be_cancelled_is_what_the_provider_says_that_it_is() {
    let authorized = after(not_cancelled(), &succeeded(), over());
    assert_eq!(authorized.payment.unwrap().status(), PaymentStatus::Authorized);
    assert_eq!(authorized.call, None, "nobody asked for it to be undone");
    let declined = after(not_cancelled(), &refused(), over());
    assert_eq!(declined.payment.unwrap().status(), PaymentStatus::Declined);
    // It still waits, and is not cancelled: a person looks, and it is cancelled as a further attempt.
    let stuck = after(not_cancelled(), &action(), over());
    assert_eq!(stuck.payment.as_ref().unwrap().stuck.as_ref().unwrap().operation, Operation::Void);
    let again = after(stuck, &command(pay::retry("retry-1")), over());
    assert_eq!(again.call.as_ref().unwrap().key().as_str(), "o-1/void/2");
    assert_eq!(after(again, &succeeded(), over()).payment.unwrap().status(), PaymentStatus::Voided);
}

#[test]
fn the_customer_is_asked_once_and_whoever_asks_where_to_go_is_told_which_payment() {
    let held = after(waiting(), &action(), noon().plus_ms(500));
    let payment = held.payment.clone().unwrap();
    assert_eq!(payment.version, 1, "one event, however often it is looked at");
    let request = payment.action_request().unwrap();
    assert_eq!((request.order_id, request.authorization.as_deref()), (order_id(), Some("ref")));
    assert_eq!(after(held, &succeeded(), noon()).payment.unwrap().action_request(), None);
}
