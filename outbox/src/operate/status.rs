//! How an outbox stands: what waits, who leads, how far each lane is published, how large the tables are.
//!
//! Only the database is asked, so this answers while Kafka is away. Published is what a relay has saved, which lags by a
//! fraction of a second while messages flow.

use serde::Serialize;
use tokio_postgres::Client;

use super::OperateError;
use super::sessions::{self, DatabaseSession};
use crate::cut;
use crate::database::Database;
use crate::epochs::Epochs;
use crate::error::OutboxError;
use crate::lanes::Lane;
use crate::relay::NamedMessage;
use crate::{migrate, sql};

/// Rows per lane from which the bytes of the backlog are estimated.
const SAMPLE_ROWS: i64 = 100;

/// Messages that a finding names at most.
const NAMED_MESSAGES: usize = 3;

/// Clocks that agree by less are none the worse for it.
const CLOCKS_DIFFER_MS: i64 = 1_000;

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
    /// Milliseconds since the time of the oldest of those, by the database's clock; never negative.
    pub oldest_ms: Option<i64>,
    /// By how many milliseconds the time of a message that waits lies ahead of the database's clock; none if none does.
    pub ahead_ms: Option<i64>,
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
    /// The first of those.
    pub next: Option<NamedMessage>,
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
                "a message has waited for {} s although a relay leads{}: see its log and run outbox-relay doctor",
                oldest / 1000,
                self.first_waiting()
            ));
        }
        if let Some(ahead) = self.ahead_ms.filter(|ahead| *ahead > CLOCKS_DIFFER_MS) {
            findings.push(format!(
                "a message that waits is dated {} s after the database's clock: the clocks of writers and database \
                 differ, and ages are wrong until they agree; run outbox-relay doctor",
                ahead / 1000
            ));
        }
        findings
    }

    /// The first waiting message of each lane that has any, as far as they fit into a line.
    fn first_waiting(&self) -> String {
        let waiting = self.lanes.iter().filter_map(|lane| Some((lane, lane.next.as_ref()?)));
        let named =
            waiting.take(NAMED_MESSAGES).map(|(lane, next)| format!("{}[{}] {next}", lane.topic, lane.partition));
        let named: Vec<String> = named.collect();
        if named.is_empty() { String::new() } else { format!(" ({})", named.join("; ")) }
    }
}

/// Looks at the outbox in `schema`.
///
/// # Errors
/// When the database cannot be read, or has no such outbox.
pub async fn status(database: &Database, schema: &str) -> Result<OutboxStatus, OperateError> {
    let quoted = sql::quoted_schema(schema)?;
    let client = super::connect(database, schema).await?;
    migrate::check(&client, schema).await?;
    let epochs = cut::read_epochs(&client, &quoted).await?;
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
            next: None,
        });
    }
    let source = format!("select source from {quoted}.outbox_identity");
    let source = client.query_opt(&source, &[]).await.map_err(OutboxError::database("reading the outbox's name"))?;
    let backlog = read_backlog(&client, &quoted, &numbers, &next, &mut lanes).await?;
    Ok(OutboxStatus {
        schema: schema.to_owned(),
        source: source.map(|row| row.get(0)).unwrap_or_default(),
        backlog_messages: lanes.iter().map(|lane| lane.lag).sum(),
        backlog_bytes: backlog.bytes,
        oldest_ms: backlog.oldest_ms.map(|oldest| oldest.max(0)),
        ahead_ms: backlog.newest_ms.map(|newest| -newest).filter(|ahead| *ahead > 0),
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

/// What waits, over all lanes.
#[derive(Debug, Default)]
struct Backlog {
    bytes: i64,
    /// Age of the oldest first message of a lane.
    oldest_ms: Option<i64>,
    /// Age of the newest one; negative if it is dated after the database's clock.
    newest_ms: Option<i64>,
}

/// Bytes and age of what is not published: a sample of each lane's first rows, scaled to its lag. Notes each lane's first.
async fn read_backlog(
    client: &Client,
    quoted: &str,
    numbers: &[Lane],
    next: &[i64],
    lanes: &mut [LaneStatus],
) -> Result<Backlog, OutboxError> {
    let text = format!(
        "select g.place, count(*), coalesce(sum(m.bytes), 0)::int8, \
           (array_agg((extract(epoch from clock_timestamp() - m.time) * 1000)::int8) filter (where m.sequence = g.next))[1], \
           (array_agg(m.sequence order by m.sequence))[1], (array_agg(m.id::text order by m.sequence))[1], \
           (array_agg(m.type order by m.sequence))[1], (array_agg(m.key order by m.sequence))[1] \
         from unnest($1::int4[], $2::int8[]) with ordinality as g (lane, next, place) \
         cross join lateral (select r.sequence, r.time, r.id, r.type, r.key, coalesce(octet_length(r.key), 0) \
             + coalesce(octet_length(r.payload), 0) + coalesce(octet_length(r.headers), 0) as bytes \
           from {quoted}.outbox_messages r where r.lane = g.lane and r.sequence >= g.next \
           order by r.lane, r.sequence limit $3) m group by g.place order by g.place"
    );
    let rows = client
        .query(&text, &[&numbers, &next, &SAMPLE_ROWS])
        .await
        .map_err(OutboxError::database("measuring the backlog"))?;
    let mut waiting: Vec<&mut LaneStatus> = lanes.iter_mut().filter(|lane| lane.lag > 0).collect();
    let mut backlog = Backlog::default();
    for row in &rows {
        let place = usize::try_from(row.get::<_, i64>(0) - 1).ok();
        let Some(lane) = place.and_then(|place| waiting.get_mut(place)) else { continue };
        let (count, bytes): (i64, i64) = (row.get(1), row.get(2));
        backlog.bytes += bytes.saturating_mul(lane.lag) / count.max(1);
        let age_ms: Option<i64> = row.get(3);
        backlog.oldest_ms = backlog.oldest_ms.max(age_ms);
        backlog.newest_ms = backlog.newest_ms.into_iter().chain(age_ms).min();
        let key: Option<Vec<u8>> = row.get(7);
        lane.next = Some(NamedMessage {
            sequence: row.get(4),
            key: key.map(|key| String::from_utf8_lossy(&key).into_owned()),
            id: row.get(5),
            ce_type: row.get(6),
        });
    }
    Ok(backlog)
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
