//! What an order was placed with: what is kept and carried, and what is refused with words.

use std::collections::BTreeMap;

use domain::decision::Outcome;
use schemas::{Adjustment, Message, OrderEvent, OrderId, PaymentCommand, PlaceOrder, limits};

use super::{Story, refusal};
use crate::fixtures::{ask, line, noon, pay, place_order, stock};
use crate::order_table::{Given, Way, forward, order_after, when};

fn refused(change: impl FnOnce(&mut PlaceOrder)) -> (String, String) {
    let mut command = place_order();
    change(&mut command);
    refusal(&when(None, &Given::Command(command.into()), noon()))
}

fn adjustment(kind: &str, amount_minor: i64, line: Option<i32>) -> Adjustment {
    Adjustment { kind: kind.into(), amount_minor, line }
}

#[test]
fn a_plain_order_carries_nothing() {
    let order = order_after(&forward(Way::Plain)).unwrap();
    assert_eq!((order.terms, order.aftercare, order.ship_by), (None, None, None));
    let said = PlaceOrder { capture: Some("at_confirm".into()), fulfilment: Some("automatic".into()), ..place_order() };
    assert_eq!(order_after(&[Given::Command(said.into())]).unwrap().terms, None, "that is what nothing means");
}

#[test]
fn adjustments_belong_to_the_total() {
    let adjustments = vec![adjustment("shipping", 490, None), adjustment("discount", -100, Some(1))];
    let command = PlaceOrder { adjustments: adjustments.clone(), ..place_order() };
    let story = Story::of(None).on(schemas::OrderCommand::from(command)).on(stock::reserved());
    assert_eq!(story.order().total_minor, 850 + 490 - 100);
    assert_eq!(story.order().terms.as_ref().unwrap().adjustments, adjustments);
    let Some(Message::PaymentCommand(PaymentCommand::AuthorizePayment(asked))) = story.asked.last() else { panic!() };
    assert_eq!(asked.amount_minor, 1_240);
}

#[test]
fn payment_hears_of_the_account_and_the_token() {
    let (payment_provider, payment_token) = (Some("acme-eu".to_owned()), Some("tok_4242".to_owned()));
    let command = PlaceOrder { payment_provider, payment_token, ..place_order() };
    let story = Story::of(None).on(schemas::OrderCommand::from(command)).on(stock::reserved());
    let Some(Message::PaymentCommand(PaymentCommand::AuthorizePayment(asked))) = story.asked.last() else { panic!() };
    assert_eq!(
        (asked.payment_provider.as_deref(), asked.payment_token.as_deref()),
        (Some("acme-eu"), Some("tok_4242"))
    );
}

#[test]
fn attributes_are_carried_unchanged_into_all_events() {
    let attributes: BTreeMap<String, String> =
        [("channel".into(), "web".into()), ("gift".into(), String::new())].into();
    let on_command =
        PlaceOrder { fulfilment: Some("on_command".into()), attributes: attributes.clone(), ..place_order() };
    let placed = || Story::of(None).on(schemas::OrderCommand::from(on_command.clone())).on(stock::reserved());
    let way = placed()
        .on(ask::hold("h"))
        .on(pay::authorized())
        .on(ask::release("r"))
        .on(ask::hold("i"))
        .on(ask::release("s"))
        .on(pay::captured())
        .on(ask::ship("ship"))
        .on(stock::commit_refused())
        .on(ask::retry("again", None))
        .on(stock::committed())
        .on(ask::refund_of("x", 10))
        .on(pay::refunded("x", 10))
        .on(ask::refund_of("y", 10))
        .on(pay::refund_failed("y", 10, "refused"))
        .on(ask::give_back("ret", &[(1, 1)]))
        .on(ask::receive("got", "ret", &[(1, 1, "restock")]))
        .on(stock::return_refused("ret"));
    let undone = placed().on(pay::stuck()).on(ask::resolve("z", "cancelled"));
    let cancelled = placed().on(ask::cancel("k")).on(pay::declined()).on(stock::released());
    let mut names = std::collections::BTreeSet::new();
    for event in way.events.iter().chain(&undone.events).chain(&cancelled.events) {
        names.insert(event.name());
        assert_eq!(attributes_of(event), serde_json::to_value(&attributes).unwrap(), "{event:?}");
    }
    // All events of an order but `OrderStockCommitted`, which is on another way, and `OrderAskedAgain`, for which a letter must lie somewhere.
    assert_eq!(names.len(), 20, "{names:?}");
}

