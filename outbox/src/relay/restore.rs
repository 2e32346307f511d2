//! A new epoch for a lane whose table is not the one that was published from.
//!
//! Under the lane's lock, so that no writer appends meanwhile, the messages that the table holds after the last equal
//! one are appended again above everything that table or topic has ever used. From then on every position says so, and
//! whoever follows positions can tell what is void.

use crate::epochs::Epoch;
use crate::error::OutboxError;
use crate::lanes::Lane;
use crate::relay::session::Session;
use crate::sql;

/// What was decided about the lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewEpoch {
    pub(crate) lane: Lane,
    pub(crate) epoch: i64,
    pub(crate) last_equal: i64,
    pub(crate) above: i64,
}

impl NewEpoch {
    /// The epoch as it begins on a lane whose last used sequence in the table is `head`: above everything that table or
    /// topic has ever used.
    pub(crate) fn above_head(self, head: i64) -> Epoch {
        Epoch { epoch: self.epoch, first: head.max(self.above) + 1, last_equal: self.last_equal }
    }
}

/// Begins the epoch and returns it as recorded.
pub(crate) async fn begin_epoch(session: &Session, schema: &str, new: NewEpoch) -> Result<Epoch, OutboxError> {
    let quoted = sql::quoted_schema(schema)?;
    session
        .run("beginning a new epoch", "begin isolation level read committed; set local synchronous_commit = on")
        .await?;
    let begun = append_again(session, &quoted, new).await;
    let end = if begun.is_ok() { "commit" } else { "rollback" };
    session.run("ending the transaction of a new epoch", end).await?;
    begun
}

/// Rows moved by one statement: few enough that the session never looks silent to a standby.
const CHUNK: i64 = 5_000;

async fn append_again(session: &Session, quoted: &str, new: NewEpoch) -> Result<Epoch, OutboxError> {
    let lock = format!("select pg_advisory_xact_lock({}, $1)", sql::space(quoted));
    session.query("locking a lane for a new epoch", &lock, &[&new.lane]).await?;
    let head = format!("select ({quoted}.outbox_heads(array[$1::int4]))[1]");
    let rows = session.query("looking for the end of a lane", &head, &[&new.lane]).await?;
    let head: Option<i64> = rows.first().and_then(|row| row.get(0));
    let begun = new.above_head(head.ok_or(OutboxError::CorruptRow { what: "a lane has no end" })?);
    let top = begun.first - 1;
    let current = format!("select current::int4 from {quoted}.outbox_rotation");
    let rows = session.query("looking for the current table", &current, &[]).await?;
    let current: i32 =
        rows.first().map(|row| row.get(0)).ok_or(OutboxError::CorruptRow { what: "no current table" })?;
    move_rows(session, quoted, current, new, top).await?;
    let record = format!(
        "with raised as (update {quoted}.outbox_lanes set floor = greatest(floor, $2::int8) where lane = $1) \
         insert into {quoted}.outbox_epochs (lane, epoch, first, last_equal) values ($1, $4, $2 + 1, $3)"
    );
    session.query("recording a new epoch", &record, &[&new.lane, &top, &new.last_equal, &new.epoch]).await?;
    Ok(begun)
}

/// Appends what lies after the last equal message and up to `top` again, in its order, above `top`. Ends because each
/// round begins after the last one.
async fn move_rows(session: &Session, quoted: &str, current: i32, new: NewEpoch, top: i64) -> Result<(), OutboxError> {
    let append = format!(
        "with chunk as materialized ( \
           select m.* from {quoted}.outbox_messages m \
           where m.lane = $1 and m.sequence > $2 and m.sequence <= $3 and not exists ( \
             select from {quoted}.outbox_epochs e \
             where e.lane = m.lane and e.last_equal < m.sequence and m.sequence < e.first) \
           order by m.lane, m.sequence limit $5 \
         ), moved as ( \
           insert into {quoted}.outbox_messages_{current} \
             (lane, sequence, id, type, key, payload, time, causation, causation_text, trace, headers) \
           select c.lane, $4 + row_number() over (order by c.sequence), \
             c.id, c.type, c.key, c.payload, c.time, c.causation, c.causation_text, c.trace, c.headers from chunk c \
         ) select count(*), max(sequence) from chunk"
    );
    let (mut after, mut placed) = (new.last_equal, top);
    loop {
        let rows = session
            .query("appending again in a new epoch", &append, &[&new.lane, &after, &top, &placed, &CHUNK])
            .await?;
        match rows.first().map(|row| (row.get::<_, i64>(0), row.get::<_, Option<i64>>(1))) {
            Some((count, Some(last))) => (after, placed) = (last, placed + count),
            Some((_, None)) | None => return Ok(()),
        }
    }
}
