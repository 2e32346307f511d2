//! `topics create` and `topics check`: the pipeline's topics as the contract wants them.
//!
//! Every topic has the same number of partitions, for ever: an order's messages are found by it. Creating what exists is
//! checking it.
//!
//! State is rebuilt from the topics, so they keep their records for ever, or for as long as an archive needs to copy them:
//! retention is allowed as far as an archive says that it reaches.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use outbox::kafka::{ANSWER_WAIT, Refusal, Silence, Unanswered};
use outbox::operate::Copies;
use outbox::operate::archiving::{self, Archiving, Unarchived};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use schemas::TopicName;

const TIMEOUT: Duration = Duration::from_secs(30);
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
    #[error("{0}")]
    Unreachable(Silence),
    /// The brokers do not let this user in, or the client does not trust them.
    #[error("Kafka at {brokers}: {refusal}")]
    Refused {
        /// Who was asked.
        brokers: String,
        /// What the client says.
        refusal: Refusal,
    },
    /// The client does not take its configuration.
    #[error("the Kafka client cannot be set up: {}", client::words(.0))]
    Configuration(KafkaError),
    /// The user may not do something.
    #[error("the brokers do not {doing}: {}", client::words(source))]
    Denied {
        /// What was asked.
        doing: &'static str,
        /// Their answer.
        source: KafkaError,
    },
    /// The brokers did not answer or refused.
    #[error("the brokers do not {doing}: {}", client::words(source))]
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

impl TopicsError {
    fn asked(doing: &'static str, source: KafkaError) -> Self {
        match outbox::kafka::denied(&source) {
            Some(_) => TopicsError::Denied { doing, source },
            None => TopicsError::Kafka { doing, source },
        }
    }
}

/// What `create` has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// Topics that were missing.
    pub made: usize,
    /// Topics that were there.
    pub found: usize,
    /// Partitions of every topic.
    pub partitions: i32,
}

/// What `check` has found of topics that can be worked with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Partitions of every topic.
    pub partitions: i32,
    /// Topics that an archive does not copy in time, in words.
    pub alarms: Vec<String>,
    /// How acknowledged records can be lost, in words with what to do.
    pub warnings: Vec<String>,
}

/// The consumer group whose offsets say how far the topics of this prefix are archived for good.
pub fn archive_group(prefix: &str) -> String {
    format!("{prefix}replay-archive")
}

/// Create what is missing, then check everything, by the clock that says that it is `now`.
pub async fn create(
    kafka: &ClientConfig,
    prefix: &str,
    partitions: i32,
    replicas: i32,
    now: Timestamp,
) -> Result<Created, TopicsError> {
    let admin = admin(kafka)?;
    // Asked first, because it tells in words when nobody is there.
    layouts(kafka, prefix, ANSWER_WAIT).await?;
    let names = names(prefix);
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
    let results =
        admin.create_topics(&wanted, &options).await.map_err(|source| TopicsError::asked("create topics", source))?;
    let made = results.iter().filter(|result| result.is_ok()).count();
    let found = results.len() - made;
    let mistakes: Vec<String> = results
        .into_iter()
        .filter_map(Result::err)
        .filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists)
        .map(|(name, code)| format!("topic {name} cannot be created: {}", client::words(&KafkaError::AdminOp(code))))
        .collect();
    if !mistakes.is_empty() {
        return Err(TopicsError::Mistakes(mistakes));
    }
    await_visible(kafka, prefix, &wanted).await?;
    check(kafka, prefix, Some(partitions), now).await.map(|checked| Created {
        made,
        found,
        partitions: checked.partitions,
    })
}

