//! The daemons' configuration: flag over environment over file over default, read once, every mistake named at start-up.
//!
//! Secrets also come from files (`DATABASE_URL_FILE`, `DATABASE_PASSWORD_FILE`, `KAFKA_SASL_PASSWORD_FILE`,
//! `KAFKA_SASL_TOKEN_FILE`), and are never printed.
//! Any librdkafka property passes through the `[kafka]` table or `-X`; the few that correctness rests on are set after it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use client::settings::{SettingError, kafka_properties, secret};
use domain::simulator::SimulatorConfig;
use outbox::ConnectionString;
use rdkafka::ClientConfig;
use schemas::ServiceName;
use serde::{Deserialize, Serialize};

use crate::listen::Listen;

/// Settings as flags and environment variables.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// Configuration file (TOML); flags and environment win over it.
    #[arg(long, env = "PIPELINE_CONFIG", global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Kafka brokers, host:port, comma-separated.
    #[arg(long, env = "KAFKA_BROKERS", global = true)]
    pub brokers: Option<String>,
    /// A librdkafka property, for instance `-X security.protocol=SASL_SSL`; repeatable.
    #[arg(short = 'X', value_name = "KEY=VALUE", global = true)]
    pub properties: Vec<String>,
    /// Postgres, as a URL or in name=value words, as libpq reads them; see docs/postgres.md.
    #[arg(long, env = "DATABASE_URL", global = true, hide_env_values = true)]
    pub database_url: Option<String>,
    /// Schema of this service's tables.
    #[arg(long, env = "DATABASE_SCHEMA", global = true)]
    pub schema: Option<String>,
    /// In front of every topic name and group id.
    #[arg(long, env = "TOPIC_PREFIX", global = true)]
    pub topic_prefix: Option<String>,
    /// Stable name of this instance: a restart within the session time-out moves no partition.
    #[arg(long, env = "INSTANCE_ID", global = true)]
    pub instance_id: Option<String>,
    /// Address of /livez, /readyz and /metrics.
    #[arg(long, env = "LISTEN", global = true)]
    pub listen: Option<Listen>,
    /// text or json.
    #[arg(long, env = "LOG_FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
    /// Log filter, for instance `info,workers=debug`.
    #[arg(long, env = "LOG", global = true)]
    pub log: Option<String>,
    /// Partitions of the topics that `topics create` makes; the same for all, for ever.
    #[arg(long, env = "TOPIC_PARTITIONS", global = true)]
    pub partitions: Option<i32>,
    /// Replicas of the topics that `topics create` makes.
    #[arg(long, env = "TOPIC_REPLICAS", global = true)]
    pub replicas: Option<i32>,
    /// The most messages of one transaction.
    #[arg(long, env = "MAX_BATCH_ITEMS", global = true)]
    pub max_batch_items: Option<usize>,
    /// How long messages may collect under load before their transaction, in microseconds; 0: not at all.
    #[arg(long, env = "MAX_PACE_US", global = true)]
    pub max_pace_us: Option<u64>,
    /// How long the relay's producer waits for more messages before it sends, in microseconds.
    #[arg(long, env = "RELAY_LINGER_US", global = true)]
    pub relay_linger_us: Option<u64>,
    /// How long Kafka and Postgres may be late at the start, together, in seconds.
    #[arg(long, env = "START_TIMEOUT_S", global = true)]
    pub start_timeout_s: Option<u64>,
    /// How long draining may take after SIGTERM, in seconds.
    #[arg(long, env = "SHUTDOWN_TIMEOUT_S", global = true)]
    pub shutdown_timeout_s: Option<u64>,
    /// Directory with further schema versions and their lock file.
    #[arg(long, env = "SCHEMA_DIRECTORY", global = true)]
    pub schema_directory: Option<PathBuf>,
    /// Order service: how long an order may take to be confirmed, in milliseconds.
    #[arg(long, env = "CONFIRM_WITHIN_MS", global = true)]
    pub confirm_within_ms: Option<i64>,
    /// Payment service: share of authorizations that the simulated provider declines, in parts per million.
    #[arg(long, env = "SIMULATOR_DECLINE_PER_MILLION", global = true)]
    pub simulator_decline_per_million: Option<u32>,
    /// Payment service: file to which the simulated provider appends its statement.
    #[arg(long, env = "SIMULATOR_STATEMENT", global = true)]
    pub simulator_statement: Option<PathBuf>,
    /// For the project's own tests: a planted bug by name; a release daemon refuses it.
    #[arg(long, env = "PLANTED_BUG", global = true, hide = true)]
    pub planted_bug: Option<String>,
}

