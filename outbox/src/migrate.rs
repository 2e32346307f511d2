//! Creates and upgrades the tables of an outbox and its inbox in one schema.
//!
//! Idempotent, versioned (`outbox_version`), in one transaction under an advisory lock, so that any number of processes
//! may call it at once. Deliberately absent: migrations of the service's own tables, and downgrades.

use tokio_postgres::Client;

use crate::error::OutboxError;
use crate::sql;

/// The steps from version 0 upwards; each is text with `{schema}` and `{space_of_lanes}` to be replaced.
const STEPS: &[&str] = &[
    include_str!("migrate/v1.sql"),
    include_str!("migrate/v2.sql"),
    include_str!("migrate/v3.sql"),
    include_str!("migrate/v4.sql"),
];

/// First key of the advisory lock that migrations take; the second is a hash of the schema's name.
const MIGRATION_LOCK: i32 = 0x6f75_7462;

/// Creates or upgrades the outbox and inbox tables in `schema`, and the schema itself if it is missing.
pub async fn migrate(client: &mut Client, schema: &str) -> Result<(), OutboxError> {
    let quoted = sql::quoted_schema(schema)?;
    refuse_who_may_not(client, schema).await?;
    let failed = OutboxError::database("migrating the outbox");
    let transaction = client.transaction().await.map_err(OutboxError::database("beginning the migration"))?;
    async {
        transaction.execute("select pg_advisory_xact_lock($1, hashtext($2))", &[&MIGRATION_LOCK, &schema]).await?;
        transaction.batch_execute(&prepare_schema(&quoted)).await?;
        let row = transaction.query_one(&format!("select max(version) from {quoted}.outbox_version"), &[]).await?;
        let version = row.get::<_, Option<i32>>(0).unwrap_or(0);
        for (step, number) in STEPS.iter().zip(1_i32..) {
            if number > version {
                transaction.batch_execute(&sql::in_schema(step, &quoted)).await?;
                let record = format!("insert into {quoted}.outbox_version (version) values ($1)");
                transaction.execute(&record, &[&number]).await?;
            }
        }
        transaction.commit().await
    }
    .await
    .map_err(failed)
}

/// A role that runs daemons owns nothing; whoever migrates as such by mistake is told as whom to do it.
async fn refuse_who_may_not(client: &Client, schema: &str) -> Result<(), OutboxError> {
    let look = "select pg_get_userbyid(nspowner)::text, current_user::text from pg_namespace \
                where nspname = $1 and not has_schema_privilege(oid, 'create')";
    let found = client.query_opt(look, &[&schema]).await.map_err(OutboxError::database("looking for the schema"))?;
    let Some(row) = found else { return Ok(()) };
    let (owner, role): (String, String) = (row.get(0), row.get(1));
    let reason = format!("{role} may not change it; migrate as its owner {owner}, with --grants {role}");
    Err(OutboxError::Schema { schema: schema.to_owned(), reason })
}

/// Fails with words for a person when the tables in `schema` are not exactly what this program expects.
///
/// # Errors
/// [`OutboxError::Schema`] when they are missing, older or newer; it says what to do.
pub async fn check(client: &Client, schema: &str) -> Result<(), OutboxError> {
    let quoted = sql::quoted_schema(schema)?;
    let wrong = |reason: String| OutboxError::Schema { schema: schema.to_owned(), reason };
    let present = client
        .query_one("select to_regclass($1) is not null", &[&format!("{quoted}.outbox_version")])
        .await
        .map_err(OutboxError::database("looking for the outbox tables"))?;
    if !present.get::<_, bool>(0) {
        return Err(wrong("there are no outbox tables; run the migration first".to_owned()));
    }
    let row = client
        .query_one(&format!("select coalesce(max(version), 0)::int8 from {quoted}.outbox_version"), &[])
        .await
        .map_err(OutboxError::database("reading the version of the outbox tables"))?;
    let found = usize::try_from(row.get::<_, i64>(0)).unwrap_or(0);
    match found.cmp(&STEPS.len()) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => {
            Err(wrong(format!("tables have version {found}, this program needs {}; run the migration", STEPS.len())))
        }
        std::cmp::Ordering::Greater => {
            Err(wrong(format!("tables have version {found}, newer than this program's {}; upgrade it", STEPS.len())))
        }
    }
}

/// Sets a new connection up for the outbox: generic plans (arrays of any length get one plan, planned once), no JIT, and
/// an end to transactions that a paused process left open, so that it cannot hold locks for longer than 5 s.
/// Call it once per connection, for instance in a pool's `post_create` hook.
pub async fn prepare_connection(client: &Client) -> Result<(), OutboxError> {
    client
        .batch_execute(
            "set plan_cache_mode = force_generic_plan; set jit = off; \
             set idle_in_transaction_session_timeout = '5s'; set client_min_messages = warning",
        )
        .await
        .map_err(OutboxError::database("setting up a connection"))
}

/// `create schema if not exists` needs the right to create one even if it exists, so it is asked for only when missing.
fn prepare_schema(quoted: &str) -> String {
    format!(
        "do $$ begin \
           if to_regnamespace('{quoted}') is null then create schema {quoted}; end if; \
         end $$; \
         create table if not exists {quoted}.outbox_version ( \
           version int primary key, applied timestamptz not null default clock_timestamp())"
    )
}
