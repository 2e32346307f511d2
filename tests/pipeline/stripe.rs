//! Orders through a provider of Stripe's shape, which loses answers, turns requests away and repeats its errors: each is charged once, by
//! the provider's own ledger, and no secret is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use domain::simulator::SimulatorConfig;
use domain::statement::{StatementLine, StatementOutcome};
use replay_tool::Invariant;
use schemas::{PlaceOrder, ServiceName};
use stripe_server::{Behaviour, Running, start};
use tests::{Outcome, Pipeline, ProviderSettings, Servers, Settings, sample, stock_for};

use crate::DAEMON;

/// The account's key, and what the server plants in every payment: neither may be seen anywhere.
pub(crate) const KEY: &str = "sk_test_planted";
const CLIENT_SECRET: &str = "_secret_planted";
const TOKEN: &str = "pm_card_visa_planted";

fn faulty() -> Behaviour {
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
    let keys = [(KEY.to_owned(), "default".to_owned())].into();
    Behaviour {
        keys,
        too_many_per_million: 10_000,
        stored_error_per_million: 100_000,
        simulator,
        ..Behaviour::default()
    }
}

/// A pipeline whose payment service asks a server that behaves so.
pub(crate) async fn pipeline(behaviour: Behaviour, settings: Settings) -> Outcome<(Pipeline, Running)> {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, settings).await?;
    let statement = Some(pipeline.folder().join("statement.jsonl"));
    let server = start(Behaviour { statement, ..behaviour }, ([127, 0, 0, 1], 0).into()).await?;
    let key_file = pipeline.folder().join("stripe-key");
    std::fs::write(&key_file, format!("{KEY}\n"))?;
    pipeline.change_settings(|settings| {
        settings.provider = ProviderSettings {
            provider: Some("stripe"),
            stripe_url: Some(format!("http://{}", server.address())),
            stripe_key_file: Some(key_file),
            stripe_test_token: Some(TOKEN),
            ..settings.provider.clone()
        };
    })?;
    pipeline.start_services(&ServiceName::ALL).await?;
    Ok((pipeline, server))
}

/// Orders that cost something: others need no provider.
fn paid(first: usize, count: usize) -> Outcome<Vec<PlaceOrder>> {
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

/// Files of the pipeline's folder with one of these texts, but for the key's own.
pub(crate) fn files_with(pipeline: &Pipeline, texts: &[&str]) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(pipeline.folder())? {
        let path = entry?.path();
        let is_own = path.extension().is_some_and(|end| end == "toml") || path.ends_with("stripe-key");
        if path.is_file() && !is_own {
            let bytes = std::fs::read(&path)?;
            let text = String::from_utf8_lossy(&bytes);
            if texts.iter().any(|secret| text.contains(secret)) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_order_is_charged_once_whatever_the_provider_loses() -> Outcome {
    let (mut pipeline, server) = pipeline(faulty(), Settings::default()).await?;
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

    let shown = pipeline.run(ServiceName::Payment, &["config"]).await?;
    assert!(shown.output.contains("stripe_url") && !shown.output.contains(KEY), "{shown:?}");
    assert_eq!(files_with(&pipeline, &[KEY, CLIENT_SECRET])?, Vec::<PathBuf>::new(), "logs tell no secret");
    let with_token = files_with(&pipeline, &[TOKEN])?;
    assert!(
        with_token.iter().all(|path| path.ends_with("payment-config.log")),
        "a setting, and nothing else: {with_token:?}"
    );
    let told = "select count(*) from payments.payments p where p::text ~ $1";
    let secrets = format!("{KEY}|{CLIENT_SECRET}|{TOKEN}");
    let told: i64 = pipeline.tables().query(told, &[&secrets]).await?[0].get(0);
    assert_eq!(told, 0, "and no row does");
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
    let (pipeline, server) = pipeline(Behaviour { simulator, ..Behaviour::default() }, settings).await?;
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
