//! An account of ours at the provider: its key, and the gate in front of it.

use std::time::Duration;

use grammar::SettingError;

use crate::breaker::Policy;
use crate::gate::Gate;
use crate::keys::{Key, KeySource};

/// How much is asked of the provider at once, and how long for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most requests of an account under way.
    pub requests: usize,
    /// How long one of these places is waited for.
    pub place_limit: Duration,
    /// How long an answer is waited for.
    pub answer_limit: Duration,
    /// When nothing is sent for a while.
    pub breaker: Policy,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests: 256,
            place_limit: Duration::from_secs(5),
            answer_limit: Duration::from_secs(10),
            breaker: Policy { opens_after: 20, first_pause_ms: 1_000, longest_pause_ms: 30_000 },
        }
    }
}

/// The provider cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// No HTTP client can be made.
    #[error("no HTTP client can be made: {0}")]
    Http(#[from] reqwest::Error),
}

/// One account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) key: Key,
    pub(crate) gate: Gate,
}

impl Account {
    pub(crate) fn open(name: String, source: KeySource, limits: &Limits) -> Result<Self, SettingError> {
        Ok(Account { key: Key::read(source)?, gate: Gate::new(&name, limits), name })
    }
}
