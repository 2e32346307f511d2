//! Bugs planted into the running daemons: nothing but the checker sees them, and it names the invariant that is broken.

use std::collections::BTreeSet;

use domain::simulator::SimulatorConfig;
use replay_tool::{Invariant, Report};
use schemas::ServiceName;
use tests::{Outcome, Pipeline, Servers, Settings, is_sound, sample, stock_for, trouble};

use crate::DAEMON;

/// A small pipeline with this bug: one instance of everything.
async fn planted(service: ServiceName, bug: &'static str, simulator: SimulatorConfig) -> Outcome<Pipeline> {
    let servers = Servers::shared().await?;
    let settings =
        Settings { instances: 1, partitions: 1, simulator, planted_bug: Some((service, bug)), ..Settings::default() };
    Pipeline::start(DAEMON, &servers, settings).await
}

/// The checker has to name this invariant, in these words.
fn assert_caught(report: &Report, invariant: Invariant, words: &str) {
    let caught = report.violations.iter().any(|found| found.invariant == invariant && found.detail.contains(words));
    let named: BTreeSet<Invariant> = report.violations.iter().map(|found| found.invariant).collect();
    assert!(caught, "{invariant} with {words:?} is not among {named:?}: {:#?}", report.violations);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_that_is_never_released_is_found() -> Outcome {
    let simulator = SimulatorConfig { decline_per_million: 500_000, ..SimulatorConfig::default() };
    let pipeline = planted(ServiceName::Order, "release-forgotten", simulator).await?;
    let orders = sample(6_000, 20)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.await_quiet().await?;
    assert_caught(&pipeline.verdict().await?, Invariant::Compensation, "its reservation is reserved");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compensation_in_the_wrong_order_is_found() -> Outcome {
    let simulator = SimulatorConfig { capture_failure_per_million: 500_000, ..SimulatorConfig::default() };
    let pipeline = planted(ServiceName::Order, "compensate-in-wrong-order", simulator).await?;
    let orders = sample(6_020, 20)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.await_quiet().await?;
    assert_caught(
        &pipeline.verdict().await?,
        Invariant::Compensation,
        "its stock was released before its payment was voided",
    );
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_before_its_reservation_is_found() -> Outcome {
    let pipeline = planted(ServiceName::Order, "pay-before-reserving", SimulatorConfig::default()).await?;
    let orders = sample(6_040, 20)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.await_quiet().await?;
    assert_caught(
        &pipeline.verdict().await?,
        Invariant::Compensation,
        "payment was asked for by something else than the reservation",
    );
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_charge_is_found_in_the_providers_own_statement() -> Outcome {
    let simulator =
        SimulatorConfig { timeout_after_effect_per_million: 600_000, timeout_ms: 20, ..SimulatorConfig::default() };
    let pipeline = planted(ServiceName::Payment, "double-charge", simulator).await?;
    let orders = sample(6_060, 20)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.await_quiet().await?;
    assert_caught(&pipeline.verdict().await?, Invariant::Money, "charged more than once at the provider");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_never_ends_is_found() -> Outcome {
    let pipeline = planted(ServiceName::Order, "commit-forgotten", SimulatorConfig::default()).await?;
    let orders = sample(6_080, 10)?;
    let count = orders.iter().filter(|order| is_sound(order)).count();
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_stage("payment_captured", count).await?;
    pipeline.await_quiet().await?;
    assert_caught(&pipeline.verdict_at_once().await?, Invariant::Termination, "not finished: payment_captured");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sold_twice_is_refused_by_the_table_and_found_by_the_checker() -> Outcome {
    let pipeline = planted(ServiceName::Inventory, "oversell", SimulatorConfig::default()).await?;
    let orders = vec![tests::order("first", &["a"])?, tests::order("second", &["a"])?];
    pipeline.receive(&stock_for(&orders[..1])).await?;
    pipeline.publish(&orders[..1]).await?;
    pipeline.await_terminal(&orders[..1]).await?;
    pipeline.publish(&orders[1..]).await?;
    // The table's own constraint is the last line: the command is parked, and nothing is sold.
    let said = pipeline.until("the constraint refuses", async || {
        let (_, body) = pipeline.daemon(ServiceName::Inventory, 0)?.get("/status").await?;
        if body.contains("no_oversell") { Ok(body) } else { Err(trouble(body)) }
    });
    let said = said.await?;
    assert!(said.contains("\"key\":\"second\""), "{said}");
    // Without it only the checker is left.
    pipeline.tables().execute("alter table inventory.stock drop constraint no_oversell", &[]).await?;
    let retried = pipeline.run(ServiceName::Inventory, &["parked", "retry", "--all"]).await?;
    assert_eq!(retried.code, Some(0), "{}", retried.output);
    pipeline.await_terminal(&orders).await?;
    pipeline.await_quiet().await?;
    assert_caught(&pipeline.verdict().await?, Invariant::Stock, "below zero: 1 received");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_changed_in_the_tables_is_found() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { instances: 1, partitions: 1, ..Settings::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(6_100, 12)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    for service in ServiceName::ALL {
        pipeline.kill9(service, 0)?;
    }
    let changes = [
        ("update orders.orders set customer_id = 'x' where order_id = $1", Invariant::Rebuild),
        (
            "update payments.ledger set amount_minor = amount_minor + 1 where order_id = $1 and account = 'sales'",
            Invariant::Money,
        ),
        ("update inventory.reservations set status = 'released' where order_id = $1", Invariant::Rebuild),
        ("delete from orders.outbox_messages_0 where key = convert_to ($1, 'UTF8')", Invariant::Delivery),
    ];
    let completed = "select p.order_id from payments.payments p where p.amount_minor > 0 and p.status = 'captured'";
    for ((change, invariant), row) in changes.into_iter().zip(pipeline.tables().query(completed, &[]).await?) {
        let id: String = row.get(0);
        assert!(pipeline.tables().execute(change, &[&id]).await? > 0, "{change}");
        let report = pipeline.verdict_at_once().await?;
        let words = format!("{change}: {:#?}", report.violations);
        assert!(report.violations.iter().any(|found| found.invariant == invariant), "{words}");
    }
    pipeline.accept();
    Ok(())
}
