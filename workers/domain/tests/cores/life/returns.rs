//! Goods that come back.

use domain::decision::Outcome;
use domain::saga::outstanding;
use schemas::{Message, OrderCommand, OrderEvent, ReceiveReturn, limits};

use super::Story;
use crate::fixtures::{RETURN_WITHIN_MS, ask, line, noon, pay, place_order, stock};
use crate::order_table::{Given, Way, gone, order_after, then, when};

fn completed() -> Story {
    Story::of(gone(Way::Plain, 5, &[]))
}

fn with_refund(id: &str, lines: &[(i32, i64, &str)], refund_minor: i64) -> OrderCommand {
    let OrderCommand::ReceiveReturn(command) = ask::receive(id, "ret", lines) else { panic!() };
    ReceiveReturn { refund_minor: Some(refund_minor), ..command }.into()
}

#[test]
fn requested_received_put_back_and_refunded_each_once() {
    let story = completed()
        .on(ask::give_back("ret", &[(1, 2), (3, 1)]))
        .on(ask::receive("got", "ret", &[(1, 1, "restock"), (1, 1, "write_off"), (3, 1, "restock")]))
        .on(ask::receive("again", "ret", &[(1, 1, "restock")]));
    // Lines 1 and 3 are of one SKU.
    assert_eq!(story.asked, [Message::from(stock::take_back("ret", &[("b", 2, 1)]))]);
    let story = story.on(stock::returned("ret")).on(stock::returned("ret"));
    assert_eq!(story.asked[1..], [Message::from(pay::refund("ret", Some(750)))]);
    let story = story.on(pay::refunded("ret", 750)).on(pay::refunded("ret", 750));
    assert_eq!(story.asked.len(), 2);
    let Some(OrderEvent::OrderRefundRequested(event)) = story.events.iter().rev().nth(1) else { panic!() };
    assert_eq!(event.return_id.as_ref().unwrap().as_str(), "ret");
    assert_eq!(story.aftercare().returns[0].state.as_str(), "taken_back");
    assert_eq!(story.aftercare().refunds[0].state.as_str(), "refunded");
}

#[test]
fn everything_that_is_still_out_where_no_line_is_named() {
    let story = completed().on(ask::give_back("a", &[(1, 1)])).on(ask::give_back("b", &[]));
    let lines: Vec<_> = story.aftercare().returns[1].lines.iter().map(|one| (one.line, one.quantity)).collect();
    assert_eq!(lines, [(1, 1), (2, 1), (3, 1)]);
    assert_eq!(story.code(ask::give_back("c", &[])), "LinesInvalid", "nothing is out any more");
}

#[test]
fn no_more_comes_back_than_went_out() {
    let story = completed().on(ask::give_back("a", &[(1, 1)]));
    for lines in [&[(1, 2)][..], &[(4, 1)], &[(0, 1)], &[(2, 0)], &[(2, 1), (2, 1)]] {
        assert_eq!(story.code(ask::give_back("b", lines)), "LinesInvalid", "{lines:?}");
    }
    for lines in [&[][..], &[(1, 2, "restock")], &[(2, 1, "restock")], &[(1, 0, "restock")], &[(1, 1, "burn")]] {
        assert_eq!(story.code(ask::receive("got", "a", lines)), "LinesInvalid", "{lines:?}");
    }
    let one_too_many = [(1, 1, "restock"), (1, 1, "write_off")];
    assert_eq!(story.code(ask::receive("got", "a", &one_too_many)), "LinesInvalid");
}

#[test]
fn what_did_not_come_is_still_out() {
    let story = completed().on(ask::give_back("a", &[(1, 2)])).on(ask::receive("got", "a", &[(1, 1, "restock")]));
    assert_eq!(story.outcome(ask::give_back("b", &[(1, 1)])), Outcome::Applied);
    assert_eq!(story.code(ask::give_back("b", &[(1, 2)])), "LinesInvalid");
}

