//! Raw access to the broker: any bytes in, every record out, offsets, and the deletion of a log's beginning.
//!
//! Knows nothing of messages: it is for sending what no client of ours would send, and for looking at bytes.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use outbox::log::{self, Bounds, Partition, Range};
use provision::topics::{MAX_DEAD_LETTER_BYTES, MAX_MESSAGE_BYTES};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Headers, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use schemas::{Codec, Message, TopicName};

use crate::{LONG, Outcome, RawRecord, raw_produce, trouble, until};

const ANSWER: Duration = Duration::from_secs(30);
const DELETION: Duration = Duration::from_secs(5);

/// A record to send as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// The topic without the pipeline's prefix.
    pub topic: String,
    /// Where to; none: where murmur2 of the key says.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A record as it lies in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The topic without the pipeline's prefix.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Sent {
    /// A message as a client sends it: encoded, under its key, with its type in a header.
    pub fn of(message: impl Into<Message>) -> Outcome<Self> {
        let message = message.into();
        let named = ("ce_type".to_owned(), Some(message.type_name().as_bytes().to_vec()));
        Ok(Sent {
            topic: message.topic().as_str().to_owned(),
            partition: None,
            key: Some(message.key().as_bytes().to_vec()),
            value: Some(Codec::embedded().encode(&message)?),
            headers: vec![named],
        })
    }
}

impl Found {
    /// The value of the last header of this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().rev().find(|(known, _)| known == name).and_then(|(_, value)| value.as_deref())
    }

    /// The same as text; empty where there is none.
    pub fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(self.header(name).unwrap_or_default()).into_owned()
    }
}

/// The broker, as seen by one pipeline.
pub struct Broker {
    pub(crate) config: ClientConfig,
    pub(crate) prefix: String,
    producer: FutureProducer,
}

impl Broker {
    pub(crate) fn new(config: ClientConfig, prefix: &str) -> Outcome<Self> {
        let mut producing = config.clone();
        // Compressed, so that a record may be far larger than what the topic's limit seems to allow.
        producing.set("message.max.bytes", "50000000").set("compression.type", "zstd");
        producing.set("partitioner", "murmur2_random").set("acks", "all");
        Ok(Broker { config, prefix: prefix.to_owned(), producer: producing.create()? })
    }

