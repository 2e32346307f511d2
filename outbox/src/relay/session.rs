//! The one database connection on which a relay leads and reads.
//!
//! Leadership is a session advisory lock on this very connection: whoever can read from it still leads. So every answer
//! proves leadership at the time its question was sent, and nothing is published without a recent answer. A leader whose
//! process is paused keeps its lock; a standby sees in `pg_stat_activity` that the session has been silent for longer
//! than a live leader ever is, and terminates it. Needs a direct connection, not one through a transaction pooler.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::ClientWrapper;
use futures_util::TryStreamExt;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use crate::database::Database;
use crate::error::OutboxError;
use crate::repeats::Repeats;
use crate::sql::{self, LEADER_KEY};

/// Longest a statement may take; also the server's limit, so that a live leader is never silent for longer.
const STATEMENT_TIMEOUT: Duration = Duration::from_millis(2500);

/// How often a leader shows that it lives while it does something else.
const BEAT: Duration = Duration::from_millis(500);

/// Settings under which every plan is the primary keys', made once, whatever the statistics say.
pub(crate) const PINNED_PLANS: &str = "set plan_cache_mode = force_generic_plan; set jit = off; set enable_seqscan = off; set enable_bitmapscan = off; \
     set enable_hashjoin = off; set enable_mergejoin = off; set enable_sort = off";

/// A relay's connection. Shared by the tasks of one term.
#[derive(Debug)]
pub(crate) struct Session {
    client: ClientWrapper,
    pid: i32,
    last_answer: Mutex<Instant>,
    repeats: Mutex<Repeats>,
    try_lead_sql: String,
    end_silent_sql: String,
}

impl Session {
    /// Connects. `synchronous_commit` is off because all this session writes is positions, which may lag, and
    /// notifications; what must last turns it on for its transaction.
    pub(crate) async fn open(database: &Database, schema: &str) -> Result<Self, OutboxError> {
        let quoted = sql::quoted_schema(schema)?;
        let client = database.open(None).await?;
        let settings = format!(
            "set application_name = 'outbox-relay {schema}'; set synchronous_commit = off; set statement_timeout = {}; \
             {PINNED_PLANS}; set idle_session_timeout = 0; \
             set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3",
            STATEMENT_TIMEOUT.as_millis()
        );
        let began = Instant::now();
        limited("setting up a connection", client.batch_execute(&settings)).await?;
        let asked = client.query_one("select pg_backend_pid()", &[]);
        let pid = limited("setting up a connection", asked).await?.get(0);
        let space = sql::space(&quoted);
        Ok(Self {
            client,
            pid,
            last_answer: Mutex::new(began),
            repeats: Mutex::default(),
            try_lead_sql: format!("select pg_try_advisory_lock({space}, {LEADER_KEY})"),
            end_silent_sql: format!(
                "select a.pid, pg_terminate_backend(a.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid \
                 where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.objid = {LEADER_KEY} \
                 and l.classid = ({space}::int8 & 4294967295)::oid \
                 and l.database = (select d.oid from pg_database d where d.datname = current_database()) \
                 and greatest(a.query_start, a.state_change) < clock_timestamp() - $1::float8 * interval '1 second'"
            ),
        })
    }

    /// The server's process of this session.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Asks for the leadership without waiting for it: a session that waits inside the lock would hold back vacuum.
    pub(crate) async fn try_lead(&self) -> Result<bool, OutboxError> {
        let rows = self.query("asking for the leadership", &self.try_lead_sql, &[]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Ends the session of a leader that has been silent for longer than `limit`; returns whether there was one.
    pub(crate) async fn end_silent_leader(&self, limit: Duration) -> Result<bool, OutboxError> {
        let seconds = limit.as_secs_f64();
        let found = self.query("looking for a silent leader", &self.end_silent_sql, &[&seconds]).await;
        if let Err(OutboxError::Database { source, .. }) = &found
            && source.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
        {
            let words = "a leader is silent, and this role may not end its session";
            let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(untold) = repeats.tell(words, Instant::now()) {
                tracing::warn!(untold, "{words}");
            }
            return Ok(false);
        }
        let rows = found?;
        for row in &rows {
            tracing::warn!(pid = row.get::<_, i32>(0), "ended the database session of a silent leader");
        }
        Ok(!rows.is_empty())
    }

    /// A round trip for its own sake.
    pub(crate) async fn beat(&self) -> Result<(), OutboxError> {
        self.query("asking whether the leadership still holds", "select 1", &[]).await.map(|_| ())
    }

    /// Does something else while this session goes on showing that it lives.
    pub(crate) async fn alive<T>(&self, work: impl Future<Output = T>) -> Result<T, OutboxError> {
        let mut work = std::pin::pin!(work);
        let mut beats = tokio::time::interval(BEAT);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                _ = beats.tick() => self.beat().await?,
            }
        }
    }

    /// Whether an answer to a question sent within the last `age` has come.
    pub(crate) fn is_fresh(&self, age: Duration) -> bool {
        self.last_answer.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < age
    }

    /// Runs a statement, prepared once per connection.
    pub(crate) async fn query(
        &self,
        doing: &'static str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, OutboxError> {
        let began = Instant::now();
        let rows = limited(doing, async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.query(&statement, params).await
        })
        .await?;
        self.answered(began);
        Ok(rows)
    }

    /// Runs a statement and keeps rows until `enough` says that the last one was enough; what follows is discarded as it
    /// comes. Returns the rows and whether all were kept.
    pub(crate) async fn query_bounded(
        &self,
        doing: &'static str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
        mut enough: impl FnMut(&Row) -> bool,
    ) -> Result<(Vec<Row>, bool), OutboxError> {
        let began = Instant::now();
        let result = limited(doing, async {
            let statement = self.client.prepare_cached(sql).await?;
            let stream = self.client.query_raw(&statement, params.iter().copied()).await?;
            let mut stream = std::pin::pin!(stream);
            let mut rows = Vec::new();
            while let Some(row) = stream.try_next().await? {
                let last = enough(&row);
                rows.push(row);
                if last {
                    return Ok((rows, false));
                }
            }
            Ok((rows, true))
        })
        .await?;
        self.answered(began);
        Ok(result)
    }

    /// Runs statements given as text, without parameters.
    pub(crate) async fn run(&self, doing: &'static str, sql: &str) -> Result<(), OutboxError> {
        let began = Instant::now();
        limited(doing, self.client.batch_execute(sql)).await?;
        self.answered(began);
        Ok(())
    }

    fn answered(&self, asked: Instant) {
        let mut last = self.last_answer.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(asked);
    }
}

/// Bounds a wait; the margin lets the server's own limit come first.
async fn limited<T>(
    doing: &'static str,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, OutboxError> {
    match tokio::time::timeout(STATEMENT_TIMEOUT + Duration::from_millis(500), work).await {
        Ok(done) => done.map_err(OutboxError::database(doing)),
        Err(_) => Err(OutboxError::TimedOut { doing }),
    }
}
