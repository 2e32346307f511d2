//! The topics that only a service itself writes to: made where they are missing, and waited for until the brokers tell of them.
//!
//! They keep their records for ever, because a service's tables are rebuilt from what it has said; and take records that are a
//! little larger than those that are read, because a dead letter is its record with headers on top. What is there already
//! stays as it is. Deliberately absent: the topics that others write to.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::engine::Halted;

const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks whether new topics are there.
const PAUSE: Duration = Duration::from_millis(50);
/// A broker's largest record, and 64 KiB for a dead letter's headers.
const MAX_MESSAGE_BYTES: &str = "1114124";

/// Make those of these topics that are missing.
pub(crate) async fn create(kafka: &ClientConfig, names: &[String], partitions: i32) -> Result<(), Halted> {
    let refused = |error: KafkaError| Halted(format!("topics cannot be made: {}", outbox::kafka::words(&error)));
    let admin: AdminClient<DefaultClientContext> = kafka.create().map_err(refused)?;
    let new: Vec<NewTopic<'_>> = names
        .iter()
        // As many replicas as the brokers make by themselves.
        .map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(-1)))
        .map(|topic| topic.set("retention.ms", "-1").set("max.message.bytes", MAX_MESSAGE_BYTES))
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    for made in admin.create_topics(&new, &options).await.map_err(refused)? {
        match made {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                let words = outbox::kafka::words(&KafkaError::AdminOp(code));
                return Err(Halted(format!("the topic {name} cannot be made: {words}")));
            }
        }
    }
    await_visible(kafka, names).await
}

/// The controller answers before every broker knows of a new topic.
async fn await_visible(kafka: &ClientConfig, names: &[String]) -> Result<(), Halted> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asking = kafka.clone();
        let asked = tokio::task::spawn_blocking(move || outbox::kafka::ask(&asking, None, PATIENCE)).await;
        let metadata = asked.map_err(|error| Halted(error.to_string()))?;
        let metadata = metadata.map_err(|error| Halted(format!("the brokers do not tell their topics: {error}")))?;
        let is_there = |name: &&String| {
            metadata.topics().iter().any(|topic| topic.name() == *name && !topic.partitions().is_empty())
        };
        let Some(missing) = names.iter().find(|name| !is_there(name)) else { return Ok(()) };
        if Instant::now() >= deadline {
            return Err(Halted(format!("the topic {missing} was made, and the brokers do not tell of it")));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
