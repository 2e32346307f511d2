//! What becomes of published orders, as far as it comes by itself: for `orders publish --wait`.
//!
//! A pure fold over the order service's events, from the topic's beginning, because an order that is published again may
//! have ended long ago. What an earlier order of the same id has gone through does not count: an order is ours when it
//! was placed with our content, and refused when a refusal names our command as its cause.

use std::collections::HashMap;

use domain::saga::ContentDigest;
use grammar::{Tone, counted, harmless, paint};
use schemas::{Message, OrderCommandName, OrderEvent, OrderId, PlaceOrder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::output::Failure;
use crate::{Record, detail};

/// More orders than this are published and not waited for: they are kept in memory.
pub(super) const WAITED_MAX: usize = 100_000;

/// Orders that are listed one by one; the counts are complete.
const LISTED: usize = 1000;

/// How an order ended, or where it waits for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Completed,
    ReadyToShip,
    Held,
    Cancelled,
    Rejected,
    Stuck,
}

impl Fate {
    const ALL: [Fate; 6] =
        [Fate::Completed, Fate::ReadyToShip, Fate::Held, Fate::Cancelled, Fate::Rejected, Fate::Stuck];

    fn as_str(self) -> &'static str {
        match self {
            Fate::Completed => "completed",
            Fate::ReadyToShip => "ready_to_ship",
            Fate::Held => "held",
            Fate::Cancelled => "cancelled",
            Fate::Rejected => "rejected",
            Fate::Stuck => "stuck",
        }
    }

    fn in_words(self) -> String {
        self.as_str().replace('_', " ")
    }

    fn tone(self) -> Tone {
        match self {
            Fate::Completed | Fate::ReadyToShip => Tone::Good,
            Fate::Held | Fate::Cancelled | Fate::Rejected => Tone::Warning,
            Fate::Stuck => Tone::Bad,
        }
    }

    /// Whether it is as far as it comes without a person.
    fn is_well(self) -> bool {
        match self {
            Fate::Completed | Fate::ReadyToShip => true,
            Fate::Held | Fate::Cancelled | Fate::Rejected | Fate::Stuck => false,
        }
    }
}

/// An order whose end is waited for.
#[derive(Debug)]
struct Waiting {
    content: ContentDigest,
    command: String,
    is_placed: bool,
    /// Where it has come to: its number among those that have, and what is worth saying about it.
    end: Option<(u64, Fate, String)>,
}

/// All orders of one publication.
#[derive(Debug, Default)]
pub(super) struct Fates {
    /// By order id.
    orders: HashMap<String, Waiting>,
    open: usize,
    ends: u64,
    /// Orders beyond the limit.
    not_waited: u64,
    /// Whether events are heard without the tokens of payment.
    hides_tokens: bool,
}

/// What an event says of an order's end.
enum Said {
    /// Nothing.
    Nothing,
    /// It has come to one.
    Ends(Fate),
    /// It goes on.
    GoesOn,
}

impl Fates {
    /// Of no order yet. An API shows no token of a payment: orders are then compared without.
    pub(super) fn of(shows_tokens: bool) -> Self {
        Fates { hides_tokens: !shows_tokens, ..Fates::default() }
    }

    /// An order was published, by the command of this `ce_id`. Of two with the same id the later counts.
    pub(super) fn published(&mut self, order: &PlaceOrder, command: Uuid) {
        let is_known = self.orders.contains_key(order.order_id.as_str());
        if self.orders.len() >= WAITED_MAX && !is_known {
            self.not_waited += 1;
            return;
        }
        let content = match self.hides_tokens {
            true => ContentDigest::of_command(&PlaceOrder { payment_token: None, ..order.clone() }),
            false => ContentDigest::of_command(order),
        };
        let waiting = Waiting { content, command: command.to_string(), is_placed: false, end: None };
        self.orders.insert(order.order_id.to_string(), waiting);
        self.open += usize::from(!is_known);
    }

    /// An event of the order service; gives whether an order of ours has come to an end by it.
    pub(super) fn heard(&mut self, record: &Record) -> bool {
        let Message::OrderEvent(event) = &record.message else { return false };
        let Some(waiting) = self.orders.get_mut(record.message.key()) else { return false };
        if let OrderEvent::OrderPlaced(placed) = event {
            // As the order service compares a repeated command with what it has.
            waiting.is_placed = waiting.content == ContentDigest::of_placed(placed);
        }
        let is_refusal = matches!(event, OrderEvent::OrderRejected(_));
        let is_ours = if is_refusal { record.cause.as_ref() == Some(&waiting.command) } else { waiting.is_placed };
        let said = if is_ours { said(event) } else { Said::Nothing };
        let was_open = waiting.end.is_none();
        match said {
            Said::Nothing => return false,
            Said::Ends(fate) => {
                self.ends += 1;
                waiting.end = Some((self.ends, fate, detail(&record.message)));
                self.open -= usize::from(was_open);
            }
            Said::GoesOn => {
                waiting.end = None;
                self.open += usize::from(!was_open);
            }
        }
        was_open && waiting.end.is_some()
    }

