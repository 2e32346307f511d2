//! The pipeline's messages as the runtime sees them: the crate `schemas`, joined with the codec.

use outbox::inbox::place::Place;
use rdkafka::error::KafkaError;
use schemas::{Codec, Message, MessageType, TopicName, message_id};
use uuid::Uuid;

use consumer::{Contract, Origin};

/// The contract of the order pipeline.
#[derive(Debug)]
pub struct Pipeline {
    codec: Codec,
}

impl Pipeline {
    /// With the schemas that this codec knows.
    pub fn new(codec: Codec) -> Self {
        Pipeline { codec }
    }
}

impl Contract for Pipeline {
    type Topic = TopicName;
    type Message = Message;

    const TOPICS: &'static [TopicName] = &TopicName::ALL;
    const CONTENT_TYPE: &'static str = "application/avro";

    fn topic_name(topic: TopicName) -> &'static str {
        topic.as_str()
    }

    fn written_by(topic: TopicName) -> Option<&'static str> {
        topic.written_by().map(|writer| writer.source())
    }

    fn dead_letter_topic(topic: TopicName) -> String {
        topic.dead_letter()
    }

    fn topic(message: &Message) -> TopicName {
        message.topic()
    }

    fn key(message: &Message) -> &str {
        message.key()
    }

    fn name(message: &Message) -> &'static str {
        message.name()
    }

    fn ce_type(message: &Message) -> &'static str {
        message.type_name()
    }

    fn version(message: &Message) -> Option<i64> {
        message.version()
    }

    fn message_id(service: &str, origin: Origin<'_>, message: Option<&Message>, index: u32) -> Uuid {
        match origin {
            Origin::Version { aggregate, version } if message.map(Message::topic) == Some(TopicName::StockEvents) => {
                message_id::of_sku_version(aggregate, version, index)
            }
            Origin::Version { aggregate, version } => message_id::of_version(service, aggregate, version, index),
            Origin::Record { topic, place: Place { partition, offset } } => {
                message_id::of_input(service, topic, partition, offset, index)
            }
        }
    }

    fn belongs(ce_type: &str, topics: &[TopicName]) -> bool {
        MessageType::of_ce_type(ce_type).is_some_and(|known| topics.contains(&known.topic()))
    }

    fn type_in<'p>(&'p self, payload: &'p [u8]) -> Option<&'p str> {
        self.codec.type_of(payload)
    }

    fn decode(&self, topic: TopicName, payload: &[u8]) -> Result<Message, String> {
        self.codec.decode(topic, payload).map_err(|error| error.to_string())
    }

    fn encode(&self, message: &Message) -> Result<Vec<u8>, String> {
        self.codec.encode(message).map_err(|error| error.to_string())
    }

    fn explain(error: &KafkaError) -> String {
        client::words(error)
    }

    fn how_to_resume(topic: TopicName, partition: i32) -> String {
        format!("accept-gap --topic {topic} --partition {partition} --offset OFFSET")
    }
}
