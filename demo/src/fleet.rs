//! The daemons as processes: `order-worker` and its sisters, the programs that lie beside this one.
//!
//! Each has a log file, a port of its own on loopback, and a stable instance id. They die with this process; stopping
//! them in order lets them drain.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use dev_stack::{Child, free_port};
use schemas::ServiceName;

use crate::error::DemoError;
use crate::scene::{DaemonPlace, Scene};

/// Of a hundred authorizations, so many are declined: five, in parts of a million.
const DECLINE_PER_MILLION: u32 = 50_000;

/// Longer than any backlog here takes: a demo at full speed must not run into deadlines.
const CONFIRM_WITHIN_MS: u32 = 3_600_000;

/// How long a one-shot command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);
/// How long a daemon may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// How long draining may take before a daemon is killed.
const DRAIN_LIMIT: Duration = Duration::from_secs(25);
/// How long one question on the loopback may take.
const PROBE_LIMIT: Duration = Duration::from_millis(500);
/// Between two questions.
const PROBE_PAUSE: Duration = Duration::from_millis(20);

/// Settings of a person's own daemons that must not leak into the demo's.
const FOREIGN_SETTINGS: [&str; 9] = [
    "PIPELINE_CONFIG",
    "DATABASE_URL_FILE",
    "DATABASE_SCHEMA",
    "TOPIC_PREFIX",
    "INSTANCE_ID",
    "LISTEN",
    "PLANTED_BUG",
    "SCHEMA_DIRECTORY",
    "LOG",
];

/// Running daemons.
pub(crate) struct Fleet {
    children: Vec<Child>,
}

impl Fleet {
    /// Creates the three schemas and the topics, all at once.
    pub(crate) fn prepare(scene: &Scene) -> Result<(), DemoError> {
        let mut commands = Vec::new();
        for service in ServiceName::ALL {
            commands.push(one_shot(scene, service, &["migrate"])?);
        }
        let partitions = scene.partitions.to_string();
        commands.push(one_shot(scene, ServiceName::Order, &["topics", "create", "--partitions", &partitions])?);
        for child in commands {
            match child.wait_timeout(COMMAND_LIMIT)? {
                Some(status) if status.success() => {}
                Some(status) => return Err(failure(&child, format!("failed ({status})"))),
                None => return Err(failure(&child, format!("took longer than {COMMAND_LIMIT:?}"))),
            }
        }
        Ok(())
    }

    /// Starts so many of each service and waits until all are ready. Their places go into the scene.
    pub(crate) fn start(scene: &mut Scene, instances: u16) -> Result<Self, DemoError> {
        let mut fleet = Self { children: Vec::new() };
        for service in ServiceName::ALL {
            for number in 1..=instances {
                let (child, place) = daemon(scene, service, number)?;
                fleet.children.push(child);
                scene.daemons.push(place);
            }
        }
        fleet.wait_ready(scene)?;
        Ok(fleet)
    }

    fn wait_ready(&self, scene: &Scene) -> Result<(), DemoError> {
        let deadline = Instant::now() + READY_LIMIT;
        for (child, place) in self.children.iter().zip(&scene.daemons) {
            let mut answer = String::new();
            while !is_ready(place.address, &mut answer) {
                if let Some(status) = child.try_wait()? {
                    return Err(failure(child, format!("ended ({status}) instead of getting ready")));
                }
                if Instant::now() >= deadline {
                    return Err(failure(child, format!("is not ready after {READY_LIMIT:?} ({})", answer.trim())));
                }
                std::thread::sleep(PROBE_PAUSE);
            }
        }
        Ok(())
    }

    /// Drains all daemons at once. Whoever does not end in time is killed, and named.
    pub(crate) fn stop(self) -> Result<(), DemoError> {
        for child in &self.children {
            // One that has ended already needs no signal.
            drop(child.terminate());
        }
        let deadline = Instant::now() + DRAIN_LIMIT;
        let mut late = Vec::new();
        for child in &self.children {
            if child.wait_timeout(deadline.saturating_duration_since(Instant::now()))?.is_none() {
                late.push(child.name().to_owned());
                child.kill9()?;
            }
        }
        if late.is_empty() {
            return Ok(());
        }
        Err(DemoError::Words(format!("{} did not drain within {DRAIN_LIMIT:?} and had to be killed", late.join(", "))))
    }
}

/// The service's program, with the scene's servers in its environment: a URL with a password is no argument.
fn command(scene: &Scene, service: ServiceName) -> Result<Command, DemoError> {
    let own = std::env::current_exe().map_err(|error| DemoError::Words(format!("where am I? {error}")))?;
    let program = own.with_file_name(format!("{service}-worker"));
    if !program.exists() {
        let path = program.display();
        return Err(DemoError::Words(format!("{path} is missing; `cargo demo` builds the workers beside the demo")));
    }
    let mut command = Command::new(program);
    for name in FOREIGN_SETTINGS {
        command.env_remove(name);
    }
    command.env("KAFKA_BROKERS", &scene.brokers).env("DATABASE_URL", &scene.database_url);
    command.args(["--schema", scene.schema(service)]);
    command.args(["--topic-prefix", &scene.topic_prefix]);
    Ok(command)
}

fn one_shot(scene: &Scene, service: ServiceName, verb: &[&str]) -> Result<Child, DemoError> {
    let mut command = command(scene, service)?;
    command.args(verb);
    let name = format!("{}-{}", service.as_str(), verb.first().copied().unwrap_or("command"));
    let log = scene.logs.join(format!("{name}.log"));
    Ok(Child::spawn(command, name, &log)?)
}

fn daemon(scene: &Scene, service: ServiceName, number: u16) -> Result<(Child, DaemonPlace), DemoError> {
    let name = format!("{}-{number}", service.as_str());
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut command = command(scene, service)?;
    command.args(["--instance-id", &name, "--listen", &address.to_string()]);
    if service == ServiceName::Order {
        command.args(["--confirm-within-ms", &CONFIRM_WITHIN_MS.to_string()]);
    }
    if service == ServiceName::Payment {
        command.args(["--simulator-decline-per-million", &DECLINE_PER_MILLION.to_string()]);
        command.arg("--simulator-statement").arg(&scene.statement);
    }
    command.arg("run");
    let log = scene.logs.join(format!("{name}.log"));
    let child = Child::spawn(command, name.as_str(), &log)?;
    let place = DaemonPlace { name, service: service.as_str().to_owned(), address, pid: child.pid() };
    Ok((child, place))
}

fn failure(child: &Child, what: String) -> DemoError {
    DemoError::Daemon { name: child.name().to_owned(), what, tail: child.tail() }
}

/// Asks `/readyz`; `answer` gets what it said.
fn is_ready(address: SocketAddr, answer: &mut String) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PROBE_LIMIT)?;
        stream.set_read_timeout(Some(PROBE_LIMIT))?;
        stream.set_write_timeout(Some(PROBE_LIMIT))?;
        stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut text = String::new();
        stream.take(16_384).read_to_string(&mut text)?;
        Ok(text)
    };
    match ask() {
        Ok(text) => {
            *answer = text.rsplit_once("\r\n\r\n").map_or_else(|| text.clone(), |(_, body)| body.to_owned());
            text.starts_with("HTTP/1.1 200")
        }
        Err(error) => {
            *answer = error.to_string();
            false
        }
    }
}
