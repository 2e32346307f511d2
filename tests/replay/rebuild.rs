//! Rebuilding beside a live pipeline, in its place, and after everything was lost.

use domain::simulator::SimulatorConfig;
use schemas::{CommandId, DescribeProduct, PlaceOrder, ServiceName, Sku};
use serde_json::Value;
use tests::{Outcome, Pipeline, Servers, Settings, sample, stock_for, trouble};

use crate::DAEMON;
use crate::program::{Run, run};

const TABLES: [(&str, &str); 8] = [
    ("orders", "orders"),
    ("orders", "order_contents"),
    ("inventory", "reservations"),
    ("inventory", "stock"),
    ("inventory", "stock_receipts"),
    ("inventory", "products"),
    ("payments", "payments"),
    ("payments", "ledger"),
];

/// A pipeline that has completed and undone orders.
async fn worked() -> Outcome<(Pipeline, Vec<PlaceOrder>)> {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { decline_per_million: 100_000, ..SimulatorConfig::default() };
    let pipeline =
        Pipeline::start(DAEMON, &servers, Settings { instances: 1, simulator, ..Settings::default() }).await?;
    let orders = sample(0, 160)?;
    let mut stock = stock_for(&orders[..80]);
    stock.values_mut().step_by(40).for_each(|quantity| *quantity = 0);
    stock.retain(|_, quantity| *quantity > 0);
    // The later orders find what they need, or not.
    pipeline.receive(&stock).await?;
    let described: Vec<DescribeProduct> = stock.keys().take(20).map(described).collect::<Outcome<_>>()?;
    pipeline.publish(&described).await?;
    pipeline.publish(&orders[..80]).await?;
    pipeline.await_terminal(&orders[..80]).await?;
    pipeline.check_clean().await?;
    Ok((pipeline, orders))
}

fn described(sku: &Sku) -> Outcome<DescribeProduct> {
    let (title, currency, by) = (format!("Ware {sku}"), "EUR".to_owned(), Some("desk-3".to_owned()));
    let command_id = CommandId::new(format!("say-{sku}"))?;
    Ok(DescribeProduct { sku: sku.clone(), command_id, title, price_minor: 250, currency, by, note: None })
}

async fn rebuild(pipeline: &Pipeline, arguments: &[&str]) -> Outcome<Run> {
    let mut all = vec!["rebuild", "--json", "--database-url", pipeline.database_url()];
    all.extend(arguments);
    run(pipeline, &all).await
}

/// The digests of the services, in their order.
fn digests(report: &Value) -> Outcome<Vec<String>> {
    let services = report["services"].as_array().ok_or_else(|| trouble("no services"))?;
    Ok(services.iter().map(|service| service["digest"].to_string()).collect())
}

