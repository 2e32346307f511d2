//! The provider's settings, with their help and their defaults; the layers are `grammar`'s.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use grammar::{Secret, SettingError};
use reqwest::Url;
use serde::Serialize;

use crate::account::Limits;
use crate::keys::KeySource;
use crate::transport::base_of;

/// What the account is called whose key has no name.
const UNNAMED: &str = "default";

/// In front of the name of an environment variable that holds a key.
const FROM_ENVIRONMENT: &str = "env:";

/// Test keys begin so; with another a token for everybody would charge real customers wrongly.
const TEST_KEYS: [&str; 2] = ["sk_test_", "rk_test_"];

/// The payment service's settings for a Stripe-compatible provider.
#[derive(Debug, Clone, Default, Args, Serialize)]
pub struct StripeOptions {
    /// Payment service: address of the Stripe-compatible API.
    #[arg(long, env = "STRIPE_URL", global = true, value_name = "URL", default_value = "https://api.stripe.com")]
    stripe_url: String,
    /// Secret key of the default account; a command line would show it to every user of the machine.
    #[arg(long, env = "STRIPE_KEY", global = true, value_name = "TEXT", hide = true, hide_env_values = true)]
    #[serde(skip)]
    stripe_key: Option<Secret>,
    /// Payment service: file that holds the default account's secret key; read again when it changes.
    #[arg(long, env = "STRIPE_KEY_FILE", global = true, value_name = "FILE")]
    stripe_key_file: Option<PathBuf>,
    /// Payment service: an account that orders name as their payment_provider, with the file of its secret key, or with
    /// env:VARIABLE; may be repeated, or several with commas.
    #[arg(long, env = "STRIPE_ACCOUNTS", global = true, value_name = "NAME=FILE", value_delimiter = ',')]
    stripe_account: Vec<String>,
    /// Payment service: with what orders are paid that bring no token; with test keys only.
    #[arg(long, env = "STRIPE_TEST_TOKEN", global = true, value_name = "TOKEN")]
    stripe_test_token: Option<String>,
    /// Payment service: where customers come back to who had to confirm a payment.
    #[arg(long, env = "STRIPE_RETURN_URL", global = true, value_name = "URL")]
    stripe_return_url: Option<String>,
    /// Payment service: the most requests of an account at once.
    #[arg(long, env = "STRIPE_REQUESTS", global = true, value_name = "NUMBER", default_value_t = 256,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=20_000))]
    stripe_requests: usize,
    /// Payment service: how long the provider may take to answer, in milliseconds.
    #[arg(long, env = "STRIPE_TIMEOUT_MS", global = true, value_name = "MILLISECONDS", default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(100..=10_000))]
    stripe_timeout_ms: u64,
    /// Payment service: so many uncertain answers in a row of an account, and nothing is sent for a while.
    #[arg(long, env = "STRIPE_BREAKER_AFTER", global = true, value_name = "NUMBER", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..))]
    stripe_breaker_after: u32,
    /// Payment service: how long that while is at first, in milliseconds; it doubles up to 30 s.
    #[arg(long, env = "STRIPE_BREAKER_PAUSE_MS", global = true, value_name = "MILLISECONDS", default_value_t = 1_000,
        value_parser = clap::value_parser!(i64).range(10..=30_000))]
    stripe_breaker_pause_ms: i64,
}

/// What a provider is opened with.
#[derive(Debug, Clone)]
pub struct StripeSettings {
    /// Where the API is.
    pub url: Url,
    /// The accounts, by the name that orders give.
    pub accounts: Vec<(String, KeySource)>,
    /// The account of orders that name none.
    pub default_account: String,
    /// With what orders are paid that bring no token.
    pub token: Option<String>,
    /// Where customers come back to.
    pub return_url: Option<String>,
    /// How much at once, and how long for.
    pub limits: Limits,
}

impl StripeOptions {
    /// Further accounts, by their names and where their keys are.
    pub fn add_accounts(&mut self, accounts: impl Iterator<Item = (String, String)>) {
        self.stripe_account.extend(accounts.map(|(name, place)| format!("{name}={place}")));
    }

