//! Kafka: one broker that is also its own controller, run from the jars of the pom.
//!
//! All paths in its settings are relative to its working folder: a comma in an absolute one would split `log.dirs`.
//! The storage is formatted once and copied, which saves a second Java start per broker.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::access::Access;
use crate::artefacts;
use crate::error::{Error, Result};
use crate::ports::free_port;
use crate::programs;
use crate::project;
use crate::server::{Kind, Launch, Server};
use crate::spawner::RunAs;
use crate::stack::{Profile, SecondListener, StackConfig};

const CLASHES: usize = 5;
const FORMAT_LIMIT: Duration = Duration::from_secs(120);
const DATA: &str = "data";
const PROPERTIES: &str = "server.properties";
/// Credentials of a secured broker.
const ACCESS: &str = "access";

/// What a broker of this stack is told; the listeners, with their ports, come on top.
const SETTINGS: [(&str, &str); 30] = [
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("controller.listener.names", "CONTROLLER"),
    ("log.dirs", DATA),
    ("auto.create.topics.enable", "false"),
    ("offsets.topic.num.partitions", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    // Groups form at once, and tests may use short sessions.
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.session.timeout.ms", "6000"),
    ("group.consumer.min.heartbeat.interval.ms", "200"),
    ("group.consumer.heartbeat.interval.ms", "500"),
    // A broker that was killed is let in again when its old session is over: 1.5 s instead of 9.
    ("broker.session.timeout.ms", "1500"),
    ("broker.heartbeat.interval.ms", "200"),
    ("log.cleaner.threads", "1"),
    ("log.cleaner.dedupe.buffer.size", "2097152"),
    ("log.index.size.max.bytes", "1048576"),
    // Topics that a test deletes give their disk space back soon.
    ("log.segment.delete.delay.ms", "1000"),
    ("log.retention.ms", "-1"),
    // Every hand-over between threads costs a wake-up; two cores have no use for more of them.
    ("num.network.threads", "1"),
    ("num.io.threads", "2"),
    ("num.recovery.threads.per.data.dir", "1"),
    ("background.threads", "2"),
];

/// What a broker is told that lets everybody in.
const OPEN: [(&str, &str); 2] = [
    ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SECOND:PLAINTEXT,CONTROLLER:PLAINTEXT"),
    ("inter.broker.listener.name", "PLAINTEXT"),
];

/// Starts a broker with fresh data, or with the data that an earlier stack kept in this folder.
pub(crate) fn start(config: &StackConfig) -> Result<Server> {
    start_on(config, &mut free_port)
}

fn start_on(config: &StackConfig, next_port: &mut dyn FnMut() -> Result<u16>) -> Result<Server> {
    let folder = config.folder.join("kafka");
    let jars = prepare(&folder)?;
    let mut clashes = 0;
    loop {
        let (port, controller) = (next_port()?, next_port()?);
        let mut properties = owned(&SETTINGS);
        let access = match config.profile {
            Profile::Secure => {
                let door = SocketAddr::from((Ipv4Addr::LOCALHOST, next_port()?));
                let access = Access::prepare(&folder.join(ACCESS), &config.kafka_users, door)?;
                properties.extend(secured_listeners(port, door.port(), controller));
                properties.extend(access.properties());
                Some(access)
            }
            Profile::Test | Profile::Bench => {
                properties.extend(owned(&OPEN));
                properties.extend(listeners(port, controller, config.kafka_second_listener));
                None
            }
        };
        if config.profile != Profile::Test {
            // Nobody kills it there, and a machine at its limit must not make it look dead.
            properties.insert("broker.session.timeout.ms".to_owned(), "9000".to_owned());
        }
        properties.extend(config.kafka_settings.iter().cloned());
        let start = Start { folder: &folder, jars: &jars, properties: &properties, profile: config.profile, port };
        match start.run(access, &config.kafka_users) {
            Err(error) if error.is_port_clash() && clashes < CLASHES => clashes += 1,
            outcome => return outcome,
        }
    }
}

/// Starts a broker with exactly these properties in an empty `folder`, for checking settings that were written for a
/// broker elsewhere. `log.dirs` is relative to the folder; `port` is that of the listener to be asked for readiness.
///
/// # Errors
/// When the storage cannot be formatted with them, or the broker ends or does not answer; with the end of its log.
pub fn start_broker_with(folder: &Path, properties: &BTreeMap<String, String>, port: u16) -> Result<Server> {
    let folder = project::absolute(folder)?;
    let jars = prepare(&folder)?;
    Start { folder: &folder, jars: &jars, properties, profile: Profile::Test, port }.run(None, &[])
}

/// One attempt to start a broker.
struct Start<'s> {
    folder: &'s Path,
    jars: &'s [String],
    properties: &'s BTreeMap<String, String>,
    profile: Profile,
    /// Of the listener that clients use.
    port: u16,
}

