//! What is done to an inbox on purpose and by hand: read whole, moved past a gap, sent back, pointed at another topic.
//!
//! A daemon never calls these; operators and tools that restore or rebuild do. None of them says whether it is right to do
//! so. A consumer that runs meanwhile is not overtaken: its next compare-and-set finds another row and raises a conflict.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Transaction};

use crate::error::OutboxError;
use crate::inbox::store::mark_of;
use crate::inbox::{Cursor, Inbox, PartitionState, SourceCursor, TopicPartition};

/// What [`Inbox::accept_gap`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapAccepted {
    /// The cursor was moved.
    Moved {
        /// From here; none if nothing had been taken from that source.
        from: Option<Cursor>,
    },
    /// Nothing was changed: the cursor is there already, or further.
    AlreadyPast,
}

/// What [`Inbox::resume_at`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// The offset was set.
    Moved {
        /// From here; none if nothing had been taken yet.
        from: Option<i64>,
    },
    /// Nothing was changed: the partition has no row, so nobody has ever read it.
    NeverRead,
}

/// What [`Inbox::move_topic`] did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TopicMoved {
    /// Partitions whose rows have the new name.
    pub partitions: u64,
    /// Of these, how many had read beyond the given end and resume there.
    pub set_back: u64,
}

const OFFSETS: &str = "select topic, partition, next_offset, witness_offset, witness_digest, topic_id, restored_below, \
    place_shift from {schema}.inbox_offsets";

const POSITIONS: &str = "select topic, partition, source, epoch, sequence from {schema}.inbox_positions";

const ACCEPT: &str = "with old as (select epoch, sequence from {schema}.inbox_positions \
                  where topic = $1 and partition = $2 and source = $3) \
    insert into {schema}.inbox_positions as p (topic, partition, source, epoch, sequence) \
    values ($1, $2, $3, $4, $5) \
    on conflict (topic, partition, source) do update \
        set epoch = excluded.epoch, sequence = excluded.sequence \
        where (p.epoch, p.sequence) < (excluded.epoch, excluded.sequence) \
    returning (select epoch from old), (select sequence from old)";

const RESUME: &str = "with old as (select next_offset from {schema}.inbox_offsets where topic = $1 and partition = $2) \
    update {schema}.inbox_offsets \
    set next_offset = $3, witness_offset = null, witness_digest = null, topic_id = null \
    where topic = $1 and partition = $2 \
    returning (select next_offset from old)";

const REWIND: &str = "update {schema}.inbox_offsets \
        set next_offset = null, witness_offset = null, witness_digest = null, topic_id = null; \
    delete from {schema}.inbox_positions";

const INSERT_OFFSET: &str = "insert into {schema}.inbox_offsets \
        (topic, partition, next_offset, witness_offset, witness_digest, topic_id, restored_below, place_shift) \
    values ($1, $2, $3, $4, $5, $6, $7, $8)";

const INSERT_POSITION: &str = "insert into {schema}.inbox_positions (topic, partition, source, epoch, sequence) \
    values ($1, $2, $3, $4, $5)";

const RENAME_POSITIONS: &str = "update {schema}.inbox_positions set topic = $2 where topic = $1";

/// A partition that was never read stays so, and is read from its beginning. The witness before an offset that stays proves the
/// new log; one behind the new end proves nothing. The topic's id is another one in any case.
const MOVE_OFFSETS: &str = "with old as (select topic, partition, next_offset from {schema}.inbox_offsets \
            where topic = $1 and partition = $3) \
    update {schema}.inbox_offsets o \
    set topic = $2, topic_id = null, next_offset = case when o.next_offset > $4 then $4 else o.next_offset end, \
        witness_offset = case when o.next_offset <= $4 then o.witness_offset end, \
        witness_digest = case when o.next_offset <= $4 then o.witness_digest end \
    from old where o.topic = old.topic and o.partition = old.partition \
    returning coalesce(old.next_offset > $4, false)";

