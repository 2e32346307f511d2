//! Where Kafka is and how to talk to it: the one place that turns settings into librdkafka configurations.
//!
//! Every librdkafka property can be given, so that TLS and SASL clusters work, but those that the contract on the wire
//! fixes (partitioner, acks) and those that reading without a group needs.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use outbox::kafka::{self, ANSWER_WAIT, Asking, Hearing, Listener, Unanswered};
use outbox::log::{self, Bounds, Partition};
use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, ClientContext};
use schemas::TopicName;
use schemas::limits::MAX_PAYLOAD_BYTES;

use super::{ClientError, words};

/// Properties that no setting may change.
const FIXED: [&str; 8] = [
    "acks",
    "request.required.acks",
    "partitioner",
    "group.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "auto.offset.reset",
];

/// What a record has beside its payload, at most, in bytes: the topic decides what is too large, not the library's default.
const RECORD_EXTRA_BYTES: usize = 64 * 1024;

/// Events of the client that are looked at when it is asked something.
const EVENTS_HEARD: u32 = 32;

/// Where Kafka is, what stands before every topic name, and further librdkafka properties.
#[derive(Clone)]
pub struct Connection {
    brokers: String,
    topic_prefix: String,
    properties: BTreeMap<String, String>,
    answer_wait: Duration,
}

impl std::fmt::Debug for Connection {
    /// Properties by name only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("brokers", &self.brokers)
            .field("topic_prefix", &self.topic_prefix)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl Connection {
    /// To these bootstrap addresses (`host:port`, several with commas).
    pub fn new(brokers: impl Into<String>) -> Self {
        let (topic_prefix, properties) = (String::new(), BTreeMap::new());
        Self { brokers: brokers.into(), topic_prefix, properties, answer_wait: ANSWER_WAIT }
    }

    /// The same, when each question to the brokers may take so long; else [`ANSWER_WAIT`].
    pub fn with_answer_wait(mut self, limit: Duration) -> Self {
        self.answer_wait = limit;
        self
    }

    /// The same with this text in front of every topic name.
    pub fn with_topic_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.topic_prefix = prefix.into();
        self
    }

    /// The same with a librdkafka property; an error names those that the contract fixes.
    pub fn with_property(mut self, name: &str, value: &str) -> Result<Self, ClientError> {
        if Self::is_fixed(name) {
            return Err(ClientError::FixedProperty { name: name.to_owned() });
        }
        self.properties.insert(name.to_owned(), value.to_owned());
        Ok(self)
    }

    /// The same with a librdkafka property, unless it was given already.
    pub fn with_default(self, name: &str, value: &str) -> Result<Self, ClientError> {
        if self.properties.contains_key(name) { Ok(self) } else { self.with_property(name, value) }
    }

    /// Whether the contract, or reading without a group, fixes this librdkafka property.
    pub fn is_fixed(name: &str) -> bool {
        FIXED.contains(&name)
    }

    /// The bootstrap addresses.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// What stands in front of every topic name.
    pub fn topic_prefix(&self) -> &str {
        &self.topic_prefix
    }

    /// How long a question to the brokers may take.
    pub(super) fn answer_wait(&self) -> Duration {
        self.answer_wait
    }

