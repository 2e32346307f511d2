//! Topics and outboxes in memory: what a service commits is published at once, with the headers of the wire contract.

use std::collections::BTreeMap;

use schemas::{Codec, Message, ServiceName, partitioner};
use uuid::Uuid;

use crate::log::{Channel, Envelope, Print, Record, TimestampType};

/// Partitions of every topic.
pub(super) const PARTITIONS: i32 = 2;

pub(super) type OwnedHeaders = Vec<(String, Option<Vec<u8>>)>;

/// A record.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnedRecord {
    pub(super) key: Option<Vec<u8>>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) headers: OwnedHeaders,
}

/// A row of an outbox.
#[derive(Debug, Clone)]
pub(super) struct OutboxRow {
    pub(super) id: Uuid,
    /// None for a raw record.
    pub(super) ce_type: Option<String>,
    pub(super) source: &'static str,
    pub(super) cause: Option<Uuid>,
    pub(super) record: OwnedRecord,
}

/// All topics and all outboxes, by topic and partition.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) codec: Codec,
    pub(super) topics: BTreeMap<(Channel, i32), Vec<OwnedRecord>>,
    pub(super) outboxes: BTreeMap<(Channel, i32), Vec<OutboxRow>>,
}

const TIME: &str = "2026-01-01T00:00:00.000000Z";

impl Shelf {
    pub(super) fn new() -> Self {
        Shelf { codec: Codec::embedded(), topics: BTreeMap::new(), outboxes: BTreeMap::new() }
    }

    /// What a client sends.
    pub(super) fn send(&mut self, message: &Message, id: Uuid) {
        let record = OwnedRecord {
            key: Some(message.key().as_bytes().to_vec()),
            payload: Some(self.codec.encode(message).unwrap()),
            headers: vec![header("ce_id", &id.to_string())],
        };
        self.send_raw(Channel::Messages(message.topic()), partition_of(message.key()), record);
    }

    /// What a stranger sends.
    pub(super) fn send_raw(&mut self, channel: Channel, partition: i32, record: OwnedRecord) {
        self.topics.entry((channel, partition)).or_default().push(record);
    }

    /// What a service emits.
    pub(super) fn emit(&mut self, service: ServiceName, message: &Message, id: Uuid, cause: Option<Uuid>) {
        let mut headers = vec![
            header("ce_id", &id.to_string()),
            header("ce_source", service.source()),
            header("ce_type", message.type_name()),
            header("ce_time", TIME),
            header("ce_subject", message.key()),
            header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ];
        headers.extend(cause.map(|cause| header("ce_causationid", &cause.to_string())));
        let key = Some(message.key().as_bytes().to_vec());
        let record = OwnedRecord { key, payload: Some(self.codec.encode(message).unwrap()), headers };
        let row = OutboxRow { id, ce_type: Some(message.type_name().into()), source: service.source(), cause, record };
        self.commit(service, Channel::Messages(message.topic()), partition_of(message.key()), row);
    }

    /// Commit a row and publish it.
    pub(super) fn commit(&mut self, service: ServiceName, channel: Channel, partition: i32, row: OutboxRow) {
        let rows = self.outboxes.entry((channel, partition)).or_default();
        rows.push(row.clone());
        let mut record = row.record;
        if row.ce_type.is_none() {
            record.headers.push(header("outbox-id", &row.id.to_string()));
        }
        record.headers.push(header("outbox-position", &format!("{}:1:1:{}", service.source(), rows.len())));
        self.send_raw(channel, partition, record);
    }
}

impl OwnedRecord {
    pub(super) fn at(&self, partition: i32, offset: i64) -> Record<'_> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        Record {
            partition,
            offset,
            timestamp_ms: -1,
            timestamp_type: TimestampType::None,
            key: self.key.as_deref(),
            payload: self.payload.as_deref(),
            headers: Some(headers),
        }
    }
}

impl OutboxRow {
    /// The print of the row with this sequence.
    pub(super) fn print(&self, sequence: i64) -> Print {
        let record = self.record.at(0, 0);
        let headers = record.headers.clone().unwrap_or_default();
        let envelope = match &self.ce_type {
            None => Envelope::Raw,
            Some(ce_type) => Envelope::Event {
                source: self.source,
                ce_type,
                subject: record.key.and_then(|key| std::str::from_utf8(key).ok()),
                time: Some(TIME.parse().unwrap()),
                cause: self.cause.map(|cause| cause.to_string()),
            },
        };
        Print::of(sequence, Some(self.id), record.key, record.payload, &envelope, &headers)
    }
}

pub(super) fn header(name: &str, value: &str) -> (String, Option<Vec<u8>>) {
    (name.to_owned(), Some(value.as_bytes().to_vec()))
}

pub(super) fn partition_of(key: &str) -> i32 {
    partitioner::partition_of(key.as_bytes(), PARTITIONS)
}
