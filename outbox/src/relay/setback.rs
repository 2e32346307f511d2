//! Saved positions that a take-over or an audit found to be too high: the topics lost what was published up to there.
//!
//! Rows up to a saved position may be truncated, so before anything is published again the position is set back to what
//! the topic really holds. That happens while no truncation can: its lock and ours exclude each other. Whoever was
//! quicker is found out by looking at what is gone.

use std::collections::HashMap;

use crate::error::OutboxError;
use crate::lanes::Lane;
use crate::relay::acked::Acked;
use crate::relay::session::Session;
use crate::sql;

/// A lane whose saved position is beyond what its topic partition holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setback {
    pub(crate) lane: Lane,
    pub(crate) epoch: i64,
    /// What the topic partition holds.
    pub(crate) holds: Acked,
    /// Rows up to this sequence were gone when it was decided.
    pub(crate) pruned: i64,
}

/// Sets the positions back. Returns false, and changes nothing, if rows were truncated since somebody looked: then they
/// must look again.
pub(crate) async fn set_back(session: &Session, schema: &str, setbacks: &[Setback]) -> Result<bool, OutboxError> {
    if setbacks.is_empty() {
        return Ok(true);
    }
    let quoted = sql::quoted_schema(schema)?;
    let begin = format!(
        "begin isolation level read committed; set local synchronous_commit = on; \
         lock table only {quoted}.outbox_messages_0, only {quoted}.outbox_messages_1 in access share mode"
    );
    let set = async {
        session.run("waiting for a truncation to end", &begin).await?;
        set_back_here(session, &quoted, setbacks).await
    }
    .await;
    let end = if set.is_ok() { "commit" } else { "rollback" };
    session.run("ending the setting back of positions", end).await?;
    set
}

async fn set_back_here(session: &Session, quoted: &str, setbacks: &[Setback]) -> Result<bool, OutboxError> {
    let lanes: Vec<Lane> = setbacks.iter().map(|one| one.lane).collect();
    let look = format!("select lane, pruned from {quoted}.outbox_lanes where lane = any($1::int4[])");
    let rows = session.query("looking at what is gone", &look, &[&lanes]).await?;
    let pruned: HashMap<Lane, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    if setbacks.iter().any(|one| pruned.get(&one.lane) != Some(&one.pruned)) {
        return Ok(false);
    }
    // Where nothing was seen there is nothing to remember: without a position the log is read from its start.
    let delete = format!("delete from {quoted}.outbox_positions where lane = any($1::int4[])");
    session.query("setting positions back", &delete, &[&lanes]).await?;
    for one in setbacks {
        let Some(offset) = one.holds.offset else { continue };
        let insert = format!(
            "insert into {quoted}.outbox_positions (lane, epoch, sequence, kafka_offset) values ($1, $2, $3, $4)"
        );
        session
            .query("setting positions back", &insert, &[&one.lane, &one.epoch, &one.holds.sequence, &offset])
            .await?;
    }
    Ok(true)
}
