//! The Kafka consumer of an instance: one group member over all topics of its service.
//!
//! Rebalances only leave a note for the engine: looking up where to resume needs the database, and a hook must not wait.
//! librdkafka waits for `assign` after the hook returned; nothing is fetched before it. Its statistics leave the client's
//! vital signs. Absent on purpose: the group's own offsets decide nothing, they are written for people's lag tools.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use outbox::kafka::Listener;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, Statistics, TopicPartitionList};

use crate::feed::FeedId;
use crate::reception::Loss;
use crate::topic_names::TopicNames;

/// The consumer with its hooks.
pub(crate) type GroupMember = StreamConsumer<Hooks>;

/// A client beside it that only asks and looks.
pub(crate) type Asker = BaseConsumer<Listener>;

/// What the group has decided last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// These topic partitions are ours, and no others; there may be none for us.
    Assigned(Vec<(String, i32)>),
    /// What was ours is not any more; the group has not decided anew.
    Revoked,
}

/// What the client said of itself last.
#[derive(Debug, Clone)]
pub(crate) struct Vitals {
    /// When.
    pub(crate) at: Instant,
    /// Whether it was connected to any broker.
    pub(crate) is_connected: bool,
    /// High watermarks that were above the last stable offset: a transaction was open there.
    pub(crate) open: HashMap<(String, i32), i64>,
}

/// Where the hooks leave what they were told; the latest counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    ownership: Option<Ownership>,
    vitals: Option<Vitals>,
}

impl Notes {
    /// Take the group's decision, if there is one.
    pub(crate) fn take(&self) -> Option<Ownership> {
        self.with(|noted| noted.ownership.take())
    }

    /// What the client said of itself last.
    pub(crate) fn vitals(&self) -> Option<Vitals> {
        self.with(|noted| noted.vitals.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Noted) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Callbacks of librdkafka.
#[derive(Debug)]
pub(crate) struct Hooks {
    notes: Notes,
    /// What a test does to this client.
    pub(crate) loss: Loss,
}

impl ClientContext for Hooks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        outbox::kafka::read_token(config)
    }

    fn stats(&self, statistics: Statistics) {
        if self.loss.has_happened() {
            return;
        }
        let vitals = vitals_of(&statistics, Instant::now());
        self.notes.with(|noted| noted.vitals = Some(vitals));
    }
}

impl ConsumerContext for Hooks {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let list = partitions.elements().iter().map(|one| (one.topic().to_owned(), one.partition())).collect();
            self.notes.with(|noted| noted.ownership = Some(Ownership::Assigned(list)));
        } else {
            self.notes.with(|noted| noted.ownership = Some(Ownership::Revoked));
            if let Err(error) = consumer.unassign() {
                tracing::warn!(%error, "could not give up the revoked partitions");
            }
        }
    }
}

/// A consumer for this group, which joins it by `subscribe`.
pub(crate) fn create(base: &ClientConfig, group: &str, loss: Loss) -> KafkaResult<(GroupMember, Notes)> {
    let notes = Notes::default();
    let hooks = Hooks { notes: notes.clone(), loss };
    let consumer: GroupMember = group_config(base, group).create_with_context(hooks)?;
    Ok((consumer, notes))
}

/// Join the group for these topics.
pub(crate) fn subscribe(consumer: &GroupMember, topics: &[impl AsRef<str>]) -> KafkaResult<()> {
    let topics: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
    consumer.subscribe(&topics)
}

/// Up to where the client has handed over each partition that it fetches; a local look, no broker is asked. Unlike the last
/// record's offset it is also behind the markers of transactions, which are never handed over.
pub(crate) fn positions<T>(consumer: &GroupMember, topics: &TopicNames<T>) -> HashMap<FeedId<T>, i64>
where
    T: Copy + Eq + Hash + Display,
{
    let Ok(list) = consumer.position() else { return HashMap::new() };
    let position = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let id = FeedId { topic: topics.find(element.topic())?, partition: element.partition() };
        match element.offset() {
            Offset::Offset(offset) => Some((id, offset)),
            // Nothing was handed over since it was set to its offset.
            Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => None,
        }
    };
    list.elements().iter().filter_map(position).collect()
}