    /// Orders that have not ended.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Their ids.
    pub(super) fn open_ids(&self) -> Result<Vec<OrderId>, Failure> {
        let ids = self.not_ended().map(|id| OrderId::new(id).map_err(|error| Failure::Words(error.to_string())));
        ids.collect()
    }

    /// The one order, if it is only one: then one partition is enough.
    pub(super) fn only_order(&self) -> Option<&String> {
        self.orders.keys().next().filter(|_| self.orders.len() == 1)
    }

    /// Whether any ended otherwise than completed, or ready to be shipped.
    pub(super) fn any_failed(&self) -> bool {
        self.ended().iter().any(|(_, fate, _)| !fate.is_well())
    }

    fn count(&self, wanted: Fate) -> usize {
        self.ended().iter().filter(|(_, fate, _)| *fate == wanted).count()
    }

    /// Order id, end, and what is worth saying about it, in the order in which they ended.
    fn ended(&self) -> Vec<(&str, Fate, &str)> {
        let ended = self.orders.iter().filter_map(|(id, order)| order.end.as_ref().map(|end| (id, end)));
        let mut ended: Vec<_> = ended.collect();
        ended.sort_unstable_by_key(|(_, (number, ..))| *number);
        ended.into_iter().map(|(id, (_, fate, detail))| (id.as_str(), *fate, detail.as_str())).collect()
    }

    fn not_ended(&self) -> impl Iterator<Item = &str> {
        self.orders.iter().filter(|(_, order)| order.end.is_none()).map(|(id, _)| id.as_str())
    }

