//! A service's topics on the brokers: how many partitions they have; and those that only it writes to, made where they are missing.
//!
//! The own ones keep their records for ever, because a service's tables are rebuilt from what it has said; and take records that
//! are a little larger than those that are read, because a dead letter is its record with headers on top. What is there
//! already stays as it is. Deliberately absent: making topics that others write to.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::engine::Halted;

/// How long making them may take.
const MADE_WITHIN: Duration = Duration::from_secs(30);
/// How long the brokers may take to tell of topics.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
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
    let options = AdminOptions::new().operation_timeout(Some(MADE_WITHIN)).request_timeout(Some(MADE_WITHIN));
    for made in admin.create_topics(&new, &options).await.map_err(refused)? {
        match made {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                let words = outbox::kafka::words(&KafkaError::AdminOp(code));
                return Err(Halted(format!("the topic {name} cannot be made: {words}")));
            }
        }
    }
    match counts(kafka, names).await?.into_iter().find(|(_, count)| *count == 0) {
        None => Ok(()),
        Some((missing, _)) => Err(Halted(format!("the topic {missing} was made, and the brokers do not tell of it"))),
    }
}

/// The partition count of each of these topics; 0 where there is none. One that was made a moment ago is waited for: the
/// controller answers before the brokers tell of it.
pub(crate) async fn counts(kafka: &ClientConfig, names: &[String]) -> Result<Vec<(String, i32)>, Halted> {
    let (kafka, names) = (kafka.clone(), names.to_vec());
    let asking = tokio::task::spawn_blocking(move || once_told(TOLD_WITHIN, || ask(&kafka, &names)));
    asking.await.map_err(|error| Halted(error.to_string()))?
}

/// Asks until every topic is told of, or the time is up.
fn once_told(
    within: Duration,
    mut ask: impl FnMut() -> Result<Vec<(String, i32)>, Halted>,
) -> Result<Vec<(String, i32)>, Halted> {
    let deadline = Instant::now() + within;
    loop {
        let counts = ask()?;
        if counts.iter().all(|(_, count)| *count > 0) || Instant::now() >= deadline {
            return Ok(counts);
        }
        std::thread::sleep(PAUSE);
    }
}

fn ask(kafka: &ClientConfig, names: &[String]) -> Result<Vec<(String, i32)>, Halted> {
    let metadata = outbox::kafka::ask(kafka, None, TOLD_WITHIN)
        .map_err(|error| Halted(format!("the brokers do not tell of the topics {}: {error}", names.join(", "))))?;
    let count = |name: &String| {
        let found = metadata.topics().iter().find(|topic| topic.name() == name);
        let count = found.map_or(0, |topic| topic.partitions().len());
        (name.clone(), i32::try_from(count).unwrap_or(i32::MAX))
    };
    Ok(names.iter().map(count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(count: i32) -> Vec<(String, i32)> {
        vec![("orders".to_owned(), 3), ("made a moment ago".to_owned(), count)]
    }

    #[test]
    fn a_topic_that_was_made_a_moment_ago_is_waited_for() {
        let mut answers = [0, 0, 3].into_iter();
        let counts = once_told(Duration::from_secs(60), || Ok(told(answers.next().unwrap_or_default()))).unwrap();
        assert_eq!((counts, answers.next()), (told(3), None));
    }

    #[test]
    fn a_topic_that_is_not_there_is_told_as_none() {
        assert_eq!(once_told(Duration::ZERO, || Ok(told(0))).unwrap(), told(0));
    }
}
