//! Tables that take over what the topics hold: after a rebuild beside them, or when an archive is restored into others.
//!
//! The relay takes what is recorded here for published, and begins no epoch that would void it. Right only while nobody
//! writes to the outbox and no relay runs; who calls these has seen to that. All run in the caller's transaction, so that
//! state and outbox change together. Deliberately absent: reading the topics, and deciding whether they are the right ones.

use std::collections::HashSet;

use tokio_postgres::Transaction;

use crate::cut;
use crate::epochs::Epochs;
use crate::error::OutboxError;
use crate::headers;
use crate::lanes::Lane;
use crate::sql;

/// The last message of this outbox in a topic partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastPublished {
    /// Its epoch.
    pub epoch: i64,
    /// Its sequence.
    pub sequence: i64,
    /// The offset of its record.
    pub offset: i64,
}

/// What a topic partition holds of this outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// Full topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// None if it holds nothing of this outbox.
    pub last: Option<LastPublished>,
    /// The epochs that its records tell.
    pub epochs: Epochs,
}

const RAISE: &str = "update {schema}.outbox_lanes l \
    set floor = greatest(l.floor, $3), pruned = greatest(l.pruned, $3) \
    from {schema}.outbox_topics t where t.id = l.topic_id and t.name = $1 and l.partition = $2 returning l.lane";

const EPOCH: &str = "insert into {schema}.outbox_epochs (lane, epoch, first, last_equal) values ($1, $2, $3, $4)";

const POSITION: &str = "insert into {schema}.outbox_positions (lane, epoch, sequence, kafka_offset) \
    values ($1, $2, $3, $4) \
    on conflict (lane) do update \
    set epoch = excluded.epoch, sequence = excluded.sequence, kafka_offset = excluded.kafka_offset";

const FORGET: &str = "truncate {schema}.outbox_messages_0, {schema}.outbox_messages_1; \
    delete from {schema}.outbox_positions; delete from {schema}.outbox_lanes; delete from {schema}.outbox_topics";

/// For tables that are behind their own topics: a lane whose topic partition goes on beyond its head continues behind that
/// end, with its epochs, and everything up to there counts as published and as truncated. Lanes that are not behind stay
/// as they are. A topic that the outbox does not know is registered with as many partitions as there are tails of it.
/// Returns how many lanes were behind.
///
/// # Errors
/// When the database refuses, or a topic is registered with other partitions than the tails have.
pub async fn raise(transaction: &Transaction<'_>, schema: &str, tails: &[Tail]) -> Result<usize, OutboxError> {
    let cut = cut::read(transaction.client(), schema).await?;
    let mut registered: HashSet<&str> = HashSet::new();
    let mut raised = 0;
    for tail in tails {
        let Some(last) = tail.last else { continue };
        let known = cut.lanes.get(&(tail.topic.clone(), tail.partition));
        if known.is_some_and(|lane| lane.head >= last.sequence) {
            continue;
        }
        if known.is_none() && registered.insert(&tail.topic) {
            let partitions = tails.iter().filter(|other| other.topic == tail.topic).count();
            register(transaction, schema, &tail.topic, i32::try_from(partitions).unwrap_or(i32::MAX)).await?;
        }
        raise_one(transaction, schema, tail, last, known.map(|lane| &lane.epochs)).await?;
        raised += 1;
    }
    Ok(raised)
}

async fn raise_one(
    transaction: &Transaction<'_>,
    schema: &str,
    tail: &Tail,
    last: LastPublished,
    known: Option<&Epochs>,
) -> Result<(), OutboxError> {
    let quoted = sql::quoted_schema(schema)?;
    let failed = || OutboxError::database("raising the outbox' floors");
    let row = transaction
        .query_one(&sql::in_schema(RAISE, &quoted), &[&tail.topic, &tail.partition, &last.sequence])
        .await
        .map_err(failed())?;
    let lane: Lane = row.get(0);
    for epoch in tail.epochs.iter() {
        let is_known = known.is_some_and(|known| known.iter().any(|one| one.epoch == epoch.epoch));
        if !is_known {
            let text = sql::in_schema(EPOCH, &quoted);
            let inserted = transaction.execute(&text, &[&lane, &epoch.epoch, &epoch.first, &epoch.last_equal]).await;
            inserted.map_err(failed())?;
        }
    }
    let text = sql::in_schema(POSITION, &quoted);
    let saved = transaction.execute(&text, &[&lane, &last.epoch, &last.sequence, &last.offset]).await;
    saved.map(|_| ()).map_err(failed())
}

/// Registers a topic, as [`crate::Outbox::open`] does.
///
/// # Errors
/// When it is registered with another partition count, and when the database refuses.
pub async fn register(
    transaction: &Transaction<'_>,
    schema: &str,
    topic: &str,
    partitions: i32,
) -> Result<(), OutboxError> {
    let text = format!("select {}.outbox_register($1, $2)", sql::quoted_schema(schema)?);
    let registered = transaction.query_one(&text, &[&topic, &partitions]).await;
    registered.map(|_| ()).map_err(OutboxError::database("registering a topic"))
}

/// Forgets all topics, with their lanes, positions and messages: nothing of this outbox names a record any more.
///
/// # Errors
/// When the database refuses; it does where a lane has had more than one epoch.
pub async fn forget_topics(transaction: &Transaction<'_>, schema: &str) -> Result<(), OutboxError> {
    let text = sql::in_schema(FORGET, &sql::quoted_schema(schema)?);
    transaction.batch_execute(&text).await.map_err(OutboxError::database("forgetting the outbox' topics"))
}

/// Writes a topic under another name from now on: one that holds the same records at the same offsets. Returns whether the
/// outbox had the topic.
///
/// # Errors
/// When the database refuses; it does where the outbox has a topic of the new name.
pub async fn rename_topic(
    transaction: &Transaction<'_>,
    schema: &str,
    from: &str,
    to: &str,
) -> Result<bool, OutboxError> {
    let text = format!("update {}.outbox_topics set name = $2 where name = $1", sql::quoted_schema(schema)?);
    let renamed = transaction.execute(&text, &[&from, &to]).await;
    renamed.map(|rows| rows > 0).map_err(OutboxError::database("renaming a topic of the outbox"))
}

/// In all raw records that the outbox holds, gives the header `name` another value where it has the value `from`.
///
/// # Errors
/// [`OutboxError::Header`] when Kafka cannot carry such a header, and when the database refuses.
pub async fn replace_header(
    transaction: &Transaction<'_>,
    schema: &str,
    name: &str,
    (from, to): (&[u8], &[u8]),
) -> Result<(), OutboxError> {
    let quoted = sql::quoted_schema(schema)?;
    // Packed with its lengths in front, it is found nowhere else.
    let (from, to) = (
        headers::pack(&[(name.to_owned(), Some(from.to_vec()))])?,
        headers::pack(&[(name.to_owned(), Some(to.to_vec()))])?,
    );
    for table in ["outbox_messages_0", "outbox_messages_1"] {
        let text = format!(
            "update {quoted}.{table} \
             set headers = overlay(headers placing $2::bytea from position($1::bytea in headers) for length($1)) \
             where type is null and position($1::bytea in headers) > 0"
        );
        let replaced = transaction.execute(&text, &[&from, &to]).await;
        replaced.map_err(OutboxError::database("replacing a header of raw records"))?;
    }
    Ok(())
}
