//! Sessions of the database that matter to an outbox: who leads, who stands by, who holds a lane's lock.
//!
//! Read from the database's own views, so a relay that does not answer is seen just the same. Without the role
//! `pg_read_all_stats` sessions of other roles tell little but who they are.

use std::fmt;

use serde::Serialize;
use tokio_postgres::{Client, Row};

use crate::error::OutboxError;
use crate::sql::{self, LEADER_KEY};

/// A session, as `pg_stat_activity` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatabaseSession {
    /// Its backend process.
    pub pid: i32,
    /// Its role.
    pub user: Option<String>,
    /// What it calls itself.
    pub application: Option<String>,
    /// Address of its client; none for a local socket, or if it may not be seen.
    pub client: Option<String>,
    /// When it connected.
    pub connected: Option<jiff::Timestamp>,
    /// Milliseconds since it last began or ended a statement.
    pub silent_ms: Option<i64>,
    /// `active`, `idle`, `idle in transaction` …
    pub state: Option<String>,
    /// Milliseconds since its transaction began.
    pub transaction_ms: Option<i64>,
    /// Its last statement, or the one that runs; the beginning of it.
    pub query: Option<String>,
}

/// Columns that [`DatabaseSession::read`] takes, from `pg_stat_activity a`.
pub(crate) const COLUMNS: &str = "a.pid, a.usename::text, a.application_name, host(a.client_addr), a.backend_start, \
    (extract(epoch from clock_timestamp() - greatest(a.query_start, a.state_change)) * 1000)::int8, a.state, \
    (extract(epoch from clock_timestamp() - a.xact_start) * 1000)::int8, left(a.query, 200)";

/// How many those are.
pub(crate) const COLUMN_COUNT: usize = 9;

impl DatabaseSession {
    pub(crate) fn read(row: &Row) -> Self {
        Self {
            pid: row.get(0),
            user: row.get(1),
            application: row.get::<_, Option<String>>(2).filter(|name| !name.is_empty()),
            client: row.get(3),
            connected: row.get(4),
            silent_ms: row.get(5),
            state: row.get(6),
            transaction_ms: row.get(7),
            query: row.get(8),
        }
    }
}

impl fmt::Display for DatabaseSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        for (what, value) in [("user", &self.user), ("application", &self.application), ("client", &self.client)] {
            if let Some(value) = value {
                write!(f, ", {what} {value}")?;
            }
        }
        self.silent_ms.map_or(Ok(()), |silent| write!(f, ", last sign of life {silent} ms ago"))
    }
}

/// Condition on `pg_locks l`: an advisory lock of this outbox.
pub(crate) fn locks_of(quoted: &str) -> String {
    format!(
        "l.locktype = 'advisory' and l.objsubid = 2 and l.classid = ({space}::int8 & 4294967295)::oid \
         and l.database = (select d.oid from pg_database d where d.datname = current_database())",
        space = sql::space(quoted)
    )
}

/// The session that leads.
pub(crate) async fn leader(client: &Client, quoted: &str) -> Result<Option<DatabaseSession>, OutboxError> {
    let text = format!(
        "select {COLUMNS} from pg_locks l join pg_stat_activity a on a.pid = l.pid \
         where {} and l.granted and l.objid = {LEADER_KEY}",
        locks_of(quoted)
    );
    let rows = client.query(&text, &[]).await.map_err(OutboxError::database("looking for the leader"))?;
    Ok(rows.first().map(DatabaseSession::read))
}

/// Sessions that call themselves a relay of this outbox and do not lead.
pub(crate) async fn standbys(client: &Client, schema: &str, quoted: &str) -> Result<Vec<DatabaseSession>, OutboxError> {
    let text = format!(
        "select {COLUMNS} from pg_stat_activity a where a.application_name = $1 and a.datname = current_database() \
         and not exists (select from pg_locks l where {} and l.granted and l.objid = {LEADER_KEY} and l.pid = a.pid) \
         order by a.backend_start",
        locks_of(quoted)
    );
    let name = format!("outbox-relay {schema}");
    let rows = client.query(&text, &[&name]).await.map_err(OutboxError::database("looking for standbys"))?;
    Ok(rows.iter().map(DatabaseSession::read).collect())
}
