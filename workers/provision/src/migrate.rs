//! Creates and upgrades a service's schema: its own tables, and the outbox's and inbox' beside them.
//!
//! Numbered steps, each applied once, in one transaction under an advisory lock: any number of instances may start at once.

use postgres_protocol::escape::escape_identifier;
use schemas::ServiceName;

use crate::{DatabaseError, grants, schema};

/// First key of the advisory lock; the second is a hash of the schema's name.
const LOCK: i32 = 0x7368_6f70;

/// What stands in a service's file between the step to one version and the step to the next.
const NEXT: &str = "\n-- ==== the next version\n";

/// The steps of a service, from version 0 upwards. They stand in one file, to which a further one is only ever added.
fn steps(service: ServiceName) -> impl Iterator<Item = &'static str> {
    schema::of(service).migrations.split(NEXT)
}

/// This program's version of a service's schema.
fn latest(service: ServiceName) -> i32 {
    i32::try_from(steps(service).count()).unwrap_or(i32::MAX)
}

/// What `migrate` has done: the version that the schema had (0: none), and the one that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Before.
    pub from: i32,
    /// After: this program's.
    pub to: i32,
}

/// Bring the schema to this program's version.
pub async fn migrate(
    client: &mut tokio_postgres::Client,
    service: ServiceName,
    schema: &str,
) -> Result<Migrated, DatabaseError> {
    outbox::migrate(client, schema).await?;
    let quoted = escape_identifier(schema);
    let tx = client.transaction().await?;
    tx.execute("select pg_advisory_xact_lock ($1, hashtext ($2))", &[&LOCK, &schema]).await?;
    tx.batch_execute(&format!(
        "set local search_path to {quoted}; \
         create table if not exists service_version ( \
             version int primary key, service text not null, applied timestamptz not null default clock_timestamp ())"
    ))
    .await?;
    let row = tx.query_one("select coalesce (max (version), 0), min (service) from service_version", &[]).await?;
    let (version, owner): (i32, Option<String>) = (row.get(0), row.get(1));
    if owner.as_deref().is_some_and(|owner| owner != service.as_str()) {
        return Err(DatabaseError::Unusable(format!(
            "schema {schema} belongs to the {} service; give the {service} service another one",
            owner.unwrap_or_default()
        )));
    }
    for (step, number) in steps(service).zip(1_i32..).filter(|(_, number)| *number > version) {
        tx.batch_execute(step).await?;
        tx.execute("insert into service_version (version, service) values ($1, $2)", &[&number, &service.as_str()])
            .await?;
    }
    tx.commit().await?;
    Ok(Migrated { from: version, to: version.max(latest(service)) })
}

/// Give a role that owns nothing what a daemon needs in this schema, and no more; the statements that it took.
///
/// # Errors
/// [`DatabaseError::Unusable`] when there is no such role, or the caller may not grant.
pub async fn grant(
    client: &mut tokio_postgres::Client,
    service: ServiceName,
    schema: &str,
    role: &str,
) -> Result<Vec<String>, DatabaseError> {
    Ok(outbox::grants::grant(client, schema, role, &grants::rights(service)).await?)
}

/// Tables and views of a schema.
#[cfg(test)]
pub(crate) async fn tables(
    client: &tokio_postgres::Client,
    schema: &str,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let sql = "select relname::text from pg_class where relkind in ('r', 'v') and relnamespace = to_regnamespace ($1)";
    Ok(client.query(sql, &[&schema]).await?.iter().map(|row| row.get(0)).collect())
}

/// Create the service's own tables, as every step up to this program's version leaves them, where the search path of
/// `client` points; without outbox and inbox. For a rebuild beside a live schema.
pub async fn create_tables(
    client: &impl tokio_postgres::GenericClient,
    service: ServiceName,
) -> Result<(), tokio_postgres::Error> {
    for step in steps(service) {
        client.batch_execute(step).await?;
    }
    Ok(())
}

/// Fails with words for a person when the schema, or the outbox and inbox in it, is not at this program's version.
pub async fn check(client: &tokio_postgres::Client, service: ServiceName, schema: &str) -> Result<(), DatabaseError> {
    let wanted = latest(service);
    let table = format!("{}.service_version", escape_identifier(schema));
    let present: bool = client.query_one("select to_regclass ($1) is not null", &[&table]).await?.get(0);
    let found = match present {
        false => None,
        true => {
            let sql = format!("select coalesce (max (version), 0) from {table} where service = $1");
            Some(client.query_one(&sql, &[&service.as_str()]).await?.get::<_, i32>(0))
        }
    };
    match found {
        Some(found) if found == wanted => outbox::migrate::check(client, schema).await.map_err(DatabaseError::Outbox),
        Some(found) if found > wanted => Err(DatabaseError::Unusable(format!(
            "schema {schema} has version {found}, newer than this program's {wanted}; upgrade the program"
        ))),
        Some(_) | None => Err(DatabaseError::Unusable(format!(
            "schema {schema} is not that of the {service} service at version {wanted}; run `{service}-worker migrate`"
        ))),
    }
}
