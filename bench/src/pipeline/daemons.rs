//! The three services as processes of their own, with a database and topics of their own.
//!
//! They are a benchmark's program, executed with `daemon <service> …`: this one, because Cargo builds no other package's
//! binaries for a run, or that of another build, to compare with.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dev_stack::{Child, Daemon};
use schemas::ServiceName;

use crate::error::{BenchError, Result};
use crate::measure::Target;
use crate::servers::Servers;

/// How long `migrate` and `topics create` may take.
const SET_UP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a daemon may take until it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a daemon may take to drain.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Running services.
pub(crate) struct Daemons {
    running: Vec<(ServiceName, Daemon)>,
    logs: PathBuf,
}

/// Where the services work.
pub(crate) struct Deployment<'s> {
    /// Kafka and Postgres.
    pub(crate) servers: &'s Servers,
    /// A benchmark's program, of this build or another, which is the services too.
    pub(crate) program: PathBuf,
    /// The database's URL.
    pub(crate) database_url: String,
    /// In front of every topic's name.
    pub(crate) prefix: String,
    /// Partitions per topic.
    pub(crate) partitions: u32,
    /// What the services are told besides, in their environment.
    pub(crate) environment: Vec<(String, String)>,
}

impl Daemons {
    /// Migrates, makes the topics, starts all three and waits until they are ready.
    pub(crate) fn start(place: &Deployment<'_>) -> Result<Self> {
        let logs = place.servers.logs().to_owned();
        for service in ServiceName::ALL {
            set_up(service, place, &logs, &["migrate"])?;
        }
        // Any of them makes the topics of all.
        let partitions = place.partitions.to_string();
        set_up(ServiceName::Order, place, &logs, &["topics", "create", "--partitions", &partitions])?;
        let mut running = Vec::new();
        for service in ServiceName::ALL {
            let port = dev_stack::free_port().map_err(BenchError::other)?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let arguments = ["run".to_owned(), "--listen".to_owned(), address.to_string()];
            let command = daemon_command(service, place, &arguments);
            let name = format!("{}{}", place.prefix, service.as_str());
            let log = logs.join(format!("{name}.log"));
            running.push((service, Daemon::spawn(command, name, &log, address).map_err(BenchError::other)?));
        }
        for (_, daemon) in &running {
            daemon.wait_ready(READY_TIMEOUT).map_err(BenchError::other)?;
        }
        Ok(Daemons { running, logs })
    }

    /// What to measure.
    pub(crate) fn targets(&self) -> Result<Vec<Target>> {
        let target = |(service, daemon): &(ServiceName, Daemon)| {
            let pid = u32::try_from(daemon.pid()).map_err(BenchError::other)?;
            Ok(Target::tree(service.as_str(), pid))
        };
        self.running.iter().map(target).collect()
    }

    /// An error when one of them has ended.
    pub(crate) fn check(&self) -> Result<()> {
        match self.running.iter().find(|(_, daemon)| !daemon.is_running()) {
            Some((service, daemon)) => Err(self.failed(*service, daemon, "ended")),
            None => Ok(()),
        }
    }

    /// The statements that all of them have sent to Postgres, if they count them.
    pub(crate) fn statements(&self) -> Option<u64> {
        let mut sum = None;
        for (_, daemon) in &self.running {
            let (200, text) = daemon.get("/metrics").ok()? else { return None };
            let counted: Vec<u64> = text.lines().filter_map(statements_of_line).collect();
            if !counted.is_empty() {
                sum = Some(sum.unwrap_or(0) + counted.iter().sum::<u64>());
            }
        }
        sum
    }

    /// One of them.
    pub(crate) fn of(&self, service: ServiceName) -> Result<&Daemon> {
        let found = self.running.iter().find(|(of, _)| *of == service).map(|(_, daemon)| daemon);
        found.ok_or_else(|| BenchError::other(format!("{service} does not run")))
    }

    /// Asks all of them to drain and waits for it.
    pub(crate) fn stop(self) -> Result<()> {
        let ended =
            Child::drain(self.running.iter().map(|(_, daemon)| &**daemon), STOP_TIMEOUT).map_err(BenchError::other)?;
        for ((service, daemon), status) in self.running.iter().zip(ended) {
            if !status.is_some_and(|status| status.success()) {
                return Err(self.failed(*service, daemon, "did not stop in good order"));
            }
        }
        Ok(())
    }

    fn failed(&self, service: ServiceName, daemon: &Daemon, what: &str) -> BenchError {
        let (service, logs) = (service.as_str(), self.logs.display());
        BenchError::other(format!("{service} {what}; its log is in {logs}\n{}", daemon.tail()))
    }
}

fn set_up(service: ServiceName, place: &Deployment<'_>, logs: &Path, arguments: &[&str]) -> Result<()> {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let name = format!("{}{}-{}", place.prefix, service.as_str(), arguments[0]);
    let command = daemon_command(service, place, &arguments);
    let log = logs.join(format!("{name}.log"));
    let process = Child::spawn(command, name, &log).map_err(BenchError::other)?;
    process.wait_success(SET_UP_TIMEOUT).map_err(BenchError::other)
}

fn daemon_command(service: ServiceName, place: &Deployment<'_>, arguments: &[String]) -> Command {
    let mut command = Command::new(&place.program);
    command.args(["daemon", service.as_str()]).args(arguments.iter().map(OsString::from));
    command.env("KAFKA_BROKERS", place.servers.brokers()).env("DATABASE_URL", &place.database_url);
    command.args(["--topic-prefix", &place.prefix]);
    // The ceiling compensates nothing either.
    command.env("SIMULATOR_DECLINE_PER_MILLION", "0");
    command.envs(place.environment.iter().cloned());
    command
}

/// The value of a metric line that counts statements.
fn statements_of_line(line: &str) -> Option<u64> {
    let (name, value) = line.rsplit_once(' ')?;
    let name = name.split('{').next()?;
    if name.starts_with('#') || !name.ends_with("statements_total") {
        return None;
    }
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_statement_counters_count() {
        assert_eq!(statements_of_line("worker_statements_total{service=\"order\"} 12"), Some(12));
        assert_eq!(statements_of_line("outbox_statements_total 7"), Some(7));
        assert_eq!(statements_of_line("# TYPE worker_statements_total counter"), None);
        assert_eq!(statements_of_line("worker_messages_total 7"), None);
    }
}
