//! What happens to aggregates, told by events and folded by the cores: between them the stories change every column that can
//! change, and fill every column that there is.

mod payment_events;

use schemas::{
    CommandId, CustomerId, InventoryEvent, Message, MessageType, OrderEvent, OrderId, PaymentEvent, ReturnedStock,
    Shortage, Sku, StockCommitted, StockEvent, StockLine, StockRejected, StockReleased, StockReserved, StockReturned,
    Time,
};
use serde::de::DeserializeSeed as _;
use serde_json::{Value, json};

use crate::{
    ContentsRow, OrderRow, PaymentCallRow, PaymentRow, PostingRow, ProductRow, ReceiptRow, ReservationRow, StockRow,
    TableRow,
};
use domain::charge::{self, Call, Payment, Posting};
use domain::provider::{Operation, PaymentMethod};
use domain::saga::{self, Order};
use domain::stock::{self, Level, Product, Receipt, Reservation};

use payment_events::payment_events;

/// Rows of which stories are told.
pub trait Told: TableRow {
    /// Each with its row after every event.
    fn stories() -> Vec<Vec<Self>>;
}

impl Told for OrderRow {
    fn stories() -> Vec<Vec<Self>> {
        rows(orders(), |order| OrderRow::of(order, 3))
    }
}

impl Told for ContentsRow {
    fn stories() -> Vec<Vec<Self>> {
        rows(orders(), ContentsRow::of)
    }
}

impl Told for ReservationRow {
    fn stories() -> Vec<Vec<Self>> {
        rows(reservations(), ReservationRow::of)
    }
}

impl Told for StockRow {
    fn stories() -> Vec<Vec<Self>> {
        let level = |version, [received, reserved, shipped, returned, written_off]: [i64; 5]| {
            StockRow::of(&sku("pen"), Level { version, received, reserved, shipped, returned, written_off })
        };
        vec![vec![
            level(1, [9, 0, 0, 0, 0]),
            level(1, [9, 4, 0, 0, 0]),
            level(1, [9, 0, 4, 0, 0]),
            level(2, [6, 0, 4, 0, 0]),
            level(2, [6, 0, 4, 3, 1]),
        ]]
    }
}

impl Told for ReceiptRow {
    fn stories() -> Vec<Vec<Self>> {
        receipts().iter().map(|receipt| vec![ReceiptRow::of(receipt)]).collect()
    }
}

impl Told for ProductRow {
    fn stories() -> Vec<Vec<Self>> {
        rows(vec![products()], ProductRow::of)
    }
}

impl Told for PaymentRow {
    fn stories() -> Vec<Vec<Self>> {
        rows(payments(), PaymentRow::of)
    }
}

impl Told for PostingRow {
    fn stories() -> Vec<Vec<Self>> {
        postings().iter().map(|posting| vec![PostingRow::of(posting)]).collect()
    }
}

impl Told for PaymentCallRow {
    fn stories() -> Vec<Vec<Self>> {
        let causes = [(Some("cause-1"), None), (Some("cause-2"), Some("00-trace-01"))];
        let call_row = |(call, (id, trace)): (&Call, (_, _))| PaymentCallRow::of(call, 3, id, trace);
        vec![calls().iter().zip(causes).map(call_row).collect()]
    }
}

fn rows<S, R>(stories: Vec<Vec<S>>, row: impl Fn(&S) -> R) -> Vec<Vec<R>> {
    stories.iter().map(|story| story.iter().map(&row).collect()).collect()
}

/// The states after each event.
fn told<E, S: Clone>(events: &[E], evolve: impl Fn(Option<S>, &E) -> Option<S>) -> Vec<S> {
    let mut state = None;
    events.iter().filter_map(|event| evolve(state.take(), event).inspect(|after| state = Some(after.clone()))).collect()
}

/// Orders that complete, are undone, get stuck, wait for a person, and have all that can happen to one behind them.
pub fn orders() -> Vec<Vec<Order>> {
    let stories = [plain(), undone(), stuck(), waiting(), eventful()];
    let folded = |events: &Vec<OrderEvent>| told(events, |order, event| saga::evolve(order, event).unwrap());
    stories.iter().map(folded).collect()
}

fn plain() -> Vec<OrderEvent> {
    story(
        "done",
        [
            ("OrderPlaced", placed()),
            ("OrderStockReserved", json!({})),
            ("OrderConfirmed", json!({})),
            ("OrderPaymentCaptured", json!({})),
            ("OrderCompleted", json!({})),
        ],
    )
}

fn undone() -> Vec<OrderEvent> {
    let asked = |awaiting: &str| {
        json!({"reason": "Requested", "awaiting": awaiting, "command_id": "cancel-1", "reason_code": "changed_mind",
            "origin": origin("CancelOrder", "cancel-1")})
    };
    story(
        "undone",
        [
            ("OrderPlaced", placed()),
            ("OrderCancelling", asked("StockReservation")),
            ("OrderCancelling", asked("StockRelease")),
            ("OrderCancelled", json!({"reason": "Requested", "command_id": "cancel-1", "reason_code": "changed_mind"})),
        ],
    )
}