impl Inbox {
    /// Everything that the inbox knows, as the caller's transaction sees it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn load_all(&self, client: &Client) -> Result<BTreeMap<TopicPartition, PartitionState>, OutboxError> {
        let (offsets, positions) = (self.text(OFFSETS), self.text(POSITIONS));
        let both = futures_util::future::try_join(client.query(&offsets, &[]), client.query(&positions, &[])).await;
        let (offsets, positions) = both.map_err(OutboxError::database("reading inbox rows"))?;
        let mut states: BTreeMap<TopicPartition, PartitionState> = BTreeMap::new();
        for row in &offsets {
            let state = states.entry(TopicPartition { topic: row.get(0), partition: row.get(1) }).or_default();
            state.next_offset = row.get(2);
            state.log = mark_of(row, 2);
            (state.restored_below, state.place_shift) = (row.get(6), row.get(7));
        }
        for row in positions {
            let state = states.entry(TopicPartition { topic: row.get(0), partition: row.get(1) }).or_default();
            state.cursors.insert(row.get(2), Cursor { epoch: row.get(3), sequence: row.get(4) });
        }
        Ok(states)
    }

    /// Moves the cursor of a source forward to `to`, as if everything up to there had been taken: what lies between is
    /// given up, and the record after `to` is the next one.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn accept_gap(
        &self,
        client: &Client,
        at: &TopicPartition,
        to: &SourceCursor,
    ) -> Result<GapAccepted, OutboxError> {
        let Cursor { epoch, sequence } = to.cursor;
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&at.topic, &at.partition, &to.source, &epoch, &sequence];
        let moved = client.query_opt(&self.text(ACCEPT), &parameters).await;
        let moved = moved.map_err(OutboxError::database("accepting a gap"))?;
        let Some(row) = moved else { return Ok(GapAccepted::AlreadyPast) };
        let (epoch, sequence): (Option<i64>, Option<i64>) = (row.get(0), row.get(1));
        let from = epoch.zip(sequence).map(|(epoch, sequence)| Cursor { epoch, sequence });
        Ok(GapAccepted::Moved { from })
    }

    /// Sets the offset that a partition resumes at, forward or back, in whatever log is there now: what was known of the
    /// log that was read before is forgotten. Cursors stay, so what was taken already is not taken again.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn resume_at(&self, client: &Client, at: &TopicPartition, offset: i64) -> Result<Resumed, OutboxError> {
        let moved = client.query_opt(&self.text(RESUME), &[&at.topic, &at.partition, &offset]).await;
        let moved = moved.map_err(OutboxError::database("moving a partition's offset"))?;
        Ok(moved.map_or(Resumed::NeverRead, |row| Resumed::Moved { from: row.get(0) }))
    }

    /// Forgets offsets and cursors of all partitions: everything is read, and taken, again from the logs' beginnings.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn rewind(&self, transaction: &Transaction<'_>) -> Result<(), OutboxError> {
        let failed = OutboxError::database("rewinding the inbox");
        transaction.batch_execute(&self.text(REWIND)).await.map_err(failed)
    }

    /// Adds a partition that the inbox does not know yet, with what is known of it.
    ///
    /// # Errors
    /// When it does know it, and when the database refuses.
    pub async fn insert(
        &self,
        transaction: &Transaction<'_>,
        at: &TopicPartition,
        state: &PartitionState,
    ) -> Result<(), OutboxError> {
        let failed = || OutboxError::database("adding a partition to the inbox");
        let (witness, topic_id) = (state.log.witness, state.log.topic_id);
        let (offset, digest) = witness.map(|witness| (witness.offset, witness.digest.to_vec())).unzip();
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
            &at.topic,
            &at.partition,
            &state.next_offset,
            &offset,
            &digest,
            &topic_id,
            &state.restored_below,
            &state.place_shift,
        ];
        transaction.execute(&self.text(INSERT_OFFSET), &parameters).await.map_err(failed())?;
        let position = self.text(INSERT_POSITION);
        for (source, Cursor { epoch, sequence }) in &state.cursors {
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&at.topic, &at.partition, source, epoch, sequence];
            transaction.execute(&position, &parameters).await.map_err(failed())?;
        }
        Ok(())
    }

    /// Reads a topic under another name from now on: one that holds the same records at the same offsets, up to `ends`,
    /// by partition. Where more than that was read, the partition resumes at the end, and takes what comes there.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn move_topic(
        &self,
        transaction: &Transaction<'_>,
        from: &str,
        to: &str,
        ends: &[i64],
    ) -> Result<TopicMoved, OutboxError> {
        let failed = || OutboxError::database("moving a topic of the inbox");
        if from != to {
            transaction.execute(&self.text(RENAME_POSITIONS), &[&from, &to]).await.map_err(failed())?;
        }
        let text = self.text(MOVE_OFFSETS);
        let mut moved = TopicMoved::default();
        for (partition, end) in (0_i32..).zip(ends) {
            let row = transaction.query_opt(&text, &[&from, &to, &partition, end]).await.map_err(failed())?;
            let Some(row) = row else { continue };
            moved.partitions += 1;
            moved.set_back += u64::from(row.get::<_, bool>(0));
        }
        Ok(moved)
    }
}