    /// Sends a record; its partition and offset.
    pub async fn send(&self, record: &Sent) -> Outcome<(i32, i64)> {
        let topic = format!("{}{}", self.prefix, record.topic);
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: value.as_deref() }));
        let mut outgoing = FutureRecord::<[u8], [u8]>::to(&topic).headers(headers);
        outgoing.partition = record.partition;
        outgoing.key = record.key.as_deref();
        outgoing.payload = record.value.as_deref();
        let delivered = self.producer.send(outgoing, ANSWER).await;
        delivered.map(|delivery| (delivery.partition, delivery.offset)).map_err(|(error, _)| error.into())
    }

    /// Sends many, in their order as far as they share a partition.
    pub async fn send_all(&self, records: &[Sent]) -> Outcome<Vec<(i32, i64)>> {
        futures_util::future::try_join_all(records.iter().map(|record| self.send(record))).await
    }

    /// Sends a record that no client library would send; its offset.
    pub async fn send_raw(&self, topic: &str, partition: i32, record: RawRecord<'_>) -> Outcome<i64> {
        let brokers = self.config.get("bootstrap.servers").unwrap_or_default();
        let first = brokers.split(',').next().unwrap_or_default();
        raw_produce::produce(first, &format!("{}{topic}", self.prefix), partition, record).await
    }

    /// Every record of these topics, up to their ends as they are now; per partition in order.
    pub async fn read(&self, topics: &[String]) -> Outcome<Vec<Found>> {
        let (config, prefix, topics) = (self.config.clone(), self.prefix.clone(), topics.to_vec());
        tokio::task::spawn_blocking(move || read_to_end(config, &prefix, &topics)).await?
    }

    /// First and next offset of every partition of these topics, by topic (without the prefix) and partition.
    pub async fn ends(&self, topics: &[String]) -> Outcome<HashMap<(String, i32), (i64, i64)>> {
        let (config, prefix, topics) = (self.config.clone(), self.prefix.clone(), topics.to_vec());
        tokio::task::spawn_blocking(move || ends(&consumer(config)?, &prefix, &topics)).await?
    }

    /// What a group of this pipeline has committed for a topic, by partition; nothing where it has committed nothing.
    pub async fn committed(&self, group: &str, topic: &str) -> Outcome<HashMap<i32, i64>> {
        let mut config = self.config.clone();
        config.set("group.id", format!("{}{group}", self.prefix)).set("enable.auto.commit", "false");
        let name = format!("{}{topic}", self.prefix);
        let asked = move || -> Outcome<HashMap<i32, i64>> {
            let consumer: BaseConsumer = config.create()?;
            let metadata = consumer.fetch_metadata(Some(&name), ANSWER)?;
            let mut list = TopicPartitionList::new();
            for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
                list.add_partition(&name, partition.id());
            }
            let committed = outbox::kafka::committed(&consumer, &list, ANSWER)?;
            let offset = |elem: &TopicPartitionListElem<'_>| Some((elem.partition(), elem.offset().to_raw()?));
            Ok(committed.elements().iter().filter_map(offset).filter(|(_, offset)| *offset >= 0).collect())
        };
        tokio::task::spawn_blocking(asked).await?
    }

    /// Deletes all topics of this pipeline, as far as the broker answers.
    pub(crate) fn delete_topics(&self) {
        let names: Vec<String> = TopicName::all_names().iter().map(|name| format!("{}{name}", self.prefix)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // On a thread of its own, because it is called from inside a runtime when a value is dropped. What is not deleted
        // ends with the servers.
        thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
                let admin: AdminClient<DefaultClientContext> = self.config.create().ok()?;
                let options = AdminOptions::new().request_timeout(Some(DELETION));
                runtime.block_on(admin.delete_topics(&names, &options)).ok()
            });
        });
    }

    /// Deletes a topic and makes it anew under its name, with as many partitions and empty.
    pub async fn make_anew(&self, topic: &str, partitions: i32) -> Outcome {
        let name = format!("{}{topic}", self.prefix);
        let admin: AdminClient<DefaultClientContext> = self.config.create()?;
        let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
        for deleted in admin.delete_topics(&[&name], &options).await? {
            deleted.map_err(|(name, code)| trouble(format!("{name} was not deleted: {code}")))?;
        }
        let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let new = new.set("cleanup.policy", "delete").set("retention.ms", "-1").set("max.message.bytes", "1048588");
        // The broker still has the old one for a moment.
        until("the topic is made anew", LONG, async || {
            for made in admin.create_topics([&new], &options).await? {
                made.map_err(|(name, code)| trouble(format!("{name} was not made: {code}")))?;
            }
            Ok(())
        })
        .await?;
        // A busy broker goes on with the old log until it has heard of the new one, and takes records into it.
        until("the new topic is there, and empty", LONG, async || {
            let ends = self.ends(&[topic.to_owned()]).await?;
            match ends.values().find(|bounds| **bounds != (0, 0)) {
                Some(bounds) => Err(trouble(format!("a partition of {name} still holds {bounds:?}"))),
                None => Ok(()),
            }
        })
        .await
    }

    /// Gives all of the pipeline's topics this retention; their other settings stay what `topics create` makes them.
    pub async fn set_retention(&self, retention_ms: i64) -> Outcome {
        let admin: AdminClient<DefaultClientContext> = self.config.create()?;
        let (millis, ordinary, dead) =
            (retention_ms.to_string(), MAX_MESSAGE_BYTES.to_string(), MAX_DEAD_LETTER_BYTES.to_string());
        let named = |topic: &TopicName| [(topic.as_str().to_owned(), &ordinary), (topic.dead_letter(), &dead)];
        let topics: Vec<(String, &String)> = TopicName::ALL
            .iter()
            .flat_map(named)
            .map(|(name, limit)| (format!("{}{name}", self.prefix), limit))
            .collect();
        let alterations: Vec<AlterConfig<'_>> = topics
            .iter()
            .map(|(name, limit)| {
                AlterConfig::new(ResourceSpecifier::Topic(name))
                    .set("cleanup.policy", "delete")
                    .set("retention.ms", &millis)
                    .set("max.message.bytes", limit)
            })
            .collect();
        let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
        for altered in admin.alter_configs(&alterations, &options).await? {
            altered.map_err(|(topic, code)| trouble(format!("{topic:?} was not altered: {code}")))?;
        }
        Ok(())
    }

    /// Deletes the records of a partition before this offset, as retention would.
    pub async fn delete_before(&self, topic: &str, partition: i32, offset: i64) -> Outcome {
        let admin: AdminClient<DefaultClientContext> = self.config.create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&format!("{}{topic}", self.prefix), partition, Offset::Offset(offset))?;
        let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
        let deleted = admin.delete_records(&list, &options).await?;
        deleted.elements().iter().try_for_each(|element| Ok(element.error()?))
    }
}

