//! Publishes letters again, and writes down what was done.
//!
//! First a note that a redrive begins and from which offset on it can be found, then the record, then a note that it is
//! done; each is confirmed by all replicas before the next. Whoever is killed in between is continued by the next run: it
//! looks for the record from that offset on, and publishes it only if it is not there.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use outbox::kafka::Listener;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::{Time, message_id, partitioner};

use super::edited::Edited;
use super::letter::{DeadLetter, OwnHeader};
use super::ruling::Redrive;
use crate::error::ReplayError;
use crate::log::{
    ACTION_HEADER, Action, Channel, Note, REDRIVE_BY_HEADER, REDRIVE_COUNT_HEADER, REDRIVE_OF_HEADER, Range,
};
use crate::source::Source;

/// How long a record may take to be confirmed.
const CONFIRMATION: Duration = Duration::from_secs(30);

/// Who does something, and why.
#[derive(Debug, Clone)]
pub struct Signature {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// What is published in place of a letter's record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outgoing {
    partition: i32,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    headers: Vec<OwnHeader>,
}

/// Where a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// An earlier run had published it and could not write that down.
    pub was_there: bool,
}

/// Publishes letters again.
pub(crate) struct Desk {
    producer: FutureProducer<Listener>,
    source: Source,
    signature: Signature,
}

impl Desk {
    /// For the topics of `source`, which are reached as `kafka` says.
    pub(crate) fn open(kafka: &ClientConfig, source: Source, signature: Signature) -> Result<Desk, ReplayError> {
        let mut config = kafka.clone();
        // A letter is never larger than what its topic takes, but possibly than what a client sends unless told.
        config.set("message.max.bytes", "2000000").set("compression.type", "zstd");
        config.set("acks", "all").set("enable.idempotence", "true").set("linger.ms", "0");
        config.set("message.timeout.ms", CONFIRMATION.as_millis().to_string());
        let producer = config
            .create_with_context(Listener::default())
            .map_err(ReplayError::kafka("the configuration of the producer"))?;
        Ok(Desk { producer, source, signature })
    }

    /// Publish a letter, or what it was edited to.
    pub(crate) async fn redrive(
        &self,
        letter: &DeadLetter,
        edited: Option<&Edited>,
        redrive: &Redrive,
    ) -> Result<Published, ReplayError> {
        let (attempt, count, begun) = (redrive.attempt, redrive.count, redrive.begun.as_ref());
        let ends = self.ends(letter).await?;
        let outgoing = outgoing(letter, edited, count, ends.len(), &self.signature.by);
        let done = match self.find(letter, count, begun).await? {
            Some(found) => found,
            None => {
                let end = usize::try_from(outgoing.partition).ok().and_then(|index| ends.get(index)).copied();
                let mut note = self.note(Action::RedriveBegun, letter);
                (note.attempt, note.is_edited) = (attempt, edited.is_some());
                (note.to_partition, note.to_offset) = (Some(outgoing.partition), end);
                self.write(letter, &note).await?;
                let topic = self.source.topic(Channel::Messages(letter.topic));
                let (partition, offset) = self.send(&topic, &outgoing).await?;
                Published { partition, offset, was_there: false }
            }
        };
        let mut note = self.note(Action::Redriven, letter);
        (note.attempt, note.is_edited) = (attempt, edited.is_some() || begun.is_some_and(|begun| begun.is_edited));
        (note.to_partition, note.to_offset) = (Some(done.partition), Some(done.offset));
        self.write(letter, &note).await?;
        Ok(done)
    }

    /// Settle a letter without publishing it.
    pub(crate) async fn discard(&self, letter: &DeadLetter) -> Result<(), ReplayError> {
        self.write(letter, &self.note(Action::Discarded, letter)).await
    }

    fn note(&self, action: Action, letter: &DeadLetter) -> Note {
        Note {
            action,
            letter_offset: letter.spot.offset,
            by: self.signature.by.clone(),
            at: Timestamp::now(),
            reason: self.signature.reason.clone(),
            attempt: 0,
            is_edited: false,
            to_partition: None,
            to_offset: None,
        }
    }

    /// Notes lie behind the letter, on its partition.
    async fn write(&self, letter: &DeadLetter, note: &Note) -> Result<(), ReplayError> {
        let value = serde_json::to_vec(note).map_err(ReplayError::arguments)?;
        let headers = vec![(ACTION_HEADER.to_owned(), Some(note.action.as_str().as_bytes().to_vec()))];
        let outgoing =
            Outgoing { partition: letter.spot.partition, key: letter.key.clone(), payload: Some(value), headers };
        self.send(&self.source.topic(letter.spot.channel), &outgoing).await.map(|_| ())
    }

