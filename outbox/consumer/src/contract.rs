//! What the messages of a deployment are to the runtime: topics by name and writer, a message's key and type, bytes to
//! message and back.
//!
//! The one place where an engine learns of messages; everything here is resolved at compile time. Deliberately absent: what a
//! message means. That is a service's.

use std::fmt::{Debug, Display};
use std::hash::Hash;

use outbox::inbox::place::Place;
use rdkafka::error::KafkaError;
use uuid::Uuid;

/// The messages that services exchange.
pub trait Contract: Send + Sync + 'static {
    /// A topic; shown as its name without the deployment's prefix.
    type Topic: Copy + Ord + Hash + Debug + Display + Send + Sync + 'static;
    /// Any message on any of the topics.
    type Message: Send + Sync + 'static;

    /// Every topic that messages are read from or sent to.
    const TOPICS: &'static [Self::Topic];

    /// The `content-type` of what is sent through an outbox that the consumer opens.
    const CONTENT_TYPE: &'static str = "application/octet-stream";

    /// The topic's name, without the deployment's prefix.
    fn topic_name(topic: Self::Topic) -> &'static str;

    /// The source of the only outbox that writes to this topic: its records carry positions, and one that cannot be read is
    /// held, never dropped. `None` where anyone may write: a record that cannot be read goes to the dead letters. What can be read
    /// and not be taken is parked in either case.
    fn written_by(topic: Self::Topic) -> Option<&'static str>;

    /// The topic for records that could not be taken from this one, without the prefix.
    fn dead_letter_topic(topic: Self::Topic) -> String {
        format!("{}-dlt", Self::topic_name(topic))
    }

    /// The topic that this message is sent to.
    fn topic(message: &Self::Message) -> Self::Topic;

    /// The record's key. A record with another key than its message's is not taken.
    fn key(message: &Self::Message) -> &str;

    /// The message's type as a metric label: one of few.
    fn name(message: &Self::Message) -> &'static str;

    /// The message's `ce_type`.
    fn ce_type(message: &Self::Message) -> &'static str {
        Self::name(message)
    }

    /// The version of the aggregate that this message records; `None` for one that records none.
    fn version(_message: &Self::Message) -> Option<i64> {
        None
    }

    /// The id of what is sent. It must depend on nothing but its arguments, so that a redelivery gives the same one.
    ///
    /// `message` is `None` for a dead letter; `index` counts the messages of one origin.
    fn message_id(service: &str, origin: Origin<'_>, _message: Option<&Self::Message>, index: u32) -> Uuid {
        origin.id(service, index)
    }

    /// Whether messages of this `ce_type` belong on one of these topics. A record of a topic's own writer with a type that
    /// does not is skipped without a look at its payload, so that a writer may add types.
    fn belongs(_ce_type: &str, _topics: &[Self::Topic]) -> bool {
        true
    }

    /// The `ce_type` that a payload claims, for records without that header; `None` where it claims none.
    fn type_in<'p>(&'p self, _payload: &'p [u8]) -> Option<&'p str> {
        None
    }

    /// The message of a payload found on this topic.
    ///
    /// # Errors
    /// In words, why it is none. Any bytes may be given.
    fn decode(&self, topic: Self::Topic, payload: &[u8]) -> Result<Self::Message, String>;

    /// The payload of a message.
    ///
    /// # Errors
    /// In words, why it has none: the input that it answers is isolated.
    fn encode(&self, message: &Self::Message) -> Result<Vec<u8>, String>;

    /// An error of the Kafka client for people, and what they can do.
    fn explain(error: &KafkaError) -> String {
        outbox::kafka::words(error)
    }

    /// What a person has to do so that a held partition resumes in the log that is there now.
    fn how_to_resume(topic: Self::Topic, partition: i32) -> String {
        format!("`Inbox::resume_at` for {}[{partition}]", Self::topic_name(topic))
    }
}

/// What the id of a message is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// It goes with this version of this aggregate.
    Version {
        /// The aggregate's id.
        aggregate: &'a str,
        /// Its version.
        version: i64,
    },
    /// It goes with no version and answers this record.
    Record {
        /// The topic's name, without the deployment's prefix.
        topic: &'a str,
        /// Where the record lies for good.
        place: Place,
    },
}

/// Names `<service>/<aggregate>/<version>/<index>`.
const OF_VERSION: Uuid = Uuid::from_u128(0x4b0f_6a1d_92c7_5e38_8d15_70e4_2bc9_a653);
/// Names `<service>/<topic>/<partition>/<offset>/<index>`.
const OF_RECORD: Uuid = Uuid::from_u128(0xd27e_13f8_0b64_5c9a_9e3d_a581_6f02_47cb);

impl Origin<'_> {
    /// A UUID of version 5 over a readable name, in a namespace for each kind.
    fn id(self, service: &str, index: u32) -> Uuid {
        match self {
            Origin::Version { aggregate, version } => {
                Uuid::new_v5(&OF_VERSION, format!("{service}/{aggregate}/{version}/{index}").as_bytes())
            }
            Origin::Record { topic, place: Place { partition, offset } } => {
                Uuid::new_v5(&OF_RECORD, format!("{service}/{topic}/{partition}/{offset}/{index}").as_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_origin_and_its_kind_matter() {
        let record = |topic, offset| Origin::Record { topic, place: Place { partition: 3, offset } };
        let version = |aggregate, version| Origin::Version { aggregate, version };
        let ids = [
            record("orders", 7).id("mailer", 0),
            record("orders", 8).id("mailer", 0),
            record("orders", 7).id("mailer", 1),
            record("orders", 7).id("other", 0),
            version("orders/3", 7).id("mailer", 0),
            version("orders/3", 8).id("mailer", 0),
        ];
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[..index].contains(id), "{index}");
        }
    }
}
