//! A dead letter with everything that it brought.

use jiff::Timestamp;
use outbox::Position;
use outbox::position::ID_HEADER;
use schemas::{Codec, Message, TopicName};

use crate::log::{Channel, DROPPED, LetterHeaders, REDRIVE_COUNT_HEADER, Record, Spot};

/// A header that the record had before it became a letter.
pub type OwnHeader = (String, Option<Vec<u8>>);

/// The most bytes of a key, and characters of a text, that a letter in short has.
const SHORT_KEY: usize = 256;
const SHORT_TEXT: usize = 2048;

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it lies.
    pub spot: Spot,
    /// The topic that it was sent to.
    pub topic: TopicName,
    /// Where it lay there.
    pub original: Option<Spot>,
    /// When it was sent there.
    pub sent_at: Option<Timestamp>,
    /// When it was set aside.
    pub set_aside_at: Option<Timestamp>,
    /// The consumer group that set it aside.
    pub group: String,
    /// What kind of mistake.
    pub cause: String,
    /// The same in words.
    pub detail: String,
    /// `outbox-id`.
    pub id: Option<String>,
    /// Its place in what its reader has set aside.
    pub position: Option<Position>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its body.
    pub payload: Option<Vec<u8>>,
    /// The headers that it had when it was sent.
    pub headers: Vec<OwnHeader>,
    /// Size in bytes and SHA-256 of a body that was too large for a letter.
    pub left_out: Option<(String, String)>,
    /// How many headers could not be kept.
    pub headers_left_out: Option<String>,
}

impl DeadLetter {
    /// A record of a dead-letter topic.
    pub(crate) fn of(topic: TopicName, record: &Record<'_>) -> Self {
        let headers = record.passed_on();
        let parts = LetterHeaders::of(&headers);
        let owned = |(name, value): &(&str, Option<&[u8]>)| ((*name).to_owned(), value.map(<[u8]>::to_vec));
        let channel = Channel::DeadLetters(topic);
        let left_out = parts
            .text("kafka_dlt-original-sha256")
            .map(|digest| (parts.text("kafka_dlt-original-size").unwrap_or_default(), digest));
        DeadLetter {
            spot: Spot { channel, partition: record.partition, offset: record.offset },
            topic,
            original: parts.original().map(|(partition, offset)| Spot {
                channel: Channel::Messages(topic),
                partition,
                offset,
            }),
            sent_at: parts.sent_at_ms().and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            set_aside_at: Timestamp::from_millisecond(record.timestamp_ms).ok(),
            group: parts.text("kafka_dlt-original-consumer-group").unwrap_or_default(),
            cause: parts.text("kafka_dlt-exception-fqcn").unwrap_or_default(),
            detail: parts.text("kafka_dlt-exception-message").unwrap_or_default(),
            id: record.text(ID_HEADER).map(str::to_owned),
            position: Channel::DeadLetters(topic).writer().and_then(|writer| record.position(writer)),
            key: record.key.map(<[u8]>::to_vec),
            payload: record.payload.map(<[u8]>::to_vec),
            headers: parts.before.iter().map(owned).collect(),
            left_out,
            headers_left_out: parts.text("kafka_dlt-original-headers-left-out"),
        }
    }

    /// The last header of this name that it had when it was sent, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().rev().find(|(each, _)| each == name)?;
        std::str::from_utf8(found.1.as_deref()?).ok()
    }

    /// Whether it could be read, and a person has given it up (`parked drop`).
    pub fn was_given_up(&self) -> bool {
        self.cause == DROPPED
    }

    /// How often it had been redriven before it came here.
    pub fn redrives(&self) -> u32 {
        self.header(REDRIVE_COUNT_HEADER).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size(&self) -> usize {
        let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let header = |(name, value): &OwnHeader| size_of::<OwnHeader>() + name.len() + bytes(value);
        let texts = self.group.len() + self.cause.len() + self.detail.len();
        size_of::<Self>()
            + bytes(&self.key)
            + bytes(&self.payload)
            + texts
            + self.headers.iter().map(header).sum::<usize>()
    }

    /// Without its contents, and with no more of what strangers and operators wrote than a line shows.
    pub(crate) fn in_short(self) -> Self {
        let mut key = self.key;
        if let Some(key) = &mut key {
            key.truncate(SHORT_KEY);
        }
        let (group, cause, detail) = (short(&self.group), short(&self.cause), short(&self.detail));
        DeadLetter { key, group, cause, detail, payload: None, headers: Vec::new(), ..self }
    }

    /// What it says, or why that cannot be told.
    pub fn decode(&self, codec: &Codec) -> Result<Message, String> {
        match (&self.payload, &self.left_out) {
            (Some(payload), _) => codec.decode(self.topic, payload).map_err(|error| error.to_string()),
            (None, Some((bytes, _))) => Err(format!("its body of {bytes} bytes was too large for a dead letter")),
            (None, None) => Err("it has no value".to_owned()),
        }
    }

    /// Why the service would set it aside again as it is; none where it would be taken.
    pub fn fault(&self, codec: &Codec) -> Option<String> {
        let message = match self.decode(codec) {
            Ok(message) => message,
            Err(reason) => return Some(reason),
        };
        let has_its_key = self.key.as_deref() == Some(message.key().as_bytes());
        (!has_its_key).then(|| format!("its key is not the id in it, {:?}", message.key()))
    }

    /// The key for people.
    pub fn key_in_words(&self) -> String {
        match self.key.as_deref() {
            None => "(none)".to_owned(),
            Some(key) => String::from_utf8_lossy(key).escape_debug().to_string(),
        }
    }
}

/// No more of a text than a line shows.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(SHORT_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