/// The attributes of an event, by the name of their field.
fn attributes_of(event: &OrderEvent) -> serde_json::Value {
    fn of<T: serde::Serialize>(event: &T) -> serde_json::Value {
        serde_json::to_value(event).unwrap()["attributes"].clone()
    }
    match event {
        OrderEvent::OrderPlaced(event) => of(event),
        OrderEvent::OrderStockReserved(event) => of(event),
        OrderEvent::OrderActionRequired(event) => of(event),
        OrderEvent::OrderAuthorized(event) => of(event),
        OrderEvent::OrderConfirmed(event) => of(event),
        OrderEvent::OrderPaymentCaptured(event) => of(event),
        OrderEvent::OrderHeld(event) => of(event),
        OrderEvent::OrderReleased(event) => of(event),
        OrderEvent::OrderShipped(event) => of(event),
        OrderEvent::OrderStockCommitted(event) => of(event),
        OrderEvent::OrderCompleted(event) => of(event),
        OrderEvent::OrderCancelling(event) => of(event),
        OrderEvent::OrderCancelled(event) => of(event),
        OrderEvent::OrderStuck(event) => of(event),
        OrderEvent::OrderRetried(event) => of(event),
        OrderEvent::OrderAskedAgain(event) => of(event),
        OrderEvent::OrderResolved(event) => of(event),
        OrderEvent::OrderRefundRequested(event) => of(event),
        OrderEvent::OrderRefunded(event) => of(event),
        OrderEvent::OrderRefundFailed(event) => of(event),
        OrderEvent::OrderReturnRequested(event) => of(event),
        OrderEvent::OrderReturnReceived(event) => of(event),
        OrderEvent::OrderReturnClosed(event) => of(event),
        OrderEvent::OrderRejected(_) | OrderEvent::OrderCommandRefused(_) => panic!("no event of an order"),
    }
}

#[test]
fn a_card_number_never_enters_a_topic_that_is_kept() {
    for number in ["4242424242424242", "4242 4242 4242 4242", "4242-4242-4242-4242", "7"] {
        let (code, detail) = refused(|command| command.payment_token = Some(number.into()));
        assert_eq!(code, "TokenIsDigits");
        assert!(!detail.contains(number), "{detail}");
    }
    for text in ["", &"x".repeat(257)] {
        assert_eq!(refused(|command| command.payment_token = Some(text.into())).0, "TextLength");
    }
    for name in ["", "a\u{7}", &"x".repeat(65)] {
        assert_eq!(refused(|command| command.payment_provider = Some(name.into())).0, "TextLength");
    }
}

#[test]
fn terms_that_nobody_knows_or_that_do_not_go_together_are_refused() {
    let at_shipment = refused(|command| command.capture = Some("at_shipment".into()));
    assert!(at_shipment.0 == "TermsUnknown" && at_shipment.1.contains("on_command"), "{at_shipment:?}");
    assert_eq!(refused(|command| command.capture = Some("later".into())).0, "TermsUnknown");
    assert_eq!(refused(|command| command.fulfilment = Some("by pigeon".into())).0, "TermsUnknown");
    let if_short = refused(|command| command.if_short = Some("ship_part".into()));
    let place_at = refused(|command| command.place_at = Some(noon()));
    assert!(if_short.0 == "NotSupported" && if_short.1.contains("if_short"), "{if_short:?}");
    assert!(place_at.0 == "NotSupported" && place_at.1.contains("place_at"), "{place_at:?}");
}

