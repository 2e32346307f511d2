//! What can go wrong between a client and the pipeline's topics, or its API, in words that a person can act on.
//!
//! A command that the services refuse is not here: that is an `OrderRejected` event, a business answer.

use outbox::kafka::{Refusal, Silence};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::file_format::FileFormat;
use super::http_door::HttpError;

/// An error of the client library in words that say what to do; never with a value that may be a secret.
pub fn words(error: &KafkaError) -> String {
    let words = outbox::kafka::words(error);
    match outbox::kafka::denied(error) {
        Some(_) => format!("{words} (`order-worker topics acls` prints the rights of every program)"),
        None => words,
    }
}

/// A failure of the client library.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// librdkafka does not accept the configuration.
    #[error("the Kafka client cannot be set up: {}", words(source))]
    Configuration {
        /// What librdkafka said; it names the property.
        source: KafkaError,
    },
    /// A property that the contract on the wire fixes.
    #[error("the property {name} cannot be changed: the pipeline's contract fixes it")]
    FixedProperty {
        /// Which property.
        name: String,
    },
    /// No broker answered.
    #[error("{0}")]
    Unreachable(Silence),
    /// The brokers do not let this user in, or the client does not trust them.
    #[error("Kafka at {brokers}: {refusal}")]
    NotAdmitted {
        /// The bootstrap addresses.
        brokers: String,
        /// What the client says.
        refusal: Refusal,
    },
    /// The brokers are there, the topic is not.
    #[error("Kafka at {brokers} has no topic {topic}; `order-worker topics create` creates all topics")]
    NoTopic {
        /// The bootstrap addresses.
        brokers: String,
        /// The full name, with the prefix.
        topic: String,
    },
    /// The message has no Avro encoding.
    #[error("{what} cannot be encoded: {source}")]
    Encode {
        /// Which message, by type and key.
        what: String,
        /// Why.
        source: schemas::EncodeError,
    },
    /// The payment token has digits alone. It is not repeated.
    #[error(
        "{what} is not sent: its payment_token has digits alone, as a card number has: send the provider's token instead"
    )]
    CardNumber {
        /// Which message, by type and key.
        what: String,
    },
    /// The message is larger than the client library takes.
    #[error("{what} has {bytes} bytes encoded, more than Kafka takes in one message")]
    TooLarge {
        /// Which message, by type and key.
        what: String,
        /// Its encoded size.
        bytes: usize,
    },
    /// The broker does not take the message, now or later.
    #[error("{what} is refused by Kafka: {}; publishing it again changes nothing", words(source))]
    Refused {
        /// Which message, by type and key.
        what: String,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// The broker did not confirm the message: it may or may not be in the topic.
    #[error("{what} was not confirmed by Kafka: {}; publishing it again is safe", words(source))]
    NotConfirmed {
        /// Which message, by type and key.
        what: String,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// Messages were still unconfirmed when the time was up.
    #[error("{} not confirmed by Kafka within {wait_s} s; publishing again is safe", grammar::counted(*.waiting, "message"))]
    FlushTimedOut {
        /// How many.
        waiting: u64,
        /// How long it was waited, in seconds.
        wait_s: u64,
    },
    /// A topic cannot be read.
    #[error("cannot read {topic}: {}", words(source))]
    Read {
        /// The full name, with the prefix.
        topic: String,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// A topic brought nothing for too long, although it is not at its end.
    #[error("reading {topic} brought nothing for {wait_s} s, {left} messages before its end")]
    NoProgress {
        /// The full name, with the prefix.
        topic: String,
        /// How long it was waited, in seconds.
        wait_s: u64,
        /// Messages that are still to be read.
        left: u64,
    },
    /// The file with orders or stock cannot be opened or read.
    #[error("cannot read {file}: {source}")]
    File {
        /// The file's name, `-` for standard input.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file as a whole is something else than lines of JSON.
    #[error("{file} is {}", format.in_words(file))]
    Format {
        /// The file's name, `-` for standard input.
        file: String,
        /// What it is.
        format: FileFormat,
    },
    /// The API that stands for Kafka.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The runtime stopped a task in the middle.
    #[error("a background task of the client ended early: {detail}")]
    Task {
        /// What the runtime said.
        detail: String,
    },
}

impl ClientError {
    /// What it means that this message was not delivered: refused for good, or nobody knows.
    pub(super) fn not_delivered(what: String, source: KafkaError) -> Self {
        let is_final = matches!(
            source.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                    | RDKafkaErrorCode::InvalidRecord
                    | RDKafkaErrorCode::InvalidTimestamp
                    | RDKafkaErrorCode::PolicyViolation
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed
                    | RDKafkaErrorCode::InvalidTopic
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::UnknownTopicOrPartition
            )
        );
        if is_final { ClientError::Refused { what, source } } else { ClientError::NotConfirmed { what, source } }
    }
}
