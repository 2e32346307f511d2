//! Are the topics there, as they should be, and set so that they keep what they acknowledge?

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;

use super::{Check, Look};
use crate::append::RAW_EXTRA_BYTES;
use crate::error::OutboxError;
use crate::kafka;
use crate::operate::archiving::{self, Unarchived};
use crate::operate::{Copies, OperateError};

const NAME: &str = "topic";
const PATIENCE: Duration = kafka::ANSWER_WAIT;

/// A topic as the broker has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Topic {
    name: String,
    /// As the outbox has registered it.
    expected: i32,
    /// 0: there is no such topic.
    partitions: usize,
    /// The fewest replicas that any of its partitions has.
    replicas: usize,
    settings: HashMap<String, String>,
}

/// What the topics' settings are compared with.
#[derive(Debug, Clone, Copy)]
struct Limits {
    max_message_bytes: usize,
    retention: Duration,
}

pub(super) async fn checks(look: &Look<'_>) -> Result<Vec<Check>, OperateError> {
    let text = format!("select name, partitions from {}.outbox_topics order by name", look.quoted);
    let rows = look.client.query(&text, &[]).await.map_err(OutboxError::database("reading the outbox's topics"))?;
    let registered: Vec<(String, i32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    if registered.is_empty() {
        let advice = "a program registers its topics when it opens the outbox; start one";
        return Ok(vec![Check::warning(NAME, "the outbox has no topics", advice)]);
    }
    let limits = Limits { max_message_bytes: look.config.max_message_bytes, retention: look.config.retention };
    let properties = look.config.kafka.clone();
    let described = tokio::task::spawn_blocking(move || describe(&properties, registered)).await;
    let mut topics = described.map_err(|_| crate::relay::RelayError::Panicked)??;
    let admin: AdminClient<DefaultClientContext> =
        look.config.kafka.create().map_err(failed("creating the Kafka client"))?;
    kafka::give_token(admin.inner(), &look.config.kafka).map_err(failed("creating the Kafka client"))?;
    let present: Vec<&Topic> = topics.iter().filter(|topic| topic.partitions > 0).collect();
    let mut settings = read_settings(&admin, &present).await?;
    for topic in &mut topics {
        topic.settings = settings.remove(&topic.name).unwrap_or_default();
    }
    // Ending a client blocks.
    tokio::task::spawn_blocking(move || drop(admin)).await.map_err(|_| crate::relay::RelayError::Panicked)?;
    let mut checks: Vec<Check> = topics.iter().flat_map(|topic| topic.checks(limits)).collect();
    if let Some(group) = &look.config.archive_group {
        let aging = topics.iter().filter_map(|topic| Some((topic.name.clone(), topic.retention_ms()?))).collect();
        checks.extend(unarchived(look.config.kafka.clone(), group.clone(), aging).await?.iter().map(complaint));
    }
    Ok(checks)
}

/// Topics that delete by age and are not archived in time.
async fn unarchived(
    kafka: ClientConfig,
    group: String,
    topics: Vec<(String, i64)>,
) -> Result<Vec<Unarchived>, OperateError> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let looked = tokio::task::spawn_blocking(move || archiving::look(&kafka, &group, &topics, now_ms, PATIENCE)).await;
    let looked = looked.map_err(|_| crate::relay::RelayError::Panicked)?;
    looked.map_err(failed("asking how far the archive is"))
}

fn complaint(unarchived: &Unarchived) -> Check {
    let advice = "keep `replay-tool archive run --follow` running, and retention.ms far above what it lags";
    Check::problem(NAME, unarchived.to_string(), advice)
}

fn failed(doing: &'static str) -> impl FnOnce(KafkaError) -> OperateError {
    move |source| OperateError::Kafka { doing, source }
}

fn describe(properties: &ClientConfig, registered: Vec<(String, i32)>) -> Result<Vec<Topic>, OperateError> {
    // All at once: asking for one that does not exist could create it.
    let metadata = kafka::ask(properties, None, PATIENCE)?;
    let topics = registered.into_iter().map(|(name, expected)| {
        let found = metadata.topics().iter().find(|topic| topic.name() == name);
        let partitions = found.map_or(&[][..], |topic| topic.partitions());
        let replicas = partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
        Topic { name, expected, partitions: partitions.len(), replicas, settings: HashMap::new() }
    });
    Ok(topics.collect())
}

async fn read_settings(
    admin: &AdminClient<DefaultClientContext>,
    topics: &[&Topic],
) -> Result<HashMap<String, HashMap<String, String>>, OperateError> {
    let mut settings = HashMap::new();
    if topics.is_empty() {
        return Ok(settings);
    }
    let resources: Vec<ResourceSpecifier<'_>> =
        topics.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described =
        admin.describe_configs(&resources, &options).await.map_err(failed("asking for topics' settings"))?;
    for (topic, described) in topics.iter().zip(described) {
        let described = described.map_err(|code| failed("asking for a topic's settings")(KafkaError::AdminOp(code)))?;
        let entries = described.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
        settings.insert(topic.name.clone(), entries.collect());
    }
    Ok(settings)
}

