//! Keeps the tables small: truncates the one that aged, and lets the two change places.
//!
//! Done by the leader, beside publishing, on a connection of its own. A writer must never queue behind a reader: so
//! truncation is tried only while nobody holds a lock on the table for long, waits for it no longer than
//! `LOCK_TIMEOUT`, and otherwise comes back later. What may go is decided by the database under the lock
//! (`outbox_truncate`), and only while the session that leads still does. Deliberately absent: deleting rows.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;

use crate::database::Database;
use crate::error::OutboxError;
use crate::relay::session::PINNED_PLANS;
use crate::relay::status::RelayStatus;
use crate::relay::stop::Stop;
use crate::relay::{RelayConfig, RelayError};
use crate::sql;

/// How long writers may queue behind a truncation that waits for its lock.
const LOCK_TIMEOUT: Duration = Duration::from_millis(50);
/// A transaction that still holds the table after so long is not waited for.
const GLIMPSE: Duration = Duration::from_millis(20);
/// `outbox_sends` is truncated when it is larger.
const SENDS_BYTES: i64 = 4 * 1024 * 1024;
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end of a term may wait for it: the next one begins only after it.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);
/// Before a new connection is tried.
const RETRY: Duration = Duration::from_secs(1);

/// The task that rotates; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Rotation {
    switch: tokio::sync::watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Rotation {
    /// Starts it for the leader whose session is the backend `leader`.
    pub(crate) fn start(
        config: &RelayConfig,
        schema: &str,
        leader: i32,
        status: RelayStatus,
    ) -> Result<Self, RelayError> {
        let (switch, stop) = Stop::new();
        let work = Work {
            statements: Statements::new(&sql::quoted_schema(schema)?),
            schema: schema.to_owned(),
            database: config.database.clone(),
            retention: config.retention,
            interval: config.rotation_interval,
            leader,
            status,
        };
        Ok(Self { switch, task: tokio::spawn(work.run(stop)) })
    }

    /// Lets it finish what it does, unless the database does not answer, and waits for its end. A truncation that is
    /// under way then ends by itself, as a whole or not at all.
    pub(crate) async fn stop(mut self) {
        self.switch.send_replace(true);
        if tokio::time::timeout(STOP_TIMEOUT, &mut self.task).await.is_err() {
            self.task.abort();
            // Aborted on purpose: there is nothing to learn from how it ended.
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for Rotation {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Statements {
    look: String,
    begin_anew: String,
    holders: String,
    truncate: String,
    switch: String,
    messages: [String; 2],
    sends: String,
    truncate_sends: String,
}

impl Statements {
    fn new(quoted: &str) -> Self {
        Self {
            look: format!(
                "select r.current::int4, extract(epoch from clock_timestamp() - r.since)::float8, \
                   exists (select from {quoted}.outbox_messages_0), exists (select from {quoted}.outbox_messages_1), \
                   (pg_total_relation_size('{quoted}.outbox_messages_0') \
                    + pg_total_relation_size('{quoted}.outbox_messages_1'))::int8, \
                   pg_total_relation_size('{quoted}.outbox_sends') \
                 from {quoted}.outbox_rotation r"
            ),
            begin_anew: format!(
                "update {quoted}.outbox_rotation set since = clock_timestamp() where since > clock_timestamp()"
            ),
            holders: "select l.pid, l.virtualtransaction from pg_locks l where l.granted and l.locktype = 'relation' \
                 and l.relation = $1::text::regclass \
                 and l.database = (select d.oid from pg_database d where d.datname = current_database())"
                .to_owned(),
            truncate: format!("select {quoted}.outbox_truncate($1::int4, $2::int4, $3::float8)"),
            switch: format!(
                "update {quoted}.outbox_rotation set current = 1 - current, since = clock_timestamp() \
                 where current = $1::int4 and since <= clock_timestamp() - $2::float8 * interval '1 second'"
            ),
            messages: [format!("{quoted}.outbox_messages_0"), format!("{quoted}.outbox_messages_1")],
            sends: format!("{quoted}.outbox_sends"),
            truncate_sends: format!("truncate {quoted}.outbox_sends"),
        }
    }
}

/// What the tables look like.
#[derive(Debug, Clone, Copy)]
struct Look {
    current: i32,
    age: Duration,
    current_filled: bool,
    other_filled: bool,
    bytes: i64,
    sends_bytes: i64,
}

struct Work {
    statements: Statements,
    schema: String,
    database: Database,
    retention: Duration,
    interval: Duration,
    leader: i32,
    status: RelayStatus,
}

impl Work {
    async fn run(self, mut stop: Stop) {
        while !stop.is_asked() {
            if let Err(error) = self.rotate_while_connected(&mut stop).await {
                tracing::warn!(schema = self.schema, %error, "the outbox tables are not rotated for now");
                self.status.set_rotation_obstacle(Some(error.to_string()));
            }
            tokio::select! {
                () = stop.asked() => {}
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    async fn rotate_while_connected(&self, stop: &mut Stop) -> Result<(), OutboxError> {
        let client = tokio::select! {
            opened = self.database.open(None) => opened?,
            () = stop.asked() => return Ok(()),
        };
        let settings = format!(
            "set application_name = 'outbox-rotation {}'; set synchronous_commit = on; set lock_timeout = {}; \
             set statement_timeout = {}; set idle_session_timeout = 0; {PINNED_PLANS}",
            self.schema,
            LOCK_TIMEOUT.as_millis(),
            STATEMENT_TIMEOUT.as_millis()
        );
        client.batch_execute(&settings).await.map_err(OutboxError::database("setting up a connection"))?;
        while !stop.is_asked() {
            self.rotate(&client).await?;
            tokio::select! {
                () = stop.asked() => {}
                () = tokio::time::sleep(self.interval) => {}
            }
        }
        Ok(())
    }

    /// Does what is due.
    async fn rotate(&self, client: &ClientWrapper) -> Result<(), OutboxError> {
        let mut look = self.look(client).await?;
        if look.sends_bytes > SENDS_BYTES {
            self.truncate_sends(client).await?;
        }
        if look.other_filled && look.age >= self.retention {
            let obstacle = self.truncate(client, 1 - look.current).await?;
            look.other_filled = obstacle.is_some();
            self.note(obstacle);
        }
        if !look.other_filled && look.current_filled && look.age >= self.retention {
            let seconds = self.retention.as_secs_f64();
            let switch = client.prepare_cached(&self.statements.switch).await.map_err(failed())?;
            if client.execute(&switch, &[&look.current, &seconds]).await.map_err(failed())? == 1 {
                tracing::debug!(schema = self.schema, table = 1 - look.current, "messages go to the other table now");
                self.note(None);
            }
        }
        Ok(())
    }

    async fn look(&self, client: &ClientWrapper) -> Result<Look, OutboxError> {
        let statement = client.prepare_cached(&self.statements.look).await.map_err(failed())?;
        let row = client.query_one(&statement, &[]).await.map_err(failed())?;
        let (current, filled): (i32, [bool; 2]) = (row.get(0), [row.get(2), row.get(3)]);
        let [current_filled, other_filled] = if current == 0 { filled } else { [filled[1], filled[0]] };
        let age_s: f64 = row.get(1);
        if age_s < 0.0 {
            // The server's clock was ahead then; retention would not pass before that time has come.
            client.batch_execute(&self.statements.begin_anew).await.map_err(failed())?;
            tracing::warn!(
                schema = self.schema,
                ahead_s = age_s.abs(),
                "the tables changed places at a time still to come: the clock of Postgres was ahead; retention counts from now"
            );
        }
        let age = Duration::try_from_secs_f64(age_s).unwrap_or_default();
        let look = Look { current, age, current_filled, other_filled, bytes: row.get(4), sends_bytes: row.get(5) };
        self.status.set_table_bytes(u64::try_from(look.bytes).unwrap_or_default());
        Ok(look)
    }

    /// Truncates a table, or says what is in the way.
    async fn truncate(&self, client: &ClientWrapper, table: i32) -> Result<Option<String>, OutboxError> {
        let name = &self.statements.messages[usize::from(table == 1)];
        if let Some(holder) = self.lasting_holder(client, name).await? {
            return Ok(Some(format!("session {holder} holds a lock on outbox_messages_{table}")));
        }
        let statement = client.prepare_cached(&self.statements.truncate).await.map_err(failed())?;
        let seconds = self.retention.as_secs_f64();
        match client.query_one(&statement, &[&table, &self.leader, &seconds]).await {
            Ok(row) => {
                let obstacle: Option<String> = row.get(0);
                if obstacle.is_none() {
                    self.status.add_truncation();
                    tracing::info!(schema = self.schema, table, "truncated a table of published messages");
                }
                Ok(obstacle)
            }
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                Ok(Some(format!("outbox_messages_{table} is busy")))
            }
            Err(error) => Err(failed()(error)),
        }
    }

    /// Empties the table through which foreign programs send: its rows mean nothing once their transaction has ended, and
    /// one that has not holds a lock on it.
    async fn truncate_sends(&self, client: &ClientWrapper) -> Result<(), OutboxError> {
        if let Some(holder) = self.lasting_holder(client, &self.statements.sends).await? {
            tracing::debug!(schema = self.schema, holder, "a session holds a lock on outbox_sends");
            return Ok(());
        }
        match client.batch_execute(&self.statements.truncate_sends).await {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(()),
            truncated => truncated.map_err(failed()),
        }
    }

    /// The process of a transaction that goes on holding the table. Whether it is old is seen by looking twice: when a
    /// transaction of another role began is hidden from an ordinary one.
    async fn lasting_holder(&self, client: &ClientWrapper, table: &String) -> Result<Option<i32>, OutboxError> {
        let statement = client.prepare_cached(&self.statements.holders).await.map_err(failed())?;
        let first = client.query(&statement, &[&table]).await.map_err(failed())?;
        if first.is_empty() {
            return Ok(None);
        }
        tokio::time::sleep(GLIMPSE).await;
        let second = client.query(&statement, &[&table]).await.map_err(failed())?;
        let transactions: Vec<Option<&str>> = first.iter().map(|row| row.get(1)).collect();
        let lasting = second.iter().find(|row| transactions.contains(&row.get::<_, Option<&str>>(1)));
        // A prepared transaction has no process.
        Ok(lasting.map(|row| row.get::<_, Option<i32>>(0).unwrap_or_default()))
    }

    fn note(&self, obstacle: Option<String>) {
        if let Some(obstacle) = &obstacle {
            tracing::debug!(schema = self.schema, obstacle, "a table is due to be truncated and cannot be now");
        }
        self.status.set_rotation_obstacle(obstacle);
    }
}

fn failed() -> impl FnOnce(tokio_postgres::Error) -> OutboxError {
    OutboxError::database("rotating the outbox tables")
}
