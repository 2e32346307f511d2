//! Requests that are made once more, because they, or their answers, lie among the dead letters.

use domain::decision::Outcome;
use domain::saga::{Stage, part_of};
use schemas::{Message, OrderEvent};

use super::Story;
use crate::fixtures::{ask, pay, stock};
use crate::order_table::{Way, gone};

fn story(stage: usize) -> Story {
    Story::of(gone(Way::Plain, stage, &[]))
}

#[test]
fn a_request_that_is_outstanding_is_made_again_whether_it_or_its_answer_was_set_aside() {
    for (stage, version, letter, request) in [
        (1, 1, "ReserveStock", "ReserveStock"),
        (1, 1, "StockReserved", "ReserveStock"),
        (1, 1, "StockRejected", "ReserveStock"),
        (2, 2, "AuthorizePayment", "AuthorizePayment"),
        (2, 2, "PaymentDeclined", "AuthorizePayment"),
        (3, 3, "PaymentCaptured", "CapturePayment"),
        (3, 3, "PaymentStuck", "CapturePayment"),
        (4, 4, "CommitStock", "CommitStock"),
    ] {
        let before = story(stage);
        let (stage, had) = (before.stage().clone(), before.order().version);
        let story = before.on(ask::redrive("r", letter, version, None));
        assert_eq!(story.asked(), [request], "{letter}");
        assert_eq!((story.stage(), story.order().version), (&stage, had + 1), "{letter}");
        let Some(OrderEvent::OrderAskedAgain(event)) = story.events.last() else { panic!("{:?}", story.events) };
        assert_eq!((event.request.as_str(), event.letter.as_str()), (request, "inventory.commands.v1-dlt[0]@7"));
        let origin = event.origin.as_ref().unwrap();
        assert_eq!((origin.command.as_str(), origin.by.as_deref()), ("RedriveDeadLetter", Some("kim")));
        assert_eq!(story.outcome(ask::redrive("r", letter, version, None)), Outcome::NoEffect);
        // The request that was made again is one that the order has made.
        assert_eq!(story.outcome(ask::redrive("r-2", letter, had + 1, None)), Outcome::Applied);
    }
}

#[test]
fn what_is_asked_again_is_the_same_and_the_order_goes_on_by_its_answer() {
    let placed = story(1);
    let request = domain::saga::outstanding(placed.order());
    let again = placed.on(ask::redrive("r", "ReserveStock", 1, None));
    assert_eq!(again.asked, request);
    let reserved = again.on(stock::reserved());
    assert_eq!(reserved.asked(), ["ReserveStock", "AuthorizePayment"]);
    // The first request was carried out after all, and both are answered.
    assert_eq!(reserved.on(stock::reserved()).stage(), &Stage::StockReserved);
}

#[test]
fn a_stranger_makes_nobody_speak_and_what_nobody_waits_for_is_not_said_again() {
    let placed = story(1);
    let (code, detail) = placed.refusal(ask::redrive("r", "ReserveStock", 7, None));
    assert!(code == "NotOurs" && detail.contains("stranger"), "{code}: {detail}");
    let (code, detail) = placed.refusal(ask::redrive("r", "CommitStock", 1, None));
    assert!(code == "NotAwaited" && detail.contains("ReserveStock"), "{code}: {detail}");
    assert_eq!(story(2).code(ask::redrive("r", "StockReserved", 1, None)), "NotAwaited");
    assert_eq!(
        Story::of(gone(Way::Plain, 3, &[])).on(pay::stuck()).code(ask::redrive("r", "PaymentStuck", 3, None)),
        "NotAwaited"
    );
    for event in ["OrderPlaced", "PaymentDisputed", "PaymentRefundReversed", "StockReceived", "PlaceOrder", ""] {
        assert_eq!(placed.code(ask::redrive("r", event, 1, None)), "NotRepeatable", "{event}");
    }
    assert_eq!(Story::of(None).code(ask::redrive("r", "ReserveStock", 1, None)), "OrderUnknown");
}

#[test]
fn of_refunds_the_one_that_is_meant_is_asked_for_again() {
    let refunding = || Story::of(gone(Way::OnCommand, 4, &[])).on(ask::refund());
    let asked = refunding().asked.last().cloned().unwrap();
    let part = part_of(&asked);
    let version = refunding().order().version;
    let again = refunding().on(ask::redrive("r", "PaymentRefunded", version, part.as_deref()));
    assert_eq!(again.asked.last(), Some(&asked));
    assert_eq!(part_of(&Message::from(pay::refunded("r-9", 1))).as_deref(), Some("r-9"));
    for other in [None, Some("another")] {
        assert_eq!(refunding().code(ask::redrive("r", "PaymentRefunded", version, other)), "NotAwaited");
    }
}