    pub(super) fn json(&self) -> Value {
        let ended = self.ended();
        let ended = ended
            .iter()
            .map(|(id, fate, detail)| json!({ "order_id": id, "outcome": fate.as_str(), "detail": detail }));
        let open = self.not_ended().map(|id| json!({ "order_id": id, "outcome": Value::Null }));
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
        let counts = Fate::ALL.map(|fate| (self.count(fate), fate.in_words()));
        let told = counts.into_iter().chain([(self.open(), "not ended in time".to_owned())]);
        let told = told.filter(|(count, _)| *count > 0);
        let mut text = told.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ");
        let ended = self.ended();
        let lines = ended.iter().map(|(id, fate, detail)| {
            let fate = paint(fate.tone(), fate.in_words());
            format!("  {}  {fate}  {}", harmless(id), harmless(detail))
        });
        let open = self.not_ended().map(|id| format!("  {id}  not ended; follow it with `orders watch {id}`"));
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

/// Whether an order has come to an end by this, for all that is known.
pub(super) fn is_end(record: &Record) -> bool {
    matches!(&record.message, Message::OrderEvent(event) if matches!(said(event), Said::Ends(_)))
}

/// What an event of an order of ours says of its end. An order may be stuck, or wait for somebody, and go on.
fn said(event: &OrderEvent) -> Said {
    match event {
        OrderEvent::OrderRejected(m) if m.command == OrderCommandName::PlaceOrder => Said::Ends(Fate::Rejected),
        OrderEvent::OrderCompleted(_) => Said::Ends(Fate::Completed),
        OrderEvent::OrderCancelled(_) => Said::Ends(Fate::Cancelled),
        OrderEvent::OrderStuck(_) => Said::Ends(Fate::Stuck),
        OrderEvent::OrderAuthorized(_) => Said::Ends(Fate::Held),
        OrderEvent::OrderResolved(m) if m.outcome == "completed" => Said::Ends(Fate::Completed),
        OrderEvent::OrderResolved(_) => Said::Ends(Fate::Cancelled),
        OrderEvent::OrderConfirmed(m) if m.ship_by.is_some() => Said::Ends(Fate::ReadyToShip),
        OrderEvent::OrderPaymentCaptured(m) if m.ship_by.is_some() => Said::Ends(Fate::ReadyToShip),
        OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderPaymentCaptured(_)
        | OrderEvent::OrderShipped(_)
        | OrderEvent::OrderStockCommitted(_)
        | OrderEvent::OrderCancelling(_)
        | OrderEvent::OrderRetried(_)
        | OrderEvent::OrderActionRequired(_)
        | OrderEvent::OrderAskedAgain(_)
        | OrderEvent::OrderStockReserved(_) => Said::GoesOn,
        OrderEvent::OrderPlaced(_)
        | OrderEvent::OrderHeld(_)
        | OrderEvent::OrderReleased(_)
        | OrderEvent::OrderRefundRequested(_)
        | OrderEvent::OrderRefunded(_)
        | OrderEvent::OrderRefundFailed(_)
        | OrderEvent::OrderReturnRequested(_)
        | OrderEvent::OrderReturnReceived(_)
        | OrderEvent::OrderReturnClosed(_)
        | OrderEvent::OrderRejected(_)
        | OrderEvent::OrderCommandRefused(_) => Said::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use grammar::plain;
    use schemas::{CancelOrder, OrderRejected, Time};

    use super::*;
    use crate::story::{Story, id, on_command, place_order, record as record_of};

    const OURS: Uuid = Uuid::from_u128(7);

    fn with_cause(event: &OrderEvent, cause: Uuid) -> Record {
        Record { cause: Some(cause.to_string()), ..record_of(0, event.clone()) }
    }

    fn rejected(cause: Uuid) -> Record {
        let (order_id, command, at) = (place_order().order_id, OrderCommandName::PlaceOrder, Time::from_micros(5));
        with_cause(&OrderRejected { order_id, at, command, command_id: None, reasons: Vec::new() }.into(), cause)
    }

    /// What is heard of an order that was published; whether the last event was its end.
    fn hear(fates: &mut Fates, story: &Story) -> bool {
        let heard: Vec<bool> = story.events.iter().map(|event| fates.heard(&with_cause(event, Uuid::nil()))).collect();
        heard.last().copied().unwrap()
    }

    fn fates(order: &PlaceOrder) -> Fates {
        let mut fates = Fates::default();
        fates.published(order, OURS);
        fates
    }

    #[test]
    fn an_order_ends_as_its_events_say() {
        let mut fates = fates(&place_order());
        assert!(!hear(&mut fates, &Story::of(place_order())));
        assert_eq!((fates.open(), fates.any_failed()), (1, false));
        assert!(hear(&mut fates, &Story::completed()));
        assert_eq!((fates.open(), fates.any_failed()), (0, false));
        assert_eq!(plain(&fates.text()), "1 completed\n  o-1  completed");
        let mut fates = self::fates(&on_command());
        let cancelled = Story::of(on_command()).takes(CancelOrder::new(place_order().order_id, id("c")));
        assert!(hear(&mut fates, &cancelled.hears_stock(&rejected_stock())) && fates.any_failed());
        assert_eq!(plain(&fates.text()), "1 cancelled\n  o-1  cancelled  Requested");
        assert_eq!(fates.json()["orders"][0]["outcome"], "cancelled");
    }

    fn rejected_stock() -> schemas::InventoryEvent {
        let (order_id, at) = (place_order().order_id, Time::from_micros(0));
        schemas::StockRejected { order_id, version: 1, at, shortages: Vec::new() }.into()
    }

    #[test]
    fn an_order_that_waits_for_somebody_has_come_to_an_end_and_may_go_on() {
        let mut fates = fates(&on_command());
        let story = Story::paid(on_command());
        assert!(hear(&mut fates, &story));
        assert_eq!((plain(&fates.text()).lines().next(), fates.any_failed()), (Some("1 ready to ship"), false));
        let cancel = CancelOrder::new(place_order().order_id, id("c"));
        assert!(!hear(&mut fates, &story.takes(cancel)));
        assert_eq!(fates.open(), 1, "it is being undone");
    }

    #[test]
    fn the_end_of_an_order_with_other_content_is_not_ours_and_the_refusal_of_our_command_is() {
        let other = PlaceOrder { currency: "EUR".to_owned(), ..place_order() };
        let mut fates = fates(&other);
        assert!(!hear(&mut fates, &Story::completed()));
        assert!(!fates.heard(&rejected(Uuid::nil())), "an earlier command's");
        assert!(fates.heard(&rejected(OURS)) && fates.any_failed());
        assert_eq!((fates.open(), fates.count(Fate::Rejected)), (0, 1));
    }

    #[test]
    fn what_has_not_ended_is_named() {
        let mut fates = fates(&place_order());
        hear(&mut fates, &Story::of(place_order()));
        assert_eq!(fates.text(), "1 not ended in time\n  o-1  not ended; follow it with `orders watch o-1`");
        assert_eq!((fates.json()["not_ended"].as_u64(), fates.only_order().is_some()), (Some(1), true));
    }
}
