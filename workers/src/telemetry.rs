//! Logs and metrics of a daemon: set up once, before anything else.
//!
//! The filter is a level, or levels by target: `info,outbox=debug`. Spans and fields cannot be named; what could read
//! those would compile a whole engine of regular expressions.
//!
//! The recorder keeps every value of a histogram until somebody renders it; upkeep folds them in where nobody does.

use std::time::Duration;

use grammar::SettingError;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::sync::watch;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

use crate::config::LogFormat;
use crate::metrics;

/// How often values are folded in.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

/// Send logs to standard error in this format.
pub fn start_logs(format: LogFormat, filter: &str) -> Result<(), SettingError> {
    let filter: Targets = filter.parse().map_err(|error| {
        SettingError::Setting(format!("log filter \"{filter}\": {error}; for instance info,outbox=debug"))
    })?;
    let layer = fmt::layer().with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => registry().with(layer.with_ansi(grammar::is_colored_log())).with(filter).try_init(),
        LogFormat::Json => registry().with(layer.json().flatten_event(true)).with(filter).try_init(),
    };
    started.map_err(|error| SettingError::Setting(format!("logs cannot be set up: {error}")))
}

/// Collect metrics; the handle renders them.
pub fn start_metrics() -> Result<PrometheusHandle, SettingError> {
    let failed = |error: &dyn std::fmt::Display| SettingError::Setting(format!("metrics cannot be set up: {error}"));
    let mut builder = PrometheusBuilder::new();
    let published = ("outbox_publish_duration_seconds", consumer::metrics::SECONDS);
    for (name, buckets) in consumer::metrics::BUCKETS.into_iter().chain([published]) {
        builder =
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets).map_err(|error| failed(&error))?;
    }
    let handle = builder.install_recorder().map_err(|error| failed(&error))?;
    metrics::describe();
    stripe::metrics::describe();
    consumer::metrics::describe();
    outbox::metrics::describe();
    Ok(handle)
}

/// Keep the recorder small until asked to stop, whether or not anybody scrapes it.
pub async fn keep_up(metrics: PrometheusHandle, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            // An error means that the sender is gone, which is an end as well.
            _ = stopping.wait_for(|stopped| *stopped) => return,
            () = tokio::time::sleep(UPKEEP_PERIOD) => metrics.run_upkeep(),
        }
    }
}
