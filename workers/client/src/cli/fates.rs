//! What becomes of published orders: for `orders publish --wait`.
//!
//! A pure fold over the order service's events, from the topic's beginning, because an order that is published again may
//! have ended long ago. What an earlier order of the same id has gone through does not count: an order is ours when it
//! was placed with our content, and refused when a refusal names our command as its cause.

use std::collections::HashMap;

use domain::saga::ContentDigest;
use grammar::{Tone, counted, harmless, paint};
use schemas::{Message, OrderCommandName, OrderEvent, PlaceOrder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Record, detail};

/// More orders than this are published and not waited for: they are kept in memory.
pub(super) const WAITED_MAX: usize = 100_000;

/// Orders that are listed one by one; the counts are complete.
const LISTED: usize = 1000;

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Completed,
    Cancelled,
    Rejected,
    Stuck,
}

impl Fate {
    const ALL: [Fate; 4] = [Fate::Completed, Fate::Cancelled, Fate::Rejected, Fate::Stuck];

    fn as_str(self) -> &'static str {
        match self {
            Fate::Completed => "completed",
            Fate::Cancelled => "cancelled",
            Fate::Rejected => "rejected",
            Fate::Stuck => "stuck",
        }
    }
}

impl Fate {
    fn tone(self) -> Tone {
        match self {
            Fate::Completed => Tone::Good,
            Fate::Cancelled | Fate::Rejected => Tone::Warning,
            Fate::Stuck => Tone::Bad,
        }
    }
}

/// An order whose end is waited for.
#[derive(Debug)]
struct Waiting {
    content: ContentDigest,
    command: String,
    is_placed: bool,
}

/// All orders of one publication.
#[derive(Debug, Default)]
pub(super) struct Fates {
    /// By order id.
    waiting: HashMap<String, Waiting>,
    /// Order id, end, and what is worth saying about it.
    ended: Vec<(String, Fate, String)>,
    /// Orders beyond the limit.
    not_waited: u64,
}

impl Fates {
    /// An order was published, by the command of this `ce_id`. Of two with the same id the later counts.
    pub(super) fn published(&mut self, order: &PlaceOrder, command: Uuid) {
        let is_known = self.waiting.contains_key(order.order_id.as_str());
        if self.waiting.len() >= WAITED_MAX && !is_known {
            self.not_waited += 1;
            return;
        }
        let content = ContentDigest::of_command(order);
        let waiting = Waiting { content, command: command.to_string(), is_placed: false };
        self.waiting.insert(order.order_id.to_string(), waiting);
    }

    /// An event of the order service; gives whether it was the end of an order of ours.
    pub(super) fn heard(&mut self, record: &Record) -> bool {
        let Message::OrderEvent(event) = &record.message else { return false };
        let Some(waiting) = self.waiting.get_mut(record.message.key()) else { return false };
        let fate = match event {
            OrderEvent::OrderPlaced(placed) => {
                // As the order service compares a repeated command with what it has.
                waiting.is_placed = waiting.content == ContentDigest::of_placed(placed);
                return false;
            }
            OrderEvent::OrderRejected(m) if m.command == OrderCommandName::PlaceOrder => {
                (record.cause.as_ref() == Some(&waiting.command)).then_some(Fate::Rejected)
            }
            OrderEvent::OrderCompleted(_) => waiting.is_placed.then_some(Fate::Completed),
            OrderEvent::OrderCancelled(_) => waiting.is_placed.then_some(Fate::Cancelled),
            OrderEvent::OrderStuck(_) => waiting.is_placed.then_some(Fate::Stuck),
            OrderEvent::OrderStockReserved(_)
            | OrderEvent::OrderConfirmed(_)
            | OrderEvent::OrderPaymentCaptured(_)
            | OrderEvent::OrderCancelling(_)
            | OrderEvent::OrderRejected(_) => None,
        };
        let Some(fate) = fate else { return false };
        self.waiting.remove(record.message.key());
        self.ended.push((record.message.key().to_owned(), fate, detail(&record.message)));
        true
    }

    /// Orders that have not ended.
    pub(super) fn open(&self) -> usize {
        self.waiting.len()
    }

    /// The one order, if it is only one: then one partition is enough.
    pub(super) fn only_order(&self) -> Option<&String> {
        self.waiting.keys().next().filter(|_| self.waiting.len() == 1)
    }

    /// Whether any ended otherwise than completed.
    pub(super) fn any_failed(&self) -> bool {
        self.ended.iter().any(|(_, fate, _)| *fate != Fate::Completed)
    }

    fn count(&self, wanted: Fate) -> usize {
        self.ended.iter().filter(|(_, fate, _)| *fate == wanted).count()
    }

    pub(super) fn json(&self) -> Value {
        let ended = self
            .ended
            .iter()
            .map(|(id, fate, detail)| json!({ "order_id": id, "outcome": fate.as_str(), "detail": detail }));
        let open = self.waiting.keys().map(|id| json!({ "order_id": id, "outcome": Value::Null }));
        let mut whole = json!({
            "not_ended": self.open(),
            "not_waited_for": self.not_waited,
            "orders": ended.chain(open).take(LISTED).collect::<Vec<_>>(),
        });
        for fate in Fate::ALL {
            whole[fate.as_str()] = json!(self.count(fate));
        }
        whole
    }

