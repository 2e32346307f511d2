//! An outbox at the cut: its lanes with their heads, and a print of every message.
//!
//! The tables are those of the outbox crate (`outbox/src/migrate/v1.sql`), read here without its code.

use std::collections::HashMap;

use ::outbox::{Epoch, Epochs};
use jiff::Timestamp;
use schemas::ServiceName;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::error::ReplayError;
use crate::log::{Envelope, Header, Print};
use crate::rows::Columns;

/// A lane's number in the outbox tables.
pub(crate) type LaneNumber = i32;

/// How far a lane had come.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct LaneCut {
    pub(crate) number: LaneNumber,
    /// The highest sequence that was committed; 0 where none was.
    pub(crate) head: i64,
    /// Rows up to this sequence may be gone.
    pub(crate) pruned: i64,
    pub(crate) epochs: Epochs,
}

/// The lanes of an outbox by full topic name and partition.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct OutboxCut {
    pub(crate) lanes: HashMap<(String, i32), LaneCut>,
}

/// The messages of an outbox by lane, ascending by sequence.
pub(crate) type LaneRows = HashMap<LaneNumber, Vec<Print>>;

const LANES: &str = "select t.name, l.partition, l.lane, l.pruned, \
        coalesce((select m.sequence from outbox_messages m where m.lane = l.lane \
                  order by m.lane desc, m.sequence desc limit 1), 0) \
    from outbox_lanes l join outbox_topics t on t.id = l.topic_id";

const EPOCHS: &str = "select lane, epoch, first, last_equal from outbox_epochs";

/// Read through a cursor: the driver would take in the whole outbox at once.
const MESSAGES: &str = "declare outbox_rows no scroll cursor for select lane, sequence, id, type, key, payload, time, causation, causation_text, headers \
    from outbox_messages order by lane, sequence";

/// The heads of all lanes.
pub(crate) async fn read_cut(service: ServiceName, client: &Client) -> Result<OutboxCut, ReplayError> {
    let failed = ReplayError::database(service, "reading the outbox' lanes");
    let (lanes, epochs) = tokio::try_join!(client.query(LANES, &[]), client.query(EPOCHS, &[])).map_err(failed)?;
    read_lanes(&lanes, &epochs).map_err(ReplayError::database(service, "reading the outbox' lanes"))
}

fn read_lanes(lanes: &[Row], epochs: &[Row]) -> Result<OutboxCut, tokio_postgres::Error> {
    let mut by_lane: HashMap<LaneNumber, Vec<Epoch>> = HashMap::new();
    for row in epochs {
        let mut columns = Columns::of(row);
        let lane = columns.next()?;
        let epoch = Epoch { epoch: columns.next()?, first: columns.next()?, last_equal: columns.next()? };
        by_lane.entry(lane).or_default().push(epoch);
    }
    let mut cut = OutboxCut::default();
    for row in lanes {
        let mut columns = Columns::of(row);
        let (topic, partition, number): (String, i32, i32) = (columns.next()?, columns.next()?, columns.next()?);
        let (pruned, sequence): (i64, i64) = (columns.next()?, columns.next()?);
        let epochs = Epochs::new(by_lane.remove(&number).unwrap_or_default());
        let lane = LaneCut { number, head: sequence.max(pruned), pruned, epochs };
        cut.lanes.insert((topic, partition), lane);
    }
    Ok(cut)
}

const NEXT_MESSAGES: &str = "fetch forward 4000 from outbox_rows";

/// A print of every message.
pub(super) async fn read_rows(service: ServiceName, client: &Client) -> Result<LaneRows, ReplayError> {
    let failed = || ReplayError::database(service, "reading the outbox' messages");
    client.batch_execute(MESSAGES).await.map_err(failed())?;
    let next = client.prepare(NEXT_MESSAGES).await.map_err(failed())?;
    let mut prints = LaneRows::new();
    loop {
        let rows = client.query(&next, &[]).await.map_err(failed())?;
        if rows.is_empty() {
            return Ok(prints);
        }
        for row in &rows {
            let (lane, print) = read_row(service, row).map_err(failed())?;
            let print = print.map_err(|reason| ReplayError::Outbox { service, reason })?;
            prints.entry(lane).or_default().push(print);
        }
    }
}

fn read_row(service: ServiceName, row: &Row) -> Result<(LaneNumber, Result<Print, String>), tokio_postgres::Error> {
    let mut columns = Columns::of(row);
    let (lane, sequence): (LaneNumber, i64) = (columns.next()?, columns.next()?);
    let (id, ce_type): (Uuid, Option<&str>) = (columns.next()?, columns.next()?);
    let (key, payload): (Option<&[u8]>, Option<&[u8]>) = (columns.next()?, columns.next()?);
    let time: Timestamp = columns.next()?;
    let (causation, causation_text): (Option<Uuid>, Option<&str>) = (columns.next()?, columns.next()?);
    let packed: Option<&[u8]> = columns.next()?;
    let Some(headers) = unpack(packed.unwrap_or_default()) else {
        return Ok((lane, Err(format!("the headers in lane {lane}, sequence {sequence} cannot be unpacked"))));
    };
    let envelope = match ce_type {
        None => Envelope::Raw,
        Some(ce_type) => Envelope::Event {
            source: service.source(),
            ce_type,
            subject: key.and_then(|key| std::str::from_utf8(key).ok()),
            time: Some(time),
            cause: causation.map(|id| id.to_string()).or(causation_text.map(str::to_owned)),
        },
    };
    Ok((lane, Ok(Print::of(sequence, Some(id), key, payload, &envelope, &headers))))
}

/// Headers as the outbox packs them: length of the name (u16), name, length of the value (u32, all ones for null), value.
fn unpack(mut packed: &[u8]) -> Option<Vec<Header<'_>>> {
    let mut headers = Vec::new();
    while !packed.is_empty() {
        let (length, rest) = packed.split_first_chunk::<2>()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = match u32::from_be_bytes(*length) {
            u32::MAX => (None, rest),
            length => {
                let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Some(value), rest)
            }
        };
        headers.push((std::str::from_utf8(name).ok()?, value));
        packed = rest;
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_headers_are_read_in_order() {
        let packed = [&b"\0\x01a\0\0\0\x02xy\0\x02bc"[..], &[0xff; 4]].concat();
        assert_eq!(unpack(&packed), Some(vec![("a", Some(&b"xy"[..])), ("bc", None)]));
        assert_eq!(unpack(&packed[..packed.len() - 1]), None);
    }
}
