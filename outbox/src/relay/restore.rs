//! A new epoch for a lane whose table is not the one that was published from.
//!
//! Under the lane's lock, so that no writer appends meanwhile, the messages that the table holds after the last equal
//! one are appended again above everything that table or topic has ever used. From then on every position says so, and
//! whoever follows positions can tell what is void.

use crate::error::OutboxError;
use crate::lanes::Lane;
use crate::relay::epochs::Epoch;
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

async fn append_again(session: &Session, quoted: &str, new: NewEpoch) -> Result<Epoch, OutboxError> {
    let lock = format!("select pg_advisory_xact_lock({}, $1)", sql::space(quoted));
    session.query("locking a lane for a new epoch", &lock, &[&new.lane]).await?;
    let append = format!(
        "with top (sequence) as materialized ( \
           select greatest(({quoted}.outbox_heads(array[$1::int4]))[1], $2::int8) \
         ), moved as ( \
           insert into {quoted}.outbox_messages \
             (lane, sequence, id, type, key, payload, time, causation, causation_text, trace, headers) \
           select m.lane, (select sequence from top) + row_number() over (order by m.sequence), \
             m.id, m.type, m.key, m.payload, m.time, m.causation, m.causation_text, m.trace, m.headers \
           from {quoted}.outbox_messages m where m.lane = $1 and m.sequence > $3 and not exists ( \
             select from {quoted}.outbox_epochs e \
             where e.lane = m.lane and e.last_equal < m.sequence and m.sequence < e.first) \
         ), raised as ( \
           update {quoted}.outbox_lanes set floor = (select sequence from top) where lane = $1 \
         ) insert into {quoted}.outbox_epochs (lane, epoch, first, last_equal) \
           select $1, $4, top.sequence + 1, $3 from top returning first"
    );
    let rows = session
        .query("appending again in a new epoch", &append, &[&new.lane, &new.above, &new.last_equal, &new.epoch])
        .await?;
    let first =
        rows.first().map(|row| row.get(0)).ok_or(OutboxError::CorruptRow { what: "no new epoch was recorded" })?;
    Ok(Epoch { epoch: new.epoch, first, last_equal: new.last_equal })
}
