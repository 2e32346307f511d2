//! The stack: one Kafka broker and one Postgres, started together, gone together.
//!
//! Given addresses (`KAFKA_BROKERS`, `DATABASE_URL`) are used instead of own servers. Data of own servers lie in the
//! stack's folder; a folder that a killed owner left behind is removed by the next start.

use std::env;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::postgres::Started;
use crate::server::Server;
use crate::{artefacts, kafka, postgres, project, sql};

const KAFKA_VARIABLE: &str = "KAFKA_BROKERS";
const DATABASE_VARIABLE: &str = "DATABASE_URL";
const FOLDERS_LOCK_LIMIT: Duration = Duration::from_secs(60);
const OWNER: &str = "owner.lock";
/// What the name of a folder begins with that is being removed.
const ABANDONED: &str = "gone-";
/// Names the Postgres folder of a stack that had to put it elsewhere.
const ELSEWHERE: &str = "postgres-folder";

/// What the servers are tuned for. Durability does not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Starts fast and stays small.
    Test,
    /// Carries load: compiled by C2, 1 GB of heap, buffers and WAL that do not get in the way of a measurement.
    Bench,
    /// As `Test`, with a broker that lets in only users that prove who they are, and to nothing that they have no
    /// permission for; see [`Server::access`] and [`StackConfig::kafka_users`].
    Secure,
}

impl Profile {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Profile::Test => "test",
            Profile::Bench => "bench",
            Profile::Secure => "secure",
        }
    }
}

/// A second door to the broker, for clients that come through a proxy: whoever asks there is told to go on to `advertised`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondListener {
    /// The loopback port that the broker listens on besides its own.
    pub port: u16,
    /// Where the broker sends the clients of this listener: the proxy.
    pub advertised: SocketAddr,
}

/// How a stack is started.
#[derive(Debug, Clone)]
pub struct StackConfig {
    /// Its folder; one stack at a time can have it.
    pub folder: PathBuf,
    /// What the servers are tuned for.
    pub profile: Profile,
    /// `fsync` and `synchronous_commit` of Postgres. True by default; false only for data nobody would miss.
    pub durable: bool,
    /// Keep the folder with its data, and stop the servers cleanly. False by default: everything goes with the stack.
    pub keep_data: bool,
    /// Users of a secured broker, beside `admin`, who may do everything. None by default.
    pub kafka_users: Vec<String>,
    /// A second listener of a broker that is not secured. None by default.
    pub kafka_second_listener: Option<SecondListener>,
    /// Broker properties on top of the stack's own.
    pub kafka_settings: Vec<(String, String)>,
    /// Postgres settings on top of the stack's own.
    pub postgres_settings: Vec<(String, String)>,
    /// Files for Postgres' data folder by name and content, in place of what is there: certificates, keys, `pg_hba.conf`.
    pub postgres_files: Vec<(String, String)>,
}

impl StackConfig {
    /// A stack for tests in a new folder below the workspace's `.dev`, which goes with the stack.
    pub fn in_project() -> Self {
        static STACKS: AtomicU32 = AtomicU32::new(0);
        let number = STACKS.fetch_add(1, Ordering::Relaxed);
        Self::in_folder(project::dev_folder().join(format!("run-{}-{number}", process::id())))
    }

    /// A stack for tests in this folder.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            profile: Profile::Test,
            durable: true,
            keep_data: false,
            kafka_users: Vec::new(),
            kafka_second_listener: None,
            kafka_settings: Vec::new(),
            postgres_settings: Vec::new(),
            postgres_files: Vec::new(),
        }
    }

    /// The same with another profile.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }
}

/// A broker and a database to work with. Own servers end when it is dropped, and with this process however it ends.
#[derive(Debug)]
pub struct Stack {
    brokers: String,
    database_url: String,
    kafka: Option<Server>,
    postgres: Option<Server>,
    folder: Option<Folder>,
}

impl Stack {
    /// Starts both servers and waits until both answer. Blocks for about two seconds; the first time ever it also
    /// fetches the broker.
    ///
    /// # Errors
    /// When a program is missing (named with its Debian package), or a server does not come up (with its log's end).
    pub fn start(config: StackConfig) -> Result<Self> {
        Self::start_missing(config, None, None)
    }

