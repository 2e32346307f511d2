//! The relay of this process, as a task of the daemon: started with it, stopped last.
//!
//! Every instance runs one; they elect the leader through the database.

use std::time::Duration;

use outbox::{OnRestore, Outbox, Relay, RelayConfig, RelayError, RelayStatus, Role};
use rdkafka::ClientConfig;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use consumer::Database;

/// A relay that runs.
pub(crate) struct Running {
    status: RelayStatus,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), RelayError>>,
}

impl Running {
    /// Start it; troubles with servers are its own to retry.
    pub(crate) fn start(outbox: &Outbox, database: &Database, kafka: &ClientConfig, linger: Duration) -> Self {
        let (config, tls) = database.connector();
        let mut relay = RelayConfig::new(outbox::Database::new(config, tls), producer_config(kafka));
        relay.linger = linger;
        relay.on_restore = OnRestore::Hold;
        let relay = Relay::new(outbox, relay);
        let status = relay.status();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(relay.run(async move {
            // An error means that the daemon is gone, which is an end as well.
            let _ = stopped.await;
        }));
        Running { status, stop, task }
    }

    /// What it is doing.
    pub(crate) fn status(&self) -> RelayStatus {
        self.status.clone()
    }

    /// Let it publish what is committed, then end it.
    pub(crate) async fn stop(self) -> Result<(), String> {
        // It may have ended by itself: then the join says why.
        let _ = self.stop.send(());
        match self.task.await {
            Ok(result) => result.map_err(|error| format!("relay: {error}")),
            Err(error) => Err(format!("relay: {error}")),
        }
    }
}

/// Why a relay is in the way of being ready; none means that it leads or stands by.
pub(crate) fn obstacle(status: &RelayStatus) -> Option<String> {
    let report = status.report();
    let held = report.held.first().map(|lane| format!("{}[{}] is held: {}", lane.topic, lane.partition, lane.reason));
    let stalled = report.stalled.map(|stalled| {
        let (lasts, reason) = (stalled.lasts.as_secs(), stalled.reason);
        format!("nothing was acknowledged for {lasts} s although messages are in flight: {reason}")
    });
    match report.role {
        Role::Leading | Role::Standby => stalled.or(held),
        Role::Disconnected | Role::TakingOver => Some(report.last_error.unwrap_or_else(|| "not connected yet".into())),
    }
}

/// librdkafka warns of properties that a producer does not know.
fn producer_config(kafka: &ClientConfig) -> ClientConfig {
    const CONSUMERS: [&str; 6] =
        ["group.", "session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms", "fetch.", "queued."];
    let mut config = kafka.clone();
    let names: Vec<String> = config.config_map().keys().map(|name| (*name).to_owned()).collect();
    for name in names.iter().filter(|name| CONSUMERS.iter().any(|prefix| name.starts_with(prefix))) {
        config.remove(name);
    }
    config
}
