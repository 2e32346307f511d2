//! The daemons' configuration: flag over environment over file over default, read once, every mistake named at start-up.
//!
//! A setting is one field of [`Config`], with its help, its names and its default; the layers are `grammar`'s. Secrets also
//! come from files (`DATABASE_URL_FILE`, `DATABASE_PASSWORD_FILE`, `KAFKA_SASL_PASSWORD_FILE`, `KAFKA_SASL_TOKEN_FILE`,
//! `STRIPE_KEY_FILE`), and are never printed. Any librdkafka property passes through the `[kafka]` table or `-X`; the few that correctness rests on are
//! set after it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Command};
use consumer::Parking;
use domain::simulator::SimulatorConfig;
use grammar::{DatabaseOptions, HIDDEN, KafkaAccess, Layered, Secret, SettingError, SettingsFile, StrangeKeys};
use outbox::ConnectionString;
use rdkafka::ClientConfig;
use schemas::{CustomerId, ServiceName};
use serde::{Serialize, Serializer};

use crate::listen::Listen;
use crate::payment::options::{ProviderOptions, SIMULATOR, STRIPE_ACCOUNTS};

/// What a configuration file may have beside the settings that have a flag, and which of those it may not have.
pub(crate) const LAYERED: Layered = Layered {
    never: &[
        "color",
        "config",
        "database_password",
        "kafka_sasl_password",
        "planted_bug",
        "simulator_decline_per_million",
        "simulator_statement",
        "stripe_account",
        "stripe_key",
    ],
    tables: &["kafka", SIMULATOR, STRIPE_ACCOUNTS],
    strange: StrangeKeys::Refuse,
};

