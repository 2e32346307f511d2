//! What strangers write is shown harmlessly, and what is offered is what the state allows.

use domain::charge;
use domain::decision::Decision;
use domain::saga::{Input, Order, Policy, decide, evolve};
use jiff::Timestamp;
use schemas::{
    CustomerId, Message, OrderCommand, OrderEvent, OrderLine, PaymentAuthorized, PaymentCaptureFailed, PaymentCaptured,
    PaymentEvent, PaymentOperation, PaymentRefundReversed, PaymentRefunded, PaymentStuck, PlaceOrder, Sku,
    StockReserved, Time,
};

use super::history::hops;
use super::*;
use crate::keys::{Caller, Role};
use crate::position::Position;
use crate::view::{Said, Standing, Told};

const HOSTILE: &str = "<script>alert('x')</script>\"'&\r\n</pre><img src=x onerror=1>";

/// An order as the core tells it, and what was said of it by anybody.
#[derive(Clone, Default)]
pub(in crate::console) struct Story {
    pub(in crate::console) order: Option<Order>,
    told: Vec<Told>,
}

impl Story {
    fn placed(id: &str) -> Self {
        let sku = Sku::new("<b>pen</b>").unwrap();
        let line = OrderLine { sku, quantity: 2, unit_price_minor: 250 };
        let customer = CustomerId::new("<i>\"ada\"</i>").unwrap();
        let placed_at = Time::from_micros(1_790_000_000_000_000);
        let place = PlaceOrder::new(OrderId::new(id).unwrap(), customer, placed_at, "EUR", vec![line]);
        let attributes = [("<u>gift</u>".to_owned(), HOSTILE.to_owned())].into();
        let place = PlaceOrder { fulfilment: Some("on_command".to_owned()), attributes, ..place };
        Story::default().takes(place)
    }

    /// Ready to be shipped.
    fn paid(id: &str) -> Self {
        let captured = PaymentCaptured {
            order_id: OrderId::new(id).unwrap(),
            version: 2,
            at: Time::from_micros(0),
            provider_reference: None,
        };
        Story::authorized(id).pays(captured.into())
    }

    /// Its money cannot be taken, nor let go of.
    pub(in crate::console) fn stuck(id: &str) -> Self {
        let (order_id, at, detail) = (OrderId::new(id).unwrap(), Time::from_micros(0), HOSTILE.to_owned());
        let failed = PaymentCaptureFailed { order_id: order_id.clone(), version: 2, at, detail: detail.clone() };
        let operation = PaymentOperation::Void;
        let stuck = PaymentStuck { order_id, version: 3, at, operation, detail, refused_attempts: 1 };
        Story::authorized(id).pays(failed.into()).pays(stuck.into())
    }

    fn authorized(id: &str) -> Self {
        let (order_id, at) = (OrderId::new(id).unwrap(), Time::from_micros(0));
        let reserved = StockReserved { order_id: order_id.clone(), version: 1, at, lines: Vec::new() };
        let authorized = PaymentAuthorized {
            order_id,
            version: 1,
            at,
            customer_id: CustomerId::new("ada").unwrap(),
            currency: "EUR".to_owned(),
            amount_minor: 500,
            provider_reference: Some(HOSTILE.to_owned()),
            payment_provider: None,
            payment_token: None,
            expires_at: None,
            attempt: 1,
        };
        Story::placed(id).hears(&reserved.into()).pays(authorized.into())
    }

    fn takes(self, command: impl Into<OrderCommand>) -> Self {
        let command = command.into();
        let decision = self.decided(Input::Command(&command));
        self.goes_on(decision)
    }

    fn hears(mut self, event: &schemas::InventoryEvent) -> Self {
        self.keep(&event.clone().into());
        let decision = self.decided(Input::Inventory(event));
        self.goes_on(decision)
    }

    fn pays(mut self, event: PaymentEvent) -> Self {
        self.keep(&event.clone().into());
        let decision = self.decided(Input::Payment(&event));
        self.goes_on(decision)
    }

