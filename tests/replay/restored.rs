//! One service's database set back to an older state: it holds, and goes on by either of two roads.

use std::collections::HashMap;

use domain::simulator::SimulatorConfig;
use schemas::{PlaceOrder, ServiceName};
use tests::{Outcome, Pipeline, Servers, Settings, sample, stock_for, trouble};

use crate::DAEMON;
use crate::program::run;

/// How long an order may take before the database is set back: so short that it has passed afterwards.
const SHORT_MS: i64 = 15_000;

/// What the order service writes.
const OWN_TOPICS: [&str; 3] = ["order.events.v1", "inventory.commands.v1", "payment.commands.v1"];

/// A pipeline whose orders have all ended, and a backup of the order service from the midst of them.
async fn backed_up(name: &str) -> Outcome<(Pipeline, Vec<PlaceOrder>)> {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { latency_min_ms: 200, latency_max_ms: 900, ..SimulatorConfig::default() };
    let settings = Settings { confirm_within_ms: SHORT_MS, partitions: 2, simulator, ..Settings::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(4_000, 60)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders[..30]).await?;
    let placed = "select count(*) from orders.orders where stage not in ('completed', 'cancelled')";
    pipeline
        .until("orders are under way", async || match pipeline.tables().number(placed).await? {
            0 => Err(trouble("none is")),
            _ => Ok(()),
        })
        .await?;
    pipeline.tables().back_up(ServiceName::Order).await?;
    let under_way = "select count(*) from orders_backup.orders where stage not in ('completed', 'cancelled')";
    assert!(pipeline.tables().number(under_way).await? > 0, "{name}: the backup is of the midst");
    pipeline.publish(&orders[30..45]).await?;
    pipeline.await_terminal(&orders[..45]).await?;
    pipeline.await_quiet().await?;
    // What is late in the backup has its deadline behind it; what is placed again has time enough.
    let late = "select count(*) from orders_backup.orders where stage not in ('completed', 'cancelled') and confirm_by > now()";
    pipeline
        .until("all deadlines have passed", async || match pipeline.tables().number(late).await? {
            0 => Ok(()),
            left => Err(trouble(format!("{left} have not"))),
        })
        .await?;
    pipeline.change_settings(|settings| settings.confirm_within_ms = 600_000)?;
    Ok((pipeline, orders))
}

async fn ends(pipeline: &Pipeline) -> Outcome<HashMap<(String, i32), (i64, i64)>> {
    pipeline.broker().ends(&OWN_TOPICS.map(str::to_owned)).await
}

/// Waits until both instances hold, and say by which roads they go on.
async fn await_hold(pipeline: &Pipeline) -> Outcome {
    for instance in 0..2 {
        let daemon = pipeline.daemon(ServiceName::Order, instance)?;
        pipeline
            .until(&format!("{} holds", daemon.name()), async || {
                let (status, text) = daemon.readiness().await?;
                let roads = ["database was set back", "rebuild --service order --swap", "order-worker accept-restore"];
                let is_told = status == 503 && roads.iter().all(|road| text.contains(road));
                if is_told { Ok(()) } else { Err(trouble(format!("{status}: {text}"))) }
            })
            .await?;
        let (live, _) = daemon.get("/livez").await?;
        let (_, metrics) = daemon.get("/metrics").await?;
        assert!(live == 200 && metrics.contains("worker_restored{service=\"order\"} 1"), "{metrics}");
    }
    Ok(())
}

/// Nothing is taken and nothing is published, over some looks.
async fn stands_still(pipeline: &Pipeline, before: &HashMap<(String, i32), (i64, i64)>) -> Outcome {
    let unlike = "select count(*) from (select * from orders.orders except select * from orders_backup.orders) as d";
    for _ in 0..10 {
        assert_eq!(&ends(pipeline).await?, before, "nothing is published");
        assert_eq!(pipeline.tables().number(unlike).await?, 0, "nothing is taken, and no deadline has fired");
        await_hold(pipeline).await?;
    }
    Ok(())
}

/// Everything ends, and nothing is stuck.
async fn everything_ends(pipeline: &Pipeline, orders: &[PlaceOrder]) -> Outcome {
    pipeline.publish(&orders[45..]).await?;
    pipeline.await_terminal(orders).await?;
    let stages = pipeline.tables().stages().await?;
    assert!(!stages.contains_key("stuck"), "{stages:?}");
    pipeline.tables().script("drop schema orders_backup cascade").await?;
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_was_set_back_holds_and_goes_on_once_that_is_accepted() -> Outcome {
    let (mut pipeline, orders) = backed_up("accepted").await?;
    // A restart alone is nothing to hold for.
    pipeline.kill9_all(ServiceName::Order)?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    for instance in 0..2 {
        let stopped = pipeline.stop(ServiceName::Order, instance).await?;
        assert!(!stopped.output.contains("was set back"), "{}", stopped.output);
    }
    let before = ends(&pipeline).await?;
    pipeline.tables().set_back(ServiceName::Order).await?;
    for instance in 0..2 {
        pipeline.spawn(ServiceName::Order, instance).await?;
    }
    await_hold(&pipeline).await?;
    stands_still(&pipeline, &before).await?;

    let told = pipeline.run(ServiceName::Order, &["accept-restore", "--dry-run"]).await?;
    assert!(told.code == Some(0) && told.output.contains("would begin"), "{}", told.output);
    let done = pipeline.run(ServiceName::Order, &["accept-restore"]).await?;
    assert!(done.code == Some(0) && done.output.contains("are not recalled"), "{}", done.output);
    pipeline.await_all_ready().await?;
    everything_ends(&pipeline, &orders).await?;
    assert!(pipeline.tables().number("select count(*) from orders.outbox_epochs").await? > 0);
    let late = "select count(*) from orders.orders where cancel_reason = 'DeadlinePassed' and confirm_by < accepted_at";
    assert_eq!(pipeline.tables().number(late).await?, 0);
    let again = pipeline.run(ServiceName::Order, &["accept-restore"]).await?;
    assert!(again.code == Some(0) && again.output.contains("nothing is to be accepted"), "{}", again.output);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_set_back_while_it_runs_holds_and_is_rebuilt_from_its_topics() -> Outcome {
    let (mut pipeline, orders) = backed_up("rebuilt").await?;
    let before = ends(&pipeline).await?;
    pipeline.tables().set_back(ServiceName::Order).await?;
    // What is published now must wait, so that each instance has a reason to reach for its database.
    pipeline.publish(&orders[..5]).await?;
    await_hold(&pipeline).await?;
    stands_still(&pipeline, &before).await?;
    for instance in 0..2 {
        pipeline.stop(ServiceName::Order, instance).await?;
    }
    let database = ["rebuild", "--service", "order", "--swap", "--database-url", pipeline.database_url()];
    run(&pipeline, &database).await?.expect(0)?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    everything_ends(&pipeline, &orders).await?;
    assert_eq!(pipeline.tables().number("select count(*) from orders.outbox_epochs").await?, 0, "nothing is void");
    Ok(())
}