/// The settings of one daemon.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Settings")]
pub struct Config {
    /// Which service.
    #[arg(skip)]
    pub service: &'static str,
    /// Configuration file (TOML); flags and environment win over it.
    #[arg(long, env = "PIPELINE_CONFIG", global = true, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Kafka's bootstrap addresses, several with commas.
    #[arg(
        long,
        env = "KAFKA_BROKERS",
        global = true,
        value_name = "HOST:PORT",
        default_value = "",
        hide_default_value = true
    )]
    pub brokers: String,
    /// What gets a client in.
    #[command(flatten)]
    #[serde(skip)]
    pub access: KafkaAccess,
    /// Where Postgres is.
    #[command(flatten)]
    #[serde(rename = "database_url", serialize_with = "as_understood")]
    pub database: DatabaseOptions,
    /// Schema of this service's tables.
    #[arg(long, env = "DATABASE_SCHEMA", global = true, value_name = "NAME", default_value = "")]
    pub schema: String,
    /// In front of every topic name and group id.
    #[arg(
        long,
        env = "TOPIC_PREFIX",
        global = true,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub topic_prefix: String,
    /// Stable name of this instance: a restart within the session time-out moves no partition.
    #[arg(long, env = "INSTANCE_ID", global = true, value_name = "NAME")]
    pub instance_id: Option<String>,
    /// Address of /livez, /readyz, /status and /metrics.
    #[arg(long, env = "LISTEN", global = true, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub listen: Listen,
    /// How logs are written: text for people, or one JSON object a line.
    #[arg(long, env = "LOG_FORMAT", global = true, value_enum, value_name = "FORMAT", default_value_t)]
    pub log_format: LogFormat,
    /// Log filter: a level, or levels by target, such as info,workers=debug.
    #[arg(long, env = "LOG", global = true, value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// Partitions of the topics that `topics create` makes; the same for all, for ever.
    #[arg(long, env = "TOPIC_PARTITIONS", global = true, value_name = "NUMBER", default_value_t = 6,
        value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub partitions: i32,
    /// Replicas of the topics that `topics create` makes; -1: as the brokers would.
    #[arg(long, env = "TOPIC_REPLICAS", global = true, value_name = "NUMBER", default_value_t = -1, allow_negative_numbers = true)]
    pub replicas: i32,
    /// The most messages of one transaction.
    #[arg(long, env = "MAX_BATCH_ITEMS", global = true, value_name = "NUMBER", default_value_t = 1000,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pub max_batch_items: usize,
    /// How long messages may collect under load before their transaction, in microseconds; 0: not at all.
    #[arg(long, env = "MAX_PACE_US", global = true, value_name = "MICROSECONDS", default_value_t = 10_000)]
    pub max_pace_us: u64,
    /// How often it is looked up what is due by the clock, in milliseconds.
    #[arg(long, env = "TIMER_PERIOD_MS", global = true, value_name = "MILLISECONDS", default_value_t = 500,
        value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub timer_period_ms: u64,
    /// The most messages of this service that may be parked, because one of their key cannot be taken; 0: a message that cannot be
    /// taken holds its partition, or goes to the dead letters.
    #[arg(long, env = "PARKED_MESSAGES", global = true, value_name = "NUMBER", default_value_t = 10_000)]
    pub parked_messages: u64,
    /// The most parked messages of one key.
    #[arg(long, env = "PARKED_MESSAGES_OF_KEY", global = true, value_name = "NUMBER", default_value_t = 1_000,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub parked_messages_of_key: u64,
    /// When more keys than this would be parked within a minute, none is: consumption rests until what was refused is taken.
    #[arg(long, env = "PARKED_FLOOD_KEYS", global = true, value_name = "NUMBER", default_value_t = 20)]
    pub parked_flood_keys: usize,
    /// How long a parked key rests before it is tried again, in seconds; each time in vain doubles it.
    #[arg(long, env = "PARKED_PAUSE_S", global = true, value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub parked_pause_s: u64,
    /// The longest such rest, in seconds.
    #[arg(long, env = "PARKED_LONGEST_PAUSE_S", global = true, value_name = "SECONDS", default_value_t = 3_600,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub parked_longest_pause_s: u64,
    /// A key that has been parked for so long is an error in the log, once, in seconds.
    #[arg(long, env = "PARKED_ALARM_S", global = true, value_name = "SECONDS", default_value_t = 900)]
    pub parked_alarm_s: u64,
    /// How long the relay's producer waits for more messages before it sends, in microseconds.
    #[arg(long, env = "RELAY_LINGER_US", global = true, value_name = "MICROSECONDS", default_value_t = 0)]
    pub relay_linger_us: u64,
    /// How long Kafka and Postgres may be late at the start, together, in seconds.
    #[arg(long, env = "START_TIMEOUT_S", global = true, value_name = "SECONDS", default_value_t = 60)]
    pub start_timeout_s: u64,
    /// How long draining may take after SIGTERM, in seconds.
    #[arg(long, env = "SHUTDOWN_TIMEOUT_S", global = true, value_name = "SECONDS", default_value_t = 20)]
    pub shutdown_timeout_s: u64,
    /// Directory with further schema versions and their lock file.
    #[arg(long, env = "SCHEMA_DIRECTORY", global = true, value_name = "DIRECTORY")]
    pub schema_directory: Option<PathBuf>,
    /// Order service: how long an order may take to be confirmed, in milliseconds.
    #[arg(long, env = "CONFIRM_WITHIN_MS", global = true, value_name = "MILLISECONDS", default_value_t = 60_000,
        value_parser = clap::value_parser!(i64).range(1..=86_400_000 * 30))]
    pub confirm_within_ms: i64,
    /// Order service: how long a confirmed order should wait for `ShipOrder` before an alarm, in milliseconds.
    #[arg(long, env = "SHIP_WITHIN_MS", global = true, value_name = "MILLISECONDS", default_value_t = 3 * 86_400_000,
        value_parser = clap::value_parser!(i64).range(1..=86_400_000 * 365))]
    pub ship_within_ms: i64,
    /// Order service: how long an order is held before it is undone, unless the hold says until when, in milliseconds.
    #[arg(long, env = "HOLD_WITHIN_MS", global = true, value_name = "MILLISECONDS", default_value_t = 2 * 86_400_000,
        value_parser = clap::value_parser!(i64).range(1..=86_400_000 * 365))]
    pub hold_within_ms: i64,
    /// Order service: how long goods may take to come back before a return is closed, in milliseconds.
    #[arg(long, env = "RETURN_WITHIN_MS", global = true, value_name = "MILLISECONDS", default_value_t = 30 * 86_400_000,
        value_parser = clap::value_parser!(i64).range(1..=86_400_000 * 365))]
    pub return_within_ms: i64,
    /// Order service: an order above this total is held, in minor units of whatever currency; not set: none for its total.
    #[arg(long, env = "HOLD_ABOVE_MINOR", global = true, value_name = "AMOUNT",
        value_parser = clap::value_parser!(i64).range(0..))]
    pub hold_above_minor: Option<i64>,
    /// Order service: customers whose orders are held, with commas.
    #[arg(long, env = "HOLD_CUSTOMERS", global = true, value_name = "IDS", value_delimiter = ',')]
    pub hold_customers: Vec<CustomerId>,
    /// Who holds and takes the money.
    #[command(flatten)]
    #[serde(flatten)]
    pub payment: ProviderOptions,
    /// For the project's own tests: a planted bug by name; a release daemon refuses it.
    #[arg(long, env = "PLANTED_BUG", global = true, hide = true)]
    pub planted_bug: Option<String>,
    /// librdkafka's properties: those of the file, of `-X`, and the secrets.
    #[arg(skip)]
    #[serde(serialize_with = "without_secrets")]
    pub kafka: BTreeMap<String, String>,
    /// Payment service: the simulated provider.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    simulator: Option<SimulatorConfig>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The definition of a program with these settings, with the defaults of its service.
