//! How the server behaves. Shares are parts of a million; all faults are off unless asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use domain::simulator::SimulatorConfig;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How the server behaves; as TOML a file of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Accounts by their secret keys; with none every key is one, of the account `default`.
    pub keys: BTreeMap<String, String>,
    /// Of tries, how many are answered 429.
    pub too_many_per_million: u32,
    /// What 429 asks to wait, in seconds.
    pub retry_after_s: u32,
    /// Of keys, how many take effect and are answered 500, again and again.
    pub stored_error_per_million: u32,
    /// How far the search is behind, in milliseconds.
    pub search_lag_ms: i64,
    /// When an authorization lapses, in milliseconds.
    pub lapses_after_ms: i64,
    /// The same of a further hold of the same order.
    pub lapses_again_after_ms: i64,
    /// When a refund that is pending is done or fails, in milliseconds.
    pub refund_settles_after_ms: i64,
    /// Where webhooks go.
    pub webhooks: Vec<String>,
    /// With what they are signed.
    pub webhook_secret: String,
    /// Of webhooks, how many never come.
    pub webhook_lost_per_million: u32,
    /// Of webhooks, how many come twice.
    pub webhook_twice_per_million: u32,
    /// Of webhooks, how many come late.
    pub webhook_late_per_million: u32,
    /// How late.
    pub webhook_late_ms: u64,
    /// Where to write what was done, one JSON object per line.
    pub statement: Option<PathBuf>,
    /// The simulator's plan; its statement is not used.
    pub simulator: SimulatorConfig,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            keys: BTreeMap::new(),
            too_many_per_million: 0,
            retry_after_s: 1,
            stored_error_per_million: 0,
            search_lag_ms: 0,
            lapses_after_ms: 7 * 86_400_000,
            lapses_again_after_ms: 7 * 86_400_000,
            refund_settles_after_ms: 1_000,
            webhooks: Vec::new(),
            webhook_secret: "whsec_test".into(),
            webhook_lost_per_million: 0,
            webhook_twice_per_million: 0,
            webhook_late_per_million: 0,
            webhook_late_ms: 1_000,
            statement: None,
            simulator: SimulatorConfig::default(),
        }
    }
}

impl Behaviour {
    /// 64 bits that depend on the seed and on these parts, and on nothing else.
    pub(crate) fn draw(&self, parts: &[&str]) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.simulator.seed.to_be_bytes());
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Whether these parts fall into a share.
    pub(crate) fn falls(&self, per_million: u32, parts: &[&str]) -> bool {
        self.draw(parts) % 1_000_000 < u64::from(per_million)
    }

    /// The account of a key.
    pub(crate) fn account_of(&self, key: &str) -> Option<String> {
        match self.keys.is_empty() {
            true => Some("default".to_owned()).filter(|_| !key.is_empty()),
            false => self.keys.get(key).cloned(),
        }
    }
}