    pub(super) fn text(&self) -> String {
        let counts = Fate::ALL.map(|fate| (self.count(fate), fate.as_str()));
        let told = counts.into_iter().chain([(self.open(), "not ended in time")]).filter(|(count, _)| *count > 0);
        let mut text = told.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ");
        let line = |(id, fate, detail): &(String, Fate, String)| {
            let fate = paint(fate.tone(), fate.as_str());
            format!("  {}  {fate}  {}", harmless(id), harmless(detail))
        };
        let lines = self.ended.iter().map(line);
        let open = self.waiting.keys().map(|id| format!("  {id}  not ended; `orders watch {id}` goes on"));
        for line in lines.chain(open).take(LISTED) {
            text.push('\n');
            text.push_str(line.trim_end());
        }
        if self.not_waited > 0 {
            text.push_str(&format!("\n{} more not waited for", counted(self.not_waited, "order")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use grammar::plain;
    use schemas::{
        CancelReason, CustomerId, OrderCancelled, OrderCompleted, OrderId, OrderLine, OrderPlaced, OrderRejected, Sku,
        Time, TopicName,
    };

    use super::*;

    const OURS: Uuid = Uuid::from_u128(7);

    fn order(quantity: i64) -> PlaceOrder {
        let line = OrderLine { sku: Sku::new("s").unwrap(), quantity, unit_price_minor: 50 };
        PlaceOrder {
            order_id: OrderId::new("o-1").unwrap(),
            customer_id: CustomerId::new("c").unwrap(),
            placed_at: Time::from_micros(1),
            currency: "USD".to_owned(),
            lines: vec![line],
        }
    }

    fn record(event: impl Into<Message>, cause: Uuid) -> Record {
        Record {
            topic: TopicName::OrderEvents,
            partition: 0,
            offset: 0,
            time: Time::from_micros(2),
            id: None,
            cause: Some(cause.to_string()),
            trace_parent: None,
            message: event.into(),
        }
    }

    fn placed(quantity: i64) -> Record {
        let PlaceOrder { order_id, customer_id, placed_at, currency, lines } = order(quantity);
        let (version, at, confirm_by) = (1, Time::from_micros(2), Time::from_micros(3));
        let placed =
            OrderPlaced { order_id, version, at, customer_id, placed_at, currency, lines, total_minor: 50, confirm_by };
        record(placed, Uuid::nil())
    }

    fn completed() -> Record {
        let order_id = order(1).order_id;
        record(OrderCompleted { order_id, version: 5, at: Time::from_micros(4) }, Uuid::nil())
    }

    fn cancelled() -> Record {
        let (order_id, reason) = (order(1).order_id, CancelReason::OutOfStock);
        record(OrderCancelled { order_id, version: 2, at: Time::from_micros(4), reason, command_id: None }, Uuid::nil())
    }

    fn rejected(cause: Uuid) -> Record {
        let (order_id, command, at) = (order(1).order_id, OrderCommandName::PlaceOrder, Time::from_micros(5));
        record(OrderRejected { order_id, at, command, command_id: None, reasons: Vec::new() }, cause)
    }

    fn fates() -> Fates {
        let mut fates = Fates::default();
        fates.published(&order(1), OURS);
        fates
    }

    #[test]
    fn an_order_ends_as_its_events_say() {
        let mut fates = fates();
        assert!(!fates.heard(&placed(1)));
        assert_eq!((fates.open(), fates.any_failed()), (1, false));
        assert!(fates.heard(&completed()));
        assert_eq!((fates.open(), fates.any_failed()), (0, false));
        assert_eq!(plain(&fates.text()), "1 completed\n  o-1  completed");
        let mut fates = self::fates();
        fates.heard(&placed(1));
        assert!(fates.heard(&cancelled()) && fates.any_failed());
        assert_eq!(plain(&fates.text()), "1 cancelled\n  o-1  cancelled  OutOfStock");
        assert_eq!(fates.json()["orders"][0]["outcome"], "cancelled");
    }

    #[test]
    fn the_end_of_an_order_with_other_content_is_not_ours_and_the_refusal_of_our_command_is() {
        let mut fates = fates();
        assert!(!fates.heard(&placed(2)) && !fates.heard(&completed()));
        assert!(!fates.heard(&rejected(Uuid::nil())), "an earlier command's");
        assert!(fates.heard(&rejected(OURS)) && fates.any_failed());
        assert_eq!((fates.open(), fates.count(Fate::Rejected)), (0, 1));
    }

    #[test]
    fn what_has_not_ended_is_named() {
        let mut fates = fates();
        fates.heard(&placed(1));
        assert_eq!(fates.text(), "1 not ended in time\n  o-1  not ended; `orders watch o-1` goes on");
        assert_eq!((fates.json()["not_ended"].as_u64(), fates.only_order().is_some()), (Some(1), true));
    }
}
