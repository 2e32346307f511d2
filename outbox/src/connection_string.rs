//! Where a database is and how to reach it, as `libpq` writes it: a URL or `name=value` words, which mean the same.
//!
//! The driver reads both too, but knows only a part of the options, reads some in other units, and takes neither
//! `verify-full` nor a certificate. So this is the one reader of all programs. What is not supported is refused by name, for
//! a setting without effect is worse than an error. Deliberately absent: what libpq takes from the environment
//! (`PGHOST`, …), from `~/.postgresql`, from a password file or a service file; and Kerberos.

mod notation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, TargetSessionAttrs};

use crate::database::Database;
use crate::tls::{self, Identity, Roots, SslMode, Tls, TlsError, TlsSettings};

/// Every option, in the order in which they are shown.
const OPTIONS: [&str; 22] = [
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "application_name",
    "options",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "target_session_attrs",
    "load_balance_hosts",
    "channel_binding",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
];

/// Those whose values are never shown.
const SECRETS: [&str; 2] = ["password", "sslpassword"];

const HIDDEN: &str = "[redacted]";

/// Why a connection string cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionStringError {
    /// It cannot be taken apart.
    #[error("the connection string cannot be read: {reason}")]
    Syntax {
        /// What is wrong, without any part that can be secret.
        reason: String,
    },
    /// No such option, or none that is supported.
    #[error("unknown option {name} in the connection string; known are {}", OPTIONS.join(", "))]
    UnknownOption {
        /// Its name.
        name: String,
    },
    /// An option has a value that it cannot have.
    #[error("{option} in the connection string: {reason}")]
    Value {
        /// Which option.
        option: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// TLS cannot be set up as it is asked for.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A connection string that was read. Shown, it is in `name=value` words without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    given: Given,
    config: Config,
    tls: TlsSettings,
}

impl ConnectionString {
    /// Reads either notation; looks at no file and asks no server.
    ///
    /// # Errors
    /// [`ConnectionStringError`], which never holds a password.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let given = Given::read(notation::pairs(text)?)?;
        let config = config(&given)?;
        let tls = tls_settings(&given)?;
        let mut connection = Self { given, config, tls };
        connection.encrypt()?;
        Ok(connection)
    }

    /// Tells the driver what the TLS settings ask of it.
    fn encrypt(&mut self) -> Result<(), ConnectionStringError> {
        use tokio_postgres::config::Host;
        let hosts = self.config.get_hosts();
        let sockets = hosts.iter().filter(|host| matches!(host, Host::Unix(_))).count();
        let mode = self.tls.mode;
        if self.given.text("host").is_none() && mode == SslMode::VerifyFull {
            return Err(wrong("sslmode", "verify-full compares the certificate with a host's name: give host"));
        }
        if sockets > 0 && sockets == hosts.len() {
            // As in libpq: no one listens in on a local socket.
            self.config.ssl_mode(tokio_postgres::config::SslMode::Disable);
            return Ok(());
        }
        if sockets > 0 && !matches!(mode, SslMode::Disable | SslMode::Prefer) {
            return Err(wrong("host", format!("a local socket has no TLS, which sslmode={mode} demands")));
        }
        self.config.ssl_mode(mode.of_driver());
        Ok(())
    }

    /// The same with another password, for one that comes from elsewhere.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self.given.0.insert("password", password.to_owned());
        self
    }

    /// What the driver is told.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The connector for the driver: reads the certificates' files.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn tls(&self) -> Result<Tls, TlsError> {
        Tls::new(&self.tls)
    }
}

