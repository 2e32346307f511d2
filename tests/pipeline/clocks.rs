//! Clocks that are wrong, and times that were stored while one was: every order ends within its time all the same, and who
//! is wrong is named.

use std::time::Duration;

use schemas::{PlaceOrder, ServiceName};
use tests::{Outcome, Pipeline, Series, Servers, Settings, sample, trouble};

use crate::DAEMON;

/// Long enough to kill a worker before it passes.
const WITHIN_MS: i64 = 8_000;

/// Nobody answers: orders wait for their deadline.
async fn order_service_alone(planted: Option<&'static str>) -> Outcome<Pipeline> {
    let servers = Servers::shared().await?;
    let settings = Settings {
        instances: 1,
        partitions: 1,
        confirm_within_ms: WITHIN_MS,
        planted_bug: planted.map(|bug| (ServiceName::Order, bug)),
        ..Settings::default()
    };
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, settings).await?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    Ok(pipeline)
}

/// Publishes, waits until all are placed, and kills the worker.
async fn place_and_kill(pipeline: &mut Pipeline, orders: &[PlaceOrder]) -> Outcome {
    pipeline.publish(orders).await?;
    pipeline.await_stage("placed", orders.len()).await?;
    pipeline.kill9(ServiceName::Order, 0)
}

async fn seconds_ahead(pipeline: &Pipeline) -> Outcome<f64> {
    let series = Series::scrape(pipeline.daemon(ServiceName::Order, 0)?).await?;
    let skew = series.iter().find(|series| series.metric == "worker_clock_skew_seconds");
    skew.map(|skew| skew.value).ok_or_else(|| trouble("no skew is shown"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_clock_is_ahead_is_named_and_no_order_waits_for_it_after_a_restart() -> Outcome {
    let mut pipeline = order_service_alone(Some("clock-ahead")).await?;
    let (_, ready) = pipeline.daemon(ServiceName::Order, 0)?.readiness().await?;
    assert!(ready.contains("s ahead of the database"), "{ready}");
    let ahead = seconds_ahead(&pipeline).await?;
    assert!((1_700.0..1_900.0).contains(&ahead), "{ahead}");
    let orders = sample(7_000, 3)?;
    place_and_kill(&mut pipeline, &orders).await?;
    let apart = "select max (abs (extract (epoch from clock_timestamp () - accepted_at)))::bigint from orders.orders";
    let apart = pipeline.tables().number(apart).await?;
    assert!(apart < 600, "accepted {apart} s from the database's present");
    // Another host, with a right clock.
    pipeline.change_settings(|settings| settings.planted_bug = None)?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    pipeline.await_stage("cancelling", orders.len()).await?;
    assert!(seconds_ahead(&pipeline).await?.abs() < 60.0);
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_stored_while_a_clock_was_ahead_hide_no_order() -> Outcome {
    let mut pipeline = order_service_alone(None).await?;
    let orders = sample(7_010, 4)?;
    place_and_kill(&mut pipeline, &orders).await?;
    let tables = pipeline.tables();
    // As an older version left it behind.
    let mark = "insert into orders.timer_watermarks (partition, confirm_by) \
                values (0, clock_timestamp () + interval '30 minutes') \
                on conflict (partition) do update set confirm_by = excluded.confirm_by";
    tables.execute(mark, &[]).await?;
    // Two were accepted while the database's own clock was ahead.
    let ahead = "update orders.orders set accepted_at = accepted_at + interval '1 day', \
                 confirm_by = confirm_by + interval '1 day' \
                 where order_id in (select order_id from orders.orders order by order_id limit 2)";
    assert_eq!(tables.execute(ahead, &[]).await?, 2);
    pipeline.start_services(&[ServiceName::Order]).await?;
    let worker = pipeline.daemon(ServiceName::Order, 0)?;
    let named = worker.await_log("accepted at a time that is still to come").await?;
    assert!(named.contains("orders=2"), "{named}");
    pipeline.await_stage("cancelling", orders.len()).await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_call_put_off_by_a_clock_that_was_ahead_is_made() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { instances: 1, partitions: 1, ..Settings::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(7_020, 1)?;
    pipeline.receive(&tests::stock_for(&orders)).await?;
    // The intent is in the table, and nobody has made the call.
    pipeline.change_settings(|settings| {
        settings.simulator.timeout_before_effect_per_million = 1_000_000;
        settings.simulator.faulty_tries = i32::MAX;
        settings.simulator.timeout_ms = 100;
    })?;
    pipeline.kill9(ServiceName::Payment, 0)?;
    pipeline.start_services(&[ServiceName::Payment]).await?;
    pipeline.publish(&orders).await?;
    let open = "select count(*) from payments.payment_calls";
    let opened = pipeline.until("a call is open", async || match pipeline.tables().number(open).await? {
        1 => Ok(()),
        other => Err(trouble(format!("{other} are"))),
    });
    opened.await?;
    pipeline.kill9(ServiceName::Payment, 0)?;
    let put_off = "update payments.payment_calls \
                   set due_at = due_at + interval '1 day', opened_at = opened_at + interval '1 day'";
    assert_eq!(pipeline.tables().execute(put_off, &[]).await?, 1);
    pipeline.change_settings(|settings| settings.simulator.timeout_before_effect_per_million = 0)?;
    pipeline.start_services(&[ServiceName::Payment]).await?;
    let ended = tokio::time::timeout(Duration::from_secs(90), pipeline.await_terminal(&orders)).await??;
    assert!(ended.values().all(|row| row.stage == "completed"), "{ended:?}");
    pipeline.check_clean().await
}
