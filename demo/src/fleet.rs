//! The daemons as processes: `order-worker` and its sisters, and `order-api`, the programs that lie beside this one.
//!
//! Each has a log file, a port of its own on loopback, and a stable instance id. They die with this process; stopping
//! them in order lets them drain.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use dev_stack::{Child, Daemon, free_port};
use schemas::ServiceName;

use crate::error::DemoError;
use crate::options::Cast;
use crate::provider;
use crate::scene::{DaemonPlace, Scene};

/// The simulated provider counts in parts of a million.
pub(crate) const PER_PERCENT: u32 = 10_000;

/// Longer than any backlog here takes: a demo at full speed must not run into deadlines.
const CONFIRM_WITHIN_MS: u32 = 3_600_000;

/// How long a one-shot command may take.
pub(crate) const COMMAND_LIMIT: Duration = Duration::from_secs(120);
/// How long a daemon may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// How long draining may take before a daemon is killed.
const DRAIN_LIMIT: Duration = Duration::from_secs(25);

/// Settings of a person's own daemons that must not leak into the demo's.
const FOREIGN_SETTINGS: [&str; 21] = [
    "API_KEYS_FILE",
    "API_LISTEN",
    "DAEMONS",
    "JWT_AUDIENCE",
    "OIDC_ISSUER",
    "PIPELINE_CONFIG",
    "PROVIDER",
    "STRIPE_ACCOUNTS",
    "STRIPE_KEY",
    "STRIPE_KEY_FILE",
    "STRIPE_RETURN_URL",
    "STRIPE_TEST_TOKEN",
    "STRIPE_URL",
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
    daemons: Vec<Daemon>,
    /// `order-api`, which nobody waits for: whoever asks it is patient.
    api: Option<Daemon>,
    /// A stranger's service beside them.
    guest: Option<Child>,
    /// The payment provider, where it is a program; the last to end.
    provider: Option<Daemon>,
}

impl Fleet {
    /// Creates the three services' schemas, the read model's, and the topics, all at once.
    pub(crate) fn prepare(scene: &Scene) -> Result<(), DemoError> {
        let mut commands = Vec::new();
        for service in ServiceName::ALL {
            commands.push(one_shot(scene, service, &["migrate"])?);
        }
        let mut migrate = api_command(scene)?;
        migrate.arg("migrate");
        commands.push(Child::spawn(migrate, "api-migrate", &scene.logs.join("api-migrate.log"))?);
        let partitions = scene.partitions.to_string();
        commands.push(one_shot(scene, ServiceName::Order, &["topics", "create", "--partitions", &partitions])?);
        for child in commands {
            child.wait_success(COMMAND_LIMIT)?;
        }
        Ok(())
    }

    /// Takes in a stranger's service, to be drained with the others.
    pub(crate) fn take_in(&mut self, guest: Child) {
        self.guest = Some(guest);
    }

    /// Starts this cast's workers and waits until all are ready; beside them the API. Their places go into the scene.
    pub(crate) fn start(scene: &mut Scene, cast: Cast) -> Result<Self, DemoError> {
        let provider = cast.provider.start(scene, cast.decline_percent)?;
        let mut fleet = Self { daemons: Vec::new(), api: None, guest: None, provider };
        for service in ServiceName::ALL {
            for number in 1..=cast.instances {
                let (daemon, place) = daemon(scene, service, number, cast.decline_percent, fleet.provider.as_ref())?;
                fleet.daemons.push(daemon);
                scene.daemons.push(place);
            }
        }
        let (api, place, address) = api(scene)?;
        fleet.api = Some(api);
        scene.daemons.push(place);
        scene.api = Some(address);
        fleet.daemons.iter().try_for_each(|daemon| daemon.wait_ready(READY_LIMIT))?;
        Ok(fleet)
    }

    /// Drains all daemons at once. Whoever does not end in time is killed, and named.
    pub(crate) fn stop(self) -> Result<(), DemoError> {
        let daemons = self.daemons.iter().chain(&self.api).map(|daemon| &**daemon);
        let children: Vec<&Child> = daemons.chain(&self.guest).collect();
        let ended = Child::drain(children.iter().copied(), DRAIN_LIMIT)?;
        if let Some(provider) = &self.provider {
            Child::drain([&**provider], DRAIN_LIMIT)?;
        }
        let late = children.iter().zip(ended).filter(|(_, status)| status.is_none());
        let late: Vec<&str> = late.map(|(child, _)| child.name()).collect();
        if late.is_empty() {
            return Ok(());
        }
        Err(DemoError::Words(format!("{} did not drain within {DRAIN_LIMIT:?} and had to be killed", late.join(", "))))
    }
}

