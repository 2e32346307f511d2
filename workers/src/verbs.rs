//! What an operator asks of a worker's program besides running it: each looks, does one thing, says what it did, and ends.
//!
//! Deliberately absent: what is done (`provision`, `accept_gap`); here it is called, and told.

use grammar::{Exit, Tone, complain, counted, paint};
use provision::topics::TopicsError;
use provision::{migrate, topics};
use schemas::{ServiceName, TopicName};

use crate::accept_gap::{self, Gap};
use crate::clock;
use crate::config::Config;
use crate::daemon::{DaemonError, database};

/// Makes or upgrades a service's schema, and gives a role what its work takes.
pub(crate) async fn migrate(service: ServiceName, config: &Config, role: Option<&str>) -> Result<(), DaemonError> {
    let schema = &config.schema;
    let mut client = database(service, config)?.first_client().await.map_err(DaemonError::of)?;
    let done = migrate::migrate(&mut client, service, schema).await.map_err(DaemonError::of_database)?;
    let what = match (done.from, done.to) {
        (0, to) => format!("made, version {to}"),
        (from, to) if from == to => format!("is at version {to} already"),
        (from, to) => format!("from version {from} to {to}"),
    };
    say(&format!("schema {schema} of the {service} service: {what}"))?;
    if let Some(role) = role {
        let given = migrate::grant(&mut client, service, schema, role).await.map_err(DaemonError::of_database)?;
        let statements: Vec<String> = given.iter().map(|statement| format!("{statement};")).collect();
        match statements.is_empty() {
            true => say(&format!("role {role} has every right that it needs"))?,
            false => say(&statements.join("\n"))?,
        }
    }
    Ok(())
}

/// Creates what is missing.
pub(crate) async fn create_topics(config: &Config) -> Result<(), DaemonError> {
    let (kafka, prefix) = (config.client_config(), &config.topic_prefix);
    let created = topics::create(&kafka, prefix, config.partitions, config.replicas, clock::now())
        .await
        .map_err(DaemonError::of)?;
    let topics::Created { made, found, partitions } = created;
    let partitions = counted(u64::try_from(partitions).unwrap_or(0), "partition");
    say(&format!("topics: {made} made, {found} were there; {partitions} each, as they have to be"))
}

/// Says what is wrong with the topics, and what could be; strict: both count.
pub(crate) async fn check_topics(config: &Config, is_strict: bool) -> Result<Exit, DaemonError> {
    let checked = match topics::check(&config.client_config(), &config.topic_prefix, None, clock::now()).await {
        Ok(checked) => checked,
        Err(TopicsError::Mistakes(mistakes)) => return Ok(found(config, &mistakes)),
        Err(error) => return Err(DaemonError::of(error)),
    };
    let topics::Checked { partitions, alarms, warnings } = checked;
    let count = 2 * TopicName::ALL.len();
    let partitions = counted(u64::try_from(partitions).unwrap_or(0), "partition");
    say(&format!("topics: all {count} are there; {partitions} each, as they have to be"))?;
    let (bad, told) = if is_strict { ([alarms, warnings].concat(), Vec::new()) } else { (alarms, warnings) };
    for warning in told {
        say(&format!("{} {warning}", paint(Tone::Warning, "warning:")))?;
    }
    Ok(found(config, &bad))
}

/// What is not as it has to be, said on stderr.
fn found(config: &Config, mistakes: &[String]) -> Exit {
    mistakes.iter().for_each(|mistake| complain(&format!("{}-worker", config.service), mistake));
    Exit::done_if(mistakes.is_empty())
}

/// Says what was done.
pub(crate) fn say(text: &str) -> Result<(), DaemonError> {
    grammar::say(text).map_err(DaemonError::of)
}

/// Lets a held partition go on after its missing messages.
pub(crate) async fn accept_gap(service: ServiceName, config: &Config, gap: &Gap) -> Result<(), DaemonError> {
    let database = database(service, config)?;
    let client = database.first_client().await.map_err(DaemonError::of)?;
    migrate::check(&client, service, &config.schema).await.map_err(DaemonError::of_database)?;
    drop(client);
    let done = accept_gap::accept(&database, &config.topic_prefix, service, gap).await.map_err(DaemonError::of)?;
    say(&done.to_string())
}