fn stuck() -> Vec<OrderEvent> {
    let cancelling = json!({"reason": "DeadlinePassed", "awaiting": "PaymentVoid", "command_id": null});
    story(
        "stuck",
        [
            ("OrderPlaced", placed()),
            ("OrderCancelling", cancelling),
            ("OrderStuck", json!({"awaiting": "PaymentVoid", "detail": "nobody \"answers\""})),
        ],
    )
}

fn waiting() -> Vec<OrderEvent> {
    let held = json!({"reason_code": "fraud", "until": micros(90), "origin": origin("HoldOrder", "hold-1")});
    story(
        "waiting",
        [
            ("OrderPlaced", with(placed(), terms())),
            ("OrderStockReserved", json!({})),
            ("OrderActionRequired", json!({"until": micros(50), "confirm_by": micros(75)})),
            ("OrderConfirmed", json!({"ship_by": micros(80)})),
            ("OrderHeld", held),
        ],
    )
}

fn eventful() -> Vec<OrderEvent> {
    let on_command = json!({"fulfilment": "on_command"});
    let lines = json!([{"line": 1, "quantity": 1}]);
    let came = json!([{"line": 1, "quantity": 1, "disposition": "write_off"}]);
    story(
        "eventful",
        [
            ("OrderPlaced", with(placed(), on_command)),
            ("OrderStockReserved", json!({})),
            ("OrderConfirmed", json!({})),
            ("OrderPaymentCaptured", json!({"ship_by": micros(80)})),
            ("OrderShipped", json!({"carrier": "post", "tracking": "42", "origin": origin("ShipOrder", "ship-1")})),
            ("OrderCompleted", json!({})),
            (
                "OrderReturnRequested",
                json!({"return_id": "back-1", "lines": lines, "reason_code": "broken",
                "close_by": micros(99), "origin": origin("RequestReturn", "back-1")}),
            ),
            (
                "OrderReturnReceived",
                json!({"return_id": "back-1", "lines": came, "refund_minor": 150,
                "origin": origin("ReceiveReturn", "came-1")}),
            ),
            (
                "OrderRefundRequested",
                json!({"refund_id": "back-1", "amount_minor": 150, "lines": [],
                "reason_code": "broken", "return_id": "back-1"}),
            ),
            ("OrderRefunded", json!({"refund_id": "back-1", "amount_minor": 150})),
            (
                "OrderRefundRequested",
                json!({"refund_id": "refund-2", "amount_minor": 9, "lines": [],
                "reason_code": null, "return_id": null, "origin": origin("RefundOrder", "refund-2")}),
            ),
            (
                "OrderRefundFailed",
                json!({"refund_id": "refund-2", "amount_minor": 9, "outcome": "refused",
                "detail": "card closed"}),
            ),
        ],
    )
}

/// The events of an order, each with the next version, a second after the one before.
fn story<const N: usize>(order: &str, events: [(&str, Value); N]) -> Vec<OrderEvent> {
    let id = json!({"order_id": order});
    let event = |(version, (name, body))| OrderEvent::try_from(message(&id, version, name, body)).unwrap();
    (1..).zip(events).map(event).collect()
}

fn message(id: &Value, version: i64, name: &str, body: Value) -> Message {
    let message_type = MessageType::ALL.into_iter().find(|one| one.name() == name).unwrap();
    let head = with(id.clone(), json!({"version": version, "at": micros(version)}));
    message_type.deserialize(with(head, body)).unwrap()
}

fn with(mut body: Value, more: Value) -> Value {
    let (Some(fields), Value::Object(more)) = (body.as_object_mut(), more) else { return body };
    fields.extend(more);
    body
}

fn origin(command: &str, command_id: &str) -> Value {
    json!({"command": command, "command_id": command_id, "by": "kim", "note": "by phone"})
}

fn placed() -> Value {
    json!({
        "customer_id": "c-7",
        "placed_at": micros(-1),
        "currency": "EUR",
        "lines": [
            {"sku": "pen", "quantity": 2, "unit_price_minor": 150},
            {"sku": "ink \"blue\"", "quantity": 1, "unit_price_minor": 499},
        ],
        "total_minor": 799,
        "confirm_by": micros(60),
    })
}

/// All that may be left out of an order.
fn terms() -> Value {
    json!({
        "payment_provider": "eu",
        "payment_token": "tok_1",
        "capture": "at_shipment",
        "fulfilment": "on_command",
        "adjustments": [{"kind": "discount", "amount_minor": -10, "line": 1}],
        "attributes": {"channel": "web"},
        "replaces_order_id": "done",
        "hold": {"reason_code": "AmountAboveLimit", "until": micros(70)},
    })
}

fn micros(seconds: i64) -> i64 {
    at(seconds).as_micros()
}

