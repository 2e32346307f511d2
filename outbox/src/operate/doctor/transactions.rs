//! Sessions that hold up writers or the relay: who leads, who holds a lane, whose transaction is old.

use super::{Check, Look};
use crate::error::OutboxError;
use crate::operate::OperateError;
use crate::operate::sessions::{self, COLUMN_COUNT, COLUMNS, DatabaseSession};

/// How long a writer may hold a lane without being told of: from its append to its commit.
const LANE_HELD_MS: i64 = 1_000;
/// A leader that has been silent for longer is not well.
const LEADER_SILENT_MS: i64 = 4_000;
/// Sessions that are told of, of each kind.
const MOST: i64 = 20;

pub(super) async fn checks(look: &Look<'_>) -> Result<Vec<Check>, OperateError> {
    let mut checks = vec![leader(look).await?];
    checks.extend(lanes(look).await?);
    checks.extend(old_transactions(look).await?);
    Ok(checks)
}

async fn leader(look: &Look<'_>) -> Result<Check, OperateError> {
    let leader = sessions::leader(look.client, look.quoted).await?;
    let standbys = sessions::standbys(look.client, &look.config.schema, look.quoted).await?.len();
    Ok(match leader {
        None => Check::warning("leader", "nobody leads", "start outbox-relay, or a program that runs a relay"),
        Some(leader) if leader.silent_ms.is_some_and(|silent| silent > LEADER_SILENT_MS) => Check::problem(
            "leader",
            format!("silent: {leader}"),
            format!(
                "a standby ends it by itself (if its role may: grant pg_signal_backend, or use one role); start one, or \
                 select pg_terminate_backend({})",
                leader.pid
            ),
        ),
        Some(leader) => Check::ok("leader", format!("{leader}; {standbys} more stand by")),
    })
}

/// Who holds a lane's lock for long, and how many wait for it.
async fn lanes(look: &Look<'_>) -> Result<Vec<Check>, OperateError> {
    let text = format!(
        "select {COLUMNS}, t.name, o.partition, \
           (select count(*) from pg_locks w where not w.granted and w.locktype = 'advisory' \
             and (w.database, w.classid, w.objid, w.objsubid) = (l.database, l.classid, l.objid, l.objsubid)) as waiting \
         from pg_locks l join pg_stat_activity a on a.pid = l.pid \
         join {quoted}.outbox_lanes o on o.lane::int8 = l.objid::int8 join {quoted}.outbox_topics t on t.id = o.topic_id \
         where {locks} and l.granted \
           and clock_timestamp() - coalesce(a.xact_start, a.state_change) > $1::int8 * interval '1 millisecond' \
         order by a.xact_start limit $2",
        quoted = look.quoted,
        locks = sessions::locks_of(look.quoted)
    );
    let rows = look.client.query(&text, &[&LANE_HELD_MS, &MOST]).await;
    let rows = rows.map_err(OutboxError::database("looking for sessions that hold a lane"))?;
    if rows.is_empty() {
        return Ok(vec![Check::ok("lanes", "no session holds a lane for long")]);
    }
    let check = |row: &tokio_postgres::Row| {
        let session = DatabaseSession::read(row);
        let (topic, partition): (&str, i32) = (row.get(COLUMN_COUNT), row.get(COLUMN_COUNT + 1));
        let waiting: i64 = row.get(COLUMN_COUNT + 2);
        let found =
            format!("{topic} partition {partition} is held by {}; {waiting} sessions wait for it", described(&session));
        let advice = format!(
            "append as the last thing before COMMIT, with nothing slow in between; to free it: \
             select pg_terminate_backend({}). Set idle_in_transaction_session_timeout for the writers' role",
            session.pid
        );
        if waiting > 0 { Check::problem("lanes", found, advice) } else { Check::warning("lanes", found, advice) }
    };
    Ok(rows.iter().map(check).collect())
}

/// Transactions that keep old snapshots: they hold back vacuum, and a TRUNCATE if they have read the outbox.
async fn old_transactions(look: &Look<'_>) -> Result<Vec<Check>, OperateError> {
    let limit_ms = i64::try_from(look.config.old_transaction.as_millis()).unwrap_or(i64::MAX);
    let text = format!(
        "select {COLUMNS}, exists (select from pg_locks l join pg_class c on c.oid = l.relation \
             where l.pid = a.pid and l.locktype = 'relation' and c.relname ~ '^outbox_messages' \
             and c.relnamespace = '{quoted}'::regnamespace) \
         from pg_stat_activity a \
         where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend' \
           and clock_timestamp() - a.xact_start > $1::int8 * interval '1 millisecond' \
         order by a.xact_start limit $2",
        quoted = look.quoted
    );
    let rows = look.client.query(&text, &[&limit_ms, &MOST]).await;
    let rows = rows.map_err(OutboxError::database("looking for old transactions"))?;
    if rows.is_empty() {
        return Ok(vec![Check::ok("transactions", "none is old")]);
    }
    let check = |row: &tokio_postgres::Row| {
        let session = DatabaseSession::read(row);
        let effect = match row.get(COLUMN_COUNT) {
            true => "it holds a lock on the outbox's messages, so that table cannot be truncated and grows",
            false => "it holds back vacuum in the whole database",
        };
        let advice = format!("let it end; or select pg_terminate_backend({})", session.pid);
        Check::warning("transactions", format!("an old one: {}; {effect}", described(&session)), advice)
    };
    Ok(rows.iter().map(check).collect())
}

/// Who it is, how long its transaction is open, and what it last asked.
fn described(session: &DatabaseSession) -> String {
    let age = session.transaction_ms.map_or_else(|| "of unknown age".to_owned(), |age| format!("open for {age} ms"));
    let state = session.state.as_deref().unwrap_or("state unknown");
    let query = session.query.as_deref().unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{session}, {state}, {age}: {query}")
}