    fn asking(&self) -> Asking<'_> {
        Asking { brokers: &self.brokers, limit: self.answer_wait }
    }

    /// The full name of a topic.
    pub fn topic(&self, name: TopicName) -> String {
        format!("{}{}", self.topic_prefix, name.as_str())
    }

    /// The full name of a topic's dead letter topic.
    pub fn dead_letter_topic(&self, name: TopicName) -> String {
        format!("{}{}", self.topic_prefix, name.dead_letter())
    }

    /// For a producer that keeps the contract: murmur2 as all other clients, all replicas, in the order in which it was
    /// asked. Not idempotent: the services know a command that was written twice, and a first message does not wait until
    /// the broker has given the producer an id (0.1 to 1 s). One request at a time keeps the order through retries.
    pub(super) fn producer_config(&self, in_flight_max: u32) -> ClientConfig {
        let mut config = self.with_defaults(&[
            ("linger.ms", "5"),
            ("compression.type", "lz4"),
            ("message.timeout.ms", "60000"),
            ("queue.buffering.max.kbytes", "131072"),
            ("max.in.flight.requests.per.connection", "1"),
        ]);
        config.set("queue.buffering.max.messages", in_flight_max.to_string());
        config.set("message.max.bytes", (MAX_PAYLOAD_BYTES + RECORD_EXTRA_BYTES).to_string());
        config.set("acks", "all").set("partitioner", "murmur2_random");
        config
    }

    /// A consumer that reads assigned partitions. Inside a runtime only.
    pub(super) fn consumer(&self) -> Result<TopicConsumer, ClientError> {
        self.consumer_that("read_committed")
    }

    /// A consumer of this isolation level: its ends are behind the last record, or before the first open transaction.
    pub(super) fn consumer_that(&self, isolation_level: &str) -> Result<TopicConsumer, ClientError> {
        let created =
            self.consumer_config().set("isolation.level", isolation_level).create_with_context(Listener::default());
        created.map_err(|source| ClientError::Configuration { source })
    }

    /// For a consumer that reads assigned partitions and leaves no trace in any group.
    fn consumer_config(&self) -> ClientConfig {
        let mut config = self.with_defaults(&[
            ("queued.max.messages.kbytes", "16384"),
            ("fetch.queue.backoff.ms", "20"),
            ("fetch.wait.max.ms", "100"),
        ]);
        log::configure(&mut config, &format!("{}orders-client", self.topic_prefix));
        config
    }

    fn with_defaults(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        // A first address that nobody listens on (`localhost` as ::1) costs as long as the pause after it.
        config.set("client.id", "orders").set("reconnect.backoff.ms", "10").set("reconnect.backoff.max.ms", "1000");
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        // That a broker hangs up is told in a line of this level, and nowhere else.
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// How many partitions a topic has. Asks the brokers; tells a missing topic from a missing broker.
    pub async fn partitions(&self, topic: &str) -> Result<i32, ClientError> {
        let connection = self.clone();
        let topic = topic.to_owned();
        blocking(move || {
            let consumer = connection.consumer()?;
            partition_count_of(&consumer, &connection, &topic)
        })
        .await
    }

    /// Fails early, and in words, unless the brokers answer and have this topic.
    pub async fn check_topic(&self, name: TopicName) -> Result<(), ClientError> {
        self.partitions(&self.topic(name)).await.map(|_| ())
    }
}

/// What reads the topics.
pub(super) type TopicConsumer = StreamConsumer<Listener>;

/// Asks through a consumer that exists already. Blocks.
pub(super) fn partition_count_of(
    consumer: &TopicConsumer,
    connection: &Connection,
    topic: &str,
) -> Result<i32, ClientError> {
    let hearing = &consumer.context().hearing;
    partition_count(consumer.client(), hearing, connection, topic, || attend(consumer))
}

/// Asks through a client that exists already, which `attend` polls unless somebody else does. Blocks.
pub(super) fn partition_count<C: ClientContext>(
    client: &Client<C>,
    hearing: &Hearing,
    connection: &Connection,
    topic: &str,
    attend: impl Fn(),
) -> Result<i32, ClientError> {
    let brokers = connection.brokers.clone();
    let metadata = kafka::metadata(client, hearing, Some(topic), connection.asking(), attend);
    let metadata = metadata.map_err(|unanswered| match unanswered {
        Unanswered::Settings(source) => ClientError::Configuration { source },
        Unanswered::Refused(refusal) => ClientError::NotAdmitted { brokers, refusal },
        Unanswered::Silent { silence, .. } => ClientError::Unreachable(*silence),
    })?;
    let missing = || ClientError::NoTopic { brokers: connection.brokers.clone(), topic: topic.to_owned() };
    let found = metadata.topics().iter().find(|t| t.name() == topic).ok_or_else(missing)?;
    if let Some(code) = found.error() {
        let code = RDKafkaErrorCode::from(code);
        if matches!(code, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) {
            return Err(missing());
        }
        return Err(ClientError::Read { topic: topic.to_owned(), source: KafkaError::MetadataFetch(code) });
    }
    i32::try_from(found.partitions().len()).ok().filter(|count| *count > 0).ok_or_else(missing)
}

