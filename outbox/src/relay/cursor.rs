//! Reading the table: a plain `sequence > position` per lane, by primary key, all lanes in one statement.
//!
//! Complete because a commit becomes visible before its lane's lock is released. Bounded by rows per lane and by bytes
//! per batch. Also reads where lanes stand: heads, the oldest pending message, stored positions.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::{Client, Row, SimpleQueryMessage};

use crate::error::OutboxError;
use crate::lanes::Lane;
use crate::relay::acked::Acked;
use crate::relay::session::{PINNED_PLANS, Session};
use crate::relay::wire::COLUMNS;
use crate::sql;

/// Statements of the cursor, formatted once.
#[derive(Debug)]
pub(crate) struct Cursor {
    read_sql: String,
    pending_sql: String,
    save_sql: String,
    batch_bytes: usize,
}

/// What to read: slots with their lanes and the sequences after which to begin.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) slots: Vec<i32>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) after: Vec<i64>,
    pub(crate) rows_per_lane: i64,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) wanted: Wanted,
    pub(crate) rows: Vec<Row>,
    /// False when reading stopped because of the bytes: lanes may have more.
    pub(crate) complete: bool,
}

/// How much waits to be published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) messages: i64,
    pub(crate) oldest: Option<Duration>,
    /// Lanes and later epochs that the outbox has now, to notice those that came during the term.
    pub(crate) shape: (i64, i64),
}

impl Cursor {
    pub(crate) fn new(schema: &str, batch_bytes: usize) -> Result<Self, OutboxError> {
        let quoted = sql::quoted_schema(schema)?;
        Ok(Self {
            read_sql: read_sql(&quoted),
            pending_sql: format!(
                "select sum(greatest(g.head - g.next + 1, 0))::int8, min(m.time), \
                   (select count(*) from {quoted}.outbox_lanes), (select count(*) from {quoted}.outbox_epochs) \
                 from unnest($1::int4[], $2::int8[], {quoted}.outbox_heads($1)) as g (lane, next, head) \
                 left join {quoted}.outbox_messages m on m.lane = g.lane and m.sequence = g.next"
            ),
            save_sql: format!(
                "insert into {quoted}.outbox_positions as p (lane, epoch, sequence, kafka_offset) \
                 select * from unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[]) \
                 on conflict (lane) do update set epoch = excluded.epoch, sequence = excluded.sequence, \
                   kafka_offset = excluded.kafka_offset"
            ),
            batch_bytes,
        })
    }

    /// Reads the next rows of the wanted lanes.
    pub(crate) async fn read(self: Arc<Self>, session: Arc<Session>, wanted: Wanted) -> Result<Batch, OutboxError> {
        let mut bytes = 0;
        let enough = |row: &Row| {
            bytes += row.raw_size_bytes();
            bytes >= self.batch_bytes
        };
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&wanted.slots, &wanted.lanes, &wanted.after, &wanted.rows_per_lane];
        let (rows, complete) = session.query_bounded("reading the outbox", &self.read_sql, &params, enough).await?;
        Ok(Batch { wanted, rows, complete })
    }

    /// Counts what is not acknowledged; `next` is the first such sequence of each lane.
    pub(crate) async fn pending(
        self: Arc<Self>,
        session: Arc<Session>,
        lanes: Vec<Lane>,
        next: Vec<i64>,
    ) -> Result<Pending, OutboxError> {
        let rows = session.query("counting the backlog", &self.pending_sql, &[&lanes, &next]).await?;
        let row = rows.first().ok_or(OutboxError::CorruptRow { what: "no count of the backlog" })?;
        let oldest: Option<jiff::Timestamp> = row.get(1);
        let age = |time| Duration::try_from(jiff::Timestamp::now().duration_since(time)).unwrap_or_default();
        Ok(Pending {
            messages: row.get::<_, Option<i64>>(0).unwrap_or(0),
            oldest: oldest.map(age),
            shape: (row.get(2), row.get(3)),
        })
    }

    /// Saves how far these lanes are published.
    pub(crate) async fn save(
        self: Arc<Self>,
        session: Arc<Session>,
        done: Vec<(Lane, i64, Acked)>,
    ) -> Result<(), OutboxError> {
        let mut lanes = Vec::with_capacity(done.len());
        let mut epochs = Vec::with_capacity(done.len());
        let mut sequences = Vec::with_capacity(done.len());
        let mut offsets = Vec::with_capacity(done.len());
        for (lane, epoch, acked) in done {
            let Some(offset) = acked.offset else { continue };
            lanes.push(lane);
            epochs.push(epoch);
            sequences.push(acked.sequence);
            offsets.push(offset);
        }
        session.query("saving positions", &self.save_sql, &[&lanes, &epochs, &sequences, &offsets]).await.map(|_| ())
    }
}

/// The plan of the statement with which a relay reads, one line each: for tests, and for whoever wonders why a relay is slow.
/// It uses the primary key, whatever the statistics say.
///
/// # Errors
/// When the database refuses.
pub async fn plan(client: &Client, schema: &str) -> Result<Vec<String>, OutboxError> {
    let failed = || OutboxError::database("explaining the cursor");
    let read = read_sql(&sql::quoted_schema(schema)?);
    // Settings made inside a transaction that is rolled back leave the session as it was.
    let script = format!("begin; {PINNED_PLANS}; prepare outbox_cursor_plan (int4[], int4[], int8[], int8) as {read}");
    client.batch_execute(&script).await.map_err(failed())?;
    let lines = client.simple_query("explain execute outbox_cursor_plan ('{}', '{}', '{}', 1)").await;
    client.batch_execute("rollback; deallocate outbox_cursor_plan").await.map_err(failed())?;
    let text = lines.map_err(failed())?.into_iter().filter_map(|message| {
        if let SimpleQueryMessage::Row(row) = message { row.get(0).map(str::to_owned) } else { None }
    });
    Ok(text.collect())
}

fn read_sql(quoted: &str) -> String {
    format!(
        "select g.slot, {COLUMNS} from unnest($1::int4[], $2::int4[], $3::int8[]) as g (slot, lane, after) \
         cross join lateral (select * from {quoted}.outbox_messages r where r.lane = g.lane and r.sequence > g.after \
           order by r.lane, r.sequence limit $4) m"
    )
}