    fn decided(&self, input: Input<'_>) -> Decision<OrderEvent> {
        let now = Time::from_micros(1_790_000_000_000_000 + i64::try_from(self.told.len()).unwrap());
        decide(self.order.as_ref(), input, now, &Policy::default())
    }

    fn goes_on(mut self, decision: Decision<OrderEvent>) -> Self {
        let event = decision.event.expect("it says something");
        self.keep(&event.clone().into());
        self.order = evolve(self.order, &event).unwrap();
        self
    }

    fn keep(&mut self, message: &Message) {
        let offset = i64::try_from(self.told.len()).unwrap();
        let said = Said {
            version: message.version(),
            name: message.name().to_owned(),
            body: client::body_json(message).to_string(),
            position: Position::of_event(message.topic(), 2, offset),
        };
        self.told.push(Told { said, at: message.at().unwrap() });
    }

    fn looked(self) -> Looked {
        let what = self.order.unwrap();
        let found = Standing { what, position: None };
        let hops = hops(self.told);
        let mut payment = None;
        for hop in &hops {
            if let Some(Message::PaymentEvent(event)) = &hop.message {
                payment = charge::evolve(payment, event).unwrap().payment;
            }
        }
        Looked { found, hops, payment, now: Time::from(Timestamp::now()), cut: Vec::new() }
    }
}

fn visit(roles: &[Role]) -> Visit {
    Visit::of(Caller::new("<b>kim</b>".to_owned(), roles.to_vec()))
}

fn shown(looked: &Looked, roles: &[Role]) -> String {
    let asked = AskedFor { asked: Some("c-1".to_owned()), ..AskedFor::default() };
    let all = part(&visit(roles), looked, &asked, &FormIds("c-x".to_owned()));
    live::sendable(&all.into_string())
}

fn id(text: &str) -> CommandId {
    CommandId::new(text).unwrap()
}

fn offered(looked: &Looked, roles: &[Role]) -> Vec<&'static str> {
    let page = shown(looked, roles);
    let is_offered = |act: &Act| page.contains(&format!("id=\"c-x-{}", act.as_str()));
    Act::ALL.into_iter().filter(is_offered).map(Act::as_str).collect()
}

#[test]
fn what_strangers_write_is_text_wherever_it_stands() {
    let order = "<script>\"o'&1</script>";
    let held = act_on(Story::paid(order), Act::Hold, &[("reason_code", "<em>x</em>"), ("note", HOSTILE)]);
    let page = shown(&held.looked(), &Role::ALL) + &shown(&Story::stuck(order).looked(), &Role::ALL);
    for tag in ["<script", "<img", "<b>", "<i>", "<u>", "<em>", "</pre><img", "\r"] {
        assert!(!page.contains(tag), "{tag}: {page}");
    }
    assert!(page.contains("&lt;script&gt;alert(") && page.contains("&lt;u&gt;gift&lt;/u&gt;"), "{page}");
    assert!(page.contains("action=\"/console/orders/%3Cscript%3E%22o%27%261%3C%2Fscript%3E/release\""), "{page}");
    assert!(page.contains(r"replay-tool trace '&lt;script&gt;&quot;o'\''&amp;1&lt;/script&gt;'"), "{page}");
}

