//! The door's settings: flag over environment over file over default, as the workers have them, each mistake named at the start.
//!
//! A setting is one field, with its help, its names and its default; the layers are `grammar`'s.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use client::Connection;
use grammar::{DatabaseOptions, KafkaAccess, Layered, SettingError, SettingsFile, StrangeKeys};
use rdkafka::ClientConfig;
use serde::Serialize;
use workers::config::{LogFormat, as_understood, check_servers, shown, without_secrets};
use workers::listen::Listen;

use crate::daemons;
use crate::http::Limits;
use crate::payment_actions::PaymentActions;
use crate::tokens::TokenOptions;

/// What a configuration file may have beside the settings that have a flag, and which of those it may not have.
pub(crate) const LAYERED: Layered = Layered {
    never: &["color", "config", "database_password", "kafka_sasl_password"],
    tables: &["kafka"],
    strange: StrangeKeys::Refuse,
};

/// The settings of the door.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
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
    /// Schema of the read model's tables.
    #[arg(long, env = "DATABASE_SCHEMA", global = true, value_name = "NAME", default_value = "view")]
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
    /// Address of /livez, /readyz and /metrics.
    #[arg(long, env = "LISTEN", global = true, value_name = "HOST:PORT", default_value = "127.0.0.1:8084")]
    pub listen: Listen,
    /// Address of the API. Without keys and tokens it has to be one of this machine alone.
    #[arg(long, env = "API_LISTEN", global = true, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub api_listen: Listen,
    /// File of keys (TOML): who may do what. `order-api key` makes one.
    #[arg(long, env = "API_KEYS_FILE", global = true, value_name = "FILE")]
    pub api_keys_file: Option<PathBuf>,
    /// Where the daemons answer, whose status /v1/status tells: name=host:port or a URL, several with commas.
    #[arg(
        long,
        env = "DAEMONS",
        global = true,
        value_name = "NAME=HOST:PORT",
        default_value = "",
        hide_default_value = true
    )]
    pub daemons: String,
    /// Where payment-worker answers at its --webhook-listen: it is asked where a customer goes who has to confirm a payment.
    #[arg(long, env = "PAYMENT_ACTIONS", global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_actions: Option<String>,
    /// File with the secret for it, which payment-worker has as --action-secret-file; read again for each question.
    #[arg(long, env = "PAYMENT_ACTIONS_SECRET_FILE", global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_actions_secret_file: Option<PathBuf>,
    /// Whose tokens are believed.
    #[command(flatten)]
    #[serde(flatten)]
    pub tokens: TokenOptions,
    /// The largest body of a request, in bytes.
    #[arg(long, env = "MAX_BODY_BYTES", global = true, value_name = "NUMBER", default_value_t = 262_144)]
    pub max_body_bytes: usize,
    /// With so many commands that Kafka has not confirmed, further ones are told to come again (429).
    #[arg(long, env = "MAX_UNCONFIRMED", global = true, value_name = "NUMBER", default_value_t = 5_000,
        value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub max_unconfirmed: u64,
    /// The same with so many commands that the order service has not taken.
    #[arg(long, env = "MAX_COMMANDS_WAITING", global = true, value_name = "NUMBER", default_value_t = 100_000)]
    pub max_commands_waiting: i64,
    /// The most streams of events at once.
    #[arg(long, env = "MAX_STREAMS", global = true, value_name = "NUMBER", default_value_t = 10_000)]
    pub max_streams: usize,
    /// How logs are written: text for people, or one JSON object a line.
    #[arg(long, env = "LOG_FORMAT", global = true, value_enum, value_name = "FORMAT", default_value_t)]
    pub log_format: LogFormat,
    /// Log filter: a level, or levels by target, such as info,order_api=debug.
    #[arg(long, env = "LOG", global = true, value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// How long Kafka and Postgres may be late at the start, together, in seconds.
    #[arg(long, env = "START_TIMEOUT_S", global = true, value_name = "SECONDS", default_value_t = 60)]
    pub start_timeout_s: u64,
    /// How long draining may take after SIGTERM, in seconds.
    #[arg(long, env = "SHUTDOWN_TIMEOUT_S", global = true, value_name = "SECONDS", default_value_t = 20)]
    pub shutdown_timeout_s: u64,
    /// Directory with further schema versions and their lock file.
    #[arg(long, env = "SCHEMA_DIRECTORY", global = true, value_name = "DIRECTORY")]
    pub schema_directory: Option<PathBuf>,
    /// librdkafka's properties: those of the file, of `-X`, and the secrets.
    #[arg(skip)]
    #[serde(serialize_with = "without_secrets")]
    pub kafka: BTreeMap<String, String>,
}

/// What the client may hold of topics that it has read ahead, unless the user says otherwise: a read model that is behind is read as
/// fast with it, and fills no memory.
const READ_AHEAD: [(&str, &str); 2] = [("queued.max.messages.kbytes", "2048"), ("fetch.message.max.bytes", "262144")];

impl Settings {
    /// With what the file has in tables, and checked as a whole.
    ///
    /// # Errors
    /// In words, which setting is wrong and how to give it.
    pub fn completed(mut self, file: &SettingsFile) -> Result<Settings, SettingError> {
        self.kafka = self.access.properties(file.kafka()?)?;
        check_servers(&self.brokers, &self.database, &self.schema, &self.topic_prefix)?;
        daemons::addresses(&self.daemons)?;
        self.payment_actions()?;
        self.tokens.check()?;
        let knows_nobody = self.api_keys_file.is_none() && !self.tokens.is_given();
        if knows_nobody && !self.api_listen.0.ip().is_loopback() {
            return Err(SettingError::Setting(format!(
                "whoever reaches {} could do everything: give --api-keys-file or API_KEYS_FILE (`order-api key` makes a key), \
                 or --oidc-issuer or OIDC_ISSUER (whose tokens are believed), or listen on this machine alone, as with --api-listen \
                 127.0.0.1:8080",
                self.api_listen.0
            )));
        }
        Ok(self)
    }

    /// Who is asked where customers go; nobody, where that is not set.
    ///
    /// # Errors
    /// In words, which setting is wrong.
    pub(crate) fn payment_actions(&self) -> Result<Option<PaymentActions>, SettingError> {
        PaymentActions::of(self.payment_actions.as_deref(), self.payment_actions_secret_file.as_ref())
    }

    /// What may wait, and how large it may be.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            body_bytes: self.max_body_bytes,
            unconfirmed: self.max_unconfirmed,
            commands: self.max_commands_waiting,
            streams: self.max_streams,
        }
    }

    /// librdkafka's configuration with the user's properties.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "order-api");
        for (key, value) in READ_AHEAD {
            config.set(key, value);
        }
        for (key, value) in &self.kafka {
            config.set(key, value);
        }
        config
    }

    /// The way to publish and to look. What the contract on the wire fixes stays as it is.
    ///
    /// # Errors
    /// Never for a property that the contract leaves open.
    pub fn connection(&self) -> Result<Connection, client::ClientError> {
        let connection = Connection::new(&self.brokers).with_topic_prefix(&self.topic_prefix);
        let open = self.kafka.iter().filter(|(name, _)| !Connection::is_fixed(name));
        open.into_iter().try_fold(connection, |connection, (name, value)| connection.with_property(name, value))
    }

    /// The read model's consumer group.
    pub fn group(&self) -> String {
        format!("{}order-api", self.topic_prefix)
    }

    /// As TOML, with every secret replaced.
    ///
    /// # Errors
    /// When a value has no such form.
    pub fn redacted(&self) -> Result<String, SettingError> {
        shown(self)
    }
}
