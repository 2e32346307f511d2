//! What tests of an order's life after its confirmation share: the commands of people and programs, and what is looked at.

use std::collections::BTreeMap;

use schemas::{
    CancelOrder, CommandId, OrderCommandRefused, OrderEvent, OrderId, OrderRejected, PlaceOrder, ShipOrder, Sku,
    TopicName,
};
use schemas::{Message, ServiceName};
use tests::{Outcome, Pipeline, trouble};

/// The order, to be shipped on command.
pub(crate) fn on_command(mut order: PlaceOrder) -> PlaceOrder {
    order.fulfilment = Some("on_command".into());
    order
}

/// The order, to be shipped on command and paid after that.
pub(crate) fn paid_at_shipment(order: PlaceOrder) -> PlaceOrder {
    PlaceOrder { capture: Some("at_shipment".into()), ..on_command(order) }
}

/// A command's id: what it does, and to which order.
pub(crate) fn command_id(what: &str, order_id: &OrderId) -> Outcome<CommandId> {
    Ok(CommandId::new(format!("{what}-{order_id}"))?)
}

/// A warehouse ships the whole order.
pub(crate) fn ship(order: &PlaceOrder) -> Outcome<ShipOrder> {
    Ok(ShipOrder {
        order_id: order.order_id.clone(),
        command_id: command_id("ship", &order.order_id)?,
        lines: Vec::new(),
        carrier: Some("post".into()),
        tracking: Some("42".into()),
        by: Some("warehouse 7".into()),
        note: None,
    })
}

/// Somebody cancels the order.
pub(crate) fn cancel(order: &PlaceOrder) -> Outcome<CancelOrder> {
    Ok(CancelOrder::new(order.order_id.clone(), command_id("cancel", &order.order_id)?))
}

/// More of every SKU of these orders than they want.
pub(crate) async fn stock(pipeline: &Pipeline, skus: &[&str], pieces: i64) -> Outcome {
    let stock: BTreeMap<Sku, i64> = skus.iter().map(|sku| Ok((Sku::new(*sku)?, pieces))).collect::<Outcome<_>>()?;
    pipeline.receive(&stock).await
}

/// Level of a SKU: received, reserved, shipped, returned, written off.
pub(crate) async fn level(pipeline: &Pipeline, sku: &str) -> Outcome<[i64; 5]> {
    let sql = "select received, reserved, shipped, returned, written_off from inventory.stock where sku = $1";
    let rows = pipeline.tables().query(sql, &[&sku]).await?;
    let row = rows.first().ok_or_else(|| trouble(format!("there is no {sku}")))?;
    Ok([row.get(0), row.get(1), row.get(2), row.get(3), row.get(4)])
}

/// What is left of what was taken, by the ledger, in minor units.
pub(crate) async fn balance(pipeline: &Pipeline) -> Outcome<i64> {
    let sql =
        "select coalesce (sum (amount_minor), 0)::bigint from payments.ledger where account = 'provider_receivable'";
    pipeline.tables().number(sql).await
}

/// How many operations of this kind the provider has carried out, each key once.
pub(crate) fn provider_did(pipeline: &Pipeline, operation: &str) -> Outcome<usize> {
    let lines = pipeline.statement()?;
    let keys: std::collections::BTreeSet<_> =
        lines.iter().filter(|line| line.operation == operation).map(|line| line.key.as_str()).collect();
    Ok(keys.len())
}

/// The events of an order, in order.
pub(crate) async fn events_of(pipeline: &Pipeline, order: &PlaceOrder) -> Outcome<Vec<OrderEvent>> {
    let records = pipeline.messages(TopicName::OrderEvents).await?;
    let events = records.into_iter().filter_map(|record| OrderEvent::try_from(record.message).ok());
    Ok(events.filter(|event| *event.key() == order.order_id).collect())
}

/// The names of the events of an order, in order.
pub(crate) async fn story(pipeline: &Pipeline, order: &PlaceOrder) -> Outcome<Vec<&'static str>> {
    Ok(events_of(pipeline, order).await?.iter().map(OrderEvent::name).collect())
}

/// Waits until an event of this name is among the events of an order.
pub(crate) async fn await_event(pipeline: &Pipeline, order: &PlaceOrder, name: &str) -> Outcome {
    pipeline
        .until(&format!("{} of order {}", name, order.order_id), async || {
            let story = story(pipeline, order).await?;
            if story.contains(&name) { Ok(()) } else { Err(trouble(format!("{story:?}"))) }
        })
        .await
}

/// Waits until this command was refused; the reasons' names.
pub(crate) async fn await_refusal(pipeline: &Pipeline, id: &CommandId) -> Outcome<Vec<String>> {
    pipeline
        .until(&format!("command {} is refused", id.as_str()), async || {
            let records = pipeline.messages(TopicName::OrderEvents).await?;
            let refused = records.into_iter().find_map(|record| refusal(record.message, id));
            refused.ok_or_else(|| trouble("it is not"))
        })
        .await
}

fn refusal(message: Message, id: &CommandId) -> Option<Vec<String>> {
    if let Message::OrderEvent(OrderEvent::OrderRejected(OrderRejected { command_id, reasons, .. })) = message {
        let name = |reason: schemas::Rejection| reason.reason_code.unwrap_or(reason.code.to_string());
        return (command_id.as_ref() == Some(id)).then(|| reasons.into_iter().map(name).collect());
    }
    if let Message::OrderEvent(OrderEvent::OrderCommandRefused(refused)) = message {
        let OrderCommandRefused { command_id, reasons, .. } = refused;
        return (command_id == *id).then(|| reasons.into_iter().map(|reason| reason.reason_code).collect());
    }
    None
}

/// Kills every instance of a service and starts it again.
pub(crate) async fn kill_and_restart(pipeline: &mut Pipeline, service: ServiceName) -> Outcome {
    pipeline.kill9_all(service)?;
    pipeline.start_services(&[service]).await
}
