//! What happens to aggregates, told by events and folded by the cores: between them the stories change every column that can
//! change, and fill every column that there is.

use schemas::{
    Awaiting, CancelReason, CommandId, CustomerId, InventoryEvent, Operation, OrderCancelled, OrderCancelling,
    OrderCompleted, OrderConfirmed, OrderEvent, OrderId, OrderLine, OrderPaymentCaptured, OrderPlaced,
    OrderStockReserved, OrderStuck, PaymentAuthorized, PaymentCaptureFailed, PaymentCaptured, PaymentDeclined,
    PaymentEvent, PaymentStuck, PaymentVoided, Shortage, Sku, StockAdjusted, StockCommitted, StockEvent, StockLine,
    StockReceived, StockRejected, StockReleased, StockReserved, Time,
};

use crate::{
    ContentsRow, OrderRow, PaymentCallRow, PaymentRow, PostingRow, ReceiptRow, ReservationRow, StockRow, TableRow,
};
use domain::charge::{self, Call, Payment, Posting};
use domain::saga::{self, Order};
use domain::stock::{self, Level, Receipt, Reservation};

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
        let level = |version, received, reserved, shipped| {
            StockRow::of(&sku("pen"), Level { version, received, reserved, shipped })
        };
        vec![vec![level(1, 9, 0, 0), level(1, 9, 4, 0), level(1, 9, 0, 4), level(2, 6, 0, 4)]]
    }
}

impl Told for ReceiptRow {
    fn stories() -> Vec<Vec<Self>> {
        receipts().iter().map(|receipt| vec![ReceiptRow::of(receipt)]).collect()
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

/// Orders that complete, are undone, and get stuck.
pub fn orders() -> Vec<Vec<Order>> {
    let cancelling = |order_id: OrderId, version, reason, awaiting, command_id| {
        OrderEvent::OrderCancelling(OrderCancelling {
            order_id,
            version,
            at: at(version),
            reason,
            awaiting,
            command_id,
        })
    };
    let (done, undone, stuck) = (order_id("done"), order_id("undone"), order_id("stuck"));
    let stories = [
        vec![
            placed(&done),
            OrderEvent::OrderStockReserved(OrderStockReserved { order_id: done.clone(), version: 2, at: at(2) }),
            OrderEvent::OrderConfirmed(OrderConfirmed { order_id: done.clone(), version: 3, at: at(3) }),
            OrderEvent::OrderPaymentCaptured(OrderPaymentCaptured { order_id: done.clone(), version: 4, at: at(4) }),
            OrderEvent::OrderCompleted(OrderCompleted { order_id: done, version: 5, at: at(5) }),
        ],
        vec![
            placed(&undone),
            cancelling(undone.clone(), 2, CancelReason::Requested, Awaiting::StockReservation, command("cancel-1")),
            cancelling(undone.clone(), 3, CancelReason::Requested, Awaiting::StockRelease, command("cancel-1")),
            OrderEvent::OrderCancelled(OrderCancelled {
                order_id: undone,
                version: 4,
                at: at(4),
                reason: CancelReason::Requested,
                command_id: command("cancel-1"),
            }),
        ],
        vec![
            placed(&stuck),
            cancelling(stuck.clone(), 2, CancelReason::DeadlinePassed, Awaiting::PaymentVoid, None),
            OrderEvent::OrderStuck(OrderStuck {
                order_id: stuck,
                version: 3,
                at: at(3),
                awaiting: Awaiting::PaymentVoid,
                detail: "nobody \"answers\"".into(),
            }),
        ],
    ];
    stories.map(|events| told(&events, |order, event| saga::evolve(order, event).unwrap())).into()
}

fn placed(order_id: &OrderId) -> OrderEvent {
    OrderEvent::OrderPlaced(OrderPlaced {
        order_id: order_id.clone(),
        version: 1,
        at: at(1),
        customer_id: customer(),
        placed_at: at(-1),
        currency: "EUR".into(),
        lines: vec![
            OrderLine { sku: sku("pen"), quantity: 2, unit_price_minor: 150 },
            OrderLine { sku: sku("ink \"blue\""), quantity: 1, unit_price_minor: 499 },
        ],
        total_minor: 799,
        confirm_by: at(60),
    })
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
            InventoryEvent::StockCommitted(StockCommitted { order_id: shipped, version: 2, at: at(2) }),
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

/// A receipt and an adjustment.
pub fn receipts() -> Vec<Receipt> {
    let command_id = |name| CommandId::new(name).unwrap();
    let received =
        StockReceived { sku: sku("pen"), version: 1, at: at(1), command_id: command_id("in-1"), quantity: 9 };
    let adjusted = StockAdjusted { sku: sku("pen"), version: 2, at: at(2), command_id: command_id("out-1"), delta: -3 };
    let events = [StockEvent::StockReceived(received), StockEvent::StockAdjusted(adjusted)];
    events.iter().filter_map(Receipt::of).collect()
}

/// Payments that are captured, voided after a refused capture, declined, and get stuck.
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

fn payment_events() -> [Vec<PaymentEvent>; 4] {
    let authorized = |order_id: &OrderId| {
        PaymentEvent::PaymentAuthorized(PaymentAuthorized {
            order_id: order_id.clone(),
            version: 1,
            at: at(1),
            customer_id: customer(),
            currency: "EUR".into(),
            amount_minor: 799,
            provider_reference: Some("auth-1".into()),
        })
    };
    let (paid, voided, stuck) = (order_id("paid"), order_id("voided"), order_id("stuck"));
    [
        vec![
            authorized(&paid),
            PaymentEvent::PaymentCaptured(PaymentCaptured {
                order_id: paid,
                version: 2,
                at: at(2),
                provider_reference: Some("capture-1".into()),
            }),
        ],
        vec![
            authorized(&voided),
            PaymentEvent::PaymentCaptureFailed(PaymentCaptureFailed {
                order_id: voided.clone(),
                version: 2,
                at: at(2),
                detail: "card expired".into(),
            }),
            PaymentEvent::PaymentVoided(PaymentVoided { order_id: voided, version: 3, at: at(3) }),
        ],
        vec![PaymentEvent::PaymentDeclined(PaymentDeclined {
            order_id: order_id("declined"),
            version: 1,
            at: at(1),
            customer_id: customer(),
            currency: "EUR".into(),
            amount_minor: 799,
            detail: "no funds".into(),
        })],
        vec![
            authorized(&stuck),
            PaymentEvent::PaymentStuck(PaymentStuck {
                order_id: stuck,
                version: 2,
                at: at(4),
                operation: Operation::Capture,
                detail: "no answer".into(),
            }),
        ],
    ]
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
        authorization: None,
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
        authorization: Some("auth-1".into()),
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

fn command(name: &str) -> Option<CommandId> {
    Some(CommandId::new(name).unwrap())
}

fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}
