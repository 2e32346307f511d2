//! A cancel that comes while something is outstanding: in every order of events one of the two wins, and never both.

use std::collections::{BTreeMap, HashSet};

use domain::simulator::SimulatorConfig;
use schemas::{
    CancelOrder, CommandId, InventoryEvent, Message, OrderEvent, PaymentEvent, PlaceOrder, RejectionCode, ServiceName,
    TopicName,
};
use tests::{Outcome, Pipeline, Servers, Settings, is_sound, order, sample, stock_for, trouble};

use crate::DAEMON;

fn cancels(orders: &[PlaceOrder]) -> Outcome<Vec<CancelOrder>> {
    let cancel = |order: &PlaceOrder| {
        let command_id = CommandId::new(format!("cancel-{}", order.order_id))?;
        Ok(CancelOrder::new(order.order_id.clone(), command_id))
    };
    orders.iter().filter(|order| is_sound(order)).map(cancel).collect()
}

/// Waits until all orders are being undone and wait for this.
async fn await_cancelling(pipeline: &Pipeline, count: usize, awaiting: &str) -> Outcome {
    pipeline
        .until(&format!("{count} orders wait for {awaiting}"), async || {
            let rows = pipeline.tables().orders().await?;
            let waits = |row: &&_| {
                let row: &tests::OrderRow = row;
                row.stage == "cancelling" && row.awaiting.as_deref() == Some(awaiting)
            };
            let found = rows.values().filter(waits).count();
            if found == count { Ok(()) } else { Err(trouble(format!("{found} do"))) }
        })
        .await
}

/// Orders that an event of this kind names.
fn named(records: &[Message], is_kind: impl Fn(&Message) -> bool) -> HashSet<&str> {
    records.iter().filter(|message| is_kind(message)).map(Message::key).collect()
}

async fn said(pipeline: &Pipeline, topic: TopicName) -> Outcome<Vec<Message>> {
    Ok(pipeline.messages(topic).await?.into_iter().map(|record| record.message).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_waits_for_the_authorization_under_way_and_then_undoes_what_was_done() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { decline_per_million: 400_000, ..SimulatorConfig::default() };
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    // Without a payment worker every authorization stays outstanding, for as long as it takes.
    pipeline.start_services(&[ServiceName::Order, ServiceName::Inventory]).await?;
    let orders = sample(3_000, 40)?;
    let count = orders.iter().filter(|order| is_sound(order)).count();
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_stage("stock_reserved", count).await?;
    let cancels = cancels(&orders)?;
    pipeline.publish(&cancels).await?;
    pipeline.publish(&cancels).await?;
    await_cancelling(&pipeline, count, "PaymentAuthorization").await?;
    pipeline.start_services(&[ServiceName::Payment]).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    assert!(rows.values().all(|row| row.stage == "cancelled" && row.cancel_reason.as_deref() == Some("Requested")));
    let payments = said(&pipeline, TopicName::PaymentEvents).await?;
    let of = |kind: fn(&PaymentEvent) -> bool| {
        named(&payments, move |message| matches!(message, Message::PaymentEvent(event) if kind(event)))
    };
    let authorized = of(|event| matches!(event, PaymentEvent::PaymentAuthorized(_)));
    let declined = of(|event| matches!(event, PaymentEvent::PaymentDeclined(_)));
    assert!(!authorized.is_empty() && !declined.is_empty(), "both answers have come: {payments:?}");
    assert_eq!(authorized.len() + declined.len(), count);
    assert_eq!(of(|event| matches!(event, PaymentEvent::PaymentVoided(_))), authorized, "what is held is let go");
    assert!(of(|event| matches!(event, PaymentEvent::PaymentCaptured(_))).is_empty(), "nobody pays");
    let stock = said(&pipeline, TopicName::InventoryEvents).await?;
    let released =
        named(&stock, |message| matches!(message, Message::InventoryEvent(InventoryEvent::StockReleased(_))));
    assert_eq!(released.len(), count, "all stock is released");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_waits_for_the_reservation_under_way_and_no_payment_is_asked_for() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let orders = vec![order("has-stock", &["a"])?, order("has-none", &["b"])?];
    pipeline.receive(&stock_for(&orders[..1])).await?;
    pipeline.kill9_all(ServiceName::Inventory)?;
    pipeline.publish(&orders).await?;
    pipeline.await_stage("placed", 2).await?;
    pipeline.publish(&cancels(&orders)?).await?;
    await_cancelling(&pipeline, 2, "StockReservation").await?;
    pipeline.start_services(&[ServiceName::Inventory]).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    assert!(rows.values().all(|row| row.stage == "cancelled" && row.cancel_reason.as_deref() == Some("Requested")));
    assert!(said(&pipeline, TopicName::PaymentCommands).await?.is_empty(), "no payment before its reservation");
    let stock = said(&pipeline, TopicName::InventoryEvents).await?;
    let kinds: BTreeMap<(&str, &str), usize> = stock.iter().fold(BTreeMap::new(), |mut kinds, message| {
        *kinds.entry((message.key(), message.name())).or_default() += 1;
        kinds
    });
    let expected =
        [(("has-none", "StockRejected"), 1), (("has-stock", "StockReleased"), 1), (("has-stock", "StockReserved"), 1)];
    assert_eq!(kinds, BTreeMap::from(expected));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_races_the_whole_saga_wins_or_is_too_late() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { decline_per_million: 200_000, latency_max_ms: 250, ..SimulatorConfig::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    let orders = sample(3_100, 200)?;
    pipeline.receive(&stock_for(&orders)).await?;
    // Each chunk's cancels come while the chunk is somewhere between its placing and its end.
    for chunk in orders.chunks(20) {
        pipeline.publish(chunk).await?;
        pipeline.publish(&cancels(chunk)?).await?;
    }
    let cancels = cancels(&orders)?;
    // The last ones are cancelled again when everything is over.
    let rows = pipeline.await_terminal(&orders).await?;
    let late: Vec<CancelOrder> = cancels
        .iter()
        .rev()
        .take(10)
        .map(|cancel| {
            Ok(CancelOrder { command_id: CommandId::new(format!("late-{}", cancel.order_id))?, ..cancel.clone() })
        })
        .collect::<Outcome<_>>()?;
    pipeline.publish(&late).await?;
    pipeline.check_clean().await?;

    let mut refused: BTreeMap<String, RejectionCode> = BTreeMap::new();
    for message in said(&pipeline, TopicName::OrderEvents).await? {
        if let Message::OrderEvent(OrderEvent::OrderRejected(event)) = message
            && let Some(command_id) = event.command_id
        {
            refused.insert(command_id.as_str().to_owned(), event.reasons[0].code);
        }
    }
    for cancel in &cancels {
        let row = &rows[cancel.order_id.as_str()];
        let requested = row.cancel_reason.as_deref() == Some("Requested");
        let code = refused.get(cancel.command_id.as_str());
        match code {
            Some(RejectionCode::TooLate | RejectionCode::OrderFinished) => {
                assert!(!requested, "{}: refused, and yet it was done: {row:?}", cancel.order_id);
            }
            Some(code) => panic!("{}: {code:?}", cancel.order_id),
            // Taken while the order was being undone for another reason, or it is the reason.
            None => assert_eq!(row.stage, "cancelled", "{}: {row:?}", cancel.order_id),
        }
    }
    assert!(rows.values().any(|row| row.cancel_reason.as_deref() == Some("Requested")), "some cancels win");
    assert!(late.iter().all(|cancel| refused.get(cancel.command_id.as_str()) == Some(&RejectionCode::OrderFinished)));
    Ok(())
}
