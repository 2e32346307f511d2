//! A record that cannot be taken, as it goes to `<topic>-dlt`: its bytes and headers untouched, the cause in further headers.
//!
//! Header names and number formats are those of Spring Kafka's DeadLetterPublishingRecoverer (numbers big-endian), so that
//! existing tools read them: <https://docs.spring.io/spring-kafka/reference/kafka/annotation-error-handling.html>.

use bytes::Bytes;
use jiff::Timestamp;
use outbox::OutboxMessage;
use outbox::inbox::place::{ORIGINAL_PLACE_HEADER, Place};

use crate::contract::{Contract, Origin};

/// The room that headers of ours need, in bytes; a dead-letter topic takes 64 KiB more than its source.
const HEADER_ROOM_BYTES: usize = 16 * 1024;

/// The longest header name that is passed on, in bytes.
const HEADER_NAME_MAX_BYTES: usize = 1024;

/// A record with the reason why it cannot be taken.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetter<T> {
    pub(crate) topic: T,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// What its id is made of.
    pub(crate) place: Place,
    pub(crate) timestamp: rdkafka::Timestamp,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    /// Headers that could not be read, or have names that cannot be passed on.
    pub(crate) headers_left_out: usize,
    /// Whether only the fact of the record is passed on: it was refused as it is.
    pub(crate) is_reduced: bool,
    pub(crate) cause: DeadCause,
    pub(crate) detail: String,
}

/// The kinds of records that go to the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeadCause {
    /// Unframed, unknown schema, undecodable, trailing bytes, wrong type for the topic.
    Undecodable,
    /// No key, or a key that is not the id in the body.
    Key,
    /// On a topic that only a service writes, without that service's position.
    Unpositioned,
    /// Decodable, but the database refuses what follows from it.
    Refused,
    /// It was parked, and a person has given it up.
    Dropped,
    /// The client library cannot read it: one letter stands for a run of offsets, and has no key, value or headers of theirs.
    Unreadable,
}

impl DeadCause {
    /// As a metric label and in the `kafka_dlt-exception-fqcn` header.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            DeadCause::Undecodable => "undecodable",
            DeadCause::Key => "key",
            DeadCause::Unpositioned => "unpositioned",
            DeadCause::Refused => "refused",
            DeadCause::Dropped => "dropped",
            DeadCause::Unreadable => "unreadable",
        }
    }
}

impl<T: Copy> DeadLetter<T> {
    /// The row for the outbox. A record too large even for the dead-letter topic loses its body, and says so.
    pub(crate) fn into_message<C: Contract<Topic = T>>(
        mut self,
        service: &str,
        prefix: &str,
        group: &str,
        now: Timestamp,
        limit_bytes: usize,
    ) -> OutboxMessage {
        let origin = Origin::Record { topic: C::topic_name(self.topic), place: self.place };
        let id = C::message_id(service, origin, None, 0);
        let (size, given) = (self.size_bytes(), self.headers.len());
        self.headers.retain(|(name, _)| name.len() <= HEADER_NAME_MAX_BYTES);
        self.headers_left_out += given - self.headers.len();
        let mut ours = self.cause_headers::<C>(prefix, group);
        let fits = size + HEADER_ROOM_BYTES <= limit_bytes && !self.is_reduced;
        let (key, payload, mut headers) = if fits {
            (self.key.map(Bytes::from), self.payload.map(Bytes::from), self.headers)
        } else {
            let digest = sha256_hex(self.payload.as_deref().unwrap_or_default());
            ours.push(("kafka_dlt-original-size".into(), Some(size.to_string().into_bytes())));
            ours.push(("kafka_dlt-original-sha256".into(), Some(digest.into_bytes())));
            self.headers_left_out += self.headers.len();
            (self.key.filter(|key| key.len() < HEADER_ROOM_BYTES / 4).map(Bytes::from), None, Vec::new())
        };
        if self.place != (Place { partition: self.partition, offset: self.offset }) {
            ours.push((ORIGINAL_PLACE_HEADER.into(), Some(self.place.to_string().into_bytes())));
        }
        if self.headers_left_out > 0 {
            let count = self.headers_left_out.to_string().into_bytes();
            ours.push(("kafka_dlt-original-headers-left-out".into(), Some(count)));
        }
        headers.append(&mut ours);
        let topic = format!("{prefix}{}", C::dead_letter_topic(self.topic));
        let mut letter = OutboxMessage::raw_of(id, now, topic).partition(self.partition);
        (letter.key, letter.payload, letter.headers) = (key, payload, headers);
        letter
    }

    fn size_bytes(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, Vec::len) + 8).sum();
        headers + self.key.as_ref().map_or(0, Vec::len) + self.payload.as_ref().map_or(0, Vec::len)
    }

    fn cause_headers<C: Contract<Topic = T>>(&self, prefix: &str, group: &str) -> Vec<(String, Option<Vec<u8>>)> {
        let topic = format!("{prefix}{}", C::topic_name(self.topic));
        let (timestamp_ms, timestamp_type) = named(self.timestamp);
        [
            ("kafka_dlt-original-topic", topic.into_bytes()),
            ("kafka_dlt-original-partition", self.partition.to_be_bytes().to_vec()),
            ("kafka_dlt-original-offset", self.offset.to_be_bytes().to_vec()),
            ("kafka_dlt-original-timestamp", timestamp_ms.to_be_bytes().to_vec()),
            ("kafka_dlt-original-timestamp-type", timestamp_type.as_bytes().to_vec()),
            ("kafka_dlt-original-consumer-group", group.as_bytes().to_vec()),
            ("kafka_dlt-exception-fqcn", self.cause.as_str().as_bytes().to_vec()),
            ("kafka_dlt-exception-message", self.detail.clone().into_bytes()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Some(value)))
        .collect()
    }
}

