//! How an outbox stands: what waits, who leads, how far each lane is published, how large the tables are.
//!
//! Only the database is asked, so this answers while Kafka is away. Published is what a relay has saved, which lags by a
//! fraction of a second while messages flow.

use serde::Serialize;
use tokio_postgres::Client;

use super::OperateError;
use super::sessions::{self, DatabaseSession};
use crate::database::Database;
use crate::epochs::Epochs;
use crate::error::OutboxError;
use crate::lanes::Lane;
use crate::{migrate, sql};

/// Rows per lane from which the bytes of the backlog are estimated.
const SAMPLE_ROWS: i64 = 100;

/// How an outbox stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutboxStatus {
    /// Database schema of its tables.
    pub schema: String,
    /// Who publishes from here.
    pub source: String,
    /// Messages that are not saved as published.
    pub backlog_messages: i64,
    /// Bytes of keys, payloads and headers of those, estimated from the first of each lane.
    pub backlog_bytes: i64,
    /// Milliseconds since the time of the oldest of those.
    pub oldest_ms: Option<i64>,
    /// The session that leads; none: nobody publishes.
    pub leader: Option<DatabaseSession>,
    /// Relays that wait for their turn.
    pub standbys: Vec<DatabaseSession>,
    /// Every lane.
    pub lanes: Vec<LaneStatus>,
    /// The tables that hold messages.
    pub tables: Vec<TableSize>,
}

/// How a lane stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneStatus {
    /// Full topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// The epoch that writers are in.
    pub epoch: i64,
    /// Highest sequence that was ever used; 0 without any.
    pub head: i64,
    /// Sequence up to which the lane is saved as published; none before the first.
    pub published: Option<i64>,
    /// Offset of that message.
    pub kafka_offset: Option<i64>,
    /// Messages after it that count.
    pub lag: i64,
}

/// A table of messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableSize {
    /// Its name.
    pub name: String,
    /// Bytes on disk, indexes included.
    pub bytes: i64,
    /// Whether writers append to it now.
    pub is_current: bool,
    /// Since when, if they do.
    pub current_since: Option<jiff::Timestamp>,
}

impl OutboxStatus {
    /// What is wrong and what to do, one line each. Empty: fine.
    pub fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        match &self.leader {
            None if self.backlog_messages > 0 => {
                findings
                    .push("nobody leads and messages wait: start outbox-relay, or a worker with a relay".to_owned());
            }
            Some(leader) if leader.silent_ms.is_some_and(|silent| silent > 4_000) => findings.push(format!(
                "the leader is silent ({leader}): a standby ends its session by itself; start one, or end it with \
                 select pg_terminate_backend({})",
                leader.pid
            )),
            None | Some(_) => {}
        }
        if let Some(oldest) = self.oldest_ms.filter(|oldest| *oldest > 60_000 && self.leader.is_some()) {
            findings.push(format!(
                "a message has waited for {} s although a relay leads: see its log and run outbox-relay doctor",
                oldest / 1000
            ));
        }
        findings
    }
}

/// Looks at the outbox in `schema`.
///
/// # Errors
/// When the database cannot be read, or has no such outbox.
pub async fn status(database: &Database, schema: &str) -> Result<OutboxStatus, OperateError> {
    let quoted = sql::quoted_schema(schema)?;
    let client = super::connect(database, schema).await?;
    migrate::check_version(&client, schema).await?;
    let epochs = super::read_epochs(&client, &quoted).await?;
    let none = Epochs::default();
    let mut lanes = Vec::new();
    let (mut numbers, mut next) = (Vec::new(), Vec::new());
    for lane in read_lanes(&client, &quoted).await? {
        let epochs = epochs.get(&lane.number).unwrap_or(&none);
        let published = lane.published.map_or(lane.pruned, |published| published.max(lane.pruned));
        let lag: i64 = epochs.live(published + 1, lane.head).iter().map(|(first, last)| last - first + 1).sum();
        if lag > 0 {
            numbers.push(lane.number);
            next.push(epochs.after(published));
        }
        lanes.push(LaneStatus {
            topic: lane.topic,
            partition: lane.partition,
            epoch: epochs.current(),
            head: lane.head,
            published: lane.published,
            kafka_offset: lane.kafka_offset,
            lag,
        });
    }
    let source = format!("select source from {quoted}.outbox_identity");
    let source = client.query_opt(&source, &[]).await.map_err(OutboxError::database("reading the outbox's name"))?;
    let backlog = read_backlog(&client, &quoted, &numbers, &next, &lanes).await?;
    Ok(OutboxStatus {
        schema: schema.to_owned(),
        source: source.map(|row| row.get(0)).unwrap_or_default(),
        backlog_messages: lanes.iter().map(|lane| lane.lag).sum(),
        backlog_bytes: backlog.0,
        oldest_ms: backlog.1,
        leader: sessions::leader(&client, &quoted).await?,
        standbys: sessions::standbys(&client, schema, &quoted).await?,
        lanes,
        tables: read_tables(&client, schema, &quoted).await?,
    })
}

