//! Orders for tests, told by the core itself: what is decided here is what a service would say.

use domain::saga::{Input, Order, Policy, decide, evolve};
use schemas::{
    CommandId, CustomerId, InventoryEvent, Message, OrderCommand, OrderEvent, OrderId, OrderLine, PaymentEvent,
    PlaceOrder, Sku, StockCommitted, StockReserved, Time, TopicName,
};

use crate::Record;

pub(crate) fn id(text: &str) -> CommandId {
    CommandId::new(text).unwrap()
}

/// Order o-1: three pieces at 50, two at 10.
pub(crate) fn place_order() -> PlaceOrder {
    let line =
        |sku: &str, quantity, unit_price_minor| OrderLine { sku: Sku::new(sku).unwrap(), quantity, unit_price_minor };
    let (order_id, customer_id) = (OrderId::new("o-1").unwrap(), CustomerId::new("900").unwrap());
    PlaceOrder::new(order_id, customer_id, Time::from_micros(0), "USD", vec![line("a", 3, 50), line("b", 2, 10)])
}

/// The same, to be shipped on command.
pub(crate) fn on_command() -> PlaceOrder {
    PlaceOrder { fulfilment: Some("on_command".to_owned()), ..place_order() }
}

/// An order and the events that made it, a second apart.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) order: Option<Order>,
    pub(crate) events: Vec<OrderEvent>,
    clock: i64,
}

impl Story {
    pub(crate) fn of(place: PlaceOrder) -> Self {
        let story = Story { order: None, events: Vec::new(), clock: 0 };
        story.takes(place)
    }

    /// As far as its payment is captured: ready to be shipped where that waits for a command.
    pub(crate) fn paid(place: PlaceOrder) -> Self {
        let order_id = place.order_id.clone();
        let (at, lines) = (Time::from_micros(0), Vec::new());
        let reserved = StockReserved { order_id: order_id.clone(), version: 1, at, lines };
        let story = Self::of(place).hears_stock(&reserved.into());
        story.hears_payment(&authorized(&order_id)).hears_payment(&captured(&order_id))
    }

    /// Completed without any command.
    pub(crate) fn completed() -> Self {
        let place = place_order();
        let committed = StockCommitted { order_id: place.order_id.clone(), version: 2, at: Time::from_micros(0) };
        Self::paid(place).hears_stock(&committed.into())
    }

    pub(crate) fn takes(self, command: impl Into<OrderCommand>) -> Self {
        let command = command.into();
        self.goes_on(Input::Command(&command))
    }

    pub(crate) fn hears_stock(self, event: &InventoryEvent) -> Self {
        self.goes_on(Input::Inventory(event))
    }

    pub(crate) fn hears_payment(self, event: &PaymentEvent) -> Self {
        self.goes_on(Input::Payment(event))
    }

    fn goes_on(mut self, input: Input<'_>) -> Self {
        self.clock += 1_000_000;
        let decision = decide(self.order.as_ref(), input, Time::from_micros(self.clock), &Policy::default());
        if let Some(event) = decision.event {
            self.order = evolve(self.order, &event).unwrap();
            self.events.push(event);
        }
        self
    }
}

pub(crate) fn record(offset: i64, event: impl Into<Message>) -> Record {
    let message = event.into();
    Record {
        topic: TopicName::OrderEvents,
        partition: 0,
        offset,
        time: message.at().unwrap_or(Time::from_micros(0)),
        id: None,
        cause: None,
        trace_parent: None,
        message,
    }
}

fn authorized(order_id: &OrderId) -> PaymentEvent {
    schemas::PaymentAuthorized {
        order_id: order_id.clone(),
        version: 1,
        at: Time::from_micros(0),
        customer_id: CustomerId::new("900").unwrap(),
        currency: "USD".to_owned(),
        amount_minor: 170,
        provider_reference: None,
        payment_provider: None,
        payment_token: None,
        expires_at: None,
        attempt: 1,
    }
    .into()
}

fn captured(order_id: &OrderId) -> PaymentEvent {
    let at = Time::from_micros(0);
    schemas::PaymentCaptured { order_id: order_id.clone(), version: 2, at, provider_reference: None }.into()
}