/// The timestamp in milliseconds, and its type by the name that Kafka's Java client gives it. Which it is, is the topic's
/// setting `message.timestamp.type`.
fn named(timestamp: rdkafka::Timestamp) -> (i64, &'static str) {
    match timestamp {
        rdkafka::Timestamp::CreateTime(ms) => (ms, "CreateTime"),
        rdkafka::Timestamp::LogAppendTime(ms) => (ms, "LogAppendTime"),
        rdkafka::Timestamp::NotAvailable => (-1, "NoTimestampType"),
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_contract::Letters;

    fn letter(payload: Vec<u8>) -> DeadLetter<&'static str> {
        DeadLetter {
            topic: "order.commands.v1",
            partition: 3,
            offset: 258,
            place: Place { partition: 3, offset: 258 },
            timestamp: rdkafka::Timestamp::CreateTime(1),
            key: Some(b"o-1".to_vec()),
            payload: Some(payload),
            headers: vec![("outbox-position".into(), Some(b"forged".to_vec())), ("empty".into(), None)],
            headers_left_out: 0,
            is_reduced: false,
            cause: DeadCause::Undecodable,
            detail: "no framing".into(),
        }
    }

    fn header<'m>(message: &'m OutboxMessage, name: &str) -> &'m [u8] {
        let found = message.headers.iter().find(|(key, _)| key == name);
        found.and_then(|(_, value)| value.as_deref()).unwrap_or_default()
    }

    #[test]
    fn bytes_and_headers_stay_as_they_were_and_the_cause_comes_after() {
        let message = letter(vec![1, 2, 3]).into_message::<Letters>(
            "order",
            "t.",
            "t.order-worker",
            Timestamp::UNIX_EPOCH,
            10_000_000,
        );
        assert_eq!(&*message.topic, "t.order.commands.v1-dlt");
        assert!(matches!(message.partition, outbox::Target::Given(3)));
        assert_eq!(message.payload.as_deref(), Some(&[1, 2, 3][..]));
        assert_eq!(message.headers[..2], letter(Vec::new()).headers[..]);
        assert_eq!(header(&message, "kafka_dlt-original-offset"), 258_i64.to_be_bytes());
        assert_eq!(header(&message, "kafka_dlt-original-partition"), 3_i32.to_be_bytes());
        assert_eq!(header(&message, "kafka_dlt-exception-message"), b"no framing");
    }

    #[test]
    fn a_record_whose_place_is_another_is_told_with_it_and_has_its_id() {
        let at = |place| {
            let given = DeadLetter { place, ..letter(Vec::new()) };
            given.into_message::<Letters>("order", "", "g", Timestamp::UNIX_EPOCH, 10_000_000)
        };
        let (here, there) = (at(Place { partition: 3, offset: 258 }), at(Place { partition: 0, offset: 7 }));
        assert!(header(&here, ORIGINAL_PLACE_HEADER).is_empty());
        assert_eq!(header(&there, ORIGINAL_PLACE_HEADER), b"0@7");
        assert_ne!(here.id, there.id);
    }

    #[test]
    fn the_timestamp_is_of_the_type_that_the_topic_gave_it() {
        use rdkafka::Timestamp as Given;
        let cases = [
            (Given::CreateTime(7), 7_i64, "CreateTime"),
            (Given::LogAppendTime(8), 8, "LogAppendTime"),
            (Given::NotAvailable, -1, "NoTimestampType"),
        ];
        for (timestamp, ms, name) in cases {
            let given = DeadLetter { timestamp, ..letter(Vec::new()) };
            let message = given.into_message::<Letters>("order", "", "g", Timestamp::UNIX_EPOCH, 10_000_000);
            assert_eq!(header(&message, "kafka_dlt-original-timestamp"), ms.to_be_bytes());
            assert_eq!(header(&message, "kafka_dlt-original-timestamp-type"), name.as_bytes());
        }
    }

    #[test]
    fn a_name_that_cannot_be_passed_on_is_left_out_and_counted() {
        let mut given = letter(vec![1]);
        given.headers.push(("x".repeat(HEADER_NAME_MAX_BYTES + 1), None));
        given.headers_left_out = 1;
        let message = given.into_message::<Letters>("order", "", "g", Timestamp::UNIX_EPOCH, 10_000_000);
        assert_eq!(message.headers[..2], letter(Vec::new()).headers[..]);
        assert_eq!(header(&message, "kafka_dlt-original-headers-left-out"), b"2");
    }

    #[test]
    fn what_is_too_large_loses_its_body_and_says_so() {
        let message = letter(vec![0; 50_000]).into_message::<Letters>("order", "", "g", Timestamp::UNIX_EPOCH, 40_000);
        assert_eq!(message.payload, None);
        let digest = "5b4b67b5d68e02c992760de07640472efe53a7f7553865f83262d0a74efc3e5d";
        assert_eq!(header(&message, "kafka_dlt-original-sha256"), digest.as_bytes());
        assert!(!header(&message, "kafka_dlt-original-size").is_empty());
    }
}