impl FromStr for ConnectionString {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = OPTIONS.iter().filter_map(|option| Some((option, self.given.0.get(option)?)));
        for (number, (option, value)) in shown.enumerate() {
            let value = if SECRETS.contains(option) { HIDDEN.to_owned() } else { quoted(value) };
            write!(f, "{}{option}={value}", if number == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionString({self})")
    }
}

/// A value as it is written in a word.
fn quoted(value: &str) -> String {
    if !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '\\') {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl Database {
    /// From a URL or `name=value` words: `postgres://user:password@host/name?sslmode=verify-full`. Nothing is connected yet.
    ///
    /// # Errors
    /// When the string or a certificate's file cannot be used.
    pub fn from_connection_string(text: &str) -> Result<Self, ConnectionStringError> {
        let connection = ConnectionString::parse(text)?;
        Ok(Self::new(connection.config.clone(), connection.tls()?))
    }
}

fn wrong(option: &'static str, reason: impl Into<String>) -> ConnectionStringError {
    ConnectionStringError::Value { option, reason: reason.into() }
}

/// The options with their values; the last of several counts, and an empty one, where a text is expected, is none.
#[derive(Clone, PartialEq, Eq)]
struct Given(BTreeMap<&'static str, String>);

impl Given {
    fn read(pairs: Vec<notation::Pair>) -> Result<Self, ConnectionStringError> {
        let mut given = BTreeMap::new();
        let mut follows_secret = false;
        for (name, value) in pairs {
            let Some(option) = OPTIONS.iter().find(|option| **option == name) else {
                // A blank in a password that is not quoted makes an option's name of what follows it.
                let hidden = "(not shown: it may be a part of the password before it)".to_owned();
                return Err(ConnectionStringError::UnknownOption { name: if follows_secret { hidden } else { name } });
            };
            follows_secret = SECRETS.contains(option);
            given.insert(*option, value);
        }
        Ok(Self(given))
    }

    fn text(&self, option: &'static str) -> Option<&str> {
        self.0.get(option).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn list(&self, option: &'static str) -> Vec<&str> {
        self.text(option).map(|list| list.split(',').map(str::trim).collect()).unwrap_or_default()
    }

    fn number(&self, option: &'static str) -> Result<Option<u32>, ConnectionStringError> {
        let read = |text: &str| text.trim().parse().map_err(|_| wrong(option, "give a whole number"));
        self.text(option).map(read).transpose()
    }

    /// A number of units, of which 0 stands for the default.
    fn time(&self, option: &'static str, unit: Duration) -> Result<Option<Duration>, ConnectionStringError> {
        Ok(self.number(option)?.filter(|number| *number > 0).map(|number| unit * number))
    }

    fn choice<T: Copy>(&self, option: &'static str, choices: &[(&str, T)]) -> Result<Option<T>, ConnectionStringError> {
        let Some(given) = self.0.get(option) else { return Ok(None) };
        let found = choices.iter().find(|(word, _)| word == given).map(|(_, choice)| *choice);
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        found.map(Some).ok_or_else(|| wrong(option, format!("{given:?} is unknown; use {}", words.join(", "))))
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// What the driver itself knows.
fn config(given: &Given) -> Result<Config, ConnectionStringError> {
    let mut config = Config::new();
    places(given, &mut config)?;
    given.text("user").map(|user| config.user(user));
    given.text("password").map(|password| config.password(password));
    given.text("dbname").map(|name| config.dbname(name));
    given.text("options").map(|options| config.options(options));
    given.text("application_name").map(|name| config.application_name(name));
    given.time("connect_timeout", SECOND)?.map(|time| config.connect_timeout(time));
    given.time("tcp_user_timeout", MILLISECOND)?.map(|time| config.tcp_user_timeout(time));
    given.number("keepalives")?.map(|number| config.keepalives(number != 0));
    given.time("keepalives_idle", SECOND)?.map(|time| config.keepalives_idle(time));
    given.time("keepalives_interval", SECOND)?.map(|time| config.keepalives_interval(time));
    given.number("keepalives_count")?.map(|number| config.keepalives_retries(number));
    let sessions = [
        ("any", TargetSessionAttrs::Any),
        ("read-write", TargetSessionAttrs::ReadWrite),
        ("read-only", TargetSessionAttrs::ReadOnly),
    ];
    given.choice("target_session_attrs", &sessions)?.map(|attributes| config.target_session_attrs(attributes));
    let orders = [("disable", LoadBalanceHosts::Disable), ("random", LoadBalanceHosts::Random)];
    given.choice("load_balance_hosts", &orders)?.map(|order| config.load_balance_hosts(order));
    let bindings = [
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
        ("require", ChannelBinding::Require),
    ];
    given.choice("channel_binding", &bindings)?.map(|binding| config.channel_binding(binding));
    Ok(config)
}

/// The servers, tried in turn.
fn places(given: &Given, config: &mut Config) -> Result<(), ConnectionStringError> {
    let (hosts, addresses, ports) = (given.list("host"), given.list("hostaddr"), given.list("port"));
    if hosts.is_empty() && addresses.is_empty() {
        return Err(wrong("host", "it is missing: give a name, an address, or the folder of a local socket"));
    }
    if !addresses.is_empty() && !hosts.is_empty() && addresses.len() != hosts.len() {
        return Err(wrong("hostaddr", format!("{} addresses for {} hosts", addresses.len(), hosts.len())));
    }
    if ports.len() > 1 && ports.len() != hosts.len().max(addresses.len()) {
        return Err(wrong("port", "give one for all hosts, or one for each"));
    }
    // The driver wants a name wherever it encrypts; an address is its own.
    for host in if hosts.is_empty() { &addresses } else { &hosts } {
        if host.is_empty() {
            return Err(wrong("host", "one of several is empty"));
        }
        if host.contains('@') {
            // Not repeated: what stands before the @ is most likely the end of a password.
            return Err(wrong("host", "it holds an @; in a URL, write that of a user or password as %40"));
        }
        config.host(*host);
    }
    for address in addresses {
        let address: IpAddr = address.parse().map_err(|_| wrong("hostaddr", "give an IP address"))?;
        config.hostaddr(address);
    }
    for port in ports {
        // Not repeated either: `postgres://user:pass/word@host` has one here.
        let no_number = || wrong("port", "it is not a port; in a URL, write a / of a password as %2F");
        config.port(if port.is_empty() { 5432 } else { port.parse().map_err(|_| no_number())? });
    }
    Ok(())
}

/// How to encrypt, and whom to trust.
fn tls_settings(given: &Given) -> Result<TlsSettings, ConnectionStringError> {
    if given.0.get("sslmode").is_some_and(|mode| mode == "allow") {
        return Err(wrong("sslmode", "allow is not supported; use prefer, which encrypts where the server can"));
    }
    let asked = given.choice("sslmode", &SslMode::ALL.map(|mode| (mode.as_str(), mode)))?;
    let roots = match given.text("sslrootcert") {
        None => None,
        Some("system") => Some(Roots::System),
        Some(file) => Some(Roots::File(file.into())),
    };
    // The system's roots vouch for anybody who has any certificate at all, so only a name makes it this server.
    let mode = match (asked, &roots) {
        (Some(SslMode::VerifyFull) | None, Some(Roots::System)) => SslMode::VerifyFull,
        (Some(mode), Some(Roots::System)) => {
            let reason = format!("system needs sslmode=verify-full, not {mode}: it trusts every public certificate");
            return Err(wrong("sslrootcert", reason));
        }
        (Some(SslMode::VerifyCa), None) => {
            return Err(wrong("sslrootcert", "sslmode=verify-ca needs a file with the authority's certificate"));
        }
        (asked, _) => asked.unwrap_or(SslMode::Prefer),
    };
    let identity = match (given.text("sslcert"), given.text("sslkey")) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            let password = given.text("sslpassword").map(str::to_owned);
            Some(Identity { certificate: certificate.into(), key: key.into(), password })
        }
        (Some(_), None) => return Err(wrong("sslkey", "sslcert needs it: the file with the certificate's key")),
        (None, Some(_)) => return Err(wrong("sslcert", "sslkey needs it: the file with the key's certificate")),
    };
    Ok(tls::TlsSettings { mode, roots, identity })
}
