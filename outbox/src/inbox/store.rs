//! Positions and resume offsets of a consumer, kept in its own transaction.
//!
//! One row per topic partition says where to resume; every transaction locks it, compares and sets it, so a consumer
//! that lost its partition without noticing cannot commit. Because the cursors of a partition only change together with
//! that row, a consumer may keep them in memory as long as the row holds what it expects.

use std::collections::HashMap;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::change::Change;
use crate::error::OutboxError;
use crate::inbox::parking::ParkingChanges;
use crate::inbox::{Cursor, LogMark, Witness};
use crate::params;
use crate::sql;
use crate::transaction::Transaction;

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Full topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
}

/// A source and its cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCursor {
    /// The source named in the position.
    pub source: String,
    /// The last position taken from it.
    pub cursor: Cursor,
}

/// What is known of one topic partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionState {
    /// Offset of the next record to take; none until the first was taken: begin at the log's start.
    pub next_offset: Option<i64>,
    /// What tells the log that the offset belongs to; see [`crate::inbox::judge_log`].
    pub log: LogMark,
    /// Last position taken per source.
    pub cursors: HashMap<String, Cursor>,
    /// Records below this offset were restored from an archive into another number of partitions; 0 where none were.
    pub restored_below: i64,
    /// How many partitions the topic had before that.
    pub place_shift: i32,
}

/// One partition's step forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// Which partition.
    pub at: TopicPartition,
    /// The offset that the row must hold now.
    pub from: Option<i64>,
    /// The offset that it shall hold; at least `from`.
    pub to: i64,
    /// What tells the log: the record before `to`, if it is known (one before another offset is not believed), and the
    /// topic's id, if the row shall hold another one than it does. A consumer that does not compare logs leaves it blank.
    pub log: LogMark,
    /// Sources whose cursor moved, each once.
    pub cursors: Vec<SourceCursor>,
    /// How often keys of this partition number were parked or freed, as far as the consumer knows: the row must hold it. 0 for a
    /// consumer that parks nothing.
    pub parkings: i64,
    /// Whether this very transaction parks or frees a key of this partition number: then the row counts it.
    pub parks: bool,
}

/// What a locked row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Offset of the next record to take; none until the first was taken.
    pub next_offset: Option<i64>,
    /// How often keys of its partition number were parked or freed.
    pub parkings: i64,
}

/// The inbox tables of one schema.
#[derive(Debug, Clone)]
pub struct Inbox {
    quoted: String,
    ensure_sql: String,
    lock_sql: String,
    offsets_sql: String,
    cursors_sql: String,
    adopt_sql: String,
    lock_one_sql: String,
    move_one: Change,
    move_many: Change,
    cursor_one: Change,
    cursor_many: Change,
    pub(super) parking: ParkingChanges,
}

impl Inbox {
    /// The inbox in `schema`, whose tables [`crate::migrate()`] has made.
    pub fn new(schema: &str) -> Result<Self, OutboxError> {
        let quoted = sql::quoted_schema(schema)?;
        let text = |statement: &str| sql::in_schema(statement, &quoted);
        Ok(Self {
            ensure_sql: text(ENSURE),
            lock_sql: text(LOCK),
            offsets_sql: text(OFFSETS),
            cursors_sql: text(CURSORS),
            adopt_sql: text(ADOPT),
            lock_one_sql: text(LOCK_ONE),
            move_one: Change::new(text(MOVE_ONE)).refused_with(MOVED),
            move_many: Change::new(text(MOVE_MANY)).refused_with(MOVED),
            cursor_one: Change::new(text(CURSOR_ONE)).refused_with(NOT_FORWARD),
            cursor_many: Change::new(text(CURSOR_MANY)).refused_with(NOT_FORWARD),
            parking: ParkingChanges::new(text),
            quoted,
        })
    }

    /// A statement that is sent too rarely to be kept.
    pub(super) fn text(&self, statement: &str) -> String {
        sql::in_schema(statement, &self.quoted)
    }

