//! The consumer's side of the tests: create topics, read what is in them, follow the positions.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use outbox::epochs::parse_last_equal;
use outbox::inbox::{Cursor, Delivery, LogStart, judge};
use outbox::log::{self, Bounds, Partition, Range};
use outbox::position::LAST_EQUAL_HEADER;
use outbox::{Epochs, Position};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use uuid::Uuid;

use crate::rig::{PARTITIONS, stack};

/// A record as a consumer sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: String,
    pub(crate) payload: String,
    pub(crate) position: Position,
    pub(crate) headers: Vec<(String, Option<String>)>,
}

/// What following the positions gives.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// Payloads taken, per partition, in order.
    pub(crate) taken: BTreeMap<i32, Vec<String>>,
    pub(crate) duplicates: usize,
    pub(crate) gaps: usize,
    pub(crate) stale: usize,
}

impl Followed {
    pub(crate) fn total(&self) -> usize {
        self.taken.values().map(Vec::len).sum()
    }
}

pub(crate) fn kafka() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", stack().brokers());
    config
}

fn admin() -> AdminClient<DefaultClientContext> {
    kafka().create().unwrap()
}

pub(crate) async fn create(topic: &str) {
    create_with(topic, PARTITIONS, &[]).await;
}

/// Creates a topic with another partition count or other settings.
pub(crate) async fn create_with(topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    let created = admin().create_topics([&new], &options).await.unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

/// Deletes the topic and waits until the broker has forgotten it.
pub(crate) async fn delete(topic: &str) {
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    let deleted = admin().delete_topics(&[topic], &options).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    for _ in 0..100 {
        let topic = topic.to_owned();
        let gone = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = kafka().create().unwrap();
            let metadata = consumer.fetch_metadata(None, Duration::from_secs(5)).unwrap();
            metadata.topics().iter().all(|found| found.name() != topic)
        });
        if gone.await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the topic was not deleted");
}

/// Deletes all records of a partition before this offset.
pub(crate) async fn delete_before(topic: &str, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    let deleted = admin().delete_records(&list, &options).await.unwrap();
    assert!(deleted.elements().iter().all(|element| element.error().is_ok()), "{deleted:?}");
}

/// Deletes the topic and makes it anew with these records, in this order, byte for byte as they were.
pub(crate) async fn replace(topic: &str, records: &[Seen]) {
    delete(topic).await;
    create(topic).await;
    write(topic, records).await;
}

/// Writes records past the outbox, in this order.
pub(crate) async fn write(topic: &str, records: &[Seen]) {
    let producer: FutureProducer = kafka().create().unwrap();
    for record in records {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: value.as_deref() }));
        let written = FutureRecord::to(topic).partition(record.partition).headers(headers);
        let written = written.key(&record.key).payload(&record.payload);
        producer.send(written, Duration::from_secs(20)).await.unwrap();
    }
}

/// Everything in the topic now, per partition in the order of the log.
pub(crate) async fn read(topic: &str) -> Vec<Seen> {
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || read_blocking(&topic)).await.unwrap()
}

/// A busy broker that has just made a topic does not know all its partitions at once.
fn bounds(consumer: &BaseConsumer, places: &[Partition]) -> Vec<Bounds> {
    let until = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        match log::bounds(consumer, places, Duration::from_secs(10)) {
            Ok(bounds) => return bounds,
            Err(error) => assert!(std::time::Instant::now() < until, "{places:?}: {error}"),
        }
    }
}

fn read_blocking(topic: &str) -> Vec<Seen> {
    let mut config = kafka();
    log::configure(&mut config, &Uuid::now_v7().to_string());
    let consumer: BaseConsumer = config.set("fetch.wait.max.ms", "10").create().unwrap();
    let place = |partition| Partition { topic: topic.into(), partition };
    let places: Vec<Partition> = (0..PARTITIONS).map(place).collect();
    let range = |(place, Bounds { low, high })| Range { place, from: low, until: high };
    let bounds = bounds(&consumer, &places);
    let ranges: Vec<Range> = places.into_iter().zip(bounds).map(range).collect();
    let mut seen = Vec::new();
    let patience = Duration::from_secs(10);
    let read = log::read(&consumer, &ranges, patience, |_, message| {
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let headers: Vec<(String, Option<String>)> = message
            .headers()
            .map(|headers| headers.iter().map(|h| (h.key.to_owned(), h.value.map(|v| text(Some(v))))).collect())
            .unwrap_or_default();
        let Some((name, Some(position))) = headers.last() else { return ControlFlow::Continue(()) };
        assert_eq!(name, outbox::position::POSITION_HEADER);
        seen.push(Seen {
            partition: message.partition(),
            offset: message.offset(),
            key: text(message.key()),
            payload: text(message.payload()),
            position: position.parse().unwrap(),
            headers: headers.clone(),
        });
        ControlFlow::Continue(())
    });
    read.unwrap();
    seen.sort_by_key(|seen| (seen.partition, seen.offset));
    seen
}

/// Follows the positions as a consumer does that has read since the beginning.
pub(crate) fn follow(records: &[Seen]) -> Followed {
    let mut followed = Followed::default();
    let mut cursors: BTreeMap<i32, Cursor> = BTreeMap::new();
    for record in records {
        let cursor = cursors.get(&record.partition).copied();
        match judge(cursor, &record.position, LogStart::AtZero) {
            Delivery::Next => {
                cursors.insert(record.partition, Cursor::from(&record.position));
                followed.taken.entry(record.partition).or_default().push(record.payload.clone());
            }
            Delivery::Duplicate => followed.duplicates += 1,
            Delivery::Gap { .. } | Delivery::EpochNotAtFirst { .. } => followed.gaps += 1,
            Delivery::Stale => followed.stale += 1,
        }
    }
    followed
}

/// What the records of a partition say about its epochs.
pub(crate) fn epochs(records: &[Seen], partition: i32) -> Epochs {
    let mut epochs = Epochs::default();
    for record in records.iter().filter(|record| record.partition == partition) {
        let header = record.headers.iter().rev().find(|(name, _)| name == LAST_EQUAL_HEADER);
        let last_equal = header.and_then(|(_, value)| parse_last_equal(value.as_ref()?.as_bytes()));
        epochs.observe(&record.position, last_equal);
    }
    epochs
}

/// Reads the topic again and again until following it gives at least so many messages.
pub(crate) async fn read_until(topic: &str, messages: usize) -> Vec<Seen> {
    let until = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let seen = read(topic).await;
        if follow(&seen).total() >= messages {
            return seen;
        }
        let followed = follow(&seen);
        assert!(std::time::Instant::now() < until, "{} of {messages}: {followed:?}", followed.total());
    }
}