fn consumer(mut config: ClientConfig) -> Outcome<BaseConsumer> {
    log::configure(&mut config, "nobody");
    Ok(config.create()?)
}

/// Every partition of these topics, as a range from its first offset to its end.
fn whole(consumer: &BaseConsumer, prefix: &str, topics: &[String]) -> Outcome<Vec<Range>> {
    let mut places = Vec::new();
    for topic in topics {
        let name: Arc<str> = format!("{prefix}{topic}").into();
        let metadata = consumer.fetch_metadata(Some(&name), ANSWER)?;
        let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        if partitions == 0 {
            return Err(trouble(format!("there is no topic {name}")));
        }
        places.extend((0..).take(partitions).map(|partition| Partition { topic: Arc::clone(&name), partition }));
    }
    let bounds = log::bounds(consumer, &places, ANSWER)?;
    let range = |(place, Bounds { low, high })| Range { place, from: low, until: high };
    Ok(places.into_iter().zip(bounds).map(range).collect())
}

fn ends(consumer: &BaseConsumer, prefix: &str, topics: &[String]) -> Outcome<HashMap<(String, i32), (i64, i64)>> {
    let named = |Range { place: Partition { topic, partition }, from, until }: Range| {
        ((topic.strip_prefix(prefix).unwrap_or(&topic).to_owned(), partition), (from, until))
    };
    Ok(whole(consumer, prefix, topics)?.into_iter().map(named).collect())
}

fn read_to_end(config: ClientConfig, prefix: &str, topics: &[String]) -> Outcome<Vec<Found>> {
    let consumer = consumer(config)?;
    let ranges = whole(&consumer, prefix, topics)?;
    let mut found = Vec::new();
    log::read(&consumer, &ranges, LONG, |_, message| {
        found.push(record_of(message, prefix));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn header_at(headers: &BorrowedHeaders, index: usize) -> (String, Option<Vec<u8>>) {
    let header = headers.get(index);
    (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
}

fn record_of(message: &BorrowedMessage<'_>, prefix: &str) -> Found {
    // The library panics over a name that is not UTF-8: that one is left out.
    let header = |headers: &_, index| catch_unwind(AssertUnwindSafe(|| header_at(headers, index))).ok();
    let headers = message
        .headers()
        .map_or_else(Vec::new, |headers| (0..headers.count()).filter_map(|index| header(headers, index)).collect());
    Found {
        topic: message.topic().strip_prefix(prefix).unwrap_or(message.topic()).to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}
