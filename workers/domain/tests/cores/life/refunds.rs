//! Money that is given back.

use domain::decision::Outcome;
use domain::saga::{Order, outstanding};
use schemas::{LineQuantity, Message, OrderCommand, OrderEvent, PaymentCommand, RefundOrder};

use super::Story;
use crate::fixtures::{ask, command_id, order_id, pay, stock};
use crate::order_table::{Way, gone};

fn paid() -> Story {
    Story::of(gone(Way::OnCommand, 4, &[]))
}

fn of_lines(id: &str, lines: &[(i32, i64)]) -> OrderCommand {
    let lines = lines.iter().map(|(line, quantity)| LineQuantity { line: *line, quantity: *quantity }).collect();
    RefundOrder { lines, ..RefundOrder::all(order_id(), command_id(id)) }.into()
}

fn asked_for(story: &Story) -> Vec<Option<i64>> {
    let amount = |message: &Message| {
        let Message::PaymentCommand(PaymentCommand::RefundPayment(command)) = message else { panic!("{message:?}") };
        command.amount_minor
    };
    story.asked.iter().map(amount).collect()
}

#[test]
fn all_a_part_or_what_lines_cost() {
    assert_eq!(asked_for(&paid().on(ask::refund())), [Some(850)]);
    assert_eq!(asked_for(&paid().on(ask::refund_of("r", 1))), [Some(1)]);
    assert_eq!(asked_for(&paid().on(of_lines("r", &[(1, 1), (2, 1)]))), [Some(350)]);
}

#[test]
fn never_more_than_what_is_left() {
    let story = paid().on(ask::refund_of("r-1", 800));
    assert_eq!(story.order().refundable_minor(), 50);
    assert_eq!(story.code(ask::refund_of("r-2", 51)), "AmountTooLarge");
    let all = story.on(ask::refund_of("r-2", 50));
    assert_eq!(all.code(ask::refund_of("r-3", 1)), "AmountTooLarge");
    // Nothing is left: all of it is nothing.
    assert_eq!(all.code(ask::refund_as("r-3")), "AmountNotPositive");
}

#[test]
fn several_are_carried_out_one_after_the_other() {
    let story = paid().on(ask::refund_of("r-1", 100)).on(ask::refund_of("r-2", 200)).on(ask::refund_of("r-3", 300));
    assert_eq!(asked_for(&story), [Some(100)]);
    let story = story.on(pay::refunded("r-2", 200)).on(pay::refunded("r-3", 300));
    assert_eq!(asked_for(&story), [Some(100)], "nobody asked for those yet");
    let story = story.on(pay::refunded("r-1", 100)).on(pay::refund_failed("r-2", 200, "refused"));
    assert_eq!(asked_for(&story), [Some(100), Some(200), Some(300)]);
    let story = story.on(pay::refunded("r-3", 300)).on(pay::refunded("r-1", 100));
    let states: Vec<_> = story.aftercare().refunds.iter().map(|refund| refund.state.as_str()).collect();
    assert_eq!(states, ["refunded", "refused", "refunded"]);
    assert_eq!(outstanding(story.order()), []);
}

#[test]
fn a_refused_one_frees_its_amount_and_an_unknown_one_does_not() {
    let left = |outcome| paid().on(ask::refund_of("r-1", 500)).on(pay::refund_failed("r-1", 500, outcome));
    assert_eq!(left("refused").order().refundable_minor(), 850);
    assert_eq!(left("unknown").order().refundable_minor(), 350);
    let Some(OrderEvent::OrderRefundFailed(event)) = left("unknown").events.last().cloned() else { panic!() };
    assert_eq!((event.outcome.as_str(), event.detail.as_str()), ("unknown", "account closed"));
    // What becomes known of it later is believed.
    assert_eq!(left("unknown").on(pay::refunded("r-1", 500)).aftercare().refunds[0].state.as_str(), "refunded");
}

#[test]
fn one_that_came_back_frees_its_amount() {
    let story = paid().on(ask::refund_of("r-1", 500)).on(pay::refunded("r-1", 500));
    assert_eq!(story.order().refundable_minor(), 350);
    let story = story.on(pay::refund_reversed("r-1", 500));
    assert_eq!(story.order().refundable_minor(), 850);
    let Some(OrderEvent::OrderRefundFailed(event)) = story.events.last().cloned() else { panic!() };
    assert_eq!((event.outcome.as_str(), event.detail.as_str()), ("refused", "it came back: account closed"));
    assert_eq!(story.outcome(pay::refund_reversed("r-1", 500)), Outcome::Late);
    assert_eq!(asked_for(&story.on(ask::refund_of("r-2", 850))), [Some(500), Some(850)]);
}

#[test]
fn each_has_an_id_of_its_own() {
    let story = paid().on(ask::refund_of("r-1", 100));
    for given in [ask::refund_of("r-1", 100), ask::refund_of("r-1", 700)] {
        assert_eq!(story.outcome(given), Outcome::NoEffect);
    }
    assert_eq!(story.on(pay::refunded("r-1", 100)).outcome(ask::refund_of("r-1", 100)), Outcome::NoEffect);
    assert_eq!(paid().code(ask::refund_as("cancellation")), "NotSupported", "undoing has that one");
}

#[test]
fn mistakes_are_named() {
    let (none, negative) = (paid().refusal(ask::refund_of("r", 0)), paid().refusal(ask::refund_of("r", -5)));
    assert_eq!((none.0.as_str(), negative.0.as_str()), ("AmountNotPositive", "AmountNotPositive"));
    assert!(negative.1.contains("-5"), "{}", negative.1);
    for lines in [&[(0, 1)][..], &[(4, 1)], &[(-1, 1)], &[(1, 0)], &[(1, 3)], &[(1, 1), (1, 1)]] {
        assert_eq!(paid().code(of_lines("r", lines)), "LinesInvalid", "{lines:?}");
    }
}

#[test]
fn only_what_was_taken_can_be_given_back() {
    let code = |order: Option<Order>| Story::of(order).code(ask::refund());
    assert_eq!(code(None), "OrderUnknown");
    for order in [gone(Way::Plain, 1, &[]), gone(Way::Plain, 3, &[]), gone(Way::AtShipment, 4, &[])] {
        assert_eq!(code(order), "NotPaid");
    }
    assert_eq!(code(gone(Way::OnCommand, 4, &[ask::cancel("k").into()])), "Cancelling");
    for order in [gone(Way::Plain, 4, &[]), gone(Way::Plain, 5, &[]), gone(Way::AtShipment, 6, &[])] {
        assert_eq!(asked_for(&Story::of(order).on(ask::refund())), [Some(850)]);
    }
}

#[test]
fn a_refund_does_not_hold_up_the_way() {
    let story = paid().on(ask::refund_of("r-1", 100)).on(ask::ship("s")).on(stock::committed());
    assert_eq!(story.stage().as_str(), "completed");
    assert_eq!(outstanding(story.order()), [Message::from(pay::refund("r-1", Some(100)))]);
    assert_eq!(story.on(pay::refunded("r-1", 100)).aftercare().refunds[0].state.as_str(), "refunded");
}