/// Reservations that are carried out, released, and refused.
pub fn reservations() -> Vec<Vec<Reservation>> {
    let reserved = |order_id: &OrderId| {
        InventoryEvent::StockReserved(StockReserved {
            order_id: order_id.clone(),
            version: 1,
            at: at(1),
            lines: vec![
                StockLine { sku: sku("pen"), quantity: 2 },
                StockLine { sku: sku("ink \"blue\""), quantity: 1 },
            ],
        })
    };
    let (shipped, released) = (order_id("shipped"), order_id("released"));
    let stories = [
        vec![
            reserved(&shipped),
            InventoryEvent::StockCommitted(StockCommitted { order_id: shipped.clone(), version: 2, at: at(2) }),
            InventoryEvent::StockReturned(StockReturned {
                order_id: shipped,
                version: 3,
                at: at(9),
                return_id: CommandId::new("back-1").unwrap(),
                lines: vec![ReturnedStock { sku: sku("pen"), restocked: 1, written_off: 1 }],
            }),
        ],
        vec![
            reserved(&released),
            InventoryEvent::StockReleased(StockReleased { order_id: released, version: 2, at: at(3) }),
        ],
        vec![InventoryEvent::StockRejected(StockRejected {
            order_id: order_id("short"),
            version: 1,
            at: at(1),
            shortages: vec![Shortage { sku: sku("pen"), requested: 5, available: 4 }],
        })],
    ];
    let evolve = |reservation, event: &InventoryEvent| stock::evolve(reservation, event).unwrap().reservation;
    stories.map(|events| told(&events, evolve)).into()
}

/// A receipt, an adjustment and two descriptions.
pub fn receipts() -> Vec<Receipt> {
    stock_events().iter().filter_map(Receipt::of).collect()
}

/// A product after each of its descriptions.
pub fn products() -> Vec<Product> {
    stock_events().iter().filter_map(Product::of).collect()
}

fn stock_events() -> Vec<StockEvent> {
    let pen = |title: &str, price_minor: i64, currency: &str| json!({"title": title, "price_minor": price_minor, "currency": currency});
    let events = [
        ("StockReceived", "in-1", json!({"quantity": 9})),
        ("StockAdjusted", "out-1", json!({"delta": -3, "origin": origin("AdjustStock", "out-1")})),
        ("ProductDescribed", "say-1", pen("Pen", 250, "EUR")),
        (
            "ProductDescribed",
            "say-2",
            with(pen("Pen, blue", 275, "USD"), json!({"origin": origin("DescribeProduct", "say-2")})),
        ),
    ];
    let event = |(version, (name, command, body)): (i64, (&str, &str, Value))| {
        let id = json!({"sku": "pen", "command_id": command});
        StockEvent::try_from(message(&id, version, name, body)).unwrap()
    };
    (1..).zip(events).map(event).collect()
}

/// Payments that are captured, partly given back and disputed, voided after a refused capture, declined, stuck, and helped out of it.
pub fn payments() -> Vec<Vec<Payment>> {
    let evolve = |payment, event: &PaymentEvent| charge::evolve(payment, event).unwrap().payment;
    payment_events().iter().map(|events| told(events, evolve)).collect()
}

/// What the first of these payments posts.
pub fn postings() -> Vec<Posting> {
    let mut payment = None;
    let mut postings = Vec::new();
    for event in &payment_events()[0] {
        let evolved = charge::evolve(payment.take(), event).unwrap();
        payment = evolved.payment;
        postings.extend(evolved.postings);
    }
    postings
}

/// A call, and the same after everything about it that may change has changed.
pub fn calls() -> [Call; 2] {
    let opened = Call {
        order_id: order_id("paid"),
        operation: Operation::Authorize,
        attempt: 1,
        customer_id: customer(),
        currency: "EUR".into(),
        amount_minor: 799,
        refund_id: None,
        authorization: None,
        method: Some(PaymentMethod { provider: "eu".into(), token: "tok_1".into() }),
        accepted: None,
        queued: None,
        opened_at: at(1),
        unknown_since: None,
        not_found_at: None,
        sends: 0,
        look_ups: 0,
        due_at: at(2),
    };
    let later = Call {
        operation: Operation::Capture,
        attempt: 2,
        amount_minor: 150,
        refund_id: Some(CommandId::new("back-1").unwrap()),
        authorization: Some("auth-1".into()),
        accepted: Some("refund-1".into()),
        queued: Some(Operation::Void),
        opened_at: at(3),
        unknown_since: Some(at(4)),
        not_found_at: Some(at(5)),
        sends: 6,
        look_ups: 7,
        due_at: at(8),
        ..opened.clone()
    };
    [opened, later]
}

/// So many seconds after noon.
fn at(seconds: i64) -> Time {
    "2026-11-30T12:00:00Z".parse::<Time>().unwrap().plus_ms(seconds * 1000)
}

fn order_id(name: &str) -> OrderId {
    OrderId::new(name).unwrap()
}

fn customer() -> CustomerId {
    CustomerId::new("c-7").unwrap()
}

fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}
