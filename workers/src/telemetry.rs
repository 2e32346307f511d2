//! Logs and metrics of a daemon: set up once, before anything else.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, LogFormat};
use crate::metrics;

/// Send logs to standard error in this format.
pub(crate) fn start_logs(format: LogFormat, filter: &str) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        ConfigError::Setting(format!("log filter {filter:?}: {error}; for instance info,outbox=debug"))
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| ConfigError::Setting(format!("logs cannot be set up: {error}")))
}

/// Collect metrics; the handle renders them.
pub(crate) fn start_metrics() -> Result<PrometheusHandle, ConfigError> {
    let failed = |error: &dyn std::fmt::Display| ConfigError::Setting(format!("metrics cannot be set up: {error}"));
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in metrics::BUCKETS {
        builder =
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets).map_err(|error| failed(&error))?;
    }
    let handle = builder.install_recorder().map_err(|error| failed(&error))?;
    metrics::describe();
    outbox::metrics::describe();
    Ok(handle)
}