pub(crate) fn of_service(command: Command, service: ServiceName) -> Command {
    let listen = format!("127.0.0.1:{}", service.default_port());
    let command = command.name(format!("{service}-worker"));
    command
        .mut_arg("schema", |arg| arg.default_value(service.default_schema()))
        .mut_arg("listen", |arg| arg.default_value(listen))
}

impl Config {
    /// With what the file has in tables, and checked as a whole.
    pub fn completed(mut self, service: ServiceName, file: &SettingsFile) -> Result<Config, SettingError> {
        self.service = service.as_str();
        self.kafka = self.access.properties(file.kafka()?)?;
        self.simulator = self.payment.completed(service, file)?;
        check_servers(&self.brokers, &self.database, &self.schema, &self.topic_prefix)?;
        Ok(self)
    }

    /// How much may be parked, and when it is tried again.
    pub fn parking(&self) -> Parking {
        Parking {
            messages: self.parked_messages,
            messages_of_key: self.parked_messages_of_key,
            flood_keys: self.parked_flood_keys,
            first_pause: Duration::from_secs(self.parked_pause_s),
            longest_pause: Duration::from_secs(self.parked_longest_pause_s),
            alarm_after: Duration::from_secs(self.parked_alarm_s),
        }
    }

    /// The payment service's provider.
    pub fn simulator(&self) -> SimulatorConfig {
        self.simulator.clone().unwrap_or_default()
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
        shown(self)
    }
}

/// What every daemon needs to reach its servers and to name its own there.
///
/// # Errors
/// In words, which setting is wrong and how to give it.
pub fn check_servers(
    brokers: &str,
    database: &DatabaseOptions,
    schema: &str,
    topic_prefix: &str,
) -> Result<(), SettingError> {
    let wrong = |text: String| Err(SettingError::Setting(text));
    if brokers.is_empty() {
        return wrong("no Kafka brokers: give --brokers or KAFKA_BROKERS, for instance localhost:9092".into());
    }
    ConnectionString::parse(database.url()?.expose())
        .map_err(|error| SettingError::Setting(format!("DATABASE_URL or --database-url: {error}")))?;
    outbox::check_schema_name(schema)
        .map_err(|error| SettingError::Setting(format!("{error}; set DATABASE_SCHEMA or --schema")))?;
    if !topic_prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return wrong(format!("topic prefix \"{topic_prefix}\": letters, digits, '.', '_' and '-' only"));
    }
    Ok(())
}

/// Settings as TOML.
///
/// # Errors
/// When a value has no such form.
pub fn shown<S: Serialize>(settings: &S) -> Result<String, SettingError> {
    toml::to_string_pretty(settings)
        .map_err(|error| SettingError::Setting(format!("the configuration cannot be shown: {error}")))
}

/// Where Postgres is, in libpq's words; a password is replaced in them.
///
/// # Errors
/// The serializer's.
pub fn as_understood<S: Serializer>(database: &DatabaseOptions, serializer: S) -> Result<S::Ok, S::Error> {
    let url = database.url().ok();
    let read = url.as_ref().map(Secret::expose).and_then(|url| ConnectionString::parse(url).ok());
    serializer.serialize_str(&read.map_or(HIDDEN.to_owned(), |read| read.to_string()))
}