    /// Starts the database server alone: for what needs no broker.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn start_postgres(config: StackConfig) -> Result<Self> {
        Self::start_missing(config, Some(String::new()), None)
    }

    /// Uses `KAFKA_BROKERS` and `DATABASE_URL` where they are set and not empty; starts what they do not give.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn from_env_or_start(config: StackConfig) -> Result<Self> {
        let given = |name| env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self::start_missing(config, given(KAFKA_VARIABLE), given(DATABASE_VARIABLE))
    }

    /// Fetches what [`Stack::from_env_or_start`] would fetch in silence, and names each step before it begins.
    ///
    /// # Errors
    /// When a program is missing, or a registry does not give what is wanted.
    pub fn fetch_missing(tell: &mut dyn FnMut(&str)) -> Result<()> {
        let given = |name| env::var(name).is_ok_and(|value| !value.trim().is_empty());
        if !given(KAFKA_VARIABLE) {
            artefacts::fetch_kafka(&project::dev_folder(), tell)?;
        }
        if given(DATABASE_VARIABLE) { Ok(()) } else { postgres::fetch_missing(tell) }
    }

    fn start_missing(mut config: StackConfig, brokers: Option<String>, database_url: Option<String>) -> Result<Self> {
        if let (Some(brokers), Some(database_url)) = (&brokers, &database_url) {
            let (brokers, database_url) = (brokers.clone(), database_url.clone());
            return Ok(Self { brokers, database_url, kafka: None, postgres: None, folder: None });
        }
        config.folder = project::absolute(&config.folder)?;
        let mut folder = Folder::open(&config)?;
        let (kafka, postgres) = thread::scope(|scope| {
            let postgres = database_url.is_none().then(|| scope.spawn(|| postgres::start(&config)));
            let kafka = brokers.is_none().then(|| kafka::start(&config));
            let panicked = |_| Err(Error::NotRunning { name: "Postgres".to_owned() });
            (kafka.transpose(), postgres.map(|thread| thread.join().unwrap_or_else(panicked)).transpose())
        });
        // What has started when the other failed ends here by being dropped.
        let (kafka, postgres) = (kafka?, postgres?);
        if let Some(started) = &postgres {
            folder.note_postgres_folder(&started.folder)?;
        }
        let own_brokers = kafka.as_ref().map(|server| server.address().to_string());
        let (postgres, own_url) = postgres.map(|Started { server, url, .. }| (server, url)).unzip();
        Ok(Self {
            brokers: brokers.or(own_brokers).unwrap_or_default(),
            database_url: database_url.or(own_url).unwrap_or_default(),
            kafka,
            postgres,
            folder: Some(folder),
        })
    }

    /// The bootstrap servers, as clients want them.
    pub fn brokers(&self) -> String {
        self.brokers.clone()
    }

    /// The URL of the database `postgres`, as a superuser if it is our own server.
    pub fn database_url(&self) -> String {
        self.database_url.clone()
    }

    /// Creates a database and returns its URL.
    ///
    /// # Errors
    /// When the name needs quotes, or the database exists, or the server refuses.
    pub fn new_database(&self, name: &str) -> Result<String> {
        sql::check_name(name)?;
        sql::execute(&self.database_url, &format!("create database {name}"))?;
        Ok(sql::with_database(&self.database_url, name))
    }

    /// The broker, to be killed, paused and restarted.
    ///
    /// # Errors
    /// When `KAFKA_BROKERS` gave it.
    pub fn kafka(&self) -> Result<&Server> {
        self.kafka.as_ref().ok_or(Error::External { name: "Kafka", variable: KAFKA_VARIABLE })
    }

    /// The database server, to be killed, paused and restarted.
    ///
    /// # Errors
    /// When `DATABASE_URL` gave it.
    pub fn postgres(&self) -> Result<&Server> {
        self.postgres.as_ref().ok_or(Error::External { name: "Postgres", variable: DATABASE_VARIABLE })
    }

    /// The stack's folder; none if both servers were given.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(|folder| folder.path.as_path())
    }

    /// Ends the servers, and removes their data unless the configuration keeps them.
    ///
    /// # Errors
    /// When a server cannot be signalled or the folder cannot be removed.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let keep = self.folder.as_ref().is_none_or(|folder| folder.keep);
        let end = |server: Option<Server>| {
            server.map_or(Ok(()), |server| if keep { server.stop() } else { server.discard() })
        };
        let (kafka, postgres) = (self.kafka.take(), self.postgres.take());
        let outcomes = thread::scope(|scope| {
            let kafka = scope.spawn(move || end(kafka));
            let postgres = end(postgres);
            [kafka.join().unwrap_or(Ok(())), postgres]
        });
        let removed = self.folder.take().map_or(Ok(()), |mut folder| folder.close());
        outcomes.into_iter().chain([removed]).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Nothing can be reported from here; what is left is removed by the next start.
        let _ = self.end();
    }
}

/// A stack's folder and the lock that says that its owner lives.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    keep: bool,
    elsewhere: Option<PathBuf>,
    /// Held as long as the stack.
    owner: Option<File>,
}