/// What a form makes of these fields, decided by the core.
fn act_on(story: Story, act: Act, fields: &[(&str, &str)]) -> Story {
    let fields = Fields(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
    let command = act::command(act, story.order.as_ref().unwrap(), &fields, &id("c-1"), "<b>kim</b>").unwrap();
    story.takes(command)
}

#[test]
fn what_is_offered_is_what_the_state_and_the_roles_allow() {
    let shop = [Role::OrdersRead, Role::OrdersWrite];
    assert_eq!(offered(&Story::placed("o").looked(), &Role::ALL), ["hold", "cancel", "reject"]);
    assert_eq!(offered(&Story::paid("o").looked(), &shop), ["ship", "refund", "cancel"]);
    assert_eq!(offered(&Story::paid("o").looked(), &[Role::OrdersRead]), <[&str; 0]>::default());
    let held = || act_on(Story::paid("o"), Act::Hold, &[("reason_code", "x")]);
    let operator = [Role::OrdersRead, Role::OpsAct];
    assert_eq!(offered(&Story::stuck("o").looked(), &operator), ["retry", "skip", "resolve"]);
    assert_eq!(offered(&Story::stuck("o").looked(), &shop), <[&str; 0]>::default());
    assert_eq!(offered(&held().looked(), &operator), ["release", "hold", "reject"]);
    assert_eq!(offered(&held().looked(), &shop), ["refund", "cancel"], "what is held does not leave");
    let shipped = act_on(Story::paid("o"), Act::Ship, &[("carrier", "DHL")]);
    assert_eq!(offered(&shipped.looked(), &Role::ALL), ["refund"]);
}

#[test]
fn the_answer_to_a_command_is_told_and_what_others_did_meanwhile() {
    let waiting = shown(&Story::paid("o").looked(), &Role::ALL);
    assert!(waiting.contains("On its way"), "{waiting}");
    let looked = act_on(Story::paid("o"), Act::Ship, &[("note", "by hand")]).looked();
    let done = shown(&looked, &Role::ALL);
    assert!(done.contains("Done. ") && done.contains("by hand"), "{done}");
    assert!(waiting.contains("Somebody to ship it") && !waiting.contains("ShipOrder,"), "{waiting}");
    let version = looked.order().version;
    assert!(looked.done_since(version, &id("other")).is_empty(), "it was seen");
    assert!(looked.done_since(version - 1, &id("c-1")).is_empty(), "it is the visitor's own");
    let others = others(Act::Cancel, looked.order(), &looked.done_since(version - 1, &id("other"))).into_string();
    assert!(others.contains("Order shipped") && others.contains("by hand"), "{others}");
    let refused = act_on(Story::placed("o"), Act::Ship, &[]).looked();
    let refused = shown(&refused, &Role::ALL);
    assert!(refused.contains("Refused; nothing was done. ") && refused.contains("not ready"), "{refused}");
}

#[test]
fn lanes_show_each_service_and_the_ledger_follows() {
    let page = shown(&Story::paid("o").looked(), &Role::ALL);
    for shown in [
        "class=\"hop inventory\"",
        "class=\"hop payment\"",
        "Payment captured",
        "payment.events.v1[2]@",
        "Provider receivable",
        "EUR 5.00",
        "replay-tool trace o<",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(!page.contains("style="), "the policy has none of it");
}

/// What a person reads of a page: without its tags, and without messages word for word.
fn read_of(page: &str) -> String {
    let mut read = String::new();
    for (index, part) in page.split("<pre").enumerate() {
        let part = if index == 0 { part } else { part.split_once("</pre>").map_or("", |(_, rest)| rest) };
        read.extend(part.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text)));
    }
    read
}

#[test]
fn amounts_have_their_currency_and_times_are_for_people_in_everything_that_was_said() {
    let held = act_on(Story::paid("o"), Act::Hold, &[("reason_code", "x"), ("until", "2126-11-30T12:00")]);
    let refunded = act_on(Story::paid("o"), Act::Refund, &[("how", "amount"), ("amount", "2.50")]).looked();
    for (looked, words) in [
        (held.looked(), "until 2126-11-30 12:00:00 UTC"),
        (refunded, "refund c-1 of EUR 2.50"),
        (Story::stuck("o").looked(), "EUR"),
    ] {
        let others = others(Act::Cancel, looked.order(), &looked.done_since(0, &id("z"))).into_string();
        let read = read_of(&(shown(&looked, &Role::ALL) + &others));
        assert!(read.contains(words), "{words}: {read}");
        assert!(!read.contains("minor unit"), "{read}");
        let is_digit = |at: usize| read.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        let raw = read.match_indices('T').find(|(at, _)| *at > 0 && is_digit(at - 1) && is_digit(at + 1));
        assert_eq!(raw, None, "{read}");
    }
}

