//! How a test wants its pipeline: instances, time limits, the payment simulator, a planted bug.
//!
//! The defaults are those of an ordinary test: two instances of everything, no faults, and no deadline that a slow
//! machine could miss.

use std::collections::BTreeMap;
use std::path::PathBuf;

use domain::simulator::SimulatorConfig;
use schemas::ServiceName;
use serde::Serialize;

/// What a pipeline is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the daemons find the broker, if not where the test does: a proxy.
    pub brokers: Option<String>,
    /// Instances of each service.
    pub instances: usize,
    /// Partitions of every topic.
    pub partitions: i32,
    /// How long an order may take to be confirmed, in milliseconds.
    pub confirm_within_ms: i64,
    /// How long an order should wait to be shipped, in milliseconds.
    pub ship_within_ms: i64,
    /// How long an order is held, in milliseconds.
    pub hold_within_ms: i64,
    /// How long goods may take to come back, in milliseconds.
    pub return_within_ms: i64,
    /// An order above this total is held.
    pub hold_above_minor: Option<i64>,
    /// How long the group waits for a silent instance, in milliseconds.
    pub session_timeout_ms: u32,
    /// How often it is looked up what is due by the clock, in milliseconds.
    pub timer_period_ms: u64,
    /// The most messages of one transaction.
    pub max_batch_items: usize,
    /// How long a parked key rests before it is tried again by itself, in seconds.
    pub parked_pause_s: u64,
    /// The most parked messages of a key.
    pub parked_messages_of_key: u64,
    /// When more keys would be parked within a minute, it is a flood.
    pub parked_flood_keys: usize,
    /// How the payment provider behaves; the statement's place is the pipeline's choice.
    pub simulator: SimulatorConfig,
    /// Another provider than the simulator.
    pub provider: ProviderSettings,
    /// A bug, and the service that gets it.
    pub planted_bug: Option<(ServiceName, &'static str)>,
    /// Whether the payment service takes webhooks, and its provider says something afterwards.
    pub webhooks: bool,
    /// Whether daemons run as in a container with a read-only root file system: only the pipeline's folder can be written to.
    pub read_only_root: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            brokers: None,
            instances: 2,
            partitions: 3,
            confirm_within_ms: 1_200_000,
            ship_within_ms: 1_200_000,
            hold_within_ms: 1_200_000,
            return_within_ms: 1_200_000,
            hold_above_minor: None,
            session_timeout_ms: 6_000,
            timer_period_ms: 500,
            max_batch_items: 1_000,
            parked_pause_s: 3_600,
            parked_messages_of_key: 1_000,
            parked_flood_keys: 20,
            simulator: SimulatorConfig::default(),
            provider: ProviderSettings::default(),
            planted_bug: None,
            webhooks: false,
            read_only_root: false,
        }
    }
}

/// Which provider the payment service asks, in the words of its configuration file; none is the simulator.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ProviderSettings {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'static str>,
    /// Where its API is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_url: Option<String>,
    /// Where its key is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_key_file: Option<PathBuf>,
    /// With what orders are paid that bring nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_test_token: Option<&'static str>,
    /// How long a customer has who has to act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_action_timeout_ms: Option<i64>,
}

/// The configuration file of one service, as the daemon reads it.
#[derive(Debug, Serialize)]
pub(crate) struct SettingsFile<'s> {
    pub(crate) brokers: &'s str,
    pub(crate) database_url: &'s str,
    pub(crate) topic_prefix: &'s str,
    pub(crate) listen: &'s str,
    pub(crate) log: &'s str,
    pub(crate) partitions: i32,
    pub(crate) confirm_within_ms: i64,
    pub(crate) ship_within_ms: i64,
    pub(crate) hold_within_ms: i64,
    pub(crate) return_within_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hold_above_minor: Option<i64>,
    pub(crate) timer_period_ms: u64,
    pub(crate) max_batch_items: usize,
    pub(crate) parked_pause_s: u64,
    pub(crate) parked_messages_of_key: u64,
    pub(crate) parked_flood_keys: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webhook_listen: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webhook_secrets_file: Option<PathBuf>,
    #[serde(flatten)]
    pub(crate) provider: &'s ProviderSettings,
    pub(crate) kafka: BTreeMap<String, toml::Value>,
    pub(crate) simulator: SimulatorConfig,
}
