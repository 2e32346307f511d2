//! What is counted of which events.

use super::*;
use schemas::RejectionCode;
use schemas::{OrderRejected, Rejection, Time};
use serde::de::DeserializeSeed as _;

fn id(text: &str) -> OrderId {
    OrderId::new(text).unwrap()
}

fn at() -> Time {
    Time::from_micros(0)
}

/// An event by its name, with what its other fields say.
fn event(name: &str, order: &str, version: i64, mut body: serde_json::Value) -> OrderEvent {
    let message_type = schemas::MessageType::ALL.into_iter().find(|one| one.name() == name).unwrap();
    let head = serde_json::json!({"order_id": order, "version": version, "at": 0});
    body.as_object_mut().unwrap().extend(head.as_object().unwrap().clone());
    let message: schemas::Message = message_type.deserialize(body).unwrap();
    OrderEvent::try_from(message).unwrap()
}

fn placed(text: &str) -> OrderEvent {
    let body = serde_json::json!({"customer_id": "c", "placed_at": 0, "currency": "USD", "lines": [], "total_minor": 0,
        "confirm_by": 0});
    event("OrderPlaced", text, 1, body)
}

fn rejected(text: &str) -> OrderEvent {
    let reasons = vec![Rejection { code: RejectionCode::NoLines, detail: String::new(), reason_code: None }];
    let command = OrderCommandName::PlaceOrder;
    OrderRejected { order_id: id(text), at: at(), command, command_id: None, reasons }.into()
}

fn confirmed(text: &str) -> OrderEvent {
    event("OrderConfirmed", text, 3, serde_json::json!({}))
}

fn completed(text: &str) -> OrderEvent {
    event("OrderCompleted", text, 5, serde_json::json!({}))
}

fn cancelling(text: &str) -> OrderEvent {
    let body = serde_json::json!({"reason": "PaymentDeclined", "awaiting": "StockRelease", "command_id": null});
    event("OrderCancelling", text, 3, body)
}

fn cancelled(text: &str, reason: CancelReason) -> OrderEvent {
    event("OrderCancelled", text, 4, serde_json::json!({"reason": reason, "command_id": null}))
}

struct Scene {
    tally: Tally,
    begin: Instant,
}

impl Scene {
    fn new() -> Self {
        let begin = Instant::now();
        Self { tally: Tally::new(begin).unwrap(), begin }
    }

    fn sent(&mut self, ids: &[&str]) {
        ids.iter().for_each(|text| self.tally.sent(&id(text), self.begin));
    }

    fn heard(&mut self, after_ms: u64, event: OrderEvent) {
        self.tally.heard(&event, self.begin + Duration::from_millis(after_ms));
    }

    fn counts(&self) -> (u64, u64, u64, u64, u64) {
        let c = self.tally.counts();
        assert_eq!(c.orders, c.completed + c.cancelled + c.rejected + c.stuck + c.in_flight);
        (c.orders, c.completed, c.cancelled, c.rejected, c.in_flight)
    }
}

#[test]
fn every_published_id_counts_once_and_stands_somewhere() {
    let mut scene = Scene::new();
    scene.sent(&["a", "b", "c", "d", "a"]);
    assert_eq!(scene.counts(), (4, 0, 0, 0, 4));
    scene.heard(1, placed("a"));
    scene.heard(2, completed("a"));
    scene.heard(3, placed("b"));
    scene.heard(4, cancelled("b", CancelReason::OutOfStock));
    scene.heard(5, rejected("c"));
    assert_eq!(scene.counts(), (4, 1, 1, 1, 1));
    assert_eq!(scene.tally.counts().settled(), 3);
    assert_eq!(scene.tally.last_settled(), Some(scene.begin + Duration::from_millis(5)));
}

#[test]
fn an_id_is_rejected_only_when_all_its_commands_were() {
    let mut scene = Scene::new();
    scene.sent(&["a", "a"]);
    scene.heard(1, rejected("a"));
    assert_eq!(scene.counts(), (1, 0, 0, 0, 1), "the second command may still make an order");
    scene.heard(2, placed("a"));
    scene.heard(3, completed("a"));
    assert_eq!(scene.counts(), (1, 1, 0, 0, 0));
    scene.sent(&["b", "b"]);
    scene.heard(4, rejected("b"));
    scene.heard(5, rejected("b"));
    assert_eq!(scene.counts(), (2, 1, 0, 1, 0));
    assert_eq!(scene.tally.rejection_codes(), BTreeMap::from([("NoLines".to_owned(), 1)]));
    assert_eq!(scene.tally.refused_repetitions(), 1);
}

#[test]
fn a_rejected_repetition_of_an_order_changes_nothing() {
    let mut scene = Scene::new();
    scene.sent(&["a", "a", "a"]);
    scene.heard(1, placed("a"));
    scene.heard(2, rejected("a"));
    scene.heard(3, completed("a"));
    scene.heard(4, rejected("a"));
    assert_eq!(scene.counts(), (1, 1, 0, 0, 0));
    assert_eq!(scene.tally.refused_repetitions(), 2);
    assert_eq!(scene.tally.rejection_codes(), BTreeMap::new());
}

#[test]
fn what_others_publish_is_not_ours() {
    let mut scene = Scene::new();
    scene.heard(1, placed("x"));
    scene.heard(2, completed("x"));
    assert_eq!(scene.counts(), (0, 0, 0, 0, 0));
    scene.sent(&["x"]);
    assert_eq!(scene.counts(), (1, 1, 0, 0, 0), "heard before the sender was told");
}

#[test]
fn compensated_is_what_had_something_to_undo() {
    let mut scene = Scene::new();
    scene.sent(&["a", "b"]);
    scene.heard(10, cancelled("a", CancelReason::OutOfStock));
    assert_eq!(scene.tally.first_compensated(), None);
    assert_eq!(scene.tally.first_out_of_stock(), Some(scene.begin + Duration::from_millis(10)));
    scene.heard(20, cancelling("b"));
    scene.heard(30, cancelled("b", CancelReason::PaymentDeclined));
    assert_eq!(scene.tally.first_compensated(), Some(Duration::from_millis(30)));
}

#[test]
fn quantiles_are_of_the_confirmed_orders_to_three_digits() {
    let mut scene = Scene::new();
    for n in 1..=100_u64 {
        scene.sent(&[&n.to_string()]);
        scene.heard(n, confirmed(&n.to_string()));
    }
    for (quantile, ms) in [(0.5, 50), (0.99, 99)] {
        let (found, exact) = (scene.tally.latency(quantile).unwrap(), Duration::from_millis(ms));
        assert!((exact..=exact * 1001 / 1000).contains(&found), "{found:?} for {exact:?}");
    }
    assert_eq!(scene.tally.first_confirmed(), Some(Duration::from_millis(1)));
    assert_eq!(scene.tally.last_confirmed(), Some(scene.begin + Duration::from_millis(100)));
    assert_eq!(scene.tally.ending_latency(0.5), None, "none has ended");
    scene.heard(7, confirmed("1"));
    assert_eq!(scene.tally.confirmed(), 100, "each once");
    scene.heard(7, completed("1"));
    scene.heard(7, cancelled("2", CancelReason::OutOfStock));
    assert_eq!(scene.tally.ending_latency(0.99).map(|time| time.as_millis()), Some(7));
    assert_eq!(Scene::new().tally.latency(0.5), None);
}