/// Rows that are in only one of the two schemas.
async fn unlike(pipeline: &Pipeline, suffix: &str) -> Outcome<i64> {
    let mut count = 0;
    for (schema, table) in TABLES {
        let (live, other) = (format!("{schema}.{table}"), format!("{schema}{suffix}.{table}"));
        let sql = format!(
            "select count(*) from ((select * from {live} except select * from {other}) \
             union all (select * from {other} except select * from {live})) as d"
        );
        count += pipeline.tables().number(&sql).await?;
    }
    Ok(count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_is_the_live_state_and_takes_its_place_once_the_workers_are_gone() -> Outcome {
    let (mut pipeline, orders) = worked().await?;
    let written = rebuild(&pipeline, &[]).await?.expect(0)?.json()?;
    assert_eq!(unlike(&pipeline, "_rebuilt").await?, 0);
    assert!(pipeline.tables().number("select count(*) from orders_rebuilt.orders").await? > 60);
    assert_eq!(pipeline.tables().number("select count(*) from inventory_rebuilt.products").await?, 20);
    // The same state from the same topics, however it is cut.
    let counted = rebuild(&pipeline, &["--to", "memory", "--unit-records", "37"]).await?.expect(0)?.json()?;
    assert_eq!(digests(&written)?, digests(&counted)?);
    let vector = written["services"].to_string();
    let until = format!("{{\"services\": {vector}}}");
    let again = rebuild(&pipeline, &["--to", "memory", "--until", &until]).await?.expect(0)?.json()?;
    assert_eq!(digests(&written)?, digests(&again)?);

    // What somebody has changed past the service is told, and swapped away; but not under a worker.
    rebuild(&pipeline, &["--dry-run"]).await?.expect(0)?;
    let spoil = "update orders.orders set total_minor = total_minor + 1 where stage = 'completed'";
    let spoiled = pipeline.tables().execute(spoil, &[]).await?;
    assert!(spoiled > 10);
    let told = rebuild(&pipeline, &["--dry-run"]).await?.expect(1)?.json()?;
    assert_eq!(told["services"][0]["differences"]["found"], spoiled);
    assert_eq!(told["services"][0]["differences"]["listed"][0]["column"], "total_minor");
    let verified = run(&pipeline, &["verify", "--json", "--database-url", pipeline.database_url()]).await?;
    assert_eq!(verified.expect(1)?.json()?["comparison"]["differences"]["found"], spoiled);
    let refused = rebuild(&pipeline, &["--swap"]).await?.expect(2)?;
    assert!(refused.stderr.contains("order-worker is connected"), "{}", refused.stderr);

    pipeline.stop_services(&ServiceName::ALL).await?;
    rebuild(&pipeline, &["--swap"]).await?.expect(0)?;
    rebuild(&pipeline, &["--dry-run"]).await?.expect(0)?;
    let kept = "select nspname::text from pg_namespace where nspname like 'orders_before_%'";
    let before: String = pipeline.tables().query(kept, &[]).await?[0].get(0);
    let kept = format!(
        "select count(*) from {before}.orders b join orders.orders o using (order_id) where b.total_minor <> o.total_minor"
    );
    assert_eq!(pipeline.tables().number(&kept).await?, i64::try_from(spoiled)?);
    assert_eq!(pipeline.tables().number("select count(*) from pg_namespace where nspname like '%_rebuilt'").await?, 0);

    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.publish(&orders[80..]).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_whose_databases_were_lost_go_on_from_the_topics() -> Outcome {
    let (mut pipeline, orders) = worked().await?;
    pipeline.stop_services(&ServiceName::ALL).await?;
    for schema in ["orders", "inventory", "payments"] {
        pipeline.tables().execute(&format!("drop schema {schema} cascade"), &[]).await?;
    }
    for service in ServiceName::ALL {
        assert!(pipeline.migrate(service).await?.code == Some(0));
    }
    let empty = rebuild(&pipeline, &["--dry-run"]).await?.expect(1)?.json()?;
    let cause = empty["services"][0]["problems"]["listed"][0]["cause"].to_string();
    assert!(cause.contains("the database was set back"), "{empty}");
    rebuild(&pipeline, &["--swap"]).await?.expect(0)?;
    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.publish(&orders[80..]).await?;
    pipeline.await_terminal(&orders).await?;
    let epochs = "select (select count(*) from orders.outbox_epochs) + (select count(*) from inventory.outbox_epochs) \
                  + (select count(*) from payments.outbox_epochs)";
    assert_eq!(pipeline.tables().number(epochs).await?, 0, "nothing that was published is void");
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_can_be_looked_at() -> Outcome {
    let (pipeline, orders) = worked().await?;
    let vector = run(&pipeline, &["at", "now", "--json"]).await?.expect(0)?.json()?["vector"].to_string();
    let before = run(&pipeline, &["at", &vector, "--json"]).await?.expect(0)?.json()?;
    let moment = jiff::Timestamp::now().to_string();
    pipeline.publish(&orders[80..]).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    let by_time = run(&pipeline, &["at", &moment, "--json"]).await?.expect(0)?.json()?;
    assert_eq!(before, by_time, "a time is the vector of its records");
    let now = run(&pipeline, &["at", "now", "--json"]).await?.expect(0)?.json()?;
    assert!(now["payments"].as_u64() > before["payments"].as_u64());

    let late = orders.iter().rev().find(|order| tests::is_sound(order)).ok_or_else(|| trouble("no sound order"))?;
    let id = late.order_id.as_str();
    run(&pipeline, &["at", &moment, "--order", id]).await?.expect(1)?;
    let there = run(&pipeline, &["at", "now", "--order", id, "--json"]).await?.expect(0)?.json()?;
    assert_eq!(there["orders"][0]["order_id"], id);
    assert_eq!(there["reservations"][0]["order_id"], id);
    assert_eq!(there["problems"], 0, "what one order holds is no level");
    let sku = there["order_contents"][0]["skus"][0].as_str().unwrap_or_default().to_owned();
    let level = run(&pipeline, &["at", "now", "--sku", &sku, "--json"]).await?.expect(0)?.json()?;
    let sql = format!("select shipped from inventory.stock where sku = '{sku}'");
    assert_eq!(level["stock"][0]["shipped"].as_i64(), Some(pipeline.tables().number(&sql).await?));
    assert_eq!(level["problems"], 0, "the levels of other SKUs are not wanted");

    let changes = run(&pipeline, &["diff", &moment, "now", "--json"]).await?.expect(1)?.json()?;
    let told = changes["changes"]["listed"].to_string();
    assert!(told.contains(id), "{id} is not in {told}");
    run(&pipeline, &["diff", &moment, &moment]).await?.expect(0).map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_topics_have_lost_is_rebuilt_from_an_archive() -> Outcome {
    let (pipeline, _) = worked().await?;
    let counting = ["rebuild", "--to", "memory", "--json"];
    let whole = run(&pipeline, &counting).await?.expect(0)?.json()?;
    let folder = pipeline.folder().join("archive").display().to_string();
    run(&pipeline, &["archive", "run", "--to", &folder]).await?.expect(0)?;
    let offsets = whole["services"][0]["vector"]["order.events.v1"].as_array().cloned().unwrap_or_default();
    for (partition, offset) in (0_i32..).zip(offsets) {
        pipeline.broker().delete_before("order.events.v1", partition, offset.as_i64().unwrap_or_default()).await?;
    }
    let refused = run(&pipeline, &counting).await?.expect(2)?;
    assert!(refused.stderr.contains("its beginning was deleted"), "{}", refused.stderr);
    let archived = run(&pipeline, &[&counting[..], &["--archive", &folder]].concat()).await?.expect(0)?.json()?;
    assert_eq!(digests(&whole)?, digests(&archived)?);
    pipeline.accept();
    Ok(())
}
