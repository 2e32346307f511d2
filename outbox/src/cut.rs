//! What the tables of an outbox hold at one moment: heads and epochs of its lanes, its messages, what waits of a key.
//!
//! For programs that compare topics with tables, or show what is committed and not yet published. Each function runs on a
//! connection of the caller and sees what the transaction that is open there sees; [`begin`] opens one that fits. The lanes' heads
//! and everything else read in that transaction belong together: whoever follows every lane to exactly its head knows what
//! the snapshot holds. Check the tables first with [`crate::migrate::check`]. Deliberately absent: writing, and any order
//! between lanes.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::epochs::{Epoch, Epochs};
use crate::error::OutboxError;
use crate::headers::{self, HeaderRef};
use crate::lanes::Lane;
use crate::message::Causation;
use crate::sql;

/// How far a lane has come.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct LaneCut {
    /// Its number.
    pub number: Lane,
    /// The highest sequence that is committed; 0 if there is none.
    pub head: i64,
    /// Rows up to this sequence may be gone.
    pub pruned: i64,
    /// Its epochs.
    pub epochs: Epochs,
}

/// The lanes of an outbox by full topic name and partition.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Every lane that is registered.
    pub lanes: HashMap<(String, i32), LaneCut>,
}

/// A row of the outbox. Borrows from the row that the driver has read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredMessage<'r> {
    /// Which lane.
    pub lane: Lane,
    /// Its sequence there.
    pub sequence: i64,
    /// Its identity.
    pub id: Uuid,
    /// `ce_type` of an event; none for a raw record.
    pub ce_type: Option<&'r str>,
    /// Record key.
    pub key: Option<&'r [u8]>,
    /// Record value.
    pub payload: Option<&'r [u8]>,
    /// When it happened.
    pub time: Timestamp,
    /// The message that caused it.
    pub causation: Option<Causation>,
    /// The headers that it was appended with, in their order.
    pub headers: Vec<HeaderRef<'r>>,
}

/// A row that may not be published yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpublished {
    /// Full topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// Its sequence there.
    pub sequence: i64,
    /// Its identity.
    pub id: Uuid,
    /// Record value.
    pub payload: Option<Vec<u8>>,
    /// When it happened.
    pub time: Timestamp,
    /// The message that caused it.
    pub causation: Option<Causation>,
}

/// A snapshot older than a TRUNCATE would see these empty, so [`begin`] locks them first.
const LOCKED: &str = "{schema}.outbox_topics, {schema}.outbox_lanes, {schema}.outbox_messages, {schema}.outbox_epochs, \
    {schema}.outbox_positions";

const LANES: &str = "select t.name, l.partition, l.lane, l.pruned, \
        coalesce((select m.sequence from {schema}.outbox_messages m where m.lane = l.lane \
                  order by m.lane desc, m.sequence desc limit 1), 0) \
    from {schema}.outbox_lanes l join {schema}.outbox_topics t on t.id = l.topic_id";

const EPOCHS: &str = "select lane, epoch, first, last_equal from {schema}.outbox_epochs";

/// Read through a cursor: the driver would take in the whole outbox at once.
const MESSAGES: &str = "declare outbox_rows no scroll cursor for \
    select lane, sequence, id, type, key, payload, time, causation, causation_text, headers \
    from {schema}.outbox_messages order by lane, sequence";

const NEXT_MESSAGES: &str = "fetch forward 4000 from outbox_rows";

const UNPUBLISHED: &str = "select t.name, l.partition, m.sequence, m.id, m.payload, m.time, m.causation, m.causation_text \
    from {schema}.outbox_lanes l join {schema}.outbox_topics t on t.id = l.topic_id \
    left join {schema}.outbox_positions p on p.lane = l.lane \
    cross join lateral (select * from {schema}.outbox_messages m where m.lane = l.lane \
        and m.sequence > greatest(coalesce(p.sequence, 0), l.pruned) and m.key = $1) m \
    order by l.lane, m.sequence";

/// Begins a read-only transaction with a snapshot of its own (REPEATABLE READ) and reads the lanes as it holds them. What
/// the caller reads until it ends the transaction is of the same snapshot. Delays a truncation by the relay, and nobody else.
///
/// # Errors
/// When the database refuses; the transaction is then still open.
pub async fn begin(client: &Client, schema: &str) -> Result<Cut, OutboxError> {
    let quoted = sql::quoted_schema(schema)?;
    // LOCK takes no snapshot: the first query does, and by then no TRUNCATE can come between.
    let begin = format!(
        "begin isolation level repeatable read read only; lock table {} in access share mode; \
         set local enable_seqscan = off",
        sql::in_schema(LOCKED, &quoted)
    );
    let failed = || OutboxError::database("beginning a snapshot of the outbox");
    client.batch_execute(&begin).await.map_err(failed())?;
    let cut = read(client, schema).await?;
    client.batch_execute("set local enable_seqscan = on").await.map_err(failed())?;
    Ok(cut)
}

