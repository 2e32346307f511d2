//! Parked keys and messages as rows: what statements are given, and what they give.

use jiff::Timestamp;
use tokio_postgres::Row;

use super::{ParkedKey, ParkedMessage, ParkedRun, TimestampType};
use crate::error::OutboxError;
use crate::headers;
use crate::inbox::place::Place;
use crate::inbox::{Cursor, SourceCursor};
use crate::params;
use crate::statement::Param;

pub(super) fn run_params(runs: &[ParkedRun]) -> Vec<Param> {
    let lanes: Vec<i32> = runs.iter().map(|run| run.lane).collect();
    let keys: Vec<Vec<u8>> = runs.iter().map(|run| run.key.clone()).collect();
    let old: Vec<i64> = runs.iter().map(|run| run.from).collect();
    let new: Vec<i64> = runs.iter().map(|run| run.to).collect();
    params![lanes, keys, old, new]
}

pub(super) fn message_params(messages: &[ParkedMessage]) -> Result<Vec<Param>, OutboxError> {
    fn column<T>(messages: &[ParkedMessage], of: impl Fn(&ParkedMessage) -> T) -> Vec<T> {
        messages.iter().map(of).collect()
    }
    let position = |of: fn(&SourceCursor) -> i64| column(messages, |message| message.position.as_ref().map(of));
    let headers: Vec<Option<Vec<u8>>> =
        messages.iter().map(|message| headers::pack(&message.headers)).collect::<Result<_, _>>()?;
    Ok(params![
        column(messages, |message| message.lane),
        column(messages, |message| message.key.clone()),
        column(messages, |message| message.number),
        column(messages, |message| message.topic.clone()),
        column(messages, |message| message.partition),
        column(messages, |message| message.offset),
        column(messages, |message| message.place.partition),
        column(messages, |message| message.place.offset),
        column(messages, |message| message.position.as_ref().map(|of| of.source.clone())),
        position(|of| of.cursor.epoch),
        position(|of| of.cursor.sequence),
        column(messages, |message| timestamp_code(message.timestamp_type)),
        column(messages, |message| message.timestamp_ms),
        column(messages, |message| message.payload.clone()),
        headers,
        column(messages, |message| message.headers_left_out),
        column(messages, |message| message.parked_at),
    ])
}

pub(super) fn key_of(row: &Row) -> ParkedKey {
    let asked: (Option<String>, Option<Timestamp>) = (row.get(8), row.get(9));
    ParkedKey {
        lane: row.get(0),
        key: row.get(1),
        first: row.get(2),
        next: row.get(3),
        since: row.get(4),
        cause: row.get(5),
        attempts: row.get(6),
        next_attempt: row.get(7),
        asked: asked.0.zip(asked.1),
    }
}

pub(super) fn message_of(row: &Row) -> Result<ParkedMessage, OutboxError> {
    let (source, epoch, sequence): (Option<String>, Option<i64>, Option<i64>) = (row.get(8), row.get(9), row.get(10));
    let cursor = epoch.zip(sequence).map(|(epoch, sequence)| Cursor { epoch, sequence });
    let packed: Option<&[u8]> = row.get(14);
    let owned = |(name, value): headers::HeaderRef<'_>| (name.to_owned(), value.map(<[u8]>::to_vec));
    Ok(ParkedMessage {
        lane: row.get(0),
        key: row.get(1),
        number: row.get(2),
        topic: row.get(3),
        partition: row.get(4),
        offset: row.get(5),
        place: Place { partition: row.get(6), offset: row.get(7) },
        position: source.zip(cursor).map(|(source, cursor)| SourceCursor { source, cursor }),
        timestamp_type: timestamp_type(row.get(11)),
        timestamp_ms: row.get(12),
        payload: row.get(13),
        headers: headers::unpack(packed.unwrap_or_default()).map(|one| one.map(owned)).collect::<Result<_, _>>()?,
        headers_left_out: row.get(15),
        parked_at: row.get(16),
    })
}

const fn timestamp_code(kind: TimestampType) -> i16 {
    match kind {
        TimestampType::None => 0,
        TimestampType::Created => 1,
        TimestampType::Appended => 2,
    }
}

const fn timestamp_type(code: i16) -> TimestampType {
    match code {
        1 => TimestampType::Created,
        2 => TimestampType::Appended,
        _ => TimestampType::None,
    }
}
