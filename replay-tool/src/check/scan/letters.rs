//! Records that nobody could take, and the dead letters that must have become of them.

use outbox::inbox::place::{ORIGINAL_PLACE_HEADER, Place, Restoration};
use outbox::position::ID_HEADER;
use schemas::TopicName;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::log::{LetterHeaders, Record, body, headers_digest};

/// In a letter that stands for a run of records: the offset of the last of them. That of the first is the original's.
const LAST_OFFSET_HEADER: &str = "kafka_dlt-original-last-offset";

/// A record that has to go to the dead letters once it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) topic: TopicName,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// What its letter's id is made of.
    pub(crate) place: Place,
    /// What is wrong with it.
    pub(crate) reason: String,
    /// Whether its service has taken it.
    pub(crate) is_taken: bool,
    body: u128,
    /// None where the client cannot read them.
    headers: Option<u128>,
    /// SHA-256 of the payload in hexadecimal: all that its letter says of it where the record was too large.
    payload_digest: String,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Where it stands among the dead letters.
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Which record it was, as its headers say: topic (full name), partition, offset.
    pub(crate) original: Option<(String, i32, i64)>,
    /// What its id is made of.
    pub(crate) place: Option<Place>,
    /// Of a run of records that cannot be read: the offset of the last of them.
    pub(crate) last: Option<i64>,
    /// What kind of mistake.
    pub(crate) cause: String,
    pub(crate) id: Option<Uuid>,
    body: u128,
    headers: u128,
    /// SHA-256 of the payload that did not fit, in hexadecimal.
    left_out: Option<String>,
}

impl Broken {
    /// Of a record in a partition of which restores have made this.
    pub(crate) fn of(
        topic: TopicName,
        record: &Record<'_>,
        restoration: Restoration,
        reason: impl Into<String>,
        is_taken: bool,
    ) -> Self {
        let mut headers = record.headers.as_deref().map(<[_]>::to_vec);
        if let Some(headers) = &mut headers {
            restoration.strip(record.offset, headers);
        }
        Broken {
            topic,
            partition: record.partition,
            offset: record.offset,
            place: record.place(restoration),
            reason: reason.into(),
            is_taken,
            body: body(record.key, record.payload),
            headers: headers.as_deref().map(headers_digest),
            payload_digest: sha256_hex(record.payload.unwrap_or_default()),
        }
    }

    /// What is not as it was in the letter; none where all is.
    pub(crate) fn difference(&self, letter: &Letter) -> Option<&'static str> {
        if let Some(digest) = &letter.left_out {
            return (*digest != self.payload_digest).then_some("digest of the payload that was left out");
        }
        if self.body != letter.body {
            return Some("key or payload");
        }
        let is_same = self.headers.is_none_or(|headers| headers == letter.headers);
        (!is_same).then_some("headers")
    }
}

impl Letter {
    pub(crate) fn of(record: &Record<'_>) -> Self {
        let headers = record.passed_on();
        let parts = LetterHeaders::of(&headers);
        let original = parts.text("kafka_dlt-original-topic").zip(parts.original());
        let lay = original.as_ref().map(|(_, (partition, offset))| Place { partition: *partition, offset: *offset });
        Letter {
            partition: record.partition,
            offset: record.offset,
            place: Place::in_header(parts.value(ORIGINAL_PLACE_HEADER)).or(lay),
            original: original.map(|(topic, (partition, offset))| (topic, partition, offset)),
            last: record.header(LAST_OFFSET_HEADER).and_then(|last| Some(i64::from_be_bytes(last.try_into().ok()?))),
            cause: parts.text("kafka_dlt-exception-fqcn").unwrap_or_default(),
            id: record.text(ID_HEADER).and_then(|text| Uuid::try_parse(text).ok()),
            body: body(record.key, record.payload),
            headers: headers_digest(parts.before),
            left_out: parts.text("kafka_dlt-original-sha256"),
        }
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