/// Settings as a file has them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    brokers: Option<String>,
    database_url: Option<String>,
    schema: Option<String>,
    topic_prefix: Option<String>,
    instance_id: Option<String>,
    listen: Option<Listen>,
    log_format: Option<LogFormat>,
    log: Option<String>,
    partitions: Option<i32>,
    replicas: Option<i32>,
    max_batch_items: Option<usize>,
    max_pace_us: Option<u64>,
    relay_linger_us: Option<u64>,
    start_timeout_s: Option<u64>,
    shutdown_timeout_s: Option<u64>,
    schema_directory: Option<PathBuf>,
    confirm_within_ms: Option<i64>,
    kafka: BTreeMap<String, toml::Value>,
    simulator: Option<SimulatorConfig>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The effective configuration of one daemon.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// Which service.
    pub service: &'static str,
    /// Kafka brokers.
    pub brokers: String,
    /// Postgres URL.
    pub database_url: String,
    /// Postgres password, where it is not in the URL.
    pub database_password: Option<String>,
    /// Schema of the service's tables.
    pub schema: String,
    /// In front of every topic name and group id.
    pub topic_prefix: String,
    /// Stable name of the instance.
    pub instance_id: Option<String>,
    /// Address of the HTTP endpoints.
    pub listen: SocketAddr,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Log filter.
    pub log: String,
    /// Partitions of created topics.
    pub partitions: i32,
    /// Replicas of created topics.
    pub replicas: i32,
    /// The most messages of one transaction.
    pub max_batch_items: usize,
    /// The longest collecting under load, in microseconds.
    pub max_pace_us: u64,
    /// How long the relay's producer waits for more, in microseconds.
    pub relay_linger_us: u64,
    /// How long servers are waited for at the start, in seconds.
    pub start_timeout_s: u64,
    /// Deadline of draining, in seconds.
    pub shutdown_timeout_s: u64,
    /// Directory with further schema versions.
    pub schema_directory: Option<PathBuf>,
    /// Order service: time to confirm, in milliseconds.
    pub confirm_within_ms: i64,
    /// Planted bug, for the project's own tests.
    pub planted_bug: Option<String>,
    /// librdkafka properties.
    pub kafka: BTreeMap<String, String>,
    /// Payment service: the simulated provider.
    pub simulator: SimulatorConfig,
}

impl Config {
    /// Put the sources together.
    pub fn resolve(service: ServiceName, flags: &Flags) -> Result<Config, SettingError> {
        let file = match &flags.config {
            Some(path) => read_file(path)?,
            None => File::default(),
        };
        let mut simulator = file.simulator.clone().unwrap_or_default();
        if let Some(share) = flags.simulator_decline_per_million {
            simulator.decline_per_million = share;
        }
        if let Some(path) = &flags.simulator_statement {
            simulator.statement = Some(path.clone());
        }
        let kafka = kafka_properties(&file.kafka, &flags.properties)?;
        let flags = flags.clone();
        let config = Config {
            service: service.as_str(),
            brokers: flags.brokers.or(file.brokers).unwrap_or_default(),
            database_url: secret("DATABASE_URL", flags.database_url)?.or(file.database_url).unwrap_or_default(),
            database_password: secret("DATABASE_PASSWORD", std::env::var("DATABASE_PASSWORD").ok())?,
            schema: flags.schema.or(file.schema).unwrap_or_else(|| service.default_schema().to_owned()),
            topic_prefix: flags.topic_prefix.or(file.topic_prefix).unwrap_or_default(),
            instance_id: flags.instance_id.or(file.instance_id),
            listen: flags.listen.or(file.listen).map_or_else(|| default_listen(service), |listen| listen.0),
            log_format: flags.log_format.or(file.log_format).unwrap_or_default(),
            log: flags.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
            partitions: flags.partitions.or(file.partitions).unwrap_or(6),
            replicas: flags.replicas.or(file.replicas).unwrap_or(-1),
            max_batch_items: flags.max_batch_items.or(file.max_batch_items).unwrap_or(1000),
            max_pace_us: flags.max_pace_us.or(file.max_pace_us).unwrap_or(10_000),
            relay_linger_us: flags.relay_linger_us.or(file.relay_linger_us).unwrap_or(0),
            start_timeout_s: flags.start_timeout_s.or(file.start_timeout_s).unwrap_or(60),
            shutdown_timeout_s: flags.shutdown_timeout_s.or(file.shutdown_timeout_s).unwrap_or(20),
            schema_directory: flags.schema_directory.or(file.schema_directory),
            confirm_within_ms: flags.confirm_within_ms.or(file.confirm_within_ms).unwrap_or(60_000),
            planted_bug: flags.planted_bug,
            kafka,
            simulator,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), SettingError> {
        let wrong = |text: String| Err(SettingError::Setting(text));
        if self.brokers.is_empty() {
            return wrong("no Kafka brokers: set KAFKA_BROKERS or --brokers, for instance localhost:9092".into());
        }
        if self.database_url.is_empty() {
            return wrong(
                "no database: set DATABASE_URL or --database-url, for instance postgres://pipeline@localhost:5432/shop"
                    .into(),
            );
        }
        ConnectionString::parse(&self.database_url)
            .map_err(|error| SettingError::Setting(format!("DATABASE_URL or --database-url: {error}")))?;
        outbox::check_schema_name(&self.schema)
            .map_err(|error| SettingError::Setting(format!("{error}; set DATABASE_SCHEMA or --schema")))?;
        if !self.topic_prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            return wrong(format!("topic prefix {:?}: letters, digits, '.', '_' and '-' only", self.topic_prefix));
        }
        if !(1..=10_000).contains(&self.partitions) {
            return wrong(format!("partitions = {}: give 1 to 10000", self.partitions));
        }
        if !(1..=10_000).contains(&self.max_batch_items) {
            return wrong(format!("max_batch_items = {}: give 1 to 10000", self.max_batch_items));
        }
        if !(1..=86_400_000 * 30).contains(&self.confirm_within_ms) {
            return wrong(format!("confirm_within_ms = {}: give 1 to 30 days", self.confirm_within_ms));
        }
        Ok(())
    }