    /// Creates the rows of these partitions where they are missing; to be called when partitions are assigned.
    pub async fn ensure(&self, client: &Client, partitions: &[TopicPartition]) -> Result<(), OutboxError> {
        let (topics, numbers) = columns(partitions);
        let failed = OutboxError::database("creating inbox rows");
        client.execute(&self.ensure_sql, &[&topics, &numbers]).await.map(|_| ()).map_err(failed)
    }

    /// Reads what is known of these partitions, in their order. Outside any lock: for starting, and for reloading after
    /// a conflict.
    pub async fn load(
        &self,
        client: &Client,
        partitions: &[TopicPartition],
    ) -> Result<Vec<PartitionState>, OutboxError> {
        let (topics, numbers) = columns(partitions);
        let offsets = client.query(&self.offsets_sql, &[&topics, &numbers]).await;
        let cursors = client.query(&self.cursors_sql, &[&topics, &numbers]).await;
        let (offsets, cursors) = offsets
            .and_then(|offsets| cursors.map(|cursors| (offsets, cursors)))
            .map_err(OutboxError::database("reading inbox rows"))?;
        let mut states = vec![PartitionState::default(); partitions.len()];
        for row in offsets {
            if let Some(state) = state_at(&mut states, row.get(0)) {
                state.next_offset = row.get(1);
                state.log = mark_of(&row, 1);
                (state.restored_below, state.place_shift) = (row.get(5), row.get(6));
            }
        }
        for row in cursors {
            if let Some(state) = state_at(&mut states, row.get(0)) {
                state.cursors.insert(row.get(1), Cursor { epoch: row.get(2), sequence: row.get(3) });
            }
        }
        Ok(states)
    }

    /// Remembers the topic's id in rows that remember nothing of their log, as long as they hold these offsets. A row that
    /// has moved meanwhile is left alone: whoever moved it has written what it knows.
    pub async fn adopt(&self, client: &Client, logs: &[(TopicPartition, i64, Uuid)]) -> Result<(), OutboxError> {
        let (topics, numbers): (Vec<&str>, Vec<i32>) =
            logs.iter().map(|(at, _, _)| (at.topic.as_str(), at.partition)).unzip();
        let (offsets, ids): (Vec<i64>, Vec<Uuid>) = logs.iter().map(|(_, offset, id)| (*offset, *id)).unzip();
        let failed = OutboxError::database("remembering the topics' ids");
        client.execute(&self.adopt_sql, &[&topics, &numbers, &offsets, &ids]).await.map(|_| ()).map_err(failed)
    }

    /// Prepares this inbox's statements on a connection, so that [`Inbox::lock`] costs no round trip of its own in a
    /// transaction.
    pub async fn prepare(&self, client: &ClientWrapper) -> Result<(), OutboxError> {
        for statement in [&self.lock_one_sql, &self.lock_sql] {
            client.prepare_cached(statement).await.map_err(OutboxError::database("preparing inbox statements"))?;
        }
        Ok(())
    }

    /// Locks the rows of these partitions, ascending, until the transaction ends, and returns what they
    /// hold, in the order given. A partition without a row is a conflict: see [`Inbox::ensure`]. Polled first, it may
    /// travel together with other statements.
    pub async fn lock(
        &self,
        transaction: &Transaction<'_>,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Held>, OutboxError> {
        let rows = match partitions {
            [at] => transaction.query(&self.lock_one_sql, &[&at.topic, &at.partition]).await?,
            _ => {
                let (topics, numbers) = columns(partitions);
                transaction.query(&self.lock_sql, &[&topics, &numbers]).await?
            }
        };
        if rows.len() != partitions.len() {
            return Err(OutboxError::MissingInboxRow);
        }
        let held: HashMap<(&str, i32), Held> = rows
            .iter()
            .map(|row| ((row.get(0), row.get(1)), Held { next_offset: row.get(2), parkings: row.get(3) }))
            .collect();
        let held_by = |at: &TopicPartition| {
            held.get(&(at.topic.as_str(), at.partition)).copied().ok_or(OutboxError::MissingInboxRow)
        };
        partitions.iter().map(held_by).collect()
    }

