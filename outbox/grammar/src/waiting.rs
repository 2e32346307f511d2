//! How long brokers may be silent before a program gives up.

use std::time::Duration;

use clap::Args;

/// How long to wait.
#[derive(Debug, Clone, Copy, Args)]
pub struct WaitOption {
    /// How long to wait for brokers or for an answer before giving up, in seconds.
    #[arg(long, alias = "broker-patience-s", global = true, value_name = "SECONDS",
        default_value_t = outbox::kafka::ANSWER_WAIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

impl WaitOption {
    /// The time.
    pub fn limit(self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}
