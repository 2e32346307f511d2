//! The relay as a process: this program again, doing what `outbox-relay` does.
//!
//! Cargo builds no other package's programs for a run, so the daemon's few lines are here once more, without TLS.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dev_stack::Child;
use outbox::{Database, Outbox, Relay, RelayConfig, Role};
use rdkafka::ClientConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio_postgres::NoTls;

use super::bed::SCHEMA;
use crate::error::{BenchError, Doing, Result};
use crate::measure::Target;
use crate::servers::Servers;

/// What the process prints once it publishes.
const LEADS: &str = "the relay leads";
/// How long it may take to get there, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running relay; it is killed when dropped.
pub(crate) struct RelayProcess(Child);

impl RelayProcess {
    pub(crate) fn start(servers: &Servers, url: &str) -> Result<Self> {
        let program = std::env::current_exe().doing("finding this program")?;
        let mut command = Command::new(program);
        command.args(["relay", "--database-url", url, "--brokers", servers.brokers()]);
        let log = Path::new(servers.logs()).join("relay.log");
        Ok(Self(Child::spawn(command, "relay", &log).map_err(BenchError::other)?))
    }

    /// Waits until it publishes; blocks the calling task only.
    pub(crate) fn leads(&self) -> Result<()> {
        let waited = tokio::task::block_in_place(|| self.0.wait_for_line(LEADS, PATIENCE));
        match waited.map_err(BenchError::other)? {
            Some(_) => Ok(()),
            None => Err(BenchError::other(format!("the relay does not lead\n{}", self.0.tail()))),
        }
    }

    /// What to measure.
    pub(crate) fn target(&self) -> Result<Target> {
        Ok(Target::tree("relay", u32::try_from(self.0.pid()).map_err(BenchError::other)?))
    }

    /// SIGKILL.
    pub(crate) fn kill9(&self) -> Result<()> {
        self.0.kill9().map_err(BenchError::other)
    }

    /// Asks it to end, and waits for it.
    pub(crate) fn stop(self) -> Result<()> {
        self.0.terminate().map_err(BenchError::other)?;
        let ended = tokio::task::block_in_place(|| self.0.wait_timeout(PATIENCE)).map_err(BenchError::other)?;
        match ended {
            Some(status) if status.success() => Ok(()),
            Some(_) | None => Err(BenchError::other(format!("the relay did not end well\n{}", self.0.tail()))),
        }
    }
}

/// The configuration of every relay here: the defaults.
pub(crate) fn config(database: Database, brokers: &str) -> RelayConfig {
    let mut kafka = ClientConfig::new();
    kafka.set("bootstrap.servers", brokers);
    RelayConfig::new(database, kafka)
}

/// Is the relay, until SIGTERM.
pub(crate) fn serve(url: &str, brokers: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("starting the runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).doing("waiting for signals")?;
        let database = Database::new(url.parse().map_err(BenchError::other)?, NoTls);
        let client = database.connect().await.map_err(BenchError::other)?;
        let outbox = Outbox::open_recorded(&client, SCHEMA).await.map_err(BenchError::other)?;
        drop(client);
        let relay = Relay::new(&outbox, config(database, brokers));
        let status = relay.status();
        let telling = async {
            while status.report().role != Role::Leading {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            println!("{LEADS}");
        };
        let running = relay.run(async move {
            terminate.recv().await;
        });
        let (ended, ()) = tokio::join!(running, telling);
        ended.map_err(BenchError::other)
    })
}
