//! Everything that can go wrong while servers are fetched, started, watched and stopped, in words a person can act on.
//!
//! A failure of a server carries the end of that server's log, because that is what the reader would look for next.

use std::io;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the development stack could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read, written, locked or removed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A program is not on this machine.
    #[error("`{program}` was not found: install the Debian package `{package}` (apt-get install {package})")]
    MissingProgram {
        /// The program looked for.
        program: &'static str,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// The Java runtime is too old for the broker.
    #[error("Kafka needs Java 17 or newer, and {} is older: install the Debian package `default-jre-headless`", java.display())]
    OldJava {
        /// The runtime that was used.
        java: PathBuf,
    },
    /// A helper program ended badly.
    #[error("{program} failed ({outcome}); the end of its output:\n{tail}")]
    Program {
        /// What ran.
        program: String,
        /// Its exit status, or that it took too long.
        outcome: String,
        /// The end of what it wrote.
        tail: String,
    },
    /// A package registry did not give what was asked for.
    #[error("{what} could not be fetched from {registry}: {cause}\n{}", hint(registry))]
    Fetch {
        /// What was wanted.
        what: String,
        /// From where.
        registry: &'static str,
        /// The client's own words.
        cause: String,
    },
    /// `KAFKA_HOME` is no Kafka.
    #[error("KAFKA_HOME is {}, and there is no Kafka in it (libs/kafka-server-*.jar)", home.display())]
    KafkaHome {
        /// What it names.
        home: PathBuf,
    },
    /// A process could not be created.
    #[error("cannot start {name}: {source}")]
    Spawn {
        /// The process's name in this stack.
        name: String,
        /// The system's word.
        source: io::Error,
    },
    /// A server ended before it answered.
    #[error("{name} ended ({status}) before it was ready; the end of {}:\n{tail}", log.display())]
    Ended {
        /// The server.
        name: String,
        /// Its exit status.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The end of that file.
        tail: String,
    },
    /// A server runs but did not answer in time.
    #[error("{name} is not ready after {waited_s} s ({said}); the end of {}:\n{tail}", log.display())]
    NotReady {
        /// The server.
        name: String,
        /// What it says, or what asking it came to.
        said: String,
        /// How long was waited, in seconds.
        waited_s: u64,
        /// Its log file.
        log: PathBuf,
        /// The end of that file.
        tail: String,
    },
    /// Another process holds a lock for too long.
    #[error("another process has held {} for {waited_s} s", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long was waited, in seconds.
        waited_s: u64,
    },
    /// The process is not running.
    #[error("{name} is not running")]
    NotRunning {
        /// The process's name in this stack.
        name: String,
    },
    /// A signal could not be sent, or a process did not go away after SIGKILL.
    #[error("cannot signal {name} (pid {pid}): {source}")]
    Signal {
        /// The process's name in this stack.
        name: String,
        /// Its process id.
        pid: i32,
        /// The system's word.
        source: io::Error,
    },
    /// The server was not started here.
    #[error("{name} was given by {variable}; this program did not start it and cannot stop, pause or kill it")]
    External {
        /// The server.
        name: &'static str,
        /// The environment variable that names it.
        variable: &'static str,
    },
    /// No loopback port was free.
    #[error("no free loopback port between {first} and {last}")]
    NoFreePort {
        /// First port tried.
        first: u16,
        /// Last port tried.
        last: u16,
    },
    /// Not a name for a database.
    #[error("`{name}` cannot name a database: 1 to 63 characters of a-z, 0-9 and _, not starting with a digit")]
    DatabaseName {
        /// The name given.
        name: String,
    },
    /// The database refused a statement, or could not be reached.
    #[error("Postgres, asked to `{statement}`: {reason}")]
    Sql {
        /// The statement.
        statement: String,
        /// The database's word.
        reason: String,
    },
    /// A certificate or a password could not be made.
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] openssl::error::ErrorStack),
    /// The broker was started without access control.
    #[error("this broker lets everybody in; start a stack with the profile `secure`")]
    NotSecured,
    /// Permissions could not be added.
    #[error("access lists: {reason}")]
    Acls {
        /// Which line, or what the broker says.
        reason: String,
    },
    /// The detached stack is not in the state that the command needs.
    #[error("{0}")]
    Detached(String),
    /// Postgres refuses to run as root, and there is no other way here.
    #[error("Postgres cannot run as root, and here is neither a user namespace nor a user `nobody`: be another user")]
    NoUser,
    /// A machine for which no Postgres binaries are published.
    #[error("no Postgres ≥ 15 on this machine and no binaries published for {architecture}: install `postgresql`")]
    Architecture {
        /// The machine's architecture.
        architecture: &'static str,
    },
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn file(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::File { action, path, source }
    }

    /// The same, unless a registry's client failed: then what it was to fetch, and the line in which it says why.
    pub(crate) fn fetching(self, what: &str, registry: &'static str) -> Error {
        let Error::Program { tail, .. } = &self else { return self };
        // Maven puts invisible letters before its mark.
        let cause = |line: &'_ str| line.split_once("ERROR").map(|(_, words)| words.to_owned());
        let line = tail.lines().find_map(cause).or_else(|| tail.lines().last().map(str::to_owned)).unwrap_or_default();
        let words = line.split(" -> [Help").next().unwrap_or_default();
        let cause = words.trim_start_matches([']', ':', ' ']).trim_end().to_owned();
        Error::Fetch { what: what.to_owned(), registry, cause }
    }

    /// The same, unless a log shows that the Java runtime could not read the broker's classes.
    pub(crate) fn or_old_java(self, java: &Path) -> Error {
        let (Error::Ended { tail, .. } | Error::Program { tail, .. }) = &self else { return self };
        if tail.contains("UnsupportedClassVersionError") { Error::OldJava { java: java.to_path_buf() } } else { self }
    }

    /// Whether a server gave up because somebody else has its port: then other ports may work.
    pub(crate) fn is_port_clash(&self) -> bool {
        let Error::Ended { tail, .. } = self else { return false };
        let clash = ["Address already in use", "Socket server failed to bind", "could not bind"];
        clash.iter().any(|words| tail.contains(words))
    }
}

/// What to do where a registry cannot be reached.
fn hint(registry: &str) -> &'static str {
    match registry {
        "Maven Central" => {
            "Behind a proxy, or with a mirror, Maven has to be told in ~/.m2/settings.xml; or set KAFKA_HOME to an unpacked Kafka, \
             and install `postgresql`."
        }
        _ => "Behind a proxy, or with a mirror, set it in the client's own configuration; or install the package.",
    }
}
