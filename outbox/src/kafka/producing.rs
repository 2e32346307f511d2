//! The callbacks of a producer that is a [`Listener`] as well: rdkafka takes one object for both.

use std::error::Error;
use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::util::IntoOpaque;

use super::listener::Listener;

/// Who is told what became of each message.
pub trait Confirmations: Send + Sync {
    /// What travels with a message.
    type Ticket: IntoOpaque;

    /// A message was confirmed, or given up. Called by the thread that polls the producer.
    fn delivered(&self, result: &DeliveryResult<'_>, ticket: Self::Ticket);
}

/// A producer's context.
#[derive(Debug, Default)]
pub struct Producing<D> {
    /// Who is told of the messages.
    pub confirmations: Arc<D>,
    /// Hears the rest.
    pub listener: Listener,
}

impl<D: Confirmations> ClientContext for Producing<D> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Listener::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.listener.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.listener.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.listener.generate_oauth_token(config)
    }
}

impl<D: Confirmations> ProducerContext for Producing<D> {
    type DeliveryOpaque = D::Ticket;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: D::Ticket) {
        self.confirmations.delivered(result, ticket);
    }
}
