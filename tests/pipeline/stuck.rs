//! Stuck orders: a person tries the step again, takes it for done, or ends the order.

use domain::simulator::SimulatorConfig;
use schemas::{CommandId, PlaceOrder, ResolveOrder, RetryOrder, ServiceName, SkipOrderStep};
use tests::{Outcome, Pipeline, Servers, Settings, order};

use crate::DAEMON;
use crate::life::{await_event, await_refusal, kill_and_restart, level, stock, story};

fn retry(order: &PlaceOrder, id: &str, step: Option<&str>) -> Outcome<RetryOrder> {
    let (order_id, command_id) = (order.order_id.clone(), CommandId::new(id)?);
    Ok(RetryOrder { order_id, command_id, step: step.map(str::to_owned), by: Some("kim".into()), note: None })
}

fn skip(order: &PlaceOrder, id: &str) -> Outcome<SkipOrderStep> {
    let (order_id, command_id) = (order.order_id.clone(), CommandId::new(id)?);
    let note = Some("settled with the provider by phone".into());
    Ok(SkipOrderStep { order_id, command_id, step: None, by: Some("kim".into()), note })
}

fn resolve(order: &PlaceOrder, id: &str, outcome: &str) -> Outcome<ResolveOrder> {
    let (order_id, command_id) = (order.order_id.clone(), CommandId::new(id)?);
    let note = Some("goods written off by hand".into());
    Ok(ResolveOrder { order_id, command_id, outcome: outcome.to_owned(), by: Some("kim".into()), note })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_order_is_tried_again_and_skipped_and_resolved_by_a_person() -> Outcome {
    let servers = Servers::shared().await?;
    // No capture succeeds, and what is held cannot be let go of.
    let simulator = SimulatorConfig {
        capture_failure_per_million: 1_000_000,
        void_failure_per_million: 1_000_000,
        ..SimulatorConfig::default()
    };
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    stock(&pipeline, &["a"], 10).await?;
    let (tried, skipped, resolved) = (order("tried", &["a"])?, order("skipped", &["a"])?, order("resolved", &["a"])?);
    pipeline.publish(&[tried.clone(), skipped.clone(), resolved.clone()]).await?;
    pipeline.await_stage("stuck", 3).await?;
    assert_eq!(level(&pipeline, "a").await?, [10, 3, 0, 0, 0]);

    let other = retry(&tried, "other", Some("StockCommit"))?;
    let unknown = resolve(&resolved, "unknown", "forgotten")?;
    pipeline.publish(std::slice::from_ref(&other)).await?;
    pipeline.publish(std::slice::from_ref(&unknown)).await?;
    assert_eq!(await_refusal(&pipeline, &other.command_id).await?, ["OtherStep"]);
    assert_eq!(await_refusal(&pipeline, &unknown.command_id).await?, ["OutcomeUnknown"]);

    // The provider has mended its fault.
    pipeline.change_settings(|settings| settings.simulator.void_failure_per_million = 0)?;
    kill_and_restart(&mut pipeline, ServiceName::Payment).await?;
    pipeline.publish(&[retry(&tried, "again", Some("PaymentVoid"))?]).await?;
    pipeline.publish(&[skip(&skipped, "skip")?, skip(&skipped, "skip")?]).await?;
    pipeline.publish(&[resolve(&resolved, "end", "cancelled")?]).await?;
    await_event(&pipeline, &resolved, "OrderResolved").await?;
    let rows = pipeline.await_terminal(&[tried.clone(), skipped.clone(), resolved.clone()]).await?;
    assert!(rows.values().all(|row| row.stage == "cancelled"), "{rows:?}");
    let late = skip(&tried, "late")?;
    pipeline.publish(std::slice::from_ref(&late)).await?;
    assert_eq!(await_refusal(&pipeline, &late.command_id).await?, ["NotStuck"]);
    pipeline.check_clean().await?;
    let of_tried = story(&pipeline, &tried).await?;
    let end = ["OrderStuck", "OrderRetried", "OrderCancelling", "OrderCancelled"];
    assert!(
        of_tried.iter().filter(|name| !name.ends_with("Refused")).copied().collect::<Vec<_>>().ends_with(&end),
        "{of_tried:?}"
    );
    assert_eq!(level(&pipeline, "a").await?, [10, 1, 0, 0, 0], "whoever resolves an order sees to its pieces too");
    Ok(())
}