/// librdkafka's properties; secrets are replaced in them.
///
/// # Errors
/// The serializer's.
pub fn without_secrets<S: Serializer>(properties: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = |(name, value)| if outbox::kafka::is_secret(name) { (name, HIDDEN) } else { (name, value) };
    serializer.collect_map(properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).map(shown))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::{CommandFactory as _, Parser};
    use grammar::Exit;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        config: Config,
    }

    const DATABASE: [&str; 2] = ["--database-url", "postgres://shop:hush@db:5432/shop?sslmode=require"];
    const BROKERS: [&str; 2] = ["--brokers", "localhost:9092"];

    fn read(service: ServiceName, arguments: &[&str]) -> Result<Config, String> {
        let command = of_service(Program::command(), service);
        let words = std::iter::once("program").chain(arguments.iter().copied()).map(OsString::from);
        let read: Result<(Program, SettingsFile), Exit> = grammar::parse_layered(command, words, &LAYERED);
        let (program, file) = read.map_err(|exit| format!("{exit:?}"))?;
        program.config.completed(service, &file).map_err(|error| error.to_string())
    }

    fn with(arguments: &[&str]) -> Result<Config, String> {
        read(ServiceName::Order, &[&BROKERS[..], &DATABASE, arguments].concat())
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = with(&["-X", "sasl.password=hush", "-X", "ssl.key.pem=hush", "-X", "linger.ms=5"]).unwrap();
        let shown = config.redacted().unwrap();
        assert!(!shown.contains("hush") && !format!("{:?}", config.database).contains("hush"), "{shown}");
        let database = "host=db port=5432 user=shop password=[redacted] dbname=shop sslmode=require";
        assert!(shown.contains("linger.ms") && shown.contains(database), "{shown}");
    }

    #[test]
    fn a_provider_that_charges_needs_a_key_which_is_not_shown() {
        let payment = |more: &[&str]| read(ServiceName::Payment, &[&BROKERS[..], &DATABASE, more].concat());
        assert!(payment(&["--provider", "stripe"]).unwrap_err().contains("STRIPE_KEY"));
        let config = payment(&["--provider", "stripe", "--stripe-key", "sk_test_hush"]).unwrap();
        let (shown, debug) = (config.redacted().unwrap(), format!("{config:?}"));
        assert!(!shown.contains("hush") && !debug.contains("sk_test_hush"), "{shown}{debug}");
        assert!(shown.contains("provider = \"stripe\"") && shown.contains("stripe_url"), "{shown}");
        let path = std::env::temp_dir().join(format!("pipeline-accounts-{}.toml", std::process::id()));
        std::fs::write(&path, "provider = \"stripe\"\n[stripe_accounts]\neu = \"/run/secrets/eu\"\n").unwrap();
        let config = payment(&["--config", &path.display().to_string()]).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(config.payment.stripe.settings().unwrap().default_account, "eu");
    }

    #[test]
    fn a_connection_string_that_cannot_be_used_is_refused_here_without_its_password() {
        for wrong in ["postgres://shop:hush@db/shop?sslmod=require", "host=db password=hush sslmode=allow", "hush"] {
            let said = read(ServiceName::Order, &[&BROKERS[..], &["--database-url", wrong]].concat()).unwrap_err();
            assert!(said.contains("DATABASE_URL") && !said.contains("hush"), "{said}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = read(ServiceName::Order, &DATABASE).unwrap_err();
        assert!(error.contains("KAFKA_BROKERS"), "{error}");
        let error = read(ServiceName::Order, &BROKERS).unwrap_err();
        assert!(error.contains("DATABASE_URL"), "{error}");
    }

    #[test]
    fn a_service_has_its_own_defaults() {
        let config = read(ServiceName::Payment, &[BROKERS, DATABASE].concat()).unwrap();
        assert_eq!((config.schema.as_str(), config.group().as_str()), ("payments", "payment-worker"));
        assert_eq!(config.listen.0.port(), ServiceName::Payment.default_port());
        let shown = config.redacted().unwrap();
        assert!(shown.contains("[simulator]"), "{shown}");
        let shown = with(&[]).unwrap().redacted().unwrap();
        assert!(!shown.contains("[simulator]"), "no provider here: {shown}");
    }

    #[test]
    fn a_schema_that_the_outbox_would_not_take_is_refused_here() {
        let long = "s".repeat(57);
        for name in ["", "Orders", "my-orders", "1orders", &long] {
            let error = with(&["--schema", name]).unwrap_err();
            assert!(error.contains("schema") && error.contains("56"), "{name}: {error}");
        }
        let longest = "s".repeat(56);
        assert!(with(&["--schema", &longest]).is_ok());
    }

    #[test]
    fn a_flag_wins_over_the_file_and_an_unknown_setting_there_is_a_mistake() {
        let path = std::env::temp_dir().join(format!("pipeline-config-{}.toml", std::process::id()));
        let given = path.display().to_string();
        let file = "schema = \"from_file\"\nlog = \"debug\"\npartitions = 3\n[kafka]\n\"linger.ms\" = 7\n\
                    [simulator]\nseed = 9\n";
        std::fs::write(&path, file).unwrap();
        let arguments = ["--config", &given, "--schema", "from_flag", "-X", "linger.ms=9"];
        let config = with(&arguments).unwrap();
        assert_eq!((config.schema.as_str(), config.log.as_str(), config.partitions), ("from_flag", "debug", 3));
        assert_eq!(config.kafka["linger.ms"], "9");
        for wrong in ["brokerz = \"x\"", "planted_bug = \"x\"", "partitions = 0", "[simulator]\nseeds = 9"] {
            std::fs::write(&path, wrong).unwrap();
            assert!(with(&arguments).is_err(), "{wrong}");
        }
        std::fs::remove_file(path).unwrap();
    }
}