    /// Adds the compare-and-set of these partitions' rows to the commit. It raises a conflict
    /// ([`crate::Class::Conflict`]) when a row does not hold `from` or `parkings`, or when a cursor would not move forward.
    pub fn advance(&self, transaction: &mut Transaction<'_>, steps: &[Advance]) {
        match steps {
            [] => {}
            [step] => {
                let Advance { at, from, to, log: LogMark { witness, topic_id }, parkings, parks, .. } = step;
                let (offset, digest) = (witness.map(|one| one.offset), witness.map(|one| one.digest.to_vec()));
                let parks = i64::from(*parks);
                let params =
                    params![at.topic.clone(), at.partition, *from, *to, offset, digest, *topic_id, *parkings, parks];
                transaction.change(&self.move_one, params, 1);
            }
            _ => {
                let topics: Vec<String> = steps.iter().map(|step| step.at.topic.clone()).collect();
                let numbers: Vec<i32> = steps.iter().map(|step| step.at.partition).collect();
                let from: Vec<Option<i64>> = steps.iter().map(|step| step.from).collect();
                let to: Vec<i64> = steps.iter().map(|step| step.to).collect();
                let witnesses = || steps.iter().map(|step| step.log.witness);
                let offsets: Vec<Option<i64>> = witnesses().map(|found| found.map(|one| one.offset)).collect();
                let digests: Vec<Option<Vec<u8>>> =
                    witnesses().map(|found| found.map(|one| one.digest.to_vec())).collect();
                let ids: Vec<Option<Uuid>> = steps.iter().map(|step| step.log.topic_id).collect();
                let parkings: Vec<i64> = steps.iter().map(|step| step.parkings).collect();
                let parks: Vec<i64> = steps.iter().map(|step| i64::from(step.parks)).collect();
                let params = params![topics, numbers, from, to, offsets, digests, ids, parkings, parks];
                transaction.change(&self.move_many, params, steps.len() as u64);
            }
        }
        self.advance_cursors(transaction, steps);
    }

    fn advance_cursors(&self, transaction: &mut Transaction<'_>, steps: &[Advance]) {
        let moved: Vec<(&TopicPartition, &SourceCursor)> =
            steps.iter().flat_map(|step| step.cursors.iter().map(|cursor| (&step.at, cursor))).collect();
        match (&moved[..], steps) {
            ([], _) => {}
            ([(at, SourceCursor { source, cursor })], [_]) => {
                let params = params![at.topic.clone(), at.partition, source.clone(), cursor.epoch, cursor.sequence];
                transaction.change(&self.cursor_one, params, 1);
            }
            _ => {
                let topics: Vec<String> = moved.iter().map(|(at, _)| at.topic.clone()).collect();
                let numbers: Vec<i32> = moved.iter().map(|(at, _)| at.partition).collect();
                let sources: Vec<String> = moved.iter().map(|(_, of)| of.source.clone()).collect();
                let epochs: Vec<i64> = moved.iter().map(|(_, of)| of.cursor.epoch).collect();
                let sequences: Vec<i64> = moved.iter().map(|(_, of)| of.cursor.sequence).collect();
                let params = params![topics, numbers, sources, epochs, sequences];
                transaction.change(&self.cursor_many, params, moved.len() as u64);
            }
        }
    }
}

const ENSURE: &str = "insert into {schema}.inbox_offsets (topic, partition) \
    select * from unnest($1::text[], $2::int4[]) as given (topic, partition) order by 1, 2 on conflict do nothing";

const LOCK: &str = "select o.topic, o.partition, o.next_offset, o.parkings from {schema}.inbox_offsets o \
    where (o.topic, o.partition) in (select * from unnest($1::text[], $2::int4[])) \
    order by o.topic, o.partition for update of o";

const OFFSETS: &str = "select given.place - 1, o.next_offset, o.witness_offset, o.witness_digest, o.topic_id, \
        o.restored_below, o.place_shift \
    from unnest($1::text[], $2::int4[]) with ordinality as given (topic, partition, place) \
    join {schema}.inbox_offsets o using (topic, partition)";