/// The controller answers before every broker knows of a new topic; what is still unknown in the end, `check` names.
async fn await_visible(kafka: &ClientConfig, prefix: &str, wanted: &[NewTopic<'_>]) -> Result<(), TopicsError> {
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    while tokio::time::Instant::now() < deadline {
        let known = layouts(kafka, prefix, ANSWER_WAIT).await?;
        if wanted.iter().all(|topic| known.contains_key(topic.name)) {
            break;
        }
        tokio::time::sleep(VISIBLE_PERIOD).await;
    }
    Ok(())
}

/// Check that every topic is there, with the same partitions and large enough, and archived if it has a retention.
pub async fn check(
    kafka: &ClientConfig,
    prefix: &str,
    partitions: Option<i32>,
    now: Timestamp,
) -> Result<Checked, TopicsError> {
    check_within(kafka, prefix, partitions, now, ANSWER_WAIT).await
}

/// The same, when the brokers are to tell their topics within `wait`.
pub async fn check_within(
    kafka: &ClientConfig,
    prefix: &str,
    partitions: Option<i32>,
    now: Timestamp,
    wait: Duration,
) -> Result<Checked, TopicsError> {
    let admin = admin(kafka)?;
    let layouts = layouts(kafka, prefix, wait).await?;
    let names = names(prefix);
    let counts = names.iter().filter_map(|(name, _)| layouts.get(name).map(|layout| layout.partitions));
    let found: Vec<i32> = counts.collect();
    let expected = partitions.or_else(|| majority(&found)).unwrap_or_default();
    let mut mistakes = Vec::new();
    let mut checked = Checked { partitions: expected, ..Checked::default() };
    let (mut aging, mut warnings) = (Vec::new(), BTreeMap::<String, Vec<String>>::new());
    for (name, limit) in names {
        let Some(Layout { partitions, replicas }) = layouts.get(&name) else {
            mistakes.push(absence(kafka, &name, wait).await?);
            continue;
        };
        if *partitions != expected {
            mistakes.push(count_mistake(&name, *partitions, expected, &found));
            continue;
        }
        let settings = match settings(&admin, &name).await? {
            Ok(settings) => settings,
            Err(untold) => {
                mistakes.push(untold);
                continue;
            }
        };
        mistakes.extend(settings.mistakes(&name, limit));
        for warning in settings.warnings(*replicas) {
            warnings.entry(warning).or_default().push(name.clone());
        }
        aging.extend(settings.retention_ms.filter(|millis| *millis >= 0).map(|millis| (name.clone(), millis)));
    }
    checked.warnings = warnings.iter().map(|(warning, topics)| of_topics(topics, warning)).collect();
    for unarchived in unarchived(kafka, prefix, aging, now, wait).await? {
        match unarchived.archiving {
            // The same mistake as ever: something deletes what state is rebuilt from.
            Archiving::Nowhere => mistakes.push(unarchived.to_string()),
            Archiving::InTime | Archiving::Late { .. } | Archiving::Lost { .. } => {
                checked.alarms.push(unarchived.to_string());
            }
        }
    }
    if mistakes.is_empty() { Ok(checked) } else { Err(TopicsError::Mistakes(mistakes)) }
}

/// Every topic of the pipeline by its full name, with the size in bytes that its records may have.
fn names(prefix: &str) -> Vec<(String, usize)> {
    let of = |topic: &TopicName| {
        [(topic.as_str().to_owned(), MAX_MESSAGE_BYTES), (topic.dead_letter(), MAX_DEAD_LETTER_BYTES)]
    };
    TopicName::ALL.iter().flat_map(of).map(|(name, limit)| (format!("{prefix}{name}"), limit)).collect()
}

/// What is the same for many topics is said once.
fn of_topics(topics: &[String], warning: &str) -> String {
    let first = topics.first().map_or("", String::as_str);
    match topics.len() {
        0 | 1 => format!("topic {first}: {warning}"),
        more => format!("topic {first} and {} others: {warning}", more - 1),
    }
}

/// Which of the topics that delete by age are not archived in time.
async fn unarchived(
    kafka: &ClientConfig,
    prefix: &str,
    aging: Vec<(String, i64)>,
    now: Timestamp,
    wait: Duration,
) -> Result<Vec<Unarchived>, TopicsError> {
    let (kafka, group) = (kafka.clone(), archive_group(prefix));
    let looked =
        tokio::task::spawn_blocking(move || archiving::look(&kafka, &group, &aging, now.as_millisecond(), wait)).await;
    let looked = looked.unwrap_or_else(|error| Err(KafkaError::ClientCreation(error.to_string())));
    looked.map_err(|source| TopicsError::asked("tell how far the topics are archived", source))
}

/// The count that most of these topics have; of two that are as frequent, the lower: counts can only be raised.
fn majority(counts: &[i32]) -> Option<i32> {
    let frequency = |count: i32| counts.iter().filter(|other| **other == count).count();
    counts.iter().copied().max_by_key(|count| (frequency(*count), std::cmp::Reverse(*count)))
}

fn count_mistake(name: &str, count: i32, expected: i32, found: &[i32]) -> String {
    let others = found.iter().filter(|other| **other == expected).count();
    let changed = match others {
        0 => String::new(),
        _ if count > expected => format!(" as the other {others}: was its count raised?"),
        _ => format!(" as the other {others}: was it made anew?"),
    };
    format!(
        "topic {name} has {count} partitions, not {expected}{changed}; all topics of the pipeline need the same number, \
         from their creation on"
    )
}

/// A topic's settings, as far as anything depends on them.
struct Settings {
    cleanup_policy: String,
    /// Negative: for ever. None: the broker has not told it.
    retention_ms: Option<i64>,
    retention_bytes: Option<i64>,
    max_message_bytes: Option<usize>,
    min_in_sync: Option<i64>,
    may_elect_unclean: bool,
}

/// The topic's settings; in words, that this user is not told them.
async fn settings(
    admin: &AdminClient<DefaultClientContext>,
    name: &str,
) -> Result<Result<Settings, String>, TopicsError> {
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let described = admin
        .describe_configs([&ResourceSpecifier::Topic(name)], &options)
        .await
        .map_err(|source| TopicsError::asked("describe topics", source))?;
    let of = |resource: ConfigResource| {
        let value = |key: &str| resource.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
        Settings {
            cleanup_policy: value("cleanup.policy"),
            retention_ms: value("retention.ms").parse().ok(),
            retention_bytes: value("retention.bytes").parse().ok(),
            max_message_bytes: value("max.message.bytes").parse().ok(),
            min_in_sync: value("min.insync.replicas").parse().ok(),
            may_elect_unclean: value("unclean.leader.election.enable") == "true",
        }
    };
    let untold = |code| {
        let words = client::words(&KafkaError::AdminOp(code));
        format!("the settings of topic {name} are not told: {words}")
    };
    // One was asked for, and one is answered for.
    Ok(described.into_iter().next().unwrap_or(Err(RDKafkaErrorCode::Unknown)).map(of).map_err(untold))
}

impl Settings {
    /// What nobody can work with.
    fn mistakes(&self, name: &str, limit_bytes: usize) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.cleanup_policy != "delete" {
            mistakes.push(format!("topic {name} has cleanup.policy={}; it must be delete", self.cleanup_policy));
        }
        if self.retention_ms.is_none() {
            mistakes.push(format!("topic {name}: the brokers do not tell retention.ms; state is rebuilt from it"));
        }
        if let Some(bytes) = self.retention_bytes.filter(|bytes| *bytes >= 0) {
            mistakes.push(format!(
                "topic {name} has retention.bytes={bytes}; how long that lasts cannot be told: set it to -1, and use \
                 retention.ms"
            ));
        }
        if let Some(bytes) = self.max_message_bytes.filter(|bytes| *bytes < limit_bytes) {
            mistakes.push(format!("topic {name} has max.message.bytes={bytes}; it needs {limit_bytes}"));
        }
        mistakes
    }

    /// What works, and can lose what was acknowledged.
    fn warnings(&self, replicas: usize) -> Vec<String> {
        let (min_in_sync, may_elect_unclean) = (self.min_in_sync.unwrap_or(1), self.may_elect_unclean);
        let weaknesses = Copies { replicas, min_in_sync, may_elect_unclean }.weaknesses();
        weaknesses.into_iter().map(|weakness| format!("{}; {}", weakness.found, weakness.advice)).collect()
    }
}

