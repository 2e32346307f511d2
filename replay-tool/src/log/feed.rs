//! Partitions that are read on and on, as `archive run --follow` does.

use std::time::Duration;

use outbox::kafka::Denied;
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;

use super::client::{self, Reading};
use super::kafka::POLL;
use crate::error::ReplayError;

/// How long setting a consumer to another offset may take.
const SEEK_WAIT: Duration = Duration::from_secs(10);

/// Partitions that are read on and on.
pub(crate) struct Feed {
    consumer: Reading,
}

/// What a feed has brought.
pub(crate) enum Fed<'f> {
    Message(BorrowedMessage<'f>),
    /// What the client complains of; it tries on by itself.
    Complaint(String),
    /// The client stands before records that it cannot read; it does not say where.
    Unreadable(String),
    Nothing,
}

impl Feed {
    /// Of a consumer that has its partitions.
    pub(super) fn of(consumer: Reading) -> Self {
        Feed { consumer }
    }

    /// What comes next, if it comes soon.
    pub(crate) fn poll(&self) -> Result<Fed<'_>, ReplayError> {
        match client::poll(&self.consumer, POLL) {
            Some(Ok(message)) => Ok(Fed::Message(message)),
            Some(Err(error)) if outbox::kafka::is_about_content(&error) => Ok(Fed::Unreadable(error.to_string())),
            Some(Err(error)) if outbox::kafka::is_final(&error) => {
                Err(ReplayError::Kafka { doing: "following the topics".into(), source: error })
            }
            Some(Err(KafkaError::PartitionEOF(_))) | None => Ok(Fed::Nothing),
            Some(Err(error)) if outbox::kafka::denied(&error) == Some(Denied::Group) => Ok(Fed::Nothing),
            Some(Err(error)) => Ok(Fed::Complaint(error.to_string())),
        }
    }

    /// Where the client is in a partition. It steps over marks of transactions, which nobody is shown: behind the last
    /// record there may be one, and then no record ever comes to the log's end.
    pub(crate) fn position(&self, topic: &str, partition: i32) -> Option<i64> {
        outbox::log::position(&self.consumer, topic, partition)
    }

    /// Go on at another offset.
    pub(crate) fn seek(&self, topic: &str, partition: i32, offset: i64) -> Result<(), ReplayError> {
        let sought = self.consumer.seek(topic, partition, Offset::Offset(offset), SEEK_WAIT);
        sought.map_err(ReplayError::kafka(format!("going on at {topic}[{partition}]@{offset}")))
    }
}
