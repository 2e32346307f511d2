//! The three services as processes of their own, with a database and topics of their own.
//!
//! They are a benchmark's program, executed with `daemon <service> …`: this one, because Cargo builds no other package's
//! binaries for a run, or that of another build, to compare with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use dev_stack::{Child, Daemon};
use schemas::ServiceName;

use crate::error::{BenchError, Doing, Result};
use crate::measure::Target;
use crate::servers::Servers;

/// How long `migrate` and `topics create` may take.
const SET_UP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a daemon may take until it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a daemon may take to drain.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Which workers a pipeline has.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    /// A benchmark's program, of this build or another, which is the services too.
    pub(crate) program: PathBuf,
    /// Instances of each service.
    pub(crate) instances: u32,
    /// What they and the publisher compress with; none: as they are built.
    pub(crate) compression: Option<&'static str>,
    /// A folder of schemas for them beside those that they are built with.
    pub(crate) schemas: Option<PathBuf>,
    /// What they are told besides, in their environment.
    pub(crate) environment: Vec<(String, String)>,
}

/// Where the services work, and which they are.
pub(crate) struct Deployment<'s> {
    /// Kafka and Postgres.
    pub(crate) servers: &'s Servers,
    /// The services.
    pub(crate) workers: Workers,
    /// The database's URL.
    pub(crate) database_url: String,
    /// In front of every topic's name.
    pub(crate) prefix: String,
    /// Partitions per topic.
    pub(crate) partitions: u32,
}

/// Running services.
pub(crate) struct Daemons {
    running: Vec<Instance>,
    logs: PathBuf,
}

/// One instance of a service.
struct Instance {
    service: ServiceName,
    name: String,
    daemon: Daemon,
}

impl Workers {
    /// One of each, of this benchmark's program.
    pub(crate) fn of(program: PathBuf) -> Self {
        Workers { program, instances: 1, compression: None, schemas: None, environment: Vec::new() }
    }
}

impl Deployment<'_> {
    /// Migrates, and makes the topics.
    pub(crate) fn prepare(&self) -> Result<()> {
        for service in ServiceName::ALL {
            self.set_up(service, &["migrate"])?;
        }
        // Any of them makes the topics of all.
        let partitions = self.partitions.to_string();
        self.set_up(ServiceName::Order, &["topics", "create", "--partitions", &partitions])
    }

    /// Lets a service's program do something and end.
    pub(crate) fn set_up(&self, service: ServiceName, arguments: &[&str]) -> Result<()> {
        let name = format!("{}{}-{}", self.prefix, service.as_str(), arguments.first().copied().unwrap_or_default());
        let log = self.servers.logs().join(format!("{name}.log"));
        let process = Child::spawn(self.command(service, arguments), name, &log).map_err(BenchError::other)?;
        process.wait_success(SET_UP_TIMEOUT).map_err(BenchError::other)
    }

    /// Does not wait until it is ready. A name is an instance's for good, so that a restart moves no partition.
    fn start(&self, service: ServiceName, name: String, address: SocketAddr) -> Result<Instance> {
        let listen = address.to_string();
        let command = self.command(service, &["run", "--listen", &listen, "--instance-id", &name]);
        let log = self.servers.logs().join(format!("{name}.log"));
        let daemon = Daemon::spawn(command, name.as_str(), &log, address).map_err(BenchError::other)?;
        Ok(Instance { service, name, daemon })
    }

    fn command(&self, service: ServiceName, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.workers.program);
        command.args(["daemon", service.as_str()]).args(arguments);
        command.env("KAFKA_BROKERS", self.servers.brokers()).env("DATABASE_URL", &self.database_url);
        command.args(["--topic-prefix", &self.prefix]);
        if let Some(codec) = self.workers.compression {
            command.args(["-X", &format!("compression.type={codec}")]);
        }
        if let Some(schemas) = &self.workers.schemas {
            command.env("SCHEMA_DIRECTORY", schemas);
        }
        // The ceiling compensates nothing either.
        command.env("SIMULATOR_DECLINE_PER_MILLION", "0");
        command.envs(self.workers.environment.iter().cloned());
        command
    }
}