/// A program beside this one, with the scene's servers in its environment: a URL with a password is no argument.
pub(crate) fn program(scene: &Scene, name: &str) -> Result<Command, DemoError> {
    let own = std::env::current_exe().map_err(|error| DemoError::Words(format!("where am I? {error}")))?;
    let program = own.with_file_name(name);
    if !program.exists() {
        let path = program.display();
        return Err(DemoError::Words(format!("{path} is missing; `cargo demo` builds what it starts beside the demo")));
    }
    let mut command = Command::new(program);
    for name in FOREIGN_SETTINGS {
        command.env_remove(name);
    }
    command.env("KAFKA_BROKERS", &scene.brokers).env("DATABASE_URL", &scene.database_url);
    Ok(command)
}

/// A service's program.
fn command(scene: &Scene, service: ServiceName) -> Result<Command, DemoError> {
    let mut command = program(scene, &format!("{service}-worker"))?;
    command.args(["--schema", scene.schema(service)]);
    command.args(["--topic-prefix", &scene.topic_prefix]);
    Ok(command)
}

/// The API's program.
fn api_command(scene: &Scene) -> Result<Command, DemoError> {
    let mut command = program(scene, "order-api")?;
    command.args(["--schema", scene.view_schema(), "--topic-prefix", &scene.topic_prefix]);
    Ok(command)
}

/// Without keys it answers on loopback only, as everything of a demo does. It tells of the workers that run already. Gives also where
/// it answers.
fn api(scene: &Scene) -> Result<(Daemon, DaemonPlace, SocketAddr), DemoError> {
    let [address, answers] = [loopback()?, loopback()?];
    let mut command = api_command(scene)?;
    let workers: Vec<String> = scene.daemons.iter().map(|place| format!("{}={}", place.name, place.address)).collect();
    command.args(["--listen", &address.to_string(), "--api-listen", &answers.to_string()]);
    command.args(["--daemons", &workers.join(","), "run"]);
    let name = "api-1".to_owned();
    let daemon = Daemon::spawn(command, name.as_str(), &scene.logs.join("api-1.log"), address)?;
    let place = DaemonPlace { name, service: "api".to_owned(), address, pid: daemon.pid() };
    Ok((daemon, place, answers))
}

fn loopback() -> Result<SocketAddr, DemoError> {
    Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)))
}

fn one_shot(scene: &Scene, service: ServiceName, verb: &[&str]) -> Result<Child, DemoError> {
    let mut command = command(scene, service)?;
    command.args(verb);
    let name = format!("{}-{}", service.as_str(), verb.first().copied().unwrap_or("command"));
    let log = scene.logs.join(format!("{name}.log"));
    Ok(Child::spawn(command, name, &log)?)
}

fn daemon(
    scene: &Scene,
    service: ServiceName,
    number: u16,
    decline_percent: u32,
    provider: Option<&Daemon>,
) -> Result<(Daemon, DaemonPlace), DemoError> {
    let name = format!("{}-{number}", service.as_str());
    let address = loopback()?;
    let mut command = command(scene, service)?;
    command.args(["--instance-id", &name, "--listen", &address.to_string()]);
    if service == ServiceName::Order {
        command.args(["--confirm-within-ms", &CONFIRM_WITHIN_MS.to_string()]);
    }
    match provider.filter(|_| service == ServiceName::Payment) {
        Some(server) => provider::tell(&mut command, server),
        None if service == ServiceName::Payment => {
            command.args(["--simulator-decline-per-million", &(decline_percent * PER_PERCENT).to_string()]);
            command.arg("--simulator-statement").arg(&scene.statement);
        }
        None => {}
    }
    command.arg("run");
    let log = scene.logs.join(format!("{name}.log"));
    let daemon = Daemon::spawn(command, name.as_str(), &log, address)?;
    let place = DaemonPlace { name, service: service.as_str().to_owned(), address, pid: daemon.pid() };
    Ok((daemon, place))
}
