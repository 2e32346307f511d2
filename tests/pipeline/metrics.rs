//! Every series of a running pipeline is in `docs/metrics.md`, and everything that stands there is scraped; gauges say how
//! it is and not how it was.

use std::collections::{BTreeMap, BTreeSet};

use outbox::metrics::{Metric, Shown};
use schemas::{ServiceName, TopicName};
use tests::{Outcome, Pipeline, Sent, Series, Servers, Settings, sample, stock_for, trouble};

use crate::DAEMON;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");

fn known() -> Vec<Metric> {
    let ours = workers::metrics::ALL.into_iter().chain(stripe::metrics::ALL);
    ours.chain(consumer::metrics::ALL).chain(outbox::metrics::ALL).collect()
}

/// A metric's line of the document.
fn line_of(metric: &Metric) -> String {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let unit = metric.unit.map_or("", |unit| unit.as_str());
    let shown = match metric.shown {
        Shown::Always => "always",
        Shown::WhenItHappens => "when it happens",
    };
    let columns = [
        &format!("`{}`", metric.name),
        metric.kind.as_str(),
        &labels.join(", "),
        unit,
        metric.meaning,
        metric.ends,
        shown,
        metric.alarm,
    ];
    format!("| {} |", columns.join(" | ")).replace("  ", " ")
}

#[test]
fn the_document_says_of_every_metric_what_the_program_says() -> Outcome {
    let text = std::fs::read_to_string(DOCUMENT)?;
    let written: BTreeSet<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let metrics = known();
    let wanted: BTreeSet<String> = metrics.iter().map(line_of).collect();
    let missing: Vec<&String> = wanted.iter().filter(|line| !written.contains(line.as_str())).collect();
    let surplus: Vec<&&str> = written.iter().filter(|line| !wanted.contains(**line)).collect();
    if missing.is_empty() && surplus.is_empty() {
        return Ok(());
    }
    let list = |lines: &[String]| lines.join("\n");
    Err(trouble(format!(
        "docs/metrics.md: add these lines to its table\n{}\nand remove these\n{}",
        list(&missing.into_iter().cloned().collect::<Vec<_>>()),
        list(&surplus.into_iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    )))
}

/// What is wrong with these series, or missing among them.
fn complaints(scraped: &[Series]) -> Vec<String> {
    let known: BTreeMap<&str, Metric> = known().into_iter().map(|metric| (metric.name, metric)).collect();
    let mut complaints = BTreeSet::new();
    for series in scraped {
        let shown = series.label_names();
        match known.get(series.metric.as_str()) {
            None => complaints.insert(format!(
                "{} with the labels {shown:?} is scraped and in no table: add a Metric to `ALL` in metrics.rs of the \
                 crate that records it, and its line to docs/metrics.md",
                series.metric
            )),
            Some(metric) if shown != metric.labels.iter().copied().collect() => complaints.insert(format!(
                "{} is scraped with the labels {shown:?}, and its Metric in metrics.rs says {:?}",
                series.metric, metric.labels
            )),
            Some(_) => false,
        };
    }
    let scraped: BTreeSet<&str> = scraped.iter().map(|series| series.metric.as_str()).collect();
    for metric in known.values().filter(|metric| metric.shown == Shown::Always && !scraped.contains(metric.name)) {
        complaints.insert(format!("{} is documented as always shown, and no daemon shows it", metric.name));
    }
    complaints.into_iter().collect()
}

async fn scrape_all(pipeline: &Pipeline) -> Outcome<Vec<Series>> {
    let mut all = Vec::new();
    for service in ServiceName::ALL {
        all.append(&mut Series::scrape(pipeline.daemon(service, 0)?).await?);
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_series_of_a_running_pipeline_is_documented_and_the_other_way_round() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { instances: 1, partitions: 1, ..Settings::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(7_100, 20)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    // And something for the metrics of what goes wrong.
    let garbage = Sent {
        topic: TopicName::OrderCommands.as_str().to_owned(),
        partition: Some(0),
        value: Some(b"no message".to_vec()),
        ..Sent::default()
    };
    pipeline.broker().send_all(&[garbage]).await?;
    pipeline.await_terminal(&orders).await?;
    let looked = pipeline.until("the scrape and the document agree", async || {
        let scraped = scrape_all(&pipeline).await?;
        let complaints = complaints(&scraped);
        let letters = scraped.iter().any(|series| series.metric == "worker_dead_letters_total");
        if complaints.is_empty() && letters { Ok(()) } else { Err(trouble(complaints.join("\n"))) }
    });
    looked.await?;
    pipeline.check_clean().await
}

async fn gauge(pipeline: &Pipeline, instance: usize, metric: &str, status: &str) -> Outcome<f64> {
    let series = Series::scrape(pipeline.daemon(ServiceName::Order, instance)?).await?;
    let found = series
        .iter()
        .find(|series| series.metric == metric && series.labels.get("status").is_some_and(|label| label == status));
    found.map(|series| series.value).ok_or_else(|| trouble(format!("{metric} of {status} is not shown")))
}

async fn await_gauge(pipeline: &Pipeline, instance: usize, metric: &str, status: &str, wanted: f64) -> Outcome {
    let what = format!("{metric} of {status} is {wanted}");
    let looked = pipeline.until(&what, async || {
        let found = gauge(pipeline, instance, metric, status).await?;
        if found == wanted { Ok(()) } else { Err(trouble(format!("it is {found}"))) }
    });
    looked.await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_unfinished_order_is_counted_until_it_is_finished_or_its_lane_moves_away() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { instances: 1, partitions: 1, session_timeout_ms: 3_000, ..Settings::default() };
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, settings).await?;
    let old = "insert into orders.orders (order_id, partition, version, stage, awaiting, detail, customer_id, placed_at, \
                   currency, total_minor, content, confirm_by, accepted_at, changed_at) \
               select 'old-' || stage, 0, 1, stage, awaiting, null, '1', at, 'USD', 1, \
                   decode (repeat ('00', 32), 'hex'), at, at, at \
               from (values ('stuck', 'PaymentVoid'), ('confirmed', null), ('completed', null)) as s (stage, awaiting), \
                   lateral (select clock_timestamp () - interval '3 days' as at) as t";
    assert_eq!(pipeline.tables().execute(old, &[]).await?, 3);
    pipeline.start_services(&[ServiceName::Order]).await?;
    for (status, count) in [("stuck", 1.0), ("confirmed", 1.0), ("placed", 0.0)] {
        await_gauge(&pipeline, 0, "saga_orders", status, count).await?;
    }
    let age = gauge(&pipeline, 0, "saga_oldest_age_seconds", "stuck").await?;
    assert!(age > 250_000.0, "{age}");
    let finish = "update orders.orders set stage = 'completed', awaiting = null where order_id = 'old-stuck'";
    pipeline.tables().execute(finish, &[]).await?;
    await_gauge(&pipeline, 0, "saga_orders", "stuck", 0.0).await?;
    await_gauge(&pipeline, 0, "saga_oldest_age_seconds", "stuck", 0.0).await?;
    // The only lane goes to one of two instances: together they count every order once.
    pipeline.spawn(ServiceName::Order, 1).await?;
    let once = pipeline.until("each order is counted once", async || {
        let counted = [0, 1].map(|instance| gauge(&pipeline, instance, "saga_orders", "confirmed"));
        let [one, other] = counted;
        let sum = one.await? + other.await?;
        if sum == 1.0 { Ok(()) } else { Err(trouble(format!("{sum}"))) }
    });
    once.await?;
    pipeline.accept();
    Ok(())
}
