//! Keys that are parked: their messages wait, in order, in the consumer's own tables while the rest of the partition goes on.
//!
//! A key belongs to its lane, the partition number over all topics that a consumer reads: one instance owns it, and two lanes
//! have no order between them. A message is parked in the transaction that moves the position behind it, and deleted in the one
//! that takes it, so it counts exactly once. Everything compares: the numbers of a key's messages, and in every row of the lane
//! `parkings`, which counts how often one of its keys was parked or freed. An instance that does not know of that moves nothing.
//!
//! Deliberately absent: when a message is parked, tried again or given up. That is the consumer's, and an operator's.

mod rows;

use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::change::Change;
use crate::error::OutboxError;
use crate::inbox::place::Place;
use crate::inbox::{Inbox, SourceCursor};
use crate::message::OutboxMessage;
use crate::params;
use crate::store::Outbox;
use crate::transaction::Transaction;
use rows::{key_of, message_of, message_params, run_params};

/// A key whose messages wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedKey {
    /// Its lane.
    pub lane: i32,
    /// The records' key.
    pub key: Vec<u8>,
    /// The number of the message that has to be taken first.
    pub first: i64,
    /// The number of the next one to be parked.
    pub next: i64,
    /// When its first message could not be taken for the first time.
    pub since: Timestamp,
    /// Why the first one cannot be taken, in words.
    pub cause: String,
    /// How often it was tried again in vain.
    pub attempts: i32,
    /// When it is tried again.
    pub next_attempt: Timestamp,
    /// Who asked last that it be tried again, and when.
    pub asked: Option<(String, Timestamp)>,
}

impl ParkedKey {
    /// How many messages wait.
    pub fn messages(&self) -> u64 {
        u64::try_from(self.next - self.first).unwrap_or(0)
    }
}

/// What a record's timestamp means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// It has none.
    None,
    /// When it was made.
    Created,
    /// When the broker appended it.
    Appended,
}

/// A record that waits, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedMessage {
    /// Its lane.
    pub lane: i32,
    /// Its key.
    pub key: Vec<u8>,
    /// Its number among the key's messages.
    pub number: i64,
    /// The topic, without the deployment's prefix.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// What ids are made of.
    pub place: Place,
    /// Its position, on a topic that one service writes.
    pub position: Option<SourceCursor>,
    /// What its timestamp means.
    pub timestamp_type: TimestampType,
    /// Its timestamp.
    pub timestamp_ms: i64,
    /// Its value.
    pub payload: Option<Vec<u8>>,
    /// Its headers, in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Headers that could not be kept.
    pub headers_left_out: i32,
    /// When it was parked.
    pub parked_at: Timestamp,
}

/// How often keys of a lane were parked or freed, as a row of one of its partitions holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneParkings {
    /// Full topic name.
    pub topic: String,
    /// Partition number: the lane.
    pub partition: i32,
    /// The count.
    pub parkings: i64,
}

/// What is parked in some lanes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParkedLanes {
    /// Of each partition that has a row.
    pub parkings: Vec<LaneParkings>,
    /// The keys.
    pub keys: Vec<ParkedKey>,
    /// How many messages wait, in these lanes and all others.
    pub messages: u64,
}

/// A run of messages of a key: numbers from `from` to before `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedRun {
    /// The lane.
    pub lane: i32,
    /// The key.
    pub key: Vec<u8>,
    /// The first number.
    pub from: i64,
    /// The number behind the last.
    pub to: i64,
}

/// The changes that are carried out with a commit.
#[derive(Debug, Clone)]
pub(super) struct ParkingChanges {
    park_key: Change,
    extend: Change,
    insert: Change,
    take: Change,
    go_on: Change,
    free: Change,
    count: Change,
}

const OTHER: &str = "what is parked is not as it was read";

impl ParkingChanges {
    pub(super) fn new(text: impl Fn(&str) -> String) -> Self {
        let change = |statement: &str| Change::new(text(statement)).refused_with(OTHER);
        Self {
            park_key: change(PARK_KEY),
            extend: change(EXTEND),
            insert: change(INSERT),
            take: change(TAKE),
            go_on: change(GO_ON),
            free: change(FREE),
            count: change(COUNT),
        }
    }
}