#[test]
fn where_much_was_said_what_is_known_is_shown_with_why_the_rest_is_not() {
    let mut looked = Story::paid("o").looked();
    looked.cut = vec![schemas::TopicName::OrderEvents, schemas::TopicName::PaymentEvents];
    looked.hops.drain(..3);
    let page = shown(&looked, &Role::ALL);
    assert!(page.contains("Somebody to ship it") && page.contains("Since when is not known exactly"), "{page}");
    assert!(page.contains("It is not shown: so much was said") && !page.contains("Provider receivable"), "{page}");
    let whole = shown(&Story::paid("o").looked(), &Role::ALL);
    assert!(!whole.contains("not known exactly") && !whole.contains("It is not shown"), "{whole}");
}

#[test]
fn what_was_given_back_for_undoing_an_order_and_came_back_is_told_with_what_to_do() {
    let refund_id = CommandId::new("cancellation").unwrap();
    let (order_id, at, amount_minor) = (OrderId::new("o").unwrap(), Time::from_micros(0), 500);
    let undone = act_on(Story::paid("o"), Act::Cancel, &[]);
    let back = PaymentRefunded {
        order_id: order_id.clone(),
        version: 3,
        at,
        refund_id: refund_id.clone(),
        amount_minor,
        provider_reference: None,
    };
    let released = schemas::StockReleased { order_id: order_id.clone(), version: 2, at };
    let cancelled = undone.pays(back.into()).hears(&released.into());
    assert!(!shown(&cancelled.clone().looked(), &Role::ALL).contains("by hand"));
    let reversed =
        PaymentRefundReversed { order_id, version: 4, at, refund_id, amount_minor, detail: HOSTILE.to_owned() };
    let mut story = cancelled;
    story.keep(&PaymentEvent::from(reversed).into());
    let page = shown(&story.looked(), &Role::ALL);
    assert!(page.contains("Money to give back by hand: EUR 5.00.") && page.contains("another way"), "{page}");
    assert!(!page.contains("<script"), "{page}");
}

#[test]
fn what_is_said_again_is_told_once() {
    let mut story = Story::paid("o");
    let again = story.told.clone();
    let count = hops(again.clone()).len();
    story.told.extend(again);
    assert_eq!(story.looked().hops.len(), count);
}

#[test]
fn an_amount_is_given_in_the_order_s_currency_and_pieces_by_line() {
    let order = Story::paid("o").order.unwrap();
    let refund = |fields: &[(&str, &str)]| {
        let fields = Fields(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        act::command(Act::Refund, &order, &fields, &id("r"), "kim")
    };
    let OrderCommand::RefundOrder(some) = refund(&[("how", "amount"), ("amount", " 1.50 ")]).unwrap() else { panic!() };
    assert_eq!((some.amount_minor, some.by.as_deref()), (Some(150), Some("kim")));
    let OrderCommand::RefundOrder(lines) = refund(&[("how", "lines"), ("line-1", "1")]).unwrap() else { panic!() };
    assert_eq!((lines.amount_minor, lines.lines.len()), (None, 1));
    for (wrong, words) in [
        (vec![], "how much"),
        (vec![("how", "amount"), ("amount", "1,50")], "without the currency"),
        (vec![("how", "amount"), ("amount", "1.505")], "at most 2 decimals"),
        (vec![("how", "amount"), ("amount", "5.01")], "EUR 5.01 is more than is left: EUR 5.00"),
        (vec![("how", "lines"), ("line-1", "")], "at least one line"),
        (vec![("how", "lines"), ("line-1", "two")], "no number"),
    ] {
        assert!(refund(&wrong).unwrap_err().contains(words), "{wrong:?}");
    }
}