impl Daemons {
    /// Starts all instances and waits until they are ready.
    pub(crate) fn start(place: &Deployment<'_>) -> Result<Self> {
        let mut running = Vec::new();
        for service in ServiceName::ALL {
            for number in 1..=place.workers.instances {
                let port = dev_stack::free_port().map_err(BenchError::other)?;
                let name = format!("{}{}-{number}", place.prefix, service.as_str());
                running.push(place.start(service, name, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?);
            }
        }
        for instance in &running {
            instance.daemon.wait_ready(READY_TIMEOUT).map_err(BenchError::other)?;
        }
        Ok(Daemons { running, logs: place.servers.logs().to_owned() })
    }

    /// SIGKILL to the instances of a service, and at once each of them again; does not wait until they are ready.
    pub(crate) fn kill_and_start(&mut self, service: ServiceName, place: &Deployment<'_>) -> Result<()> {
        for instance in self.running.iter_mut().filter(|instance| instance.service == service) {
            instance.daemon.kill9().map_err(BenchError::other)?;
            *instance = place.start(service, instance.name.clone(), instance.daemon.address())?;
        }
        Ok(())
    }

    /// Lets the instances of a service drain and end, one after another, and starts each as `place` has it.
    pub(crate) fn replace(&mut self, service: ServiceName, place: &Deployment<'_>) -> Result<()> {
        for index in 0..self.running.len() {
            let instance = &self.running[index];
            if instance.service == service {
                self.drained(&[instance])?;
                self.running[index] = place.start(service, instance.name.clone(), instance.daemon.address())?;
                self.running[index].daemon.wait_ready(READY_TIMEOUT).map_err(BenchError::other)?;
            }
        }
        Ok(())
    }

    /// Asks each for its metrics, as a monitoring system does.
    pub(crate) fn scrape(&self) -> Result<()> {
        for instance in &self.running {
            let (status, _) = instance.daemon.get("/metrics").doing("asking for metrics")?;
            if status != 200 {
                return Err(BenchError::other(format!("{} answers {status} for its metrics", instance.name)));
            }
        }
        Ok(())
    }

    /// What to measure.
    pub(crate) fn targets(&self) -> Result<Vec<Target>> {
        let target = |instance: &Instance| {
            let pid = u32::try_from(instance.daemon.pid()).map_err(BenchError::other)?;
            Ok(Target::tree(instance.service.as_str(), pid))
        };
        self.running.iter().map(target).collect()
    }

    /// An error when one of them has ended.
    pub(crate) fn check(&self) -> Result<()> {
        match self.running.iter().find(|instance| !instance.daemon.is_running()) {
            Some(instance) => Err(self.failed(instance, "ended")),
            None => Ok(()),
        }
    }

    /// The statements that all of them have sent to Postgres, if they count them.
    pub(crate) fn statements(&self) -> Option<u64> {
        let mut sum = None;
        for instance in &self.running {
            let (200, text) = instance.daemon.get("/metrics").ok()? else { return None };
            let counted: Vec<u64> = text.lines().filter_map(statements_of_line).collect();
            if !counted.is_empty() {
                sum = Some(sum.unwrap_or(0) + counted.iter().sum::<u64>());
            }
        }
        sum
    }

    /// One instance of it.
    pub(crate) fn of(&self, service: ServiceName) -> Result<&Daemon> {
        let found = self.running.iter().find(|instance| instance.service == service);
        found.map(|instance| &instance.daemon).ok_or_else(|| BenchError::other(format!("{service} does not run")))
    }

    /// Asks all of them to drain and waits for it; none is left.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.drained(&self.running.iter().collect::<Vec<_>>())?;
        self.running.clear();
        Ok(())
    }

    fn drained(&self, instances: &[&Instance]) -> Result<()> {
        let processes = instances.iter().map(|instance| &*instance.daemon);
        let ended = Child::drain(processes, STOP_TIMEOUT).map_err(BenchError::other)?;
        for (instance, status) in instances.iter().zip(ended) {
            if !status.is_some_and(|status| status.success()) {
                return Err(self.failed(instance, "did not stop in good order"));
            }
        }
        Ok(())
    }

    fn failed(&self, instance: &Instance, what: &str) -> BenchError {
        let (name, logs) = (&instance.name, self.logs.display());
        BenchError::other(format!("{name} {what}; its log is in {logs}\n{}", instance.daemon.tail()))
    }
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