#[test]
fn how_much_is_refunded_can_be_said_and_is_bounded() {
    let requested = || completed().on(ask::give_back("ret", &[(1, 2)]));
    let refunds = |command| requested().on(command).on(stock::returned("ret")).asked()[1..].to_vec();
    assert_eq!(refunds(with_refund("got", &[(1, 2, "restock")], 10)), ["RefundPayment"]);
    assert_eq!(refunds(with_refund("got", &[(1, 2, "restock")], 0)), Vec::<&str>::new());
    assert_eq!(requested().code(with_refund("got", &[(1, 2, "restock")], 851)), "AmountTooLarge");
    assert_eq!(requested().code(with_refund("got", &[(1, 2, "restock")], -1)), "AmountNotPositive");
    // What was given back before, or is going to be for other goods, is not given back twice.
    let claimed = requested().on(ask::refund_of("r", 800));
    assert_eq!(claimed.code(with_refund("got", &[(1, 2, "restock")], 51)), "AmountTooLarge");
    let received = claimed.on(ask::receive("got", "ret", &[(1, 2, "restock")]));
    assert_eq!(received.aftercare().returns[0].refund_minor, 50);
    assert_eq!(received.code(ask::refund_of("s", 1)), "AmountTooLarge");
}

#[test]
fn goods_that_do_not_come_in_time_leave_it_expired() {
    let order = completed().on(ask::give_back("a", &[(1, 1)])).order;
    let close_by = noon().plus_ms(RETURN_WITHIN_MS);
    assert_eq!(order.as_ref().unwrap().deadline(), Some(close_by));
    assert_eq!(when(order.as_ref(), &Given::Deadline, close_by.plus_ms(-1)).outcome, Outcome::NoEffect);
    let decision = when(order.as_ref(), &Given::Deadline, close_by);
    let story = Story::of(then(order, &decision));
    assert_eq!((story.aftercare().returns[0].state.as_str(), story.order().deadline()), ("expired", None));
    assert_eq!(story.code(ask::receive("got", "a", &[(1, 1, "restock")])), "ReturnUnknown");
    assert_eq!(story.outcome(ask::give_back("b", &[(1, 1)])), Outcome::Applied, "they may come later");
}

#[test]
fn what_inventory_refuses_is_not_refunded() {
    let story = completed()
        .on(ask::give_back("ret", &[(1, 1)]))
        .on(ask::receive("got", "ret", &[(1, 1, "restock")]))
        .on(stock::return_refused("ret"))
        .on(stock::returned("ret"));
    assert_eq!((story.asked(), story.aftercare().returns[0].state.as_str()), (vec!["ReturnStock"], "refused"));
    assert_eq!(story.order().refundable_minor(), 850);
}

#[test]
fn what_inventory_has_not_answered_can_be_asked_again_however_late() {
    let story = completed().on(ask::give_back("ret", &[(1, 1)])).on(ask::receive("got", "ret", &[(1, 1, "restock")]));
    assert_eq!(outstanding(story.order()), [Message::from(stock::take_back("ret", &[("b", 1, 0)]))]);
    assert_eq!(story.order().deadline(), None);
    let late = when(story.order.as_ref(), &stock::returned("ret").into(), noon().plus_ms(10 * RETURN_WITHIN_MS));
    assert_eq!(late.outcome, Outcome::Applied);
}

#[test]
fn only_what_is_with_the_customer_comes_back() {
    for (order, code) in [
        (None, "OrderUnknown"),
        (gone(Way::Plain, 4, &[]), "NotCompleted"),
        (gone(Way::OnCommand, 5, &[]), "NotCompleted"),
    ] {
        assert_eq!(Story::of(order).code(ask::give_back("a", &[])), code);
    }
    assert_eq!(completed().code(ask::give_back("cancellation", &[])), "NotSupported", "undoing has that id");
}

#[test]
fn what_an_order_keeps_of_its_returns_is_bounded() {
    let lines = vec![line("a", 9, 1); limits::MAX_LINES];
    let large = schemas::PlaceOrder { lines, ..place_order() };
    let placed = [Given::Command(large.into()), stock::reserved().into(), pay::authorized().into()];
    let paid = [pay::captured().into(), stock::committed().into()];
    let mut story = Story::of(order_after(&[&placed[..], &paid[..]].concat()));
    let one_of_each: Vec<(i32, i64)> = (1..=500).map(|line| (line, 1)).collect();
    for id in ["a", "b", "c", "d"] {
        story = story.on(ask::give_back(id, &one_of_each));
    }
    assert_eq!(story.aftercare().returns.len(), 4);
    assert_eq!(story.code(ask::give_back("e", &[(1, 1)])), "TooManyChanges");
    let twice = [(1, 1, "restock"), (1, 1, "restock")];
    assert_eq!(story.code(ask::receive("got", "a", &twice)), "LinesInvalid");
}
