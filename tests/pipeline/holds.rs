//! Holds: by policy and by command, released, rejected, and forgotten.

use schemas::{HoldOrder, OrderEvent, PlaceOrder, RejectOrder, ReleaseOrder, ServiceName};
use tests::{Outcome, Pipeline, Servers, Settings, order};

use crate::DAEMON;
use crate::life::{
    await_event, await_refusal, balance, command_id, events_of, kill_and_restart, level, provider_did, ship, stock,
    story,
};

fn release(order: &PlaceOrder) -> Outcome<ReleaseOrder> {
    let (order_id, by) = (order.order_id.clone(), Some("kim".into()));
    Ok(ReleaseOrder { command_id: command_id("release", &order_id)?, order_id, by, note: Some("looks fine".into()) })
}

fn reject(order: &PlaceOrder) -> Outcome<RejectOrder> {
    let (order_id, reason_code) = (order.order_id.clone(), "fraud".into());
    Ok(RejectOrder { command_id: command_id("reject", &order_id)?, order_id, reason_code, by: None, note: None })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_above_the_limit_is_confirmed_when_somebody_has_looked_and_not_before() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { hold_above_minor: Some(150), ..Settings::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    stock(&pipeline, &["a", "b"], 10).await?;
    let (small, good, bad) = (order("small", &["a"])?, order("good", &["a", "b"])?, order("bad", &["a", "b"])?);
    pipeline.publish(&[small.clone(), good.clone(), bad.clone()]).await?;
    pipeline.await_terminal(std::slice::from_ref(&small)).await?;
    pipeline.await_stage("authorized", 2).await?;
    assert_eq!(
        (balance(&pipeline).await?, provider_did(&pipeline, "capture")?),
        (100, 1),
        "nothing is taken of a held one"
    );
    kill_and_restart(&mut pipeline, ServiceName::Order).await?;

    pipeline.publish(&[release(&good)?, release(&good)?]).await?;
    pipeline.publish(&[reject(&bad)?, reject(&bad)?]).await?;
    let rows = pipeline.await_terminal(&[good.clone(), bad.clone()]).await?;
    assert_eq!((rows["good"].stage.as_str(), rows["bad"].stage.as_str()), ("completed", "cancelled"));
    let again = release(&small)?;
    pipeline.publish(std::slice::from_ref(&again)).await?;
    assert_eq!(await_refusal(&pipeline, &again.command_id).await?, ["NotHeld"]);
    pipeline.check_clean().await?;
    assert_eq!(level(&pipeline, "b").await?, [10, 0, 1, 0, 0]);
    assert_eq!(provider_did(&pipeline, "void")?, 1, "what was held of the rejected one is let go of");
    let events = events_of(&pipeline, &good).await?;
    let confirmed = events
        .iter()
        .find_map(|event| if let OrderEvent::OrderConfirmed(event) = event { event.origin.clone() } else { None });
    let origin = confirmed.ok_or_else(|| tests::trouble("who released it is not said"))?;
    assert_eq!(
        (origin.command.as_str(), origin.by.as_deref(), origin.note.as_deref()),
        ("ReleaseOrder", Some("kim"), Some("looks fine"))
    );
    let code: Vec<Option<String>> = pipeline
        .tables()
        .query("select cancel_code from orders.orders where order_id = 'bad'", &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(code, [Some("fraud".to_owned())]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_everybody_forgot_undoes_the_order_and_one_by_command_stops_its_shipment() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { hold_above_minor: Some(150), hold_within_ms: 400, ..Settings::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    stock(&pipeline, &["a", "b"], 10).await?;
    let forgotten = order("forgotten", &["a", "b"])?;
    let stopped = crate::life::on_command(order("stopped", &["a"])?);
    pipeline.publish(&[forgotten.clone(), stopped.clone()]).await?;
    let rows = pipeline.await_terminal(std::slice::from_ref(&forgotten)).await?;
    assert_eq!(rows["forgotten"].cancel_reason.as_deref(), Some("DeadlinePassed"));
    pipeline.await_stage("ready_to_ship", 1).await?;
    let until = schemas::Time::from(jiff::Timestamp::now()).plus_ms(3_600_000);
    let hold = HoldOrder {
        order_id: stopped.order_id.clone(),
        command_id: command_id("hold", &stopped.order_id)?,
        reason_code: "address".into(),
        until: Some(until),
        by: None,
        note: None,
    };
    pipeline.publish(std::slice::from_ref(&hold)).await?;
    await_event(&pipeline, &stopped, "OrderHeld").await?;
    pipeline.publish(&[ship(&stopped)?]).await?;
    assert_eq!(await_refusal(&pipeline, &ship(&stopped)?.command_id).await?, ["Held"]);
    pipeline.publish(&[release(&stopped)?]).await?;
    let mut second = ship(&stopped)?;
    second.command_id = command_id("ship-again", &stopped.order_id)?;
    pipeline.publish(std::slice::from_ref(&second)).await?;
    pipeline.await_terminal(std::slice::from_ref(&stopped)).await?;
    pipeline.check_clean().await?;
    assert_eq!(level(&pipeline, "a").await?, [10, 0, 1, 0, 0]);
    let all = story(&pipeline, &stopped).await?;
    assert!(all.ends_with(&["OrderReleased", "OrderShipped", "OrderCompleted"]), "{all:?}");
    Ok(())
}
