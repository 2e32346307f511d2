//! A warehouse, as any other client of the topics could be one: of the orders that wait to be shipped it ships most, and of some
//! the customer thinks better of it before their goods leave.

use std::time::Duration;

use client::{Came, Publisher, TopicReader};
use schemas::{CancelOrder, CommandId, Message, OrderCommand, OrderEvent, OrderId, PlaceOrder, ShipOrder, Time};

use crate::error::DemoError;

/// One order in so many is shipped on command.
const ON_COMMAND_EVERY: u64 = 25;
/// Of these, one in so many is paid when it has been shipped.
const PAID_LAST_EVERY: u64 = 2;
/// Of those that are ready, one in so many is cancelled.
const CANCELLED_EVERY: u64 = 4;
/// How often a wait looks at whether it is still wanted.
const TICK: Duration = Duration::from_millis(100);
/// What its messages name as their origin.
pub(crate) const SOURCE: &str = "/demo-warehouse";

/// Makes some of the orders wait to be shipped.
pub(crate) fn some_on_command() -> impl FnMut(&mut PlaceOrder) + Send + 'static {
    let mut number = 0_u64;
    move |order| {
        number += 1;
        if !number.is_multiple_of(ON_COMMAND_EVERY) {
            return;
        }
        order.fulfilment = Some("on_command".to_owned());
        if (number / ON_COMMAND_EVERY).is_multiple_of(PAID_LAST_EVERY) {
            order.capture = Some("at_shipment".to_owned());
        }
    }
}

/// Reads the order service's events for as long as it is polled.
pub(crate) async fn work(mut reader: TopicReader, publisher: Publisher) -> Result<(), DemoError> {
    let mut ready = 0_u64;
    loop {
        let Came::Message(record) = reader.next(TICK).await? else { continue };
        if let Message::OrderEvent(event) = &record.message
            && ship_by(event).is_some()
        {
            ready += 1;
            publisher.send(&command(event.key(), ready)?.into()).await?;
        }
    }
}

/// Until when the order should be shipped, where the event made it ready.
const fn ship_by(event: &OrderEvent) -> Option<Time> {
    if let OrderEvent::OrderConfirmed(event) = event {
        event.ship_by
    } else if let OrderEvent::OrderPaymentCaptured(event) = event {
        event.ship_by
    } else {
        None
    }
}

fn command(order_id: &OrderId, number: u64) -> Result<OrderCommand, DemoError> {
    let command_id =
        CommandId::new(format!("demo-warehouse-{number}")).map_err(|error| DemoError::Words(error.to_string()))?;
    let order_id = order_id.clone();
    if number.is_multiple_of(CANCELLED_EVERY) {
        let (by, note) = (Some("the customer".to_owned()), Some("found it cheaper elsewhere".to_owned()));
        let reason_code = Some("changed_mind".to_owned());
        return Ok(CancelOrder { order_id, command_id, reason_code, by, note }.into());
    }
    Ok(ShipOrder {
        order_id,
        command_id,
        lines: Vec::new(),
        carrier: Some("post".to_owned()),
        tracking: Some(format!("RR{number:09}DE")),
        by: Some("warehouse".to_owned()),
        note: None,
    }
    .into())
}
