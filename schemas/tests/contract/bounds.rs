//! The bounds on ids, lines and texts keep whatever a service derives far below what a topic takes.

use schemas::*;

const LONGEST_ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn size(message: impl Into<Message>) -> usize {
    Codec::embedded().encode(&message.into()).unwrap().len()
}

fn order_id() -> OrderId {
    OrderId::new(LONGEST_ID).unwrap()
}

#[test]
fn the_largest_order_that_is_accepted_is_small() {
    let line = OrderLine { sku: Sku::new(LONGEST_ID).unwrap(), quantity: i64::MAX, unit_price_minor: i64::MAX };
    let placed = OrderPlaced {
        order_id: order_id(),
        version: i64::MAX,
        at: Time::MAX,
        customer_id: CustomerId::new(LONGEST_ID).unwrap(),
        placed_at: Time::MAX,
        currency: "USD".to_owned(),
        lines: vec![line; limits::MAX_LINES],
        total_minor: i64::MAX,
        confirm_by: Time::MAX,
    };
    let bytes = size(placed);
    assert!((40_000..50_000).contains(&bytes), "{bytes}");
}

#[test]
fn the_largest_refusal_is_small() {
    let reason = Rejection { code: RejectionCode::NotSupported, detail: limits::detail("x".repeat(10_000)) };
    let rejected = OrderRejected {
        order_id: order_id(),
        at: Time::MAX,
        command: OrderCommandName::PlaceOrder,
        command_id: Some(CommandId::new(LONGEST_ID).unwrap()),
        reasons: vec![reason; limits::MAX_REASONS],
    };
    assert!(size(rejected) < 5_000);
}

#[test]
fn a_payload_beyond_the_limit_is_not_written() {
    let declined = |bytes: usize| PaymentDeclined {
        order_id: order_id(),
        version: 1,
        at: Time::MAX,
        customer_id: CustomerId::new(LONGEST_ID).unwrap(),
        currency: "USD".to_owned(),
        amount_minor: 1,
        detail: "x".repeat(bytes),
    };
    let around = size(declined(0));
    let fits = declined(limits::MAX_PAYLOAD_BYTES - around - 2); // two more bytes for the text's length
    let payload = Codec::embedded().encode(&fits.clone().into()).unwrap();
    assert_eq!(payload.len(), limits::MAX_PAYLOAD_BYTES);
    assert_eq!(Codec::embedded().decode(TopicName::PaymentEvents, &payload), Ok(fits.into()));

    let bytes = limits::MAX_PAYLOAD_BYTES + 1;
    let error = Codec::embedded().encode(&declined(limits::MAX_PAYLOAD_BYTES - around - 1).into());
    assert_eq!(error, Err(EncodeError::TooLarge { message_type: MessageType::PaymentDeclined, bytes }));
}

#[test]
fn the_first_and_the_last_of_the_years_1_to_9999_travel() {
    let confirmed = |at| OrderConfirmed { order_id: order_id(), version: 1, at };
    let codec = Codec::embedded();
    for at in [Time::EARLIEST, Time::MAX, "9999-12-31T23:59:59Z".parse().unwrap()] {
        let message = Message::from(confirmed(at));
        let payload = codec.encode(&message).unwrap();
        assert_eq!(codec.decode(TopicName::OrderEvents, &payload), Ok(message), "{at}");
    }
}

#[test]
fn a_text_that_may_not_travel_is_not_written_and_the_field_is_named() {
    let at = Time::EARLIEST;
    let stuck =
        OrderStuck { order_id: order_id(), version: 1, at, awaiting: Awaiting::StockCommit, detail: "a\0b".into() };
    let error = Codec::embedded().encode(&stuck.into()).unwrap_err();
    let EncodeError::Unrepresentable { message_type: MessageType::OrderStuck, detail } = error else {
        panic!("{error}")
    };
    assert!(detail.contains("field detail") && detail.contains("U+0000"), "{detail}");
}