impl Topic {
    /// Every complaint, or that there is none.
    fn checks(&self, limits: Limits) -> Vec<Check> {
        let name = &self.name;
        if self.partitions == 0 {
            let advice = format!(
                "create it with {} partitions; until then its messages wait. With access lists: let this user describe it",
                self.expected
            );
            return vec![Check::problem(NAME, format!("{name} does not exist"), advice)];
        }
        let mut checks = Vec::new();
        if i32::try_from(self.partitions) != Ok(self.expected) {
            let found = format!("{name} has {} partitions; the outbox has {}", self.partitions, self.expected);
            let advice = "keys would be in other partitions, so the relay stops: create the topic anew with the outbox's \
                          count, or open an outbox of another schema for the new count";
            checks.push(Check::problem(NAME, found, advice));
        }
        checks.extend(self.sizes(limits));
        checks.extend(self.keeping(limits));
        checks.extend(self.replication());
        if checks.is_empty() {
            checks.push(Check::ok(NAME, format!("{name}: {} partitions, {} replicas", self.partitions, self.replicas)));
        }
        checks
    }

    fn number(&self, setting: &str) -> Option<i64> {
        self.settings.get(setting)?.parse().ok()
    }

    /// None: it keeps its records for ever.
    fn retention_ms(&self) -> Option<i64> {
        self.number("retention.ms").filter(|millis| *millis >= 0)
    }

    fn sizes(&self, limits: Limits) -> Option<Check> {
        let is_dead_letter = self.name.ends_with("-dlt");
        let needed = limits.max_message_bytes + if is_dead_letter { RAW_EXTRA_BYTES } else { 0 };
        let has = self.number("max.message.bytes")?;
        let is_enough = usize::try_from(has).is_ok_and(|has| has >= needed);
        (!is_enough).then(|| {
            let found = format!("{}: max.message.bytes is {has}; the outbox may publish {needed}", self.name);
            let advice = format!("set max.message.bytes={needed} or more, or lower the outbox's max_message_bytes");
            Check::problem(NAME, found, advice)
        })
    }

    /// Whether the topic may throw away what a reader still needs.
    fn keeping(&self, limits: Limits) -> Vec<Check> {
        let mut checks = Vec::new();
        if self.settings.get("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
            let found = format!("{}: cleanup.policy has compact, which makes gaps in the sequences", self.name);
            checks.push(Check::problem(NAME, found, "set cleanup.policy=delete"));
        }
        let keeps_ms = self.retention_ms();
        let needed_ms = i64::try_from(limits.retention.as_millis()).unwrap_or(i64::MAX);
        if let Some(keeps_ms) = keeps_ms.filter(|keeps| *keeps < needed_ms) {
            let found = format!(
                "{}: retention.ms is {keeps_ms}, shorter than the outbox's own retention of {needed_ms} ms",
                self.name
            );
            let advice = "a take-over finds its stored position gone, and consumers that were away lose messages: raise \
                          retention.ms to at least a day";
            checks.push(Check::problem(NAME, found, advice));
        }
        checks
    }

    /// Whether the topic can lose what it has acknowledged.
    fn replication(&self) -> Vec<Check> {
        let copies = Copies {
            replicas: self.replicas,
            min_in_sync: self.number("min.insync.replicas").unwrap_or(1),
            may_elect_unclean: self.settings.get("unclean.leader.election.enable").is_some_and(|value| value == "true"),
        };
        let check = |weakness: crate::operate::Weakness| {
            Check::warning(NAME, format!("{}: {}", self.name, weakness.found), weakness.advice)
        };
        copies.weaknesses().into_iter().map(check).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::doctor::Level;

    const LIMITS: Limits = Limits { max_message_bytes: 1_000_000, retention: Duration::from_secs(3600) };

    fn topic(name: &str, change: impl FnOnce(&mut Topic)) -> Vec<Check> {
        let settings = [
            ("max.message.bytes", "1048588"),
            ("retention.ms", "-1"),
            ("cleanup.policy", "delete"),
            ("min.insync.replicas", "2"),
            ("unclean.leader.election.enable", "false"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let mut topic = Topic { name: name.to_owned(), expected: 6, partitions: 6, replicas: 3, settings };
        change(&mut topic);
        topic.checks(LIMITS)
    }

    fn set(name: &'static str, value: &'static str) -> impl FnOnce(&mut Topic) {
        move |topic| drop(topic.settings.insert(name.to_owned(), value.to_owned()))
    }

    #[test]
    fn a_topic_as_it_should_be_has_one_good_line() {
        let checks = topic("a", |_| {});
        assert_eq!((checks.len(), checks[0].level), (1, Level::Ok));
    }

    #[test]
    fn whatever_can_lose_or_refuse_a_message_is_named() {
        let cases: [(&str, Vec<Check>, Level); 9] = [
            ("does not exist", topic("a", |topic| topic.partitions = 0), Level::Problem),
            ("has 7 partitions", topic("a", |topic| topic.partitions = 7), Level::Problem),
            ("max.message.bytes is 1000", topic("a", set("max.message.bytes", "1000")), Level::Problem),
            ("publish 1065536", topic("a-dlt", |_| {}), Level::Problem),
            ("retention.ms is 60000", topic("a", set("retention.ms", "60000")), Level::Problem),
            ("compact", topic("a", set("cleanup.policy", "compact,delete")), Level::Problem),
            ("replication factor 1", topic("a", |topic| topic.replicas = 1), Level::Warning),
            ("min.insync.replicas is 1", topic("a", set("min.insync.replicas", "1")), Level::Warning),
            ("unclean", topic("a", set("unclean.leader.election.enable", "true")), Level::Warning),
        ];
        for (words, checks, level) in cases {
            assert_eq!((checks.len(), checks[0].level), (1, level), "{words}: {checks:?}");
            assert!(checks[0].found.contains(words) && checks[0].advice.is_some(), "{checks:?}");
        }
    }
}
