//! The one place where what the client library brings is taken from it.
//!
//! With the feature `planted-bugs` a record whose key begins with `unreadable-` is one that the library cannot read: it
//! reports so and stands before it, as it does with such a record. No test needs to write one to a broker.

use std::time::Duration;

use outbox::kafka::Listener;
use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;
use rdkafka::message::BorrowedMessage;

use crate::error::ReplayError;

/// A client that reads, or asks.
pub(super) type Reading = BaseConsumer<Listener>;

/// Does not connect yet.
pub(super) fn reading(config: &ClientConfig) -> Result<Reading, ReplayError> {
    config.create_with_context(Listener::default()).map_err(ReplayError::kafka("the configuration"))
}

/// What comes next within `limit`.
pub(super) fn poll(consumer: &Reading, limit: Duration) -> Option<KafkaResult<BorrowedMessage<'_>>> {
    consumer.poll(limit).map(|came| screened(came, consumer))
}

#[cfg(not(feature = "planted-bugs"))]
fn screened<'m>(came: KafkaResult<BorrowedMessage<'m>>, _: &Reading) -> KafkaResult<BorrowedMessage<'m>> {
    came
}

/// The library's error in place of a record that a test has chosen.
#[cfg(feature = "planted-bugs")]
fn screened<'m>(came: KafkaResult<BorrowedMessage<'m>>, consumer: &Reading) -> KafkaResult<BorrowedMessage<'m>> {
    use rdkafka::consumer::Consumer as _;
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};
    use rdkafka::{Message as _, Offset};
    match came {
        Ok(message) if message.key().is_some_and(|key| key.starts_with(b"unreadable-")) => {
            let here = Offset::Offset(message.offset());
            consumer.seek(message.topic(), message.partition(), here, Duration::from_secs(5))?;
            Err(KafkaError::MessageConsumption(RDKafkaErrorCode::BadMessage))
        }
        came => came,
    }
}
