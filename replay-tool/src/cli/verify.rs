//! `replay-tool verify`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use schemas::{Codec, ServiceName};

use crate::{CheckConfig, check};

/// Flags of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 everything holds, 1 something does not, 2 it could not be checked.")]
pub(super) struct Options {
    /// Kafka bootstrap addresses, host:port, several with commas.
    #[arg(long, env = "KAFKA_BROKERS", value_name = "HOST:PORT")]
    brokers: String,
    /// A librdkafka property, for instance security.protocol=ssl; may be repeated.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    properties: Vec<String>,
    /// Where the services' tables are: one URL for all services, or SERVICE=URL for one of order, inventory, payment; may
    /// be repeated.
    #[arg(
        long = "database-url",
        env = "DATABASE_URL",
        value_name = "[SERVICE=]URL",
        hide_env_values = true,
        required = true
    )]
    database_urls: Vec<String>,
    /// The schema of a service's tables, where it is not orders, inventory or payments; may be repeated.
    #[arg(long = "schema", value_name = "SERVICE=NAME")]
    schemas: Vec<String>,
    /// In front of every topic name.
    #[arg(long, env = "TOPIC_PREFIX", default_value = "", value_name = "TEXT")]
    topic_prefix: String,
    /// Statements of the payment simulator, as evidence of what was charged; may be repeated.
    #[arg(long = "statement", value_name = "FILE", num_args = 1..)]
    statements: Vec<PathBuf>,
    /// A directory of schemas beyond those compiled in, laid out as `schemas/`.
    #[arg(long, value_name = "DIRECTORY")]
    schema_directory: Option<PathBuf>,
    /// Nothing may be under way: unfinished orders and waiting records are violations.
    #[arg(long)]
    quiescent: bool,
    /// A stuck order is a violation.
    #[arg(long)]
    stuck_is_violation: bool,
    /// How long to wait, in seconds, for messages that are committed and not yet published.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    patience_s: u64,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Check and print. Whether everything holds, or why it could not be checked, in words.
pub(super) async fn run(options: Options) -> Result<bool, String> {
    let is_json = options.json;
    let report = check(config(options)?).await.map_err(|error| error.to_string())?;
    if is_json {
        println!("{}", serde_json::to_string(&report).map_err(|error| error.to_string())?);
    } else {
        print!("{report}");
    }
    Ok(report.is_clean())
}

fn config(options: Options) -> Result<CheckConfig, String> {
    let mut kafka = ClientConfig::new();
    kafka.set("bootstrap.servers", &options.brokers).set("client.id", "replay-tool");
    kafka.set_log_level(RDKafkaLogLevel::Error);
    let properties = workers::config::kafka_properties(&BTreeMap::new(), &options.properties);
    for (key, value) in properties.map_err(|error| error.to_string())? {
        kafka.set(key, value);
    }
    let mut config = CheckConfig::new(kafka, "");
    for given in &options.database_urls {
        match of_service(given) {
            Some((service, url)) => config.tables_mut(service).database_url = url.to_owned(),
            None => ServiceName::ALL.into_iter().for_each(|service| {
                let url = &mut config.tables_mut(service).database_url;
                if url.is_empty() {
                    url.clone_from(given);
                }
            }),
        }
    }
    for given in &options.schemas {
        let (service, schema) = of_service(given).ok_or_else(|| format!("--schema {given}: give SERVICE=NAME"))?;
        config.tables_mut(service).schema = schema.to_owned();
    }
    if let Some(service) = ServiceName::ALL.into_iter().find(|service| config.tables(*service).database_url.is_empty())
    {
        return Err(format!("no --database-url for the {service} service; give {service}=URL, or one URL for all"));
    }
    config.topic_prefix = options.topic_prefix;
    config.statements = options.statements;
    config.expect_quiescent = options.quiescent;
    config.stuck_is_violation = options.stuck_is_violation;
    config.patience = Duration::from_secs(options.patience_s);
    if let Some(directory) = options.schema_directory {
        config.codec = Codec::with_directory(&directory).map_err(|error| error.to_string())?;
    }
    Ok(config)
}

/// `SERVICE=VALUE`, where the first part is a service.
fn of_service(given: &str) -> Option<(ServiceName, &str)> {
    let (name, value) = given.split_once('=')?;
    let service = ServiceName::ALL.into_iter().find(|service| service.as_str() == name)?;
    Some((service, value))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(arguments: &str) -> Result<CheckConfig, String> {
        let words = std::iter::once("verify").chain(arguments.split_whitespace());
        config(Program::try_parse_from(words).map_err(|error| error.to_string())?.options)
    }

    #[test]
    fn one_url_serves_all_and_a_service_can_have_its_own() {
        let config =
            parsed("--brokers b:1 --database-url postgres://all/x?a=b --database-url payment=postgres://own/y")
                .unwrap();
        assert_eq!(config.order.database_url, "postgres://all/x?a=b");
        assert_eq!(config.payment.database_url, "postgres://own/y");
        assert_eq!((config.inventory.schema.as_str(), config.payment.schema.as_str()), ("inventory", "payments"));
    }

    #[test]
    fn a_service_without_a_url_is_named() {
        let error = parsed("--brokers b:1 --database-url order=postgres://own/y").unwrap_err();
        assert!(error.contains("inventory"), "{error}");
    }

    #[test]
    fn a_schema_of_no_service_is_a_mistake() {
        let error = parsed("--brokers b:1 --database-url postgres://all/x --schema shop").unwrap_err();
        assert!(error.contains("SERVICE=NAME"), "{error}");
    }
}
