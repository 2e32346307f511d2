//! `topics create` and `topics check`: the pipeline's topics as the contract wants them.
//!
//! Every topic has the same number of partitions, for ever: an order's messages are found by it. Creating what exists is
//! checking it.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::TopicName;

const TIMEOUT: Duration = Duration::from_secs(30);
/// How long the brokers may take to tell their topics.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// How often to look whether new topics are visible.
const VISIBLE_PERIOD: Duration = Duration::from_millis(50);

/// The largest record of an ordinary topic in bytes, Kafka's own default.
pub const MAX_MESSAGE_BYTES: usize = 1_048_588;
/// The largest record of a dead-letter topic: headers of ours come on top.
pub const MAX_DEAD_LETTER_BYTES: usize = MAX_MESSAGE_BYTES + 64 * 1024;

/// Why topics are not as they have to be.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// No broker answered.
    #[error("no answer from the brokers {brokers} within {} s: {source}; check KAFKA_BROKERS or --brokers", ANSWER_WAIT.as_secs())]
    Unreachable {
        /// Who was asked.
        brokers: String,
        /// What the client says.
        source: KafkaError,
    },
    /// The brokers did not answer or refused.
    #[error("the brokers do not {doing}: {source}")]
    Kafka {
        /// What was asked.
        doing: &'static str,
        /// Their answer.
        source: KafkaError,
    },
    /// Topics are missing or different.
    #[error("{}", .0.join("\n"))]
    Mistakes(Vec<String>),
}

/// Create what is missing, then check everything.
pub async fn create(kafka: &ClientConfig, prefix: &str, partitions: i32, replicas: i32) -> Result<(), TopicsError> {
    let admin = admin(kafka)?;
    // Asked first, because it tells in words when nobody is there.
    partition_counts(kafka, &admin, prefix)?;
    let names: Vec<(String, usize)> = TopicName::ALL
        .iter()
        .flat_map(|topic| {
            [(topic.as_str().to_owned(), MAX_MESSAGE_BYTES), (topic.dead_letter(), MAX_DEAD_LETTER_BYTES)]
        })
        .map(|(name, limit)| (format!("{prefix}{name}"), limit))
        .collect();
    let limits: Vec<String> = names.iter().map(|(_, limit)| limit.to_string()).collect();
    let wanted: Vec<NewTopic<'_>> = names
        .iter()
        .zip(&limits)
        .map(|((name, _), limit)| {
            NewTopic::new(name, partitions, TopicReplication::Fixed(replicas))
                .set("cleanup.policy", "delete")
                .set("retention.ms", "-1")
                .set("max.message.bytes", limit)
        })
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    let results = admin
        .create_topics(&wanted, &options)
        .await
        .map_err(|source| TopicsError::Kafka { doing: "create topics", source })?;
    let mistakes: Vec<String> = results
        .into_iter()
        .filter_map(Result::err)
        .filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists)
        .map(|(name, code)| format!("topic {name} cannot be created: {code}"))
        .collect();
    if !mistakes.is_empty() {
        return Err(TopicsError::Mistakes(mistakes));
    }
    await_visible(kafka, &admin, prefix, &wanted).await?;
    check(kafka, prefix, Some(partitions)).await.map(|_| ())
}

/// The controller answers before every broker knows of a new topic; what is still unknown in the end, `check` names.
async fn await_visible(
    kafka: &ClientConfig,
    admin: &AdminClient<DefaultClientContext>,
    prefix: &str,
    wanted: &[NewTopic<'_>],
) -> Result<(), TopicsError> {
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    while tokio::time::Instant::now() < deadline {
        let known = partition_counts(kafka, admin, prefix)?;
        if wanted.iter().all(|topic| known.contains_key(topic.name)) {
            break;
        }
        tokio::time::sleep(VISIBLE_PERIOD).await;
    }
    Ok(())
}

/// Check that every topic is there, with the same partitions and large enough; the partition count.
pub async fn check(kafka: &ClientConfig, prefix: &str, partitions: Option<i32>) -> Result<i32, TopicsError> {
    let admin = admin(kafka)?;
    let counts = partition_counts(kafka, &admin, prefix)?;
    let expected = partitions
        .or_else(|| counts.get(&format!("{prefix}{}", TopicName::OrderCommands.as_str())).copied())
        .unwrap_or_default();
    let mut mistakes = Vec::new();
    for topic in TopicName::ALL {
        for (name, limit) in
            [(topic.as_str().to_owned(), MAX_MESSAGE_BYTES), (topic.dead_letter(), MAX_DEAD_LETTER_BYTES)]
        {
            let name = format!("{prefix}{name}");
            match counts.get(&name) {
                None => mistakes.push(format!("topic {name} is missing; run the subcommand `topics create`")),
                Some(count) if *count != expected => mistakes.push(format!(
                    "topic {name} has {count} partitions, not {expected}; all topics of the pipeline need the same number, \
                     from their creation on"
                )),
                Some(_) => mistakes.extend(setting_mistakes(&admin, &name, limit).await?),
            }
        }
    }
    if mistakes.is_empty() { Ok(expected) } else { Err(TopicsError::Mistakes(mistakes)) }
}

/// What is wrong with a topic's settings.
async fn setting_mistakes(
    admin: &AdminClient<DefaultClientContext>,
    name: &str,
    limit_bytes: usize,
) -> Result<Vec<String>, TopicsError> {
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let described = admin
        .describe_configs([&ResourceSpecifier::Topic(name)], &options)
        .await
        .map_err(|source| TopicsError::Kafka { doing: "describe topics", source })?;
    let mut mistakes = Vec::new();
    for resource in described.into_iter().flatten() {
        let value = |key: &str| resource.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
        if value("cleanup.policy") != "delete" {
            mistakes.push(format!("topic {name} has cleanup.policy={}; it must be delete", value("cleanup.policy")));
        }
        if value("retention.ms") != "-1" {
            mistakes.push(format!(
                "topic {name} has retention.ms={}; state is rebuilt from it, so it must be -1",
                value("retention.ms")
            ));
        }
        if value("max.message.bytes").parse::<usize>().is_ok_and(|bytes| bytes < limit_bytes) {
            mistakes.push(format!(
                "topic {name} has max.message.bytes={}; it needs {limit_bytes}",
                value("max.message.bytes")
            ));
        }
    }
    Ok(mistakes)
}

fn partition_counts(
    kafka: &ClientConfig,
    admin: &AdminClient<DefaultClientContext>,
    prefix: &str,
) -> Result<BTreeMap<String, i32>, TopicsError> {
    let metadata = admin
        .inner()
        .fetch_metadata(None, ANSWER_WAIT)
        .map_err(|source| TopicsError::Unreachable { brokers: brokers_of(kafka), source })?;
    Ok(metadata
        .topics()
        .iter()
        .filter(|topic| topic.name().starts_with(prefix))
        .map(|topic| (topic.name().to_owned(), i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX)))
        .collect())
}

fn brokers_of(kafka: &ClientConfig) -> String {
    kafka.get("bootstrap.servers").unwrap_or_default().to_owned()
}

fn admin(kafka: &ClientConfig) -> Result<AdminClient<DefaultClientContext>, TopicsError> {
    kafka.create().map_err(|source| TopicsError::Kafka { doing: "accept this configuration", source })
}
