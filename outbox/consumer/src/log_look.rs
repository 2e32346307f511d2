//! Asks the brokers about logs: which topic it is, where it begins and ends.
//!
//! With a client of its own, which fetches nothing: on the consumer's connections a question waits behind the long poll.
//! A client that got no answer is thrown away, and the next question makes a new one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outbox::inbox::{LogRange, LogSight};
use outbox::kafka::Listener;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

use crate::contract::Contract;
use crate::failure::Failure;
use crate::feed::FeedId;
use crate::group_member::Asker;
use crate::topic_id;
use crate::topic_names::TopicNames;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The most events of the client that are looked at after a question: it tells of every broken connection.
const EVENTS_COUNT: usize = 1_000;

/// Whom to ask.
#[derive(Clone)]
pub(crate) struct LogLook {
    kafka: ClientConfig,
    idle: Arc<Mutex<Option<Asker>>>,
}

/// The topics' ids by full name.
pub(crate) type TopicIds = HashMap<String, Uuid>;

impl LogLook {
    pub(crate) fn new(base: &ClientConfig) -> Self {
        let mut kafka = base.clone();
        kafka.remove("group.id");
        kafka.remove("group.instance.id");
        // The end of the log, and not that of the last closed transaction.
        kafka.set("isolation.level", "read_uncommitted");
        LogLook { kafka, idle: Arc::default() }
    }

    /// What the brokers say of the logs of these feeds: the topics' ids of all, the ranges of `ranged`.
    pub(crate) async fn sights<C: Contract>(
        &self,
        names: &TopicNames<C::Topic>,
        feeds: &[FeedId<C::Topic>],
        ranged: &[FeedId<C::Topic>],
    ) -> Result<HashMap<FeedId<C::Topic>, LogSight>, Failure> {
        if feeds.is_empty() {
            return Ok(HashMap::new());
        }
        let mut topics: Vec<String> = feeds.iter().map(|id| names.full(id.topic).to_string()).collect();
        topics.sort_unstable();
        topics.dedup();
        let partitions: Vec<(String, i32)> =
            ranged.iter().map(|id| (names.full(id.topic).to_string(), id.partition)).collect();
        let this = self.clone();
        let asked = tokio::task::spawn_blocking(move || {
            this.ask(|client| Ok((ids_of(client, &topics)?, ranges_of(client, &partitions)?)))
        });
        let (ids, mut ranges) = match asked.await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => {
                return Err(Failure::Retry(format!("the brokers do not describe the logs: {}", C::explain(&error))));
            }
            Err(error) => return Err(Failure::Retry(format!("the question about the logs ended early: {error}"))),
        };
        let sight = |id: &FeedId<C::Topic>| {
            let topic = names.full(id.topic).to_string();
            let topic_id = ids.get(&topic).copied();
            (*id, LogSight { topic_id, range: ranges.remove(&(topic, id.partition)) })
        };
        Ok(feeds.iter().map(sight).collect())
    }

    /// The ids of these topics. Blocks.
    pub(crate) fn topic_ids(&self, topics: &[String]) -> Result<TopicIds, KafkaError> {
        self.ask(|client| ids_of(client, topics))
    }

    fn ask<T>(&self, question: impl FnOnce(&Asker) -> Result<T, KafkaError>) -> Result<T, KafkaError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = idle().take();
        let client = match ready {
            Some(client) => client,
            None => self.kafka.create_with_context(Listener::default())?,
        };
        let attend = || (0..EVENTS_COUNT).take_while(|_| client.poll(Duration::ZERO).is_some()).count();
        // A token that is due is read now.
        attend();
        let answer = question(&client)?;
        // What went wrong on the way is not told: the answer is here. But it must not pile up.
        attend();
        *idle() = Some(client);
        Ok(answer)
    }
}

fn ids_of(client: &Asker, topics: &[String]) -> Result<TopicIds, KafkaError> {
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    topic_id::topic_ids(client.client(), &names, TIMEOUT)
}

/// Two requests for all of them. A partition that the brokers know nothing of is left out.
fn ranges_of(client: &Asker, partitions: &[(String, i32)]) -> Result<HashMap<(String, i32), LogRange>, KafkaError> {
    if partitions.is_empty() {
        return Ok(HashMap::new());
    }
    let edges = |edge: Offset| {
        let mut list = TopicPartitionList::new();
        for (topic, partition) in partitions {
            list.add_partition_offset(topic, *partition, edge)?;
        }
        let found = client.offsets_for_times(list, TIMEOUT)?;
        let known = found.elements().into_iter().filter_map(|element| {
            let offset = element.error().is_ok().then(|| element.offset().to_raw()).flatten()?;
            (offset >= 0).then(|| ((element.topic().to_owned(), element.partition()), offset))
        });
        Ok::<HashMap<_, _>, KafkaError>(known.collect())
    };
    let (first, mut end) = (edges(Offset::Beginning)?, edges(Offset::End)?);
    let range = |(at, first)| end.remove(&at).map(|end| (at, LogRange { first, end }));
    Ok(first.into_iter().filter_map(range).collect())
}
