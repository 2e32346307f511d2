//! The payment service's settings: who holds and takes the money, and how it is asked.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use domain::provider::Provider;
use domain::simulator::SimulatorConfig;
use grammar::{SettingError, SettingsFile};
use schemas::ServiceName;
use serde::Serialize;
use stripe::{StripeOptions, StripeProvider};

use super::simulator::SimulatedProvider;

use crate::listen::Listen;

/// The table of a file with the simulator's settings.
pub(crate) const SIMULATOR: &str = "simulator";

/// The table of a file with accounts: their names, and the files of their keys.
pub(crate) const STRIPE_ACCOUNTS: &str = "stripe_accounts";

/// A payment provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ProviderName {
    /// One that moves no money.
    #[default]
    Simulator,
    /// One with a Stripe-compatible API; it needs a key.
    Stripe,
}

/// Who holds and takes the money.
#[derive(Debug, Clone, Args, Serialize)]
pub struct ProviderOptions {
    /// Payment service: who holds and takes the money.
    #[arg(long, env = "PROVIDER", global = true, value_enum, value_name = "NAME", default_value_t)]
    pub provider: ProviderName,
    /// The provider with a Stripe-compatible API.
    #[command(flatten)]
    #[serde(flatten)]
    pub stripe: StripeOptions,
    /// Payment service: the most calls to the provider that an instance has under way; beyond them it takes no more commands for a while.
    #[arg(long, env = "PROVIDER_CALLS", global = true, value_name = "NUMBER", default_value_t = 1024,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub provider_calls: usize,
    /// Payment service: how long a customer has who has to act before anything is held (3-D Secure), in milliseconds.
    #[arg(long, env = "CUSTOMER_ACTION_TIMEOUT_MS", global = true, value_name = "MILLISECONDS", default_value_t = 900_000,
        value_parser = clap::value_parser!(i64).range(1_000..=86_400_000))]
    pub customer_action_timeout_ms: i64,
    /// Payment service: share of authorizations that the simulated provider declines, in parts per million.
    #[arg(long, env = "SIMULATOR_DECLINE_PER_MILLION", global = true, value_name = "NUMBER")]
    #[serde(skip)]
    simulator_decline_per_million: Option<u32>,
    /// Payment service: file to which the simulated provider appends its statement.
    #[arg(long, env = "SIMULATOR_STATEMENT", global = true, value_name = "FILE")]
    #[serde(skip)]
    simulator_statement: Option<PathBuf>,
    /// Payment service: address of /webhooks/stripe, for the provider's webhooks; not set: none are taken.
    #[arg(long, env = "WEBHOOK_LISTEN", global = true, value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_listen: Option<Listen>,
    /// Payment service: file with the secrets that sign webhooks, one a line; read again for each of them.
    #[arg(long, env = "WEBHOOK_SECRETS_FILE", global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secrets_file: Option<PathBuf>,
    /// Payment service: file with the secrets for which it is told, at --webhook-listen, where a customer goes who has to act, one a
    /// line; read again for each request. Not set: nobody is told.
    #[arg(long, env = "ACTION_SECRET_FILE", global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_secret_file: Option<PathBuf>,
}

impl ProviderOptions {
    /// With what the file has in tables: the simulated provider, which only the payment service has.
    ///
    /// # Errors
    /// In words, which setting is wrong.
    pub(crate) fn completed(
        &mut self,
        service: ServiceName,
        file: &SettingsFile,
    ) -> Result<Option<SimulatorConfig>, SettingError> {
        let read: Result<SimulatorConfig, _> = file.table(SIMULATOR).try_into();
        let mut simulator = read.map_err(|error| SettingError::Setting(format!("[{SIMULATOR}] {error}")))?;
        if let Some(share) = self.simulator_decline_per_million {
            simulator.decline_per_million = share;
        }
        simulator.statement = self.simulator_statement.clone().or(simulator.statement);
        let accounts = file.table(STRIPE_ACCOUNTS);
        let of_file = |(name, place): (&String, &toml::Value)| Some((name.clone(), place.as_str()?.to_owned()));
        self.stripe.add_accounts(accounts.iter().filter_map(of_file));
        if service != ServiceName::Payment {
            return Ok(None);
        }
        if self.provider == ProviderName::Stripe {
            self.stripe.settings()?;
        }
        if self.webhook_listen.is_some() && self.webhook_secrets_file.is_none() {
            let text =
                "webhooks without a secret would be anybody's: give --webhook-secrets-file or WEBHOOK_SECRETS_FILE";
            return Err(SettingError::Setting(text.into()));
        }
        if self.action_secret_file.is_some() && self.webhook_listen.is_none() {
            let text =
                "where customers go is told on the address of the webhooks: give --webhook-listen or WEBHOOK_LISTEN";
            return Err(SettingError::Setting(text.into()));
        }
        Ok(Some(simulator))
    }

    /// The provider that was asked for; the simulator is as it was completed.
    ///
    /// # Errors
    /// In words: a key cannot be read, or the simulator's statement cannot be written.
    pub(crate) fn open(&self, simulator: SimulatorConfig) -> Result<Arc<dyn Provider>, String> {
        match self.provider {
            ProviderName::Simulator => {
                Ok(Arc::new(SimulatedProvider::open(simulator).map_err(|error| error.to_string())?))
            }
            ProviderName::Stripe => {
                let settings = self.stripe.settings().map_err(|error| error.to_string())?;
                Ok(Arc::new(StripeProvider::open(settings).map_err(|error| error.to_string())?))
            }
        }
    }
}