impl Inbox {
    /// What is parked in these lanes. The counts are read first: what is parked meanwhile makes them stale, and a stale count
    /// moves nothing.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn load_parked(&self, client: &Client, lanes: &[i32]) -> Result<ParkedLanes, OutboxError> {
        let failed = || OutboxError::database("reading what is parked");
        let parkings = client.query(&self.text(PARKINGS), &[&lanes]).await.map_err(failed())?;
        let keys = client.query(&self.text(KEYS), &[&lanes]).await.map_err(failed())?;
        let messages = client.query_one(&self.text(COUNT_MESSAGES), &[]).await.map_err(failed())?;
        let of_row = |row: &Row| LaneParkings { topic: row.get(0), partition: row.get(1), parkings: row.get(2) };
        Ok(ParkedLanes {
            parkings: parkings.iter().map(of_row).collect(),
            keys: keys.iter().map(key_of).collect(),
            messages: u64::try_from(messages.get::<_, i64>(0)).unwrap_or(0),
        })
    }

    /// Every parked key, the longest parked first; those of one key where it is given.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn parked_keys(&self, client: &Client, key: Option<&[u8]>) -> Result<Vec<ParkedKey>, OutboxError> {
        let rows = client.query(&self.text(ALL_KEYS), &[&key]).await;
        let rows = rows.map_err(OutboxError::database("reading what is parked"))?;
        Ok(rows.iter().map(key_of).collect())
    }

    /// The first messages of a parked key, in their order.
    ///
    /// # Errors
    /// When the database refuses, and when a row's headers are corrupt.
    pub async fn parked_messages(
        &self,
        client: &Client,
        lane: i32,
        key: &[u8],
        limit: i64,
    ) -> Result<Vec<ParkedMessage>, OutboxError> {
        let rows = client.query(&self.text(MESSAGES), &[&lane, &key, &limit]).await;
        let rows = rows.map_err(OutboxError::database("reading parked messages"))?;
        rows.iter().map(message_of).collect()
    }

    /// Adds to the commit that a key is parked with its first message, which [`Inbox::park_messages`] adds.
    pub fn park_key(&self, transaction: &mut Transaction<'_>, key: &ParkedKey) {
        let ParkedKey { lane, key, first, next, since, cause, next_attempt, .. } = key;
        let params = params![*lane, key.clone(), *first, *next, *since, cause.clone(), *next_attempt];
        transaction.change(&self.parking.park_key, params, 1);
    }

    /// Adds to the commit that these parked keys get further messages, which [`Inbox::park_messages`] adds. Each key once.
    pub fn extend_parked(&self, transaction: &mut Transaction<'_>, runs: &[ParkedRun]) {
        if !runs.is_empty() {
            transaction.change(&self.parking.extend, run_params(runs), runs.len() as u64);
        }
    }

    /// Adds these messages to the commit.
    ///
    /// # Errors
    /// When a header cannot be kept.
    pub fn park_messages(
        &self,
        transaction: &mut Transaction<'_>,
        messages: &[ParkedMessage],
    ) -> Result<(), OutboxError> {
        if messages.is_empty() {
            return Ok(());
        }
        transaction.change(&self.parking.insert, message_params(messages)?, messages.len() as u64);
        Ok(())
    }

    /// Adds to the commit that this run, the first messages of its key, is parked no more. `rest`: when the message behind it is
    /// to be tried; none where there is none: the key is free then, and the caller's [`Advance`](crate::inbox::Advance)s count it.
    pub fn unpark(&self, transaction: &mut Transaction<'_>, run: &ParkedRun, rest: Option<Timestamp>) {
        let ParkedRun { lane, key, from, to } = run;
        let of_run = || params![*lane, key.clone(), *from, *to];
        transaction.change(&self.parking.take, of_run(), u64::try_from(to - from).unwrap_or(0));
        match rest {
            Some(next_attempt) => {
                let params = params![*lane, key.clone(), *from, *to, next_attempt];
                transaction.change(&self.parking.go_on, params, 1);
            }
            None => transaction.change(&self.parking.free, of_run(), 1),
        }
    }

    /// Where the parked records lie for good, with their topics (without the deployment's prefix): read beyond, and not taken yet.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn parked_places(&self, client: &Client) -> Result<Vec<(String, Place)>, OutboxError> {
        let rows =
            client.query(&self.text(PLACES), &[]).await.map_err(OutboxError::database("reading what is parked"))?;
        let place = |row: &Row| (row.get(0), Place { partition: row.get(1), offset: row.get(2) });
        Ok(rows.iter().map(place).collect())
    }

    /// Puts the next attempt off, after one that was in vain; false where the key's first message is another one by now.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_off_parked(&self, client: &Client, key: &ParkedKey) -> Result<bool, OutboxError> {
        let ParkedKey { lane, key, first, cause, attempts, next_attempt, .. } = key;
        let parameters: [&(dyn ToSql + Sync); 6] = [lane, key, first, cause, attempts, next_attempt];
        let changed = client.execute(&self.text(PUT_OFF), &parameters).await;
        changed.map(|rows| rows == 1).map_err(OutboxError::database("putting a parked key off"))
    }

    /// Has all parked keys tried again at once, or those of one key, and notes who asked; how many.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn ask_to_retry(
        &self,
        client: &Client,
        key: Option<&[u8]>,
        by: &str,
        now: Timestamp,
    ) -> Result<u64, OutboxError> {
        let changed = client.execute(&self.text(ASK), &[&key, &by, &now]).await;
        changed.map_err(OutboxError::database("asking for a parked key"))
    }

    /// Takes a key's messages out for good, and sends what `letters` makes of them, in one transaction; how many messages, none
    /// where the key is not parked.
    ///
    /// # Errors
    /// When the database refuses; [`OutboxError::Configuration`] with the words of `letters`, when it makes none. Nothing is done then.
    pub async fn set_parked_aside(
        &self,
        outbox: &Outbox,
        client: &mut crate::Client,
        (lane, key): (i32, &[u8]),
        letters: impl FnOnce(&ParkedKey, Vec<ParkedMessage>) -> Result<Vec<OutboxMessage>, String>,
    ) -> Result<u64, OutboxError> {
        let mut transaction = outbox.begin(client).await?;
        // As a consumer does: positions first.
        let lanes = transaction.query(&self.text(LOCK_LANE), &[&lane]).await?.len();
        let found = transaction.query_opt(&self.text(LOCK_KEY), &[&lane, &key]).await?;
        let Some(parked) = found.as_ref().map(key_of) else {
            return transaction.rollback().await.map(|()| 0);
        };
        let rows = transaction.query(&self.text(MESSAGES), &[&lane, &key, &i64::MAX]).await?;
        let messages = rows.iter().map(message_of).collect::<Result<Vec<_>, _>>()?;
        let letters = letters(&parked, messages).map_err(|reason| OutboxError::Configuration { reason })?;
        let run = ParkedRun { lane, key: key.to_vec(), from: parked.first, to: parked.next };
        transaction.change(&self.parking.count, params![lane], lanes as u64);
        self.unpark(&mut transaction, &run, None);
        let count = parked.messages();
        transaction.commit(letters).await?;
        Ok(count)
    }

    /// Gives every parked key the lane that it has in topics of so many partitions.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn move_parked(
        &self,
        transaction: &tokio_postgres::Transaction<'_>,
        partitions: i32,
    ) -> Result<u64, OutboxError> {
        let failed = || OutboxError::database("moving what is parked");
        transaction.execute(&self.text(MOVE_MESSAGES), &[&partitions]).await.map_err(failed())?;
        transaction.execute(&self.text(MOVE_KEYS), &[&partitions]).await.map_err(failed())
    }
}

