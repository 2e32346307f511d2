//! What an operator asks of a worker's program besides running it: each looks, does one thing, says what it did, and ends.
//!
//! Deliberately absent: what is done (`provision`, `accept_gap`); here it is called, and told.

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
    match (done.from, done.to) {
        (0, to) => println!("schema {schema} of the {service} service: made, version {to}"),
        (from, to) if from == to => println!("schema {schema} of the {service} service: is at version {to} already"),
        (from, to) => println!("schema {schema} of the {service} service: from version {from} to {to}"),
    }
    if let Some(role) = role {
        let given = migrate::grant(&mut client, service, schema, role).await.map_err(DaemonError::of_database)?;
        given.iter().for_each(|statement| println!("{statement};"));
        if given.is_empty() {
            println!("role {role} has every right that it needs");
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
    println!("topics: {made} made, {found} were there; {partitions} partitions each, as they have to be");
    Ok(())
}

/// Says what is wrong with the topics, and what could be; strict: both are errors.
pub(crate) async fn check_topics(config: &Config, is_strict: bool) -> Result<(), DaemonError> {
    let checked = topics::check(&config.client_config(), &config.topic_prefix, None, clock::now())
        .await
        .map_err(DaemonError::of)?;
    let topics::Checked { partitions, alarms, warnings } = checked;
    let count = 2 * TopicName::ALL.len();
    println!("topics: all {count} are there; {partitions} partitions each, as they have to be");
    let (bad, told) = if is_strict { ([alarms, warnings].concat(), Vec::new()) } else { (alarms, warnings) };
    told.iter().for_each(|warning| println!("warning: {warning}"));
    if bad.is_empty() { Ok(()) } else { Err(DaemonError(bad.join("\n"))) }
}

/// Lets a held partition go on after its missing messages.
pub(crate) async fn accept_gap(service: ServiceName, config: &Config, gap: &Gap) -> Result<(), DaemonError> {
    let database = database(service, config)?;
    let client = database.first_client().await.map_err(DaemonError::of)?;
    migrate::check(&client, service, &config.schema).await.map_err(DaemonError::of_database)?;
    drop(client);
    let done = accept_gap::accept(&database, &config.topic_prefix, service, gap).await.map_err(DaemonError::of)?;
    println!("{done}");
    Ok(())
}
