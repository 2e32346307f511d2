//! A plain client of the broker: creates a topic, writes, reads everything back.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

pub(crate) fn create_topic(brokers: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = config(brokers).create().expect("an admin client");
    let wanted = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(LIMIT)).request_timeout(Some(LIMIT));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let results = runtime.block_on(admin.create_topics([&wanted], &options)).expect("an answer");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

struct RefuseErrors;
impl ClientContext for RefuseErrors {}
impl ProducerContext for RefuseErrors {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &rdkafka::producer::DeliveryResult<'_>, (): ()) {
        assert!(result.is_ok(), "{result:?}");
    }
}

/// Writes messages `0..count` with this compression and waits until the broker has acknowledged them all.
pub(crate) fn write(brokers: &str, topic: &str, count: u32, compression: &str) {
    let mut config = config(brokers);
    config.set("acks", "all").set("enable.idempotence", "true").set("compression.type", compression);
    let producer: BaseProducer<RefuseErrors> = config.create_with_context(RefuseErrors).expect("a producer");
    for number in 0..count {
        let payload = format!("{number:>200}");
        producer.send(BaseRecord::<(), str>::to(topic).payload(&payload)).expect("room in the queue");
    }
    producer.flush(LIMIT).expect("all acknowledged");
}

/// Reads `count` messages from the start of the topic; fails if fewer come.
pub(crate) fn read(brokers: &str, topic: &str, count: usize) -> Vec<String> {
    let consumer: BaseConsumer =
        config(brokers).set("group.id", "reader").set("enable.auto.commit", "false").create().expect("a consumer");
    consumer.fetch_metadata(Some(topic), LIMIT).expect("metadata");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).expect("a new partition");
    consumer.assign(&list).expect("assigned");
    let mut read = Vec::new();
    while read.len() < count {
        let message = consumer.poll(LIMIT).expect("a message within 30 s").expect("no error");
        read.push(String::from_utf8_lossy(message.payload().expect("a payload")).trim_start().to_owned());
    }
    read
}