/// The user's settings over these defaults. Values are asked for by name: the map as a whole hides the secrets.
pub(crate) fn config_over(base: &ClientConfig, defaults: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in defaults {
        config.set(*key, *value);
    }
    for key in base.config_map().keys() {
        if let Some(value) = base.get(key) {
            config.set(*key, value);
        }
    }
    config
}

fn group_config(base: &ClientConfig, group: &str) -> ClientConfig {
    let mut config = config_over(
        base,
        &[
            // A partition that joins while a fetch is under way is fetched with the next one: so long it may stand.
            ("fetch.wait.max.ms", "250"),
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.error.backoff.ms", "100"),
            ("queued.min.messages", "4000"),
            ("queued.max.messages.kbytes", "8192"),
            ("reconnect.backoff.ms", "50"),
            ("reconnect.backoff.max.ms", "1000"),
            // A connection whose bytes go nowhere is given up after this.
            ("socket.timeout.ms", "10000"),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "1000"),
            ("statistics.interval.ms", "5000"),
            // Autoscalers read these offsets: a second of traffic behind, they would never scale down.
            ("auto.commit.interval.ms", "150"),
            ("topic.metadata.refresh.interval.ms", "60000"),
        ],
    );
    // These are not for the user to change: lanes and positions rest on them.
    config
        .set("group.id", group)
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "range")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "true")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "false");
    config
}

fn vitals_of(statistics: &Statistics, at: Instant) -> Vitals {
    let partitions = statistics.topics.iter().flat_map(|(name, topic)| {
        let known = topic.partitions.iter().filter(|(number, _)| **number >= 0);
        known.map(move |(number, values)| ((name.clone(), *number), values))
    });
    let open = partitions.filter(|(_, values)| values.ls_offset >= 0 && values.hi_offset > values.ls_offset);
    Vitals {
        at,
        is_connected: statistics.brokers.values().any(|broker| broker.state == "UP"),
        open: open.map(|(at, values)| (at, values.hi_offset)).collect(),
    }
}

/// How long statistics may be missing before the client counts as not connected: three of their intervals.
pub(crate) const VITALS_WITHIN: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_arrive_at_the_client() {
        let mut base = ClientConfig::new();
        for key in ["sasl.password", "ssl.key.password", "ssl.keystore.password", "sasl.oauthbearer.client.secret"] {
            base.set(key, "s3cret");
        }
        base.set("session.timeout.ms", "7000").set("enable.auto.commit", "false");
        let config = group_config(&base, "g");
        for key in base.config_map().keys().filter(|key| key.contains("password") || key.contains("secret")) {
            assert_eq!(config.get(key), Some("s3cret"), "{key}");
        }
        assert_eq!(config.get("session.timeout.ms"), Some("7000"), "the user's word counts");
        assert_eq!(config.get("enable.auto.commit"), Some("true"), "but not for what lanes rest on");
    }

    #[test]
    fn a_transaction_is_open_where_the_log_goes_on_behind_the_stable_end() {
        let mut statistics = Statistics::default();
        let mut topic = rdkafka::statistics::Topic::default();
        for (number, ls_offset, hi_offset) in [(0, 5, 9), (1, 9, 9), (2, -1001, 9), (-1, 0, 3)] {
            let values = rdkafka::statistics::Partition { ls_offset, hi_offset, ..Default::default() };
            topic.partitions.insert(number, values);
        }
        statistics.topics.insert("t".into(), topic);
        let vitals = vitals_of(&statistics, Instant::now());
        assert_eq!(vitals.open, HashMap::from([(("t".to_owned(), 0), 9)]));
        assert!(!vitals.is_connected);
    }
}
