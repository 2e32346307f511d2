//! Is a record in a topic the row that was committed? Asked by whoever takes over, and by an audit.

use tokio_postgres::Row;

use crate::relay::resume::RowMatch;
use crate::relay::tail::Found;
use crate::relay::wire::digest;

/// Finds the rows of these lanes and sequences, by primary key, each with its place among them.
pub(crate) fn statement(quoted: &str) -> String {
    format!(
        "select g.place - 1, m.id, m.key, m.payload \
         from unnest($1::int4[], $2::int8[]) with ordinality as g (lane, sequence, place) \
         join {quoted}.outbox_messages m on m.lane = g.lane and m.sequence = g.sequence"
    )
}

/// How each record compares with its row: the same id, key and payload, or not.
pub(crate) fn matches(found: &[Found], rows: &[Row]) -> Vec<RowMatch> {
    let mut matches = vec![RowMatch::Missing; found.len()];
    for row in rows {
        let place = usize::try_from(row.get::<_, i64>(0)).ok().filter(|place| *place < found.len());
        let Some(place) = place else { continue };
        let same = found[place].id == Some(row.get(1)) && found[place].digest == digest(row.get(2), row.get(3));
        matches[place] = if same { RowMatch::Equal } else { RowMatch::Differs };
    }
    matches
}