const PARKINGS: &str =
    "select topic, partition, parkings from {schema}.inbox_offsets where partition = any($1::int4[])";

const KEYS: &str = "select lane, key, first, next, since, cause, attempts, next_attempt, asked_by, asked_at \
    from {schema}.inbox_parked_keys where lane = any($1::int4[]) order by lane, key";

const COUNT_MESSAGES: &str = "select coalesce(sum(next - first), 0)::int8 from {schema}.inbox_parked_keys";

const ALL_KEYS: &str = "select lane, key, first, next, since, cause, attempts, next_attempt, asked_by, asked_at \
    from {schema}.inbox_parked_keys where $1::bytea is null or key = $1 order by since, lane, key";

const MESSAGES: &str = "select lane, key, number, topic, partition, record_offset, place_partition, place_offset, source, \
        epoch, sequence, timestamp_type, timestamp_ms, payload, headers, headers_left_out, parked_at \
    from {schema}.inbox_parked where lane = $1::int4 and key = $2::bytea order by lane, key, number limit $3::int8";

const PLACES: &str = "select topic, place_partition, place_offset from {schema}.inbox_parked";

const LOCK_LANE: &str = "select topic from {schema}.inbox_offsets where partition = $1::int4 order by topic for update";

const LOCK_KEY: &str = "select lane, key, first, next, since, cause, attempts, next_attempt, asked_by, asked_at \
    from {schema}.inbox_parked_keys where lane = $1::int4 and key = $2::bytea for update";

