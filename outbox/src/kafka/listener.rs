//! The callbacks of a client that only asks and reads: what it complains of is kept, and tokens are read from their file.

use std::error::Error;

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use super::hearing::Hearing;
use super::token::read_token;

/// Callbacks for clients without work of their own in them.
#[derive(Debug, Clone, Default)]
pub struct Listener {
    /// What the client has complained of.
    pub hearing: Hearing,
}

impl ClientContext for Listener {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    /// Whatever goes wrong is an error of the call that met it, or an event: it need not be logged as well.
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "a Kafka client");
        self.hearing.log(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "a Kafka client has trouble");
        self.hearing.error(&error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        read_token(config)
    }
}

impl ConsumerContext for Listener {}