impl Folder {
    fn open(config: &StackConfig) -> Result<Self> {
        let dev = project::dev_folder();
        // Under one lock for all, so that a folder just being made is not taken for one left behind.
        let folders = project::lock(&dev.join("folders.lock"), FOLDERS_LOCK_LIMIT)?;
        let abandoned = take_abandoned(&dev)?;
        let path = config.folder.clone();
        let owner = path.join(OWNER);
        let Some(owner) = project::try_lock(&owner)? else { return Err(Error::Locked { path: owner, waited_s: 0 }) };
        drop(folders);
        // Servers have many files: whoever starts meanwhile does not wait until they are gone.
        drop(abandoned);
        let elsewhere = fs::read_to_string(path.join(ELSEWHERE)).ok().map(PathBuf::from);
        Ok(Self { path, keep: config.keep_data, elsewhere, owner: Some(owner) })
    }

    fn note_postgres_folder(&mut self, folder: &Path) -> Result<()> {
        if !folder.starts_with(&self.path) {
            let note = self.path.join(ELSEWHERE);
            fs::write(&note, folder.display().to_string()).map_err(Error::file("write", &note))?;
            self.elsewhere = Some(folder.to_path_buf());
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let removed = if self.keep { Ok(()) } else { remove_with(&self.path, self.elsewhere.as_deref()) };
        self.owner = None;
        removed
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.owner.is_some() {
            // What is left of it is removed by the next start.
            let _ = self.close();
        }
    }
}

/// The folders whose owners are gone, under names that nobody else takes for theirs.
fn take_abandoned(dev: &Path) -> Result<Vec<Folder>> {
    let mut abandoned = Vec::new();
    let entries = fs::read_dir(dev).map_err(Error::file("read", dev))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_taken = name.starts_with(ABANDONED);
        if !is_taken && !name.starts_with("run-") {
            continue;
        }
        let Ok(Some(owner)) = project::try_lock(&path.join(OWNER)) else { continue };
        let taken = if is_taken { path.clone() } else { dev.join(format!("{ABANDONED}{name}")) };
        // Another user's leftovers must not keep us from starting.
        if is_taken || fs::rename(&path, &taken).is_ok() {
            let elsewhere = fs::read_to_string(taken.join(ELSEWHERE)).ok().map(PathBuf::from);
            abandoned.push(Folder { path: taken, keep: false, elsewhere, owner: Some(owner) });
        }
    }
    Ok(abandoned)
}

fn remove_with(path: &Path, elsewhere: Option<&Path>) -> Result<()> {
    // Last the folder that names the other one.
    elsewhere.map_or(Ok(()), project::remove_folder)?;
    project::remove_folder(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_servers_are_used_and_cannot_be_killed() {
        let config = StackConfig::in_project();
        let given = |text: &str| Some(text.to_owned());
        let stack = Stack::start_missing(config.clone(), given("broker:1"), given("postgres://h/d")).unwrap();
        assert_eq!(stack.brokers(), "broker:1");
        assert_eq!(stack.database_url(), "postgres://h/d");
        assert!(matches!(stack.kafka(), Err(Error::External { variable: "KAFKA_BROKERS", .. })));
        assert!(matches!(stack.postgres(), Err(Error::External { variable: "DATABASE_URL", .. })));
        stack.stop().unwrap();
        assert!(!config.folder.exists());
    }

    #[test]
    fn what_is_not_given_is_started() {
        let stack = Stack::start_missing(StackConfig::in_project(), Some("broker:1".to_owned()), None).unwrap();
        assert!(stack.kafka().is_err());
        assert!(stack.postgres().unwrap().is_ready());
        assert!(stack.new_database("shop").unwrap().ends_with("/shop"));
    }

    #[test]
    fn a_folder_left_behind_is_removed_and_one_in_use_is_not() {
        let left = StackConfig::in_project().folder;
        fs::create_dir_all(left.join("kafka")).unwrap();
        fs::write(left.join(OWNER), "").unwrap();
        let mut living = Folder::open(&StackConfig::in_project()).unwrap();
        let mut next = Folder::open(&StackConfig::in_project()).unwrap();
        assert!(!left.exists());
        assert!(living.path.exists());
        let second = Folder::open(&StackConfig::in_folder(&living.path));
        assert!(matches!(second, Err(Error::Locked { .. })), "one stack at a time");
        for folder in [&mut living, &mut next] {
            folder.close().unwrap();
            assert!(!folder.path.exists());
        }
    }

    #[test]
    fn a_server_that_does_not_start_says_why_and_takes_the_other_along() {
        let mut config = StackConfig::in_project();
        config.postgres_settings.push(("shared_buffers".to_owned(), "nonsense".to_owned()));
        let folder = config.folder.clone();
        let error = Stack::start(config).unwrap_err();
        assert!(matches!(&error, Error::Ended { tail, .. } if tail.contains("nonsense")), "{error}");
        assert!(!folder.exists());
    }
}