    /// What a provider is opened with.
    ///
    /// # Errors
    /// In words, which setting is wrong and how to give it.
    pub fn settings(&self) -> Result<StripeSettings, SettingError> {
        let accounts = self.accounts()?;
        let Some((default_account, _)) = accounts.first() else {
            return Err(wrong(
                "the provider needs a key: give --stripe-key-file or STRIPE_KEY, or --stripe-account NAME=FILE",
            ));
        };
        let mut limits = Limits {
            requests: self.stripe_requests,
            answer_limit: Duration::from_millis(self.stripe_timeout_ms),
            ..Limits::default()
        };
        limits.breaker.opens_after = self.stripe_breaker_after;
        limits.breaker.first_pause_ms = self.stripe_breaker_pause_ms;
        let settings = StripeSettings {
            url: base_of(&self.stripe_url)?,
            default_account: default_account.clone(),
            accounts,
            token: self.stripe_test_token.clone(),
            return_url: self.stripe_return_url.clone(),
            limits,
        };
        if settings.token.is_some() && !settings.is_for_tests()? {
            return Err(wrong(
                "STRIPE_TEST_TOKEN goes with test keys only: every order without a token would be paid with it",
            ));
        }
        Ok(settings)
    }

    /// The default one first.
    fn accounts(&self) -> Result<Vec<(String, KeySource)>, SettingError> {
        let unnamed = match (&self.stripe_key, &self.stripe_key_file) {
            (Some(key), _) => Some(KeySource::Given(key.clone())),
            (None, Some(file)) => Some(KeySource::File(file.clone())),
            (None, None) => None,
        };
        let mut accounts: Vec<(String, KeySource)> =
            unnamed.into_iter().map(|source| (UNNAMED.to_owned(), source)).collect();
        for pair in self.stripe_account.iter().filter(|pair| !pair.is_empty()) {
            let (name, place) =
                pair.split_once('=').ok_or_else(|| wrong(format!("--stripe-account {pair}: give NAME=FILE")))?;
            if name.is_empty() || accounts.iter().any(|(other, _)| other == name) {
                return Err(wrong(format!("--stripe-account {pair}: each account has a name of its own")));
            }
            let source = match place.strip_prefix(FROM_ENVIRONMENT) {
                None => KeySource::File(PathBuf::from(place)),
                Some(variable) => KeySource::Given(of_environment(variable)?),
            };
            accounts.push((name.to_owned(), source));
        }
        Ok(accounts)
    }
}

impl StripeSettings {
    /// Whether every key is a test key.
    fn is_for_tests(&self) -> Result<bool, SettingError> {
        for (_, source) in &self.accounts {
            let key = crate::keys::Key::read(source.clone())?.now();
            if !TEST_KEYS.iter().any(|start| key.expose().starts_with(start)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn of_environment(variable: &str) -> Result<Secret, SettingError> {
    let found = std::env::var(variable).ok().filter(|text| !text.is_empty());
    found.map(Secret::from).ok_or_else(|| wrong(format!("--stripe-account: the environment has no {variable}")))
}

fn wrong(text: impl Into<String>) -> SettingError {
    SettingError::Setting(text.into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        stripe: StripeOptions,
    }

    fn with(arguments: &[&str]) -> Result<StripeSettings, String> {
        let words = std::iter::once(&"program").chain(arguments);
        let program = Program::try_parse_from(words).map_err(|error| error.to_string())?;
        program.stripe.settings().map_err(|error| error.to_string())
    }

    #[test]
    fn the_unnamed_key_is_the_default_account_and_others_have_names() {
        let settings = with(&["--stripe-key", "sk_test_1", "--stripe-account", "eu=/run/eu,us=/run/us"]).unwrap();
        let names: Vec<&str> = settings.accounts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((settings.default_account.as_str(), names), ("default", vec!["default", "eu", "us"]));
        assert_eq!(with(&["--stripe-account", "eu=/run/eu"]).unwrap().default_account, "eu");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_without_a_key() {
        for (arguments, word) in [
            (&[][..], "STRIPE_KEY"),
            (&["--stripe-account", "eu"], "NAME=FILE"),
            (&["--stripe-account", "eu=a,eu=b"], "name of its own"),
            (&["--stripe-account", "eu=env:STRIPE_NO_SUCH_VARIABLE"], "STRIPE_NO_SUCH_VARIABLE"),
            (&["--stripe-key", "sk_live_planted", "--stripe-test-token", "pm_card_visa"], "test keys only"),
            (&["--stripe-key", "sk_test_planted", "--stripe-url", "http://pay.example.org"], "TLS"),
        ] {
            let error = with(arguments).unwrap_err();
            assert!(error.contains(word) && !error.contains("planted"), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn no_key_is_shown() {
        let arguments = ["program", "--stripe-key", "sk_test_planted"];
        let program = Program::try_parse_from(arguments).unwrap();
        let shown = format!("{program:?} {:?}", program.stripe.settings().unwrap());
        assert!(!shown.contains("planted"), "{shown}");
    }
}