/// First and next offsets, asked before anything is fetched. A partition that is between two leaders is asked again, and so
/// is a broker that is still being connected to, as long as any question may take. Blocks.
pub(super) fn bounds(
    consumer: &TopicConsumer,
    connection: &Connection,
    places: &[Partition],
) -> Result<Vec<Bounds>, ClientError> {
    let hearing = &consumer.context().hearing;
    let question = |turn| log::bounds(consumer, places, turn);
    kafka::in_turns(hearing, connection.asking(), || attend(consumer), question, is_not_ready).map_err(|unanswered| {
        match unanswered {
            Unanswered::Settings(source) => ClientError::Configuration { source },
            Unanswered::Refused(refusal) => ClientError::NotAdmitted { brokers: connection.brokers.clone(), refusal },
            Unanswered::Silent { source, .. } => unreachable(connection, consumer, &source),
        }
    })
}

fn is_not_ready(error: &KafkaError) -> bool {
    const AWAY: [RDKafkaErrorCode; 3] = [
        RDKafkaErrorCode::AllBrokersDown,
        RDKafkaErrorCode::OperationTimedOut,
        RDKafkaErrorCode::UnknownTopicOrPartition,
    ];
    kafka::is_unsettled(error) || error.rdkafka_error_code().is_some_and(|code| AWAY.contains(&code))
}

/// Why no answer came: what was heard, or else what the library says.
pub(super) fn unreachable(connection: &Connection, consumer: &TopicConsumer, source: &KafkaError) -> ClientError {
    attend(consumer);
    let hearing = &consumer.context().hearing;
    match hearing.refusal() {
        Some(refusal) => ClientError::NotAdmitted { brokers: connection.brokers.clone(), refusal },
        None => {
            let detail = hearing.last().filter(|_| kafka::denied(source).is_none()).unwrap_or_else(|| words(source));
            ClientError::Unreachable(connection.asking().silence(detail))
        }
    }
}

/// Complaints, and tokens that are due, wait in the queue of messages until somebody reads it.
fn attend(consumer: &TopicConsumer) {
    for _ in 0..EVENTS_HEARD {
        drop(consumer.recv().now_or_never());
    }
}

/// Runs what blocks beside the runtime.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ClientError::Task { detail: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_prefix() {
        let connection = Connection::new("localhost:9092").with_topic_prefix("t1-");
        assert_eq!(connection.topic(TopicName::OrderCommands), "t1-order.commands.v1");
        assert_eq!(connection.dead_letter_topic(TopicName::OrderEvents), "t1-order.events.v1-dlt");
    }

    #[test]
    fn what_the_contract_fixes_cannot_be_set() {
        for name in FIXED {
            assert!(matches!(
                Connection::new("b").with_property(name, "x"),
                Err(ClientError::FixedProperty { name: found }) if found == name
            ));
        }
    }

    #[test]
    fn given_properties_win_over_defaults_and_reach_both_clients() {
        let connection = Connection::new("b").with_property("linger.ms", "50").unwrap();
        assert_eq!(connection.producer_config(10).get("linger.ms"), Some("50"));
        assert_eq!(connection.consumer_config().get("linger.ms"), Some("50"));
        assert_eq!(connection.producer_config(10).get("partitioner"), Some("murmur2_random"));
        assert_eq!(connection.producer_config(10).get("acks"), Some("all"));
        let connection = connection.with_default("linger.ms", "7").unwrap().with_default("client.rack", "r").unwrap();
        assert_eq!(connection.consumer_config().get("linger.ms"), Some("50"));
        assert_eq!(connection.consumer_config().get("client.rack"), Some("r"));
    }

    /// An idempotent producer waits up to half a second for its id before it sends its first message.
    #[test]
    fn a_first_order_waits_for_no_producer_id_and_order_is_kept_without_one() {
        let config = Connection::new("b").producer_config(10);
        assert_eq!(config.get("enable.idempotence"), None);
        assert_eq!(config.get("max.in.flight.requests.per.connection"), Some("1"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let connection = Connection::new("b").with_property("sasl.password", "hunter2").unwrap();
        let text = format!("{connection:?}");
        assert!(text.contains("sasl.password") && !text.contains("hunter2"), "{text}");
    }
}
