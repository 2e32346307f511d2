//! A stock Avro client: fastavro and a Kafka client from PyPI, which know nothing but the folder `schemas/`.

mod archive;
mod python;

use std::collections::BTreeMap;

use domain::simulator::SimulatorConfig;
use schemas::{CancelOrder, CommandId, CustomerId, PlaceOrder, TopicName};
use serde::Deserialize;
use tests::{Outcome, Pipeline, Servers, Settings, order, sample, stock_for, trouble};

/// The daemons' program.
const DAEMON: &str = env!("CARGO_BIN_EXE_pipeline-daemon");

/// A record as the client has understood it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Understood {
    topic: String,
    r#type: String,
    key: String,
    version: Option<i64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_knows_only_the_schemas_reads_everything_and_places_an_order() -> Outcome {
    let python = python::prepare().await?;
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig {
        decline_per_million: 100_000,
        capture_failure_per_million: 100_000,
        ..SimulatorConfig::default()
    };
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    // As many kinds of messages as an hour of a shop brings.
    let mut orders = sample(7_000, 80)?;
    let stock = stock_for(&orders);
    orders.push(order("wants-what-is-not-there", &["nobody-has-it"])?);
    pipeline.receive(&stock).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    let too_late = CancelOrder::new(orders[0].order_id.clone(), CommandId::new("too-late")?);
    pipeline.publish(&[too_late]).await?;

    python.run(&pipeline, &["place", "web-1"]).await?;
    pipeline
        .until("the client's order is completed", async || match pipeline.tables().orders().await?.get("web-1") {
            Some(row) if row.stage == "completed" => Ok(()),
            row => Err(trouble(format!("{row:?}"))),
        })
        .await?;
    pipeline.check_clean().await?;
    let printed = python.run(&pipeline, &["read"]).await?;
    let mut understood: Vec<Understood> = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    understood.sort();

    let mut expected = Vec::new();
    for topic in TopicName::ALL {
        for record in pipeline.messages(topic).await? {
            let (key, version) = (record.message.key().to_owned(), record.message.version());
            let r#type = record.message.type_name().to_owned();
            expected.push(Understood { topic: topic.as_str().to_owned(), r#type, key, version });
        }
    }
    expected.sort();
    let differ = understood.iter().zip(&expected).find(|(understood, there)| understood != there);
    assert!(
        differ.is_none() && understood.len() == expected.len(),
        "{} of {}: {differ:?}",
        understood.len(),
        expected.len()
    );
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    understood.iter().for_each(|record| *kinds.entry(&record.r#type).or_default() += 1);
    assert!(kinds.len() >= 22, "many kinds of messages: {kinds:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warehouse_in_another_language_ships_what_is_ready() -> Outcome {
    let python = python::prepare().await?;
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let on_command = |id: &str, capture: Option<&str>| {
        let (fulfilment, capture) = (Some("on_command".to_owned()), capture.map(str::to_owned));
        Ok(PlaceOrder { fulfilment, capture, ..order(id, &["a"])? })
    };
    let orders = [on_command("paid-first", None), on_command("paid-last", Some("at_shipment"))];
    let orders = orders.into_iter().collect::<Outcome<Vec<PlaceOrder>>>()?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    python.run(&pipeline, &["warehouse", "paid-first", "paid-last"]).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    assert!(rows.values().all(|row| row.stage == "completed"), "{rows:?}");
    Ok(())
}

/// The service holds whatever is placed for too much, as soon as it hears of it: the order waits at its next gate, or has gone
/// past it already, if it goes its way by itself. So these are orders that are shipped on command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fraud_service_in_another_language_holds_orders_and_releases_or_rejects_them() -> Outcome {
    let python = python::prepare().await?;
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let of = |id: &str, customer: &str, skus: &[&str]| {
        let fulfilment = Some("on_command".to_owned());
        Ok(PlaceOrder { fulfilment, customer_id: CustomerId::new(customer)?, ..order(id, skus)? })
    };
    let orders = [of("small", "c-bad", &["a"]), of("good", "c-good", &["a", "b"]), of("bad", "c-bad", &["a", "b"])];
    let orders = orders.into_iter().collect::<Outcome<Vec<PlaceOrder>>>()?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    python.run(&pipeline, &["review", "150", "2"]).await?;
    pipeline.await_stage("cancelled", 1).await?;
    pipeline
        .until("the good one is released", async || {
            let left = "select count(*) from orders.orders where wake_at is not null or stage not in ('ready_to_ship', 'cancelled')";
            match pipeline.tables().number(left).await? {
                0 => Ok(()),
                left => Err(trouble(format!("{left} are not there yet"))),
            }
        })
        .await?;
    python.run(&pipeline, &["warehouse", "small", "good"]).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    let stages = ["small", "good", "bad"].map(|id| rows[id].stage.as_str());
    assert_eq!(stages, ["completed", "completed", "cancelled"]);
    Ok(())
}
