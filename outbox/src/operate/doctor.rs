//! Looks for what commonly keeps an outbox from working, and says what to do about it.
//!
//! Each check is one line: fine, a warning, or a problem. Checks that cannot be made (Kafka away, a view that may not be
//! read) say so and let the others go on.

mod grants;
mod pooler;
mod server;
mod topics;
mod transactions;

use deadpool_postgres::ClientWrapper;
use rdkafka::ClientConfig;
use serde::Serialize;

use super::OperateError;
use crate::database::Database;
use crate::{migrate, sql};

/// What to look at. Made by [`DoctorConfig::new`]; the fields may then be changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DoctorConfig {
    /// Database schema of the outbox.
    pub schema: String,
    /// Any librdkafka properties: brokers, TLS, SASL.
    pub kafka: ClientConfig,
    /// Role that programs which append use; none: its grants are not looked at.
    pub writer_role: Option<String>,
    /// Role that services in other languages use, which insert into `outbox_sends`; none: its grants are not looked at.
    pub sender_role: Option<String>,
    /// Role that relays use; none: the grants of the role that looks.
    pub relay_role: Option<String>,
    /// Largest record that writers are configured for (`max_message_bytes`), dead letters excluded. Default 1,000,000.
    pub max_message_bytes: usize,
    /// How long the outbox keeps published rows. Default 1 h.
    pub retention: std::time::Duration,
    /// From which age on a transaction is old. Default 60 s.
    pub old_transaction: std::time::Duration,
    /// The consumer group whose offsets say how far the topics are archived: topics that delete by age are compared with it.
    /// None: nobody archives them, and retention is the operator's own choice.
    pub archive_group: Option<String>,
}

impl DoctorConfig {
    /// With the defaults named at the fields.
    pub fn new(schema: impl Into<String>, kafka: ClientConfig) -> Self {
        Self {
            schema: schema.into(),
            kafka,
            writer_role: None,
            sender_role: None,
            relay_role: None,
            max_message_bytes: 1_000_000,
            retention: std::time::Duration::from_secs(3600),
            old_transaction: std::time::Duration::from_secs(60),
            archive_group: None,
        }
    }
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but not as it should, or not under all circumstances.
    Warning,
    /// Does not work, or can lose messages.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What, in a word or two.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do; none if all is well.
    pub advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, found: found.into(), advice: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, level: Level::Warning, found: found.into(), advice: Some(advice.into()) }
    }

    fn problem(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, level: Level::Problem, found: found.into(), advice: Some(advice.into()) }
    }
}

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Version of this program.
    pub version: &'static str,
    /// In the order in which it was looked at.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// The worst that was found.
    pub fn level(&self) -> Level {
        self.checks.iter().map(|check| check.level).max().unwrap_or(Level::Ok)
    }
}

/// Looks at everything.
///
/// # Errors
/// When the database cannot be reached; everything else is a check.
pub async fn doctor(database: &Database, config: &DoctorConfig) -> Result<Diagnosis, OperateError> {
    let quoted = sql::quoted_schema(&config.schema)?;
    let client = super::connect(database, &config.schema).await?;
    let mut checks = vec![Check::ok("program", format!("outbox-relay {}", env!("CARGO_PKG_VERSION")))];
    checks.extend(pooler::checks(database, &client).await);
    checks.extend(gather("server", server::checks(&client).await));
    let version = migrate::check(&client, &config.schema).await;
    match version {
        Ok(()) => checks.push(Check::ok("tables", format!("schema {}, of this program's version", config.schema))),
        Err(error) => {
            let advice = "outbox-relay migrate creates or upgrades them; a newer version needs a newer program";
            checks.push(Check::problem("tables", error.to_string(), advice));
            return Ok(Diagnosis { version: env!("CARGO_PKG_VERSION"), checks });
        }
    }
    let look = Look { client: &client, quoted: &quoted, config };
    checks.extend(gather("sessions", transactions::checks(&look).await));
    checks.extend(gather("grants", grants::checks(&look).await));
    checks.extend(gather("topics", topics::checks(&look).await));
    Ok(Diagnosis { version: env!("CARGO_PKG_VERSION"), checks })
}

/// What all checks of one outbox need.
struct Look<'l> {
    client: &'l ClientWrapper,
    quoted: &'l str,
    config: &'l DoctorConfig,
}

/// A check that could not be made is a problem of its own.
fn gather(name: &'static str, checks: Result<Vec<Check>, OperateError>) -> Vec<Check> {
    checks.unwrap_or_else(|error| {
        vec![Check::problem(name, format!("could not be looked at: {error}"), "mend that first, then look again")]
    })
}