    async fn send(&self, topic: &str, outgoing: &Outgoing) -> Result<(i32, i64), ReplayError> {
        let headers = outgoing
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: value.as_deref() }));
        let mut record = FutureRecord::<[u8], [u8]>::to(topic).partition(outgoing.partition).headers(headers);
        (record.key, record.payload) = (outgoing.key.as_deref(), outgoing.payload.as_deref());
        let sent = self.producer.send(record, CONFIRMATION).await;
        let delivery = sent.map_err(|(source, _)| ReplayError::kafka(format!("publishing to {topic}"))(source))?;
        Ok((delivery.partition, delivery.offset))
    }

    /// Where each partition of the letter's topic ends now.
    async fn ends(&self, letter: &DeadLetter) -> Result<Vec<i64>, ReplayError> {
        let (source, channel) = (self.source.clone(), Channel::Messages(letter.topic));
        let bounds = tokio::task::spawn_blocking(move || source.bounds(channel)).await;
        let bounds = bounds.map_err(|_| ReplayError::Aborted { what: "the topic's ends".to_owned() })??;
        Ok(bounds.into_iter().map(|bounds| bounds.end).collect())
    }

    /// The record of a redrive that had begun, if it is in the topic.
    async fn find(
        &self,
        letter: &DeadLetter,
        count: u32,
        begun: Option<&Note>,
    ) -> Result<Option<Published>, ReplayError> {
        let Some((partition, from)) = begun.and_then(|note| note.to_partition.zip(note.to_offset)) else {
            return Ok(None);
        };
        let (source, channel, name) = (self.source.clone(), Channel::Messages(letter.topic), letter.spot.to_string());
        let found = tokio::task::spawn_blocking(move || {
            let bounds = source.bounds(channel)?;
            let Some(bounds) = usize::try_from(partition).ok().and_then(|index| bounds.get(index)) else {
                return Ok(None);
            };
            let mut found = None;
            let range = Range { partition, from: from.max(bounds.first), until: bounds.end };
            source.read(channel, &[range], &mut |record| {
                let is_of = record.text(REDRIVE_OF_HEADER) == Some(name.as_str());
                let is_counted = record.text(REDRIVE_COUNT_HEADER) == Some(count.to_string().as_str());
                if is_of && is_counted {
                    found = Some(Published { partition, offset: record.offset, was_there: true });
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            Ok(found)
        });
        found.await.map_err(|_| ReplayError::Aborted { what: "the topic".to_owned() })?
    }
}

/// The record as it was, or the edited one: a new message, caused by the old one.
fn outgoing(letter: &DeadLetter, edited: Option<&Edited>, count: u32, partitions: usize, by: &str) -> Outgoing {
    let text = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
    let ours = [REDRIVE_OF_HEADER, REDRIVE_COUNT_HEADER, REDRIVE_BY_HEADER];
    let mut headers: Vec<OwnHeader> =
        letter.headers.iter().filter(|(name, _)| !ours.contains(&name.as_str())).cloned().collect();
    // A letter lies in its record's partition, also after a restore into another number of them.
    let (mut partition, mut key, mut payload) = (letter.spot.partition, letter.key.clone(), letter.payload.clone());
    if let Some(Edited { message, payload: body }) = edited {
        let id = edited_id(letter, count);
        let cause = letter.header("ce_id").map(str::to_owned);
        let source = letter.header("ce_source").unwrap_or("/operator").to_owned();
        headers.retain(|(name, _)| !name.starts_with("ce_") && name != "content-type");
        headers.extend([
            text("ce_specversion", "1.0"),
            text("ce_id", &id),
            text("ce_source", &source),
            text("ce_type", message.type_name()),
            text("ce_time", &Time::from(Timestamp::now()).to_string()),
            text("ce_subject", message.key()),
            text("content-type", "application/avro"),
        ]);
        headers.extend(cause.map(|cause| text("ce_causationid", &cause)));
        if key.as_deref() != Some(message.key().as_bytes()) {
            let count = i32::try_from(partitions).unwrap_or(i32::MAX).max(1);
            partition = partitioner::partition_of(message.key().as_bytes(), count);
            key = Some(message.key().as_bytes().to_vec());
        }
        payload = Some(body.clone());
    }
    headers.push(text(REDRIVE_OF_HEADER, &letter.spot.to_string()));
    headers.push(text(REDRIVE_COUNT_HEADER, &count.to_string()));
    headers.push(text(REDRIVE_BY_HEADER, by));
    Outgoing { partition, key, payload, headers }
}

/// The same for the same letter and count, wherever a restore may have put it.
fn edited_id(letter: &DeadLetter, count: u32) -> String {
    if let Some(id) = letter.id.as_deref().and_then(|id| uuid::Uuid::try_parse(id).ok()) {
        return uuid::Uuid::new_v5(&id, format!("redrive/{count}").as_bytes()).to_string();
    }
    let reader = letter.spot.channel.writer().unwrap_or(schemas::ServiceName::Order);
    let topic = letter.spot.channel.name();
    message_id::of_input(reader, &topic, letter.spot.partition, letter.spot.offset, count).to_string()
}
