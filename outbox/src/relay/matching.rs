//! Is a record in a topic the row that was committed? Asked by whoever takes over, and, down to the last header, by an
//! audit.

use rdkafka::message::Headers;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::epochs::Epochs;
use crate::error::OutboxError;
use crate::relay::resume::RowMatch;
use crate::relay::tail::Found;
use crate::relay::wire::{COLUMNS, Record, Wire, digest, headers_digest};

/// Finds the rows of these lanes and sequences, by primary key, each with its place among them. A sequence whose row was
/// truncated gives a row of nulls: `pruned` is read in the same statement, so that no truncation can come between.
pub(crate) fn statement(quoted: &str) -> String {
    format!("select g.place::int4 - 1, m.id, m.key, m.payload {}", joined(quoted))
}

/// As [`statement`], with all that a record is made of.
pub(crate) fn full_statement(quoted: &str) -> String {
    format!("select g.place::int4 - 1, {COLUMNS} {}", joined(quoted))
}

fn joined(quoted: &str) -> String {
    format!(
        "from unnest($1::int4[], $2::int8[]) with ordinality as g (lane, sequence, place) \
         join {quoted}.outbox_lanes l on l.lane = g.lane \
         left join {quoted}.outbox_messages m on m.lane = g.lane and m.sequence = g.sequence \
         where m.id is not null or g.sequence <= l.pruned"
    )
}

/// How each record compares with its row: the same id, key and payload, or not. Only what was published is truncated, so
/// a record whose row was is taken for equal.
pub(crate) fn matches(found: &[Found], rows: &[Row]) -> Vec<RowMatch> {
    let mut matches = vec![RowMatch::Missing; found.len()];
    for row in rows {
        let Some(place) = place_of(row, found) else { continue };
        let truncated = row.get::<_, Option<Uuid>>(1).is_none();
        let same = truncated || found[place].id == row.get(1) && found[place].digest == digest(row.get(2), row.get(3));
        matches[place] = if same { RowMatch::Equal } else { RowMatch::Differs };
    }
    matches
}

/// As [`matches`], for rows of [`full_statement`]: also the same headers as the row's would be. `epochs` are those of a
/// slot's lane.
pub(crate) fn full_matches<'e>(
    found: &[Found],
    rows: &[Row],
    wire: &mut Wire,
    epochs: impl Fn(usize) -> &'e Epochs,
) -> Result<Vec<RowMatch>, OutboxError> {
    let mut matches = vec![RowMatch::Missing; found.len()];
    for row in rows {
        let Some(place) = place_of(row, found) else { continue };
        if row.get::<_, Option<Uuid>>(2).is_none() {
            matches[place] = RowMatch::Equal;
            continue;
        }
        let (one, record) = (&found[place], Record::from_row(row)?);
        let same_body = one.id == Some(record.id) && one.digest == digest(record.key, record.payload);
        let headers = wire.headers(&record, epochs(one.slot))?;
        let same = same_body && one.headers == Some(headers_digest(headers.iter()));
        matches[place] = if same { RowMatch::Equal } else { RowMatch::Differs };
    }
    Ok(matches)
}

fn place_of(row: &Row, found: &[Found]) -> Option<usize> {
    usize::try_from(row.get::<_, i32>(0)).ok().filter(|place| *place < found.len())
}