/// A lane as the tables have it.
struct LaneRow {
    number: Lane,
    topic: String,
    partition: i32,
    pruned: i64,
    head: i64,
    published: Option<i64>,
    kafka_offset: Option<i64>,
}

async fn read_lanes(client: &Client, quoted: &str) -> Result<Vec<LaneRow>, OutboxError> {
    let text = format!(
        "select l.lane, t.name, l.partition, l.pruned, coalesce(h.head, 0), p.sequence, p.kafka_offset \
         from {quoted}.outbox_lanes l join {quoted}.outbox_topics t on t.id = l.topic_id \
         left join {quoted}.outbox_positions p on p.lane = l.lane \
         join (select * from unnest((select array_agg(lane order by lane) from {quoted}.outbox_lanes), \
           {quoted}.outbox_heads((select array_agg(lane order by lane) from {quoted}.outbox_lanes))) as u (lane, head)) h \
           on h.lane = l.lane \
         order by t.name, l.partition"
    );
    let rows = client.query(&text, &[]).await.map_err(OutboxError::database("reading lanes"))?;
    let lane = |row: &tokio_postgres::Row| LaneRow {
        number: row.get(0),
        topic: row.get(1),
        partition: row.get(2),
        pruned: row.get(3),
        head: row.get(4),
        published: row.get(5),
        kafka_offset: row.get(6),
    };
    Ok(rows.iter().map(lane).collect())
}

/// Bytes and age of what is not published: a sample of each lane's first rows, scaled to its lag.
async fn read_backlog(
    client: &Client,
    quoted: &str,
    numbers: &[Lane],
    next: &[i64],
    lanes: &[LaneStatus],
) -> Result<(i64, Option<i64>), OutboxError> {
    let text = format!(
        "select count(*), coalesce(sum(m.bytes), 0)::int8, \
           (extract(epoch from clock_timestamp() - min(m.time) filter (where m.sequence = g.next)) * 1000)::int8 \
         from unnest($1::int4[], $2::int8[]) with ordinality as g (lane, next, place) \
         cross join lateral (select r.sequence, r.time, coalesce(octet_length(r.key), 0) \
             + coalesce(octet_length(r.payload), 0) + coalesce(octet_length(r.headers), 0) as bytes \
           from {quoted}.outbox_messages r where r.lane = g.lane and r.sequence >= g.next \
           order by r.lane, r.sequence limit $3) m group by g.place order by g.place"
    );
    let rows = client
        .query(&text, &[&numbers, &next, &SAMPLE_ROWS])
        .await
        .map_err(OutboxError::database("measuring the backlog"))?;
    let mut total = 0;
    for (row, lane) in rows.iter().zip(lanes.iter().filter(|lane| lane.lag > 0)) {
        let (count, bytes): (i64, i64) = (row.get(0), row.get(1));
        total += bytes.saturating_mul(lane.lag) / count.max(1);
    }
    Ok((total, rows.iter().filter_map(|row| row.get::<_, Option<i64>>(2)).max()))
}

async fn read_tables(client: &Client, schema: &str, quoted: &str) -> Result<Vec<TableSize>, OutboxError> {
    let text = format!(
        "select c.relname::text, pg_total_relation_size(c.oid), r.since from pg_class c \
         left join {quoted}.outbox_rotation r on c.relname = 'outbox_messages_' || r.current \
         where c.relnamespace = $1::text::regnamespace and c.relkind = 'r' and c.relname ~ '^outbox_messages_[0-9]+$' \
         order by 1"
    );
    let rows = client.query(&text, &[&schema]).await.map_err(OutboxError::database("measuring the tables"))?;
    let table = |row: &tokio_postgres::Row| {
        let current_since: Option<jiff::Timestamp> = row.get(2);
        TableSize { name: row.get(0), bytes: row.get(1), is_current: current_since.is_some(), current_since }
    };
    Ok(rows.iter().map(table).collect())
}