impl Start<'_> {
    fn run(&self, access: Option<Access>, users: &[String]) -> Result<Server> {
        let Self { folder, jars, properties, profile, port } = *self;
        let file = folder.join(PROPERTIES);
        fs::write(&file, property_file(properties)).map_err(Error::file("write", &file))?;
        let data = folder.join(properties.get("log.dirs").map_or(DATA, String::as_str));
        if !data.join("meta.properties").exists() {
            match &access {
                // The passwords are written into the storage, so there is no template to copy.
                Some(access) => run_storage_tool(folder, jars, &access.format_arguments(users)?)?,
                None => format(folder, jars, properties, &data)?,
            }
        }
        let mut arguments = java_options(folder, jars, profile);
        arguments.extend(["kafka.Kafka".to_owned(), PROPERTIES.to_owned()]);
        let program = java()?;
        let started = Server::start(Launch {
            kind: Kind::Kafka,
            program: program.clone(),
            arguments,
            folder: folder.to_path_buf(),
            data,
            port,
            access,
            run_as: RunAs::Ourselves,
        });
        started.map_err(|error| error.or_old_java(&program))
    }
}

fn owned(properties: &[(&str, &str)]) -> BTreeMap<String, String> {
    properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn java() -> Result<PathBuf> {
    artefacts::java_runtime(&project::dev_folder(), &mut |_| ())
}

/// The broker's own folder, with a link to the jars; returns their paths relative to it.
fn prepare(folder: &Path) -> Result<Vec<String>> {
    java()?;
    let jars = artefacts::kafka_jars(&project::dev_folder())?.folder;
    let temporary = folder.join("tmp");
    fs::create_dir_all(&temporary).map_err(Error::file("create", &temporary))?;
    let link = folder.join("jars");
    if fs::symlink_metadata(&link).is_ok() {
        fs::remove_file(&link).map_err(Error::file("remove", &link))?;
    }
    std::os::unix::fs::symlink(&jars, &link).map_err(Error::file("create", &link))?;
    let entries = fs::read_dir(&jars).map_err(Error::file("read", &jars))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut paths: Vec<String> =
        names.filter(|name| name.ends_with(".jar")).map(|name| format!("jars/{name}")).collect();
    paths.sort();
    Ok(paths)
}

fn listeners(port: u16, controller: u16, second: Option<SecondListener>) -> [(String, String); 3] {
    let mut bound = format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}");
    let mut advertised = format!("PLAINTEXT://127.0.0.1:{port}");
    if let Some(second) = second {
        bound = format!("{bound},SECOND://127.0.0.1:{}", second.port);
        advertised = format!("{advertised},SECOND://{}", second.advertised);
    }
    [
        ("listeners".to_owned(), bound),
        ("advertised.listeners".to_owned(), advertised),
        ("controller.quorum.voters".to_owned(), format!("1@127.0.0.1:{controller}")),
    ]
}

/// Passwords and tokens come in at `port`, certificates at `mutual_tls`.
fn secured_listeners(port: u16, mutual_tls: u16, controller: u16) -> [(String, String); 3] {
    let clients = format!("SASL_SSL://127.0.0.1:{port},SSL://127.0.0.1:{mutual_tls}");
    [
        ("listeners".to_owned(), format!("{clients},CONTROLLER://127.0.0.1:{controller}")),
        ("advertised.listeners".to_owned(), clients),
        ("controller.quorum.voters".to_owned(), format!("1@127.0.0.1:{controller}")),
    ]
}