const CURSORS: &str = "select given.place - 1, p.source, p.epoch, p.sequence \
    from unnest($1::text[], $2::int4[]) with ordinality as given (topic, partition, place) \
    join {schema}.inbox_positions p using (topic, partition)";

const ADOPT: &str = "update {schema}.inbox_offsets o set topic_id = given.topic_id \
    from unnest($1::text[], $2::int4[], $3::int8[], $4::uuid[]) as given (topic, partition, next_offset, topic_id) \
    where o.topic = given.topic and o.partition = given.partition and o.next_offset = given.next_offset \
        and o.topic_id is null";

const LOCK_ONE: &str = "select o.topic, o.partition, o.next_offset, o.parkings from {schema}.inbox_offsets o \
    where o.topic = $1::text and o.partition = $2::int4 for update";

const MOVE_ONE: &str = "update {schema}.inbox_offsets o set next_offset = $4::int8, witness_offset = $5::int8, \
        witness_digest = $6::bytea, topic_id = coalesce($7::uuid, o.topic_id), parkings = $8::int8 + $9::int8 \
    where o.topic = $1::text and o.partition = $2::int4 and o.next_offset is not distinct from $3::int8 \
        and $4 >= coalesce($3, 0) and o.parkings = $8 \
    returning 1";

const MOVE_MANY: &str = "update {schema}.inbox_offsets o set next_offset = given.new, \
        witness_offset = given.witness_offset, witness_digest = given.witness_digest, \
        topic_id = coalesce(given.topic_id, o.topic_id), parkings = given.parkings + given.parks \
    from unnest($1::text[], $2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::bytea[], $7::uuid[], $8::int8[], \
            $9::int8[]) \
        as given (topic, partition, old, new, witness_offset, witness_digest, topic_id, parkings, parks) \
    where o.topic = given.topic and o.partition = given.partition and o.parkings = given.parkings \
        and o.next_offset is not distinct from given.old and given.new >= coalesce(given.old, 0) \
    returning 1";

const MOVED: &str = "another consumer moved a partition of this one";

const CURSOR_ONE: &str = "insert into {schema}.inbox_positions as p (topic, partition, source, epoch, sequence) \
    values ($1::text, $2::int4, $3::text, $4::int8, $5::int8) \
    on conflict (topic, partition, source) do update set epoch = excluded.epoch, sequence = excluded.sequence \
        where (p.epoch, p.sequence) < (excluded.epoch, excluded.sequence) \
    returning 1";

const CURSOR_MANY: &str = "insert into {schema}.inbox_positions as p (topic, partition, source, epoch, sequence) \
    select * from unnest($1::text[], $2::int4[], $3::text[], $4::int8[], $5::int8[]) \
    on conflict (topic, partition, source) do update set epoch = excluded.epoch, sequence = excluded.sequence \
        where (p.epoch, p.sequence) < (excluded.epoch, excluded.sequence) \
    returning 1";

const NOT_FORWARD: &str = "a position would not move forward";

fn columns(partitions: &[TopicPartition]) -> (Vec<&str>, Vec<i32>) {
    partitions.iter().map(|at| (at.topic.as_str(), at.partition)).unzip()
}

/// From the columns `next_offset`, `witness_offset`, `witness_digest` and `topic_id`, the first of which is number `first`.
/// A witness counts only right before the row's offset: a program that knows nothing of witnesses moves the offset alone.
pub(super) fn mark_of(row: &Row, first: usize) -> LogMark {
    let (next_offset, offset, topic_id): (Option<i64>, Option<i64>, Option<Uuid>) =
        (row.get(first), row.get(first + 1), row.get(first + 3));
    let digest = row.get::<_, Option<&[u8]>>(first + 2).and_then(|digest| digest.try_into().ok());
    let witness = offset.zip(digest).map(|(offset, digest)| Witness { offset, digest });
    LogMark { witness: witness.filter(|witness| Some(witness.offset + 1) == next_offset), topic_id }
}

fn state_at(states: &mut [PartitionState], place: i64) -> Option<&mut PartitionState> {
    states.get_mut(usize::try_from(place).ok()?)
}