const PARK_KEY: &str = "insert into {schema}.inbox_parked_keys (lane, key, first, next, since, cause, next_attempt) \
    values ($1::int4, $2::bytea, $3::int8, $4::int8, $5::timestamptz, $6::text, $7::timestamptz) returning 1";

const EXTEND: &str = "update {schema}.inbox_parked_keys k set next = given.new \
    from unnest($1::int4[], $2::bytea[], $3::int8[], $4::int8[]) as given (lane, key, old, new) \
    where k.lane = given.lane and k.key = given.key and k.next = given.old returning 1";

const INSERT: &str = "insert into {schema}.inbox_parked (lane, key, number, topic, partition, record_offset, \
        place_partition, place_offset, source, epoch, sequence, timestamp_type, timestamp_ms, payload, headers, \
        headers_left_out, parked_at) \
    select * from unnest($1::int4[], $2::bytea[], $3::int8[], $4::text[], $5::int4[], $6::int8[], $7::int4[], $8::int8[], \
        $9::text[], $10::int8[], $11::int8[], $12::int2[], $13::int8[], $14::bytea[], $15::bytea[], $16::int4[], \
        $17::timestamptz[]) returning 1";

const TAKE: &str = "delete from {schema}.inbox_parked where lane = $1::int4 and key = $2::bytea and number >= $3::int8 \
    and number < $4::int8 returning 1";

const GO_ON: &str = "update {schema}.inbox_parked_keys set first = $4::int8, attempts = 0, next_attempt = $5::timestamptz \
    where lane = $1::int4 and key = $2::bytea and first = $3::int8 returning 1";

const FREE: &str = "delete from {schema}.inbox_parked_keys where lane = $1::int4 and key = $2::bytea and first = $3::int8 \
    and next = $4::int8 returning 1";

const COUNT: &str = "update {schema}.inbox_offsets set parkings = parkings + 1 where partition = $1::int4 returning 1";

const PUT_OFF: &str = "update {schema}.inbox_parked_keys set cause = $4::text, attempts = $5::int4, next_attempt = $6::timestamptz \
    where lane = $1::int4 and key = $2::bytea and first = $3::int8";

const ASK: &str = "update {schema}.inbox_parked_keys set next_attempt = $3::timestamptz, asked_by = $2::text, \
    asked_at = $3::timestamptz where $1::bytea is null or key = $1";

const MOVE_MESSAGES: &str =
    "update {schema}.inbox_parked set lane = {schema}.outbox_partition(key, $1::int4) where lane >= 0";

const MOVE_KEYS: &str =
    "update {schema}.inbox_parked_keys set lane = {schema}.outbox_partition(key, $1::int4) where lane >= 0";