#[test]
fn adjustments_and_attributes_have_bounds() {
    let adjusted = |one: Adjustment| refused(|command| command.adjustments = vec![one]).0;
    assert_eq!(adjusted(adjustment("bribe", 1, None)), "AdjustmentInvalid");
    for line in [0, -1, 4] {
        assert_eq!(adjusted(adjustment("tax", 1, Some(line))), "AdjustmentInvalid");
    }
    let many = vec![adjustment("fee", 1, None); limits::MAX_ADJUSTMENTS + 1];
    assert_eq!(refused(|command| command.adjustments = many).0, "AdjustmentInvalid");
    assert_eq!(adjusted(adjustment("discount", -851, None)), "TotalNegative");
    assert_eq!(adjusted(adjustment("fee", limits::MAX_TOTAL_MINOR, None)), "TotalTooLarge");
    assert_eq!(adjusted(adjustment("fee", i64::MAX, None)), "AmountOverflow");
    let attribute =
        |name: &str, value: &str| refused(|command| _ = command.attributes.insert(name.into(), value.into())).0;
    assert_eq!(attribute("", "x"), "AttributesInvalid");
    assert_eq!(attribute(&"n".repeat(257), "x"), "AttributesInvalid");
    assert_eq!(attribute("n", &"x".repeat(257)), "AttributesInvalid");
    let many = (0..=limits::MAX_ATTRIBUTES).map(|number| (number.to_string(), String::new())).collect();
    assert_eq!(refused(|command| command.attributes = many).0, "AttributesInvalid");
    let free = PlaceOrder { adjustments: vec![adjustment("discount", -850, None)], ..place_order() };
    assert_eq!(order_after(&[Given::Command(free.into())]).unwrap().total_minor, 0);
}

#[test]
fn the_same_order_on_the_same_terms_has_no_effect_and_on_others_differs() {
    let terms = |change: fn(&mut PlaceOrder)| {
        let mut command = PlaceOrder { fulfilment: Some("on_command".into()), ..place_order() };
        change(&mut command);
        Given::Command(command.into())
    };
    let order = order_after(&[terms(|_| ())]);
    assert_eq!(when(order.as_ref(), &terms(|_| ()), noon()).outcome, Outcome::NoEffect);
    assert_eq!(
        when(order.as_ref(), &terms(|c| c.capture = Some("at_confirm".into())), noon()).outcome,
        Outcome::NoEffect
    );
    let others: [fn(&mut PlaceOrder); 9] = [
        |c| c.fulfilment = None,
        |c| c.capture = Some("at_shipment".into()),
        |c| c.capture = Some("whatever".into()),
        |c| c.payment_token = Some("tok".into()),
        |c| c.payment_provider = Some("acme".into()),
        |c| c.adjustments = vec![Adjustment { kind: "fee".into(), amount_minor: 0, line: None }],
        |c| _ = c.attributes.insert("a".into(), "b".into()),
        |c| c.replaces_order_id = Some(OrderId::new("o-0").unwrap()),
        |c| c.if_short = Some("ship_part".into()),
    ];
    for (index, change) in others.into_iter().enumerate() {
        assert_eq!(refusal(&when(order.as_ref(), &terms(change), noon())).0, "ContentDiffers", "change {index}");
    }
}

#[test]
fn an_exchange_names_the_order_that_it_replaces() {
    let replaced = OrderId::new("o-0").unwrap();
    let command =
        PlaceOrder { replaces_order_id: Some(replaced.clone()), lines: vec![line("a", 1, 0)], ..place_order() };
    let order = order_after(&[Given::Command(command.into())]).unwrap();
    assert_eq!(order.terms.unwrap().replaces_order_id, Some(replaced));
}
