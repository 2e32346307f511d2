//! Orders through a provider of Stripe's shape, which loses answers, turns requests away and repeats its errors: each is charged once, by
//! the provider's own ledger.

use std::collections::{BTreeMap, BTreeSet};

use domain::simulator::SimulatorConfig;
use domain::statement::{StatementLine, StatementOutcome};
use replay_tool::Invariant;
use schemas::{PlaceOrder, ServiceName};
use stripe_server::Behaviour;
use tests::{Outcome, Pipeline, STRIPE_KEY, Servers, Settings, sample, stock_for};

use crate::DAEMON;

pub(crate) fn faulty() -> Behaviour {
    let simulator = SimulatorConfig {
        decline_per_million: 100_000,
        timeout_before_effect_per_million: 100_000,
        timeout_after_effect_per_million: 150_000,
        server_error_per_million: 100_000,
        conflict_per_million: 100_000,
        latency_max_ms: 20,
        timeout_ms: 50,
        ..SimulatorConfig::default()
    };
    let keys = [(STRIPE_KEY.to_owned(), "default".to_owned())].into();
    Behaviour {
        keys,
        too_many_per_million: 10_000,
        stored_error_per_million: 100_000,
        simulator,
        ..Behaviour::default()
    }
}

/// Orders that cost something: others need no provider.
pub(crate) fn paid(first: usize, count: usize) -> Outcome<Vec<PlaceOrder>> {
    let mut orders = sample(first, count)?;
    orders.retain(|order| order.lines.iter().any(|line| line.unit_price_minor > 0));
    Ok(orders)
}

/// The keys under which the provider did this, per order.
fn effects<'s>(ledger: &'s [StatementLine], operation: &str) -> BTreeMap<&'s str, BTreeSet<&'s str>> {
    let mut effects: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let is_one = |line: &&StatementLine| line.operation == operation && line.outcome == StatementOutcome::Succeeded;
    for line in ledger.iter().filter(is_one) {
        effects.entry(line.order_id.as_str()).or_default().insert(line.key.as_str());
    }
    effects
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_order_is_charged_once_whatever_the_provider_loses() -> Outcome {
    let servers = Servers::shared().await?;
    let (mut pipeline, server) = Pipeline::start_at_provider(DAEMON, &servers, Settings::default(), faulty()).await?;
    let orders = paid(7_000, 100)?;
    pipeline.receive(&stock_for(&orders)).await?;
    let publishing = pipeline.trickle(&orders, 150);
    // A worker dies with requests in its hands; whoever goes on knows only what was recorded.
    pipeline.await_ended(20).await?;
    pipeline.kill9(ServiceName::Payment, 0)?;
    pipeline.spawn(ServiceName::Payment, 0).await?;
    publishing.await??;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    let ledger = pipeline.statement()?;
    let (authorized, captured) = (effects(&ledger, "authorize"), effects(&ledger, "capture"));
    assert!(authorized.values().chain(captured.values()).all(|keys| keys.len() == 1), "one effect per operation");
    let completed: BTreeSet<&str> =
        rows.iter().filter(|(_, row)| row.stage == "completed").map(|(id, _)| id.as_str()).collect();
    assert_eq!(captured.into_keys().collect::<BTreeSet<_>>(), completed, "who gets the goods has paid, once");
    let is_late_capture =
        |line: &&StatementLine| line.operation == "capture" && line.outcome == StatementOutcome::Refused;
    assert_eq!(ledger.iter().find(is_late_capture), None, "nothing was to be taken of what was let go of");
    let (_, metrics) = pipeline.daemon(ServiceName::Payment, 1)?.get("/metrics").await?;
    for verdict in ["object", "unknown", "retry_later", "looked_at", "refused"] {
        let name = format!("payment_stripe_requests_total{{account=\"default\",verdict=\"{verdict}\"}}");
        assert!(metrics.contains(&name), "the faults did happen: {verdict}");
    }

    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_for_a_retry_is_found_by_the_provider_s_ledger() -> Outcome {
    let simulator =
        SimulatorConfig { timeout_after_effect_per_million: 500_000, timeout_ms: 1, ..SimulatorConfig::default() };
    let settings = Settings {
        instances: 1,
        partitions: 1,
        planted_bug: Some((ServiceName::Payment, "double-charge")),
        ..Settings::default()
    };
    let servers = Servers::shared().await?;
    let behaviour = Behaviour { simulator, ..Behaviour::default() };
    let (pipeline, server) = Pipeline::start_at_provider(DAEMON, &servers, settings, behaviour).await?;
    let orders = paid(7_200, 15)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.await_quiet().await?;
    let report = pipeline.verdict().await?;
    let is_named = |words: &str| {
        report.violations.iter().any(|found| found.invariant == Invariant::Money && found.detail.contains(words))
    };
    assert!(is_named("authorized more than once at the provider"), "{:#?}", report.violations);
    pipeline.accept();
    server.stop().await;
    Ok(())
}
