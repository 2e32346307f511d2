//! The Kafka consumer of an instance: one group member over all topics of its service.
//!
//! Rebalances only leave a note for the engine: looking up where to resume needs the database, and a hook must not wait.
//! librdkafka waits for `assign` after the hook returned; nothing is fetched before it.
//! Absent on purpose: the group's own offsets decide nothing, they are written for people's lag tools.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Statistics, TopicPartitionList};

use crate::metrics;

/// The consumer with its hooks.
pub(crate) type Consumer = StreamConsumer<Hooks>;

/// What the group has decided last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// These topic partitions are ours, and no others.
    Assigned(Vec<(String, i32)>),
    /// None is.
    Revoked,
}

/// Where a rebalance leaves its note; the latest one counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Option<Ownership>>>);

impl Notes {
    /// Take the note, if there is one.
    pub(crate) fn take(&self) -> Option<Ownership> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn leave(&self, note: Ownership) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(note);
    }
}

/// Callbacks of librdkafka.
#[derive(Debug)]
pub(crate) struct Hooks {
    notes: Notes,
}

impl ClientContext for Hooks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = false;

    fn stats(&self, statistics: Statistics) {
        for (name, topic) in &statistics.topics {
            for (partition, values) in topic.partitions.iter().filter(|(number, _)| **number >= 0) {
                if values.consumer_lag_stored >= 0 {
                    metrics::consumer_lag(name, *partition, values.consumer_lag_stored);
                }
            }
        }
    }
}

impl ConsumerContext for Hooks {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let list = partitions.elements().iter().map(|one| (one.topic().to_owned(), one.partition())).collect();
            self.notes.leave(Ownership::Assigned(list));
        } else {
            self.notes.leave(Ownership::Revoked);
            if let Err(error) = consumer.unassign() {
                tracing::warn!(%error, "could not give up the revoked partitions");
            }
        }
    }
}

/// A consumer in its group, subscribed to these topics.
pub(crate) fn subscribe(
    base: &ClientConfig,
    group: &str,
    topics: &[impl AsRef<str>],
) -> Result<(Consumer, Notes), rdkafka::error::KafkaError> {
    let notes = Notes::default();
    let mut config = ClientConfig::new();
    for (key, value) in [
        ("fetch.queue.backoff.ms", "5"),
        ("fetch.error.backoff.ms", "100"),
        ("queued.min.messages", "4000"),
        ("queued.max.messages.kbytes", "8192"),
        ("reconnect.backoff.ms", "50"),
        ("reconnect.backoff.max.ms", "1000"),
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "1000"),
        ("statistics.interval.ms", "5000"),
        ("auto.commit.interval.ms", "1000"),
        ("topic.metadata.refresh.interval.ms", "60000"),
    ] {
        config.set(key, value);
    }
    for (key, value) in base.config_map() {
        config.set(key, value);
    }
    // These are not for the user to change: lanes and positions rest on them.
    config
        .set("group.id", group)
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "range")
        .set("enable.auto.commit", "true")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "false");
    let consumer: Consumer = config.create_with_context(Hooks { notes: notes.clone() })?;
    let topics: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
    consumer.subscribe(&topics)?;
    Ok((consumer, notes))
}