/// Why a topic is not among those that this user sees.
async fn absence(kafka: &ClientConfig, name: &str, wait: Duration) -> Result<String, TopicsError> {
    let metadata = told(kafka, Some(name.to_owned()), wait).await?;
    let told = metadata.topics().iter().find(|topic| topic.name() == name);
    Ok(match told.and_then(outbox::kafka::denied_topic) {
        Some(error) => format!("topic {name}: {}", client::words(&error)),
        None => format!("topic {name} is missing; run the subcommand `topics create`"),
    })
}

/// How a topic is laid out.
struct Layout {
    partitions: i32,
    /// The fewest that any of its partitions has.
    replicas: usize,
}

/// The layouts of the topics.
async fn layouts(kafka: &ClientConfig, prefix: &str, wait: Duration) -> Result<BTreeMap<String, Layout>, TopicsError> {
    let metadata = told(kafka, None, wait).await?;
    let layout = |topic: &MetadataTopic| Layout {
        partitions: i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX),
        replicas: topic.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0),
    };
    let ours = metadata.topics().iter().filter(|topic| topic.name().starts_with(prefix));
    Ok(ours.map(|topic| (topic.name().to_owned(), layout(topic))).collect())
}

/// What the brokers tell of a topic or of all that this user sees, asked on a thread that may wait.
async fn told(kafka: &ClientConfig, topic: Option<String>, wait: Duration) -> Result<Metadata, TopicsError> {
    let brokers = kafka.get("bootstrap.servers").unwrap_or_default().to_owned();
    let kafka = kafka.clone();
    let asked = tokio::task::spawn_blocking(move || outbox::kafka::ask(&kafka, topic.as_deref(), wait)).await;
    let ended = |error: tokio::task::JoinError| {
        let source = KafkaError::ClientCreation(error.to_string());
        TopicsError::Kafka { doing: "tell their topics", source }
    };
    asked.map_err(ended)?.map_err(|unanswered| match unanswered {
        Unanswered::Settings(source) => TopicsError::Configuration(source),
        Unanswered::Refused(refusal) => TopicsError::Refused { brokers, refusal },
        Unanswered::Silent { silence, .. } => TopicsError::Unreachable(*silence),
    })
}

fn admin(kafka: &ClientConfig) -> Result<AdminClient<DefaultClientContext>, TopicsError> {
    let admin: AdminClient<DefaultClientContext> = kafka.create().map_err(TopicsError::Configuration)?;
    outbox::kafka::give_token(admin.inner(), kafka).map_err(TopicsError::Configuration)?;
    Ok(admin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_that_changed_is_blamed_and_not_the_others() {
        let found = [[8].as_slice(), &[6; 15]].concat();
        assert_eq!(majority(&found), Some(6));
        assert_eq!(majority(&[8, 6, 6, 8]), Some(6), "counts can only be raised");
        assert_eq!(majority(&[]), None);
        let words = count_mistake("order.commands.v1", 8, 6, &found);
        let begin = "topic order.commands.v1 has 8 partitions, not 6 as the other 15: was its count raised?";
        assert!(words.starts_with(begin), "{words}");
    }
}
