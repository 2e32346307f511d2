//! A payment provider that goes wrong in every way: nobody is charged twice, and what fails for good is undone.

use std::collections::{BTreeMap, BTreeSet};

use domain::simulator::SimulatorConfig;
use domain::statement::{StatementLine, StatementOutcome};
use tests::{Outcome, Pipeline, Servers, Settings, sample, stock_for};

use crate::DAEMON;

/// The keys under which the provider did this operation, per order.
fn effects<'s>(statement: &'s [StatementLine], operation: &str) -> BTreeMap<&'s str, BTreeSet<&'s str>> {
    let mut effects: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let is_one = |line: &&StatementLine| line.operation == operation && line.outcome == StatementOutcome::Succeeded;
    for line in statement.iter().filter(is_one) {
        effects.entry(line.order_id.as_str()).or_default().insert(line.key.as_str());
    }
    effects
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_and_errors_end_with_at_most_one_charge() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig {
        decline_per_million: 100_000,
        timeout_before_effect_per_million: 150_000,
        timeout_after_effect_per_million: 200_000,
        server_error_per_million: 150_000,
        conflict_per_million: 150_000,
        latency_max_ms: 20,
        timeout_ms: 150,
        ..SimulatorConfig::default()
    };
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    let mut orders = sample(3_600, 200)?;
    // An order that costs nothing needs no provider.
    orders.retain(|order| order.lines.iter().any(|line| line.unit_price_minor > 0));
    pipeline.receive(&stock_for(&orders)).await?;
    let publishing = pipeline.trickle(&orders, 150);
    // A worker dies with calls in its hands; whoever goes on knows only what was recorded.
    pipeline.await_ended(30).await?;
    pipeline.kill9(schemas::ServiceName::Payment, 0)?;
    pipeline.spawn(schemas::ServiceName::Payment, 0).await?;
    publishing.await??;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    let statement = pipeline.statement()?;
    let (authorized, captured) = (effects(&statement, "authorize"), effects(&statement, "capture"));
    assert!(authorized.values().chain(captured.values()).all(|keys| keys.len() == 1), "one effect per operation");
    let completed: BTreeSet<&str> =
        rows.iter().filter(|(_, row)| row.stage == "completed").map(|(id, _)| id.as_str()).collect();
    assert_eq!(captured.keys().copied().collect::<BTreeSet<_>>(), completed, "who gets the goods has paid, once");
    let (_, metrics) = pipeline.daemon(schemas::ServiceName::Payment, 1)?.get("/metrics").await?;
    for kind in ["unknown", "retry_later", "succeeded"] {
        let name = format!("answer=\"{kind}\"");
        assert!(metrics.lines().any(|line| line.contains(&name)), "the faults did happen: {kind}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_that_fails_for_good_is_undone_in_reverse() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { capture_failure_per_million: 400_000, ..SimulatorConfig::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    let mut orders = sample(3_900, 60)?;
    orders.retain(|order| order.lines.iter().any(|line| line.unit_price_minor > 0));
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    let statement = pipeline.statement()?;
    let failed: BTreeSet<&str> = rows
        .iter()
        .filter(|(_, row)| row.cancel_reason.as_deref() == Some("CaptureFailed"))
        .map(|(id, _)| id.as_str())
        .collect();
    assert!(!failed.is_empty() && failed.len() < rows.len(), "{} of {}", failed.len(), rows.len());
    assert_eq!(effects(&statement, "void").into_keys().collect::<BTreeSet<_>>(), failed, "what was held is let go");
    let held = pipeline.tables().number("select coalesce (sum (reserved), 0)::bigint from inventory.stock").await?;
    assert_eq!(held, 0);
    let shipped = pipeline.tables().number("select count(*) from inventory.reservations where status = 'committed'");
    assert_eq!(usize::try_from(shipped.await?)?, rows.len() - failed.len());
    Ok(())
}
