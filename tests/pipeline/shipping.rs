//! Orders that are shipped on command: nothing leaves before it, everything can be undone until then, and a cancel that races
//! it has one outcome.

use domain::simulator::SimulatorConfig;
use schemas::{HoldOrder, LineQuantity, PlaceOrder, ServiceName, ShipOrder, TopicName};
use tests::{Outcome, Pipeline, Servers, Settings, order};

use crate::DAEMON;
use crate::life::{
    await_event, await_refusal, balance, cancel, command_id, kill_and_restart, level, on_command, paid_at_shipment,
    provider_did, ship, stock, story,
};

fn orders(what: &str, count: usize) -> Outcome<Vec<PlaceOrder>> {
    (0..count).map(|number| Ok(on_command(order(&format!("{what}-{number}"), &["a", "b"])?))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_waits_for_its_shipment_and_is_paid_before_or_after_it_as_it_says() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    stock(&pipeline, &["a"], 10).await?;
    let before = on_command(PlaceOrder {
        attributes: [("channel".to_owned(), "web".to_owned())].into(),
        ..order("before", &["a"])?
    });
    let after = paid_at_shipment(order("after", &["a"])?);
    pipeline.publish(&[before.clone(), after.clone()]).await?;
    pipeline.await_stage("ready_to_ship", 2).await?;
    assert_eq!(level(&pipeline, "a").await?, [10, 2, 0, 0, 0], "nothing has left");
    assert_eq!(balance(&pipeline).await?, 100, "one of the two is paid");

    // A part is refused, and so is a shipment of an order that nobody knows; neither changes anything.
    let part = ShipOrder {
        lines: vec![LineQuantity { line: 1, quantity: 2 }],
        command_id: command_id("part", &before.order_id)?,
        ..ship(&before)?
    };
    let unknown = ship(&order("unknown", &["a"])?)?;
    pipeline.publish(&[part.clone(), unknown.clone()]).await?;
    assert_eq!(await_refusal(&pipeline, &part.command_id).await?, ["NotSupported"]);
    assert_eq!(await_refusal(&pipeline, &unknown.command_id).await?, ["OrderUnknown"]);

    // Every command twice: the second has no effect.
    let commands = [ship(&before)?, ship(&after)?, ship(&before)?, ship(&after)?];
    pipeline.publish(&commands).await?;
    pipeline.await_terminal(&[before.clone(), after.clone()]).await?;
    pipeline.check_clean().await?;
    assert_eq!(level(&pipeline, "a").await?, [10, 0, 2, 0, 0]);
    assert_eq!((balance(&pipeline).await?, provider_did(&pipeline, "capture")?), (200, 2));
    let paid_first = [
        "OrderPlaced",
        "OrderStockReserved",
        "OrderConfirmed",
        "OrderPaymentCaptured",
        "OrderShipped",
        "OrderCompleted",
    ];
    let paid_last = [
        "OrderPlaced",
        "OrderStockReserved",
        "OrderConfirmed",
        "OrderShipped",
        "OrderStockCommitted",
        "OrderCompleted",
    ];
    let refused = |story: Vec<&'static str>| -> Vec<_> {
        story.into_iter().filter(|name| *name != "OrderCommandRefused").collect()
    };
    assert_eq!(refused(story(&pipeline, &before).await?), paid_first);
    assert_eq!(refused(story(&pipeline, &after).await?), paid_last);
    for record in pipeline.messages(TopicName::OrderEvents).await? {
        let body = serde_json::to_value(&record.message)?;
        if body["order_id"] == "before" && body.get("version").is_some() {
            assert_eq!(body["attributes"]["channel"], "web", "{body}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paid_order_that_is_cancelled_gets_its_money_back_and_its_pieces_are_free_once_each() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig {
        timeout_after_effect_per_million: 300_000,
        timeout_before_effect_per_million: 200_000,
        timeout_ms: 100,
        ..SimulatorConfig::default()
    };
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    stock(&pipeline, &["a", "b"], 100).await?;
    let orders = orders("paid", 30)?;
    pipeline.publish(&orders).await?;
    pipeline.await_stage("ready_to_ship", orders.len()).await?;
    assert_eq!(balance(&pipeline).await?, 30 * 200);
    let cancels = orders.iter().map(cancel).collect::<Outcome<Vec<_>>>()?;
    pipeline.publish(&cancels).await?;
    // In the middle of it every service dies.
    for service in [ServiceName::Payment, ServiceName::Order, ServiceName::Inventory] {
        kill_and_restart(&mut pipeline, service).await?;
    }
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    assert!(rows.values().all(|row| row.stage == "cancelled"), "{rows:?}");
    assert_eq!(level(&pipeline, "a").await?, [100, 0, 0, 0, 0]);
    assert_eq!(balance(&pipeline).await?, 0);
    assert_eq!((provider_did(&pipeline, "capture")?, provider_did(&pipeline, "refund")?), (30, 30));
    let undone = story(&pipeline, &orders[0]).await?;
    assert_eq!(undone[4..], ["OrderCancelling", "OrderCancelling", "OrderCancelled"], "refund, release, end");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_races_the_shipment_has_one_outcome_on_which_all_services_agree() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    stock(&pipeline, &["a", "b"], 100).await?;
    let orders = orders("race", 40)?;
    pipeline.publish(&orders).await?;
    pipeline.await_stage("ready_to_ship", orders.len()).await?;
    for (number, order) in orders.iter().enumerate() {
        if number % 2 == 0 {
            pipeline.publish(&[cancel(order)?]).await?;
            pipeline.publish(&[ship(order)?]).await?;
        } else {
            pipeline.publish(&[ship(order)?]).await?;
            pipeline.publish(&[cancel(order)?]).await?;
        }
        if number == 20 {
            kill_and_restart(&mut pipeline, ServiceName::Order).await?;
        }
    }
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    let shipped = rows.values().filter(|row| row.stage == "completed").count();
    assert_eq!(shipped, 20, "whoever came first: the commands of an order are in one partition");
    let shipped = i64::try_from(shipped)?;
    assert_eq!(level(&pipeline, "a").await?, [100, 0, shipped, 0, 0]);
    assert_eq!(balance(&pipeline).await?, shipped * 200);
    assert_eq!(await_refusal(&pipeline, &ship(&orders[0])?.command_id).await?, ["Cancelling"]);
    let late = await_refusal(&pipeline, &cancel(&orders[1])?.command_id).await?;
    assert!(["TooLate", "OrderFinished"].contains(&late[0].as_str()), "{late:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shipment_that_is_late_is_an_alarm_and_a_held_order_is_not_shipped() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { ship_within_ms: 50, instances: 1, ..Settings::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    stock(&pipeline, &["a"], 10).await?;
    let late = on_command(order("late", &["a"])?);
    pipeline.publish(std::slice::from_ref(&late)).await?;
    pipeline.await_stage("ready_to_ship", 1).await?;
    let hold = HoldOrder {
        order_id: late.order_id.clone(),
        command_id: command_id("hold", &late.order_id)?,
        reason_code: "address".into(),
        until: None,
        by: None,
        note: None,
    };
    pipeline.publish(std::slice::from_ref(&hold)).await?;
    await_event(&pipeline, &late, "OrderHeld").await?;
    pipeline.publish(&[ship(&late)?]).await?;
    assert_eq!(await_refusal(&pipeline, &ship(&late)?.command_id).await?, ["Held"]);
    pipeline
        .until("the alarms are on", async || {
            let daemon = pipeline.daemon(ServiceName::Order, 0)?;
            let (late, held) =
                (daemon.metric("saga_overdue_shipments", &[]).await?, daemon.metric("saga_held_orders", &[]).await?);
            if (late, held) == (1.0, 1.0) { Ok(()) } else { Err(tests::trouble(format!("{late} late, {held} held"))) }
        })
        .await?;
    pipeline.check_clean().await?;
    Ok(())
}