    /// librdkafka's configuration with the user's properties.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", format!("{}-worker", self.service));
        for (key, value) in &self.kafka {
            config.set(key, value);
        }
        config
    }

    /// The consumer group.
    pub fn group(&self) -> String {
        format!("{}{}-worker", self.topic_prefix, self.service)
    }

    /// As TOML, with every secret replaced.
    pub fn redacted(&self) -> Result<String, SettingError> {
        let mut copy = self.clone();
        // As it was understood, in libpq's words; `check` has read it before.
        copy.database_url =
            ConnectionString::parse(&copy.database_url).map_or(HIDDEN.to_owned(), |read| read.to_string());
        copy.database_password = copy.database_password.map(|_| HIDDEN.to_owned());
        for (_, value) in copy.kafka.iter_mut().filter(|(key, _)| outbox::kafka::is_secret(key)) {
            *value = HIDDEN.to_owned();
        }
        toml::to_string_pretty(&copy)
            .map_err(|error| SettingError::Setting(format!("the configuration cannot be shown: {error}")))
    }
}

const HIDDEN: &str = "[redacted]";

fn default_listen(service: ServiceName) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], service.default_port()))
}

fn read_file(path: &Path) -> Result<File, SettingError> {
    let failed = |reason: String| SettingError::File {
        what: "the configuration file",
        path: path.display().to_string(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    toml::from_str(&text).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        Flags {
            brokers: Some("localhost:9092".into()),
            database_url: Some("postgres://shop:hush@db:5432/shop?sslmode=require".into()),
            ..Flags::default()
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut flags = flags();
        flags.properties = vec!["sasl.password=hush".into(), "ssl.key.pem=hush".into(), "linger.ms=5".into()];
        let shown = Config::resolve(ServiceName::Order, &flags).unwrap().redacted().unwrap();
        assert!(!shown.contains("hush"), "{shown}");
        let database = "host=db port=5432 user=shop password=[redacted] dbname=shop sslmode=require";
        assert!(shown.contains("linger.ms") && shown.contains(database), "{shown}");
    }

    #[test]
    fn a_connection_string_that_cannot_be_used_is_refused_here_without_its_password() {
        for wrong in ["postgres://shop:hush@db/shop?sslmod=require", "host=db password=hush sslmode=allow", "hush"] {
            let error = Config::resolve(ServiceName::Order, &Flags { database_url: Some(wrong.into()), ..flags() });
            let said = error.unwrap_err().to_string();
            assert!(said.contains("DATABASE_URL") && !said.contains("hush"), "{said}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = Config::resolve(ServiceName::Order, &Flags { brokers: None, ..flags() }).unwrap_err();
        assert!(error.to_string().contains("KAFKA_BROKERS"), "{error}");
    }

    #[test]
    fn a_schema_that_the_outbox_would_not_take_is_refused_here() {
        let long = "s".repeat(57);
        for name in ["", "Orders", "my-orders", "1orders", "orders\0", &long] {
            let error =
                Config::resolve(ServiceName::Order, &Flags { schema: Some(name.into()), ..flags() }).unwrap_err();
            assert!(error.to_string().contains("schema") && error.to_string().contains("56"), "{name}: {error}");
        }
        let longest = "s".repeat(56);
        assert!(Config::resolve(ServiceName::Order, &Flags { schema: Some(longest), ..flags() }).is_ok());
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let path = std::env::temp_dir().join(format!("pipeline-config-{}.toml", std::process::id()));
        std::fs::write(&path, "schema = \"from_file\"\nlog = \"debug\"\n[kafka]\n\"linger.ms\" = 7\n").unwrap();
        let mut flags = Flags { schema: Some("from_flag".into()), config: Some(path.clone()), ..flags() };
        flags.properties = vec!["linger.ms=9".into()];
        let config = Config::resolve(ServiceName::Inventory, &flags).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!((config.schema.as_str(), config.log.as_str()), ("from_flag", "debug"));
        assert_eq!(config.kafka["linger.ms"], "9");
    }

    #[test]
    fn an_unknown_setting_in_the_file_is_a_mistake() {
        assert!(toml::from_str::<File>("brokerz = \"x\"").is_err());
    }
}