/// The lanes as the caller's transaction sees them; outside of one, as they are now.
///
/// # Errors
/// When the database refuses.
pub async fn read(client: &Client, schema: &str) -> Result<Cut, OutboxError> {
    let quoted = sql::quoted_schema(schema)?;
    let text = sql::in_schema(LANES, &quoted);
    let lanes = async { client.query(&text, &[]).await.map_err(OutboxError::database("reading the outbox' lanes")) };
    let (rows, mut epochs) = futures_util::future::try_join(lanes, read_epochs(client, &quoted)).await?;
    let lane_of = |row: &Row| {
        let (number, pruned, sequence): (Lane, i64, i64) = (row.get(2), row.get(3), row.get(4));
        let epochs = epochs.remove(&number).unwrap_or_default();
        ((row.get(0), row.get(1)), LaneCut { number, head: sequence.max(pruned), pruned, epochs })
    };
    Ok(Cut { lanes: rows.iter().map(lane_of).collect() })
}

/// Gives every message to `take`, lane by lane, ascending by sequence. Only within a transaction, because a cursor lives no
/// longer.
///
/// # Errors
/// When the database refuses, when a row's headers are corrupt, and what `take` returns, which ends the reading.
pub async fn messages<E>(
    client: &Client,
    schema: &str,
    mut take: impl FnMut(StoredMessage<'_>) -> Result<(), E>,
) -> Result<(), E>
where
    E: From<OutboxError>,
{
    let failed = || OutboxError::database("reading the outbox' messages");
    let declare = sql::in_schema(MESSAGES, &sql::quoted_schema(schema)?);
    client.batch_execute(&declare).await.map_err(failed())?;
    let next = client.prepare(NEXT_MESSAGES).await.map_err(failed())?;
    loop {
        let rows = client.query(&next, &[]).await.map_err(failed())?;
        if rows.is_empty() {
            return client.batch_execute("close outbox_rows").await.map_err(failed()).map_err(E::from);
        }
        for row in &rows {
            take(stored(row)?)?;
        }
    }
}

/// Rows of a key beyond what is recorded as published, lane by lane. The record lags, so the topic may hold some of them.
///
/// # Errors
/// When the database refuses.
pub async fn unpublished(client: &Client, schema: &str, key: &[u8]) -> Result<Vec<Unpublished>, OutboxError> {
    let text = sql::in_schema(UNPUBLISHED, &sql::quoted_schema(schema)?);
    let rows = client.query(&text, &[&key]).await.map_err(OutboxError::database("reading unpublished messages"))?;
    let of_row = |row: &Row| Unpublished {
        topic: row.get(0),
        partition: row.get(1),
        sequence: row.get(2),
        id: row.get(3),
        payload: row.get(4),
        time: row.get(5),
        causation: causation(row.get(6), row.get(7)),
    };
    Ok(rows.iter().map(of_row).collect())
}

/// The epochs of all lanes that have more than one.
pub(crate) async fn read_epochs(client: &Client, quoted: &str) -> Result<HashMap<Lane, Epochs>, OutboxError> {
    let rows = client.query(&epochs_sql(quoted), &[]).await.map_err(OutboxError::database("reading epochs"))?;
    Ok(epochs_of(&rows))
}

/// The statement that gives them.
pub(crate) fn epochs_sql(quoted: &str) -> String {
    sql::in_schema(EPOCHS, quoted)
}

/// The epochs of its rows.
pub(crate) fn epochs_of(rows: &[Row]) -> HashMap<Lane, Epochs> {
    let mut epochs: HashMap<Lane, Vec<Epoch>> = HashMap::new();
    for row in rows {
        let epoch = Epoch { epoch: row.get(1), first: row.get(2), last_equal: row.get(3) };
        epochs.entry(row.get(0)).or_default().push(epoch);
    }
    epochs.into_iter().map(|(lane, epochs)| (lane, Epochs::new(epochs))).collect()
}

fn stored(row: &Row) -> Result<StoredMessage<'_>, OutboxError> {
    let packed: Option<&[u8]> = row.get(9);
    Ok(StoredMessage {
        lane: row.get(0),
        sequence: row.get(1),
        id: row.get(2),
        ce_type: row.get(3),
        key: row.get(4),
        payload: row.get(5),
        time: row.get(6),
        causation: causation(row.get(7), row.get(8)),
        headers: headers::unpack(packed.unwrap_or_default()).collect::<Result<_, _>>()?,
    })
}

fn causation(id: Option<Uuid>, text: Option<String>) -> Option<Causation> {
    id.map(Causation::Id).or(text.map(Causation::Text))
}