fn java_options(folder: &Path, jars: &[String], profile: Profile) -> Vec<String> {
    let machine: &[&str] = match profile {
        Profile::Test | Profile::Secure => &["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
        Profile::Bench => &["-Xms512m", "-Xmx512m", "-Xmn192m", "-XX:+UseSerialGC"],
    };
    let mut options: Vec<String> = machine.iter().map(|option| (*option).to_owned()).collect();
    // The native parts of the compression codecs are unpacked there: it must exist and be ours.
    options.push(format!("-Djava.io.tmpdir={}", folder.join("tmp").display()));
    // No counters in the system's temporary folder.
    options.push("-XX:-UsePerfData".to_owned());
    options.push("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".to_owned());
    options.push("-Dorg.slf4j.simpleLogger.showDateTime=true".to_owned());
    options.extend(["-cp".to_owned(), jars.join(":")]);
    options
}

/// Formats the storage, by copying one that was formatted before for the same node and roles; only the cluster's id is new.
fn format(folder: &Path, jars: &[String], properties: &BTreeMap<String, String>, data: &Path) -> Result<()> {
    let role = |name: &str| properties.get(name).cloned().unwrap_or_default();
    let kind: String = format!("{}-{}", role("node.id"), role("process.roles"))
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    let version = artefacts::kafka_jars(&project::dev_folder())?.version;
    let cache = project::dev_folder().join("template").join(format!("kafka-{version}-{kind}"));
    let template = artefacts::once(&cache, |template| {
        run_storage_tool(folder, jars, &[])?;
        fs::rename(data, template.join(DATA)).map_err(Error::file("rename", data))
    })?;
    project::copy_whole(&template.join(DATA), data, |copy| {
        let file = copy.join("meta.properties");
        let text = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
        let lines = text.lines().map(|line| match line.split_once('=') {
            Some(("cluster.id", _)) => format!("cluster.id={}\n", cluster_id()),
            _ => format!("{line}\n"),
        });
        fs::write(&file, lines.collect::<String>()).map_err(Error::file("write", &file))
    })
}

fn run_storage_tool(folder: &Path, jars: &[String], more: &[String]) -> Result<()> {
    let java = java()?;
    let mut command = Command::new(&java);
    let mut options = java_options(folder, jars, Profile::Test);
    options.extend(["kafka.tools.StorageTool", "format", "-t", &cluster_id(), "-c", PROPERTIES].map(str::to_owned));
    options.extend_from_slice(more);
    command.args(options).current_dir(folder);
    programs::run(command, "Kafka's StorageTool", &folder.join("format.log"), RunAs::Ourselves, FORMAT_LIMIT)
        .map_err(|error| error.or_old_java(&java))
}

/// 16 random bytes as Kafka writes them: 22 letters of URL-safe base64, the last of which holds two bits.
fn cluster_id() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let random = RandomState::new();
    let letter = |place: u8| {
        let bits = random.hash_one(place).to_be_bytes()[0];
        // Never a dash in front, which a command line would take for an option.
        let index = match place {
            0 => bits % 26,
            21 => (bits % 4) * 16,
            _ => bits % 64,
        };
        char::from(LETTERS[usize::from(index)])
    };
    (0..22).map(letter).collect()
}

/// The properties in the form of Java's property files.
fn property_file(properties: &BTreeMap<String, String>) -> String {
    properties.iter().fold(String::new(), |mut text, (name, value)| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}={}", value.replace('\\', "\\\\"));
        text
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_that_somebody_took_meanwhile_is_replaced() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ports: Vec<u16> = (0..3).map(|_| free_port().unwrap()).collect();
        ports.push(taken.local_addr().unwrap().port());
        // Not `in_project`: nobody holds the lock of this folder, so the next start would take it for one left behind.
        let folder = project::dev_folder().join(format!("test-kafka-ports-{}", std::process::id()));
        let config = StackConfig::in_folder(folder);
        let server = start_on(&config, &mut || Ok(ports.pop().unwrap())).unwrap();
        assert!(server.is_ready());
        server.discard().unwrap();
        project::remove_folder(&config.folder).unwrap();
    }

    #[test]
    fn a_cluster_id_is_sixteen_bytes_of_base64() {
        let id = cluster_id();
        assert_eq!(id.len(), 22);
        assert!(id.ends_with(['A', 'Q', 'g', 'w']) && !id.starts_with('-'), "{id}");
        assert_ne!(id, cluster_id());
    }
}
