//! The read model's schema: made once, checked at every start, and emptied so that all of it is read again.
//!
//! Its tables are the services' own by their descriptions, without the services' checks: topics are read beside one another, so a
//! reservation may come before the receipt that it took from. All of it follows from topics, so there are no steps from version to
//! version: whatever changes in a description is another version, which is made anew.

use consumer::{Database, DatabaseError};
use outbox::grants::Right;
use outbox::inbox::Inbox;
use sha2::{Digest as _, Sha256};
use tables::{ContentsRow, OrderRow, PaymentRow, ReservationRow, StockRow, TableRow};
use tokio_postgres::Client;

use crate::keys::hex;

const FURTHER: &str = include_str!("tables.sql");

/// First key of the advisory lock; the second is a hash of the schema's name.
const LOCK: i32 = 0x7669_6577;

/// What the daemon does to the tables. `for update` takes UPDATE as well.
const RIGHTS: [Right; 19] = [
    ("view_version", "SELECT"),
    ("orders", "SELECT"),
    ("orders", "INSERT"),
    ("orders", "UPDATE"),
    ("order_contents", "SELECT"),
    ("order_contents", "INSERT"),
    ("order_skus", "SELECT"),
    ("order_skus", "INSERT"),
    ("reservations", "SELECT"),
    ("reservations", "INSERT"),
    ("reservations", "UPDATE"),
    ("stock", "SELECT"),
    ("stock", "INSERT"),
    ("stock", "UPDATE"),
    ("payments", "SELECT"),
    ("payments", "INSERT"),
    ("payments", "UPDATE"),
    ("heard", "SELECT"),
    ("heard", "INSERT"),
];

/// All statements that make the tables.
fn tables() -> String {
    let described = [
        table::<OrderRow>(),
        table::<ContentsRow>(),
        table::<ReservationRow>(),
        table::<StockRow>(),
        table::<PaymentRow>(),
    ];
    described.concat() + FURTHER
}

/// The statement that makes a table as it is described. Rows change, and are to stay within their page (HOT).
fn table<R: TableRow>() -> String {
    let column = |column: &tables::Column| {
        format!("{} {}{}", column.name, column.kind.sql(), if column.is_nullable { "" } else { " not null" })
    };
    let columns: Vec<String> = R::COLUMNS.iter().map(column).collect();
    let key: Vec<&str> = R::key_columns().map(|column| column.name).collect();
    format!(
        "create table {} ({}, primary key ({})) with (fillfactor = 60);\n",
        R::TABLE,
        columns.join(", "),
        key.join(", ")
    )
}

/// What tells this program's tables from another version's.
fn version_wanted() -> String {
    let digest: [u8; 32] = Sha256::digest(tables().as_bytes()).into();
    hex(&digest[..8])
}

/// Makes the tables where they are missing; whether they were. Any number of instances may do so at once.
///
/// # Errors
/// When the database refuses, or has another version's.
pub async fn migrate(database: &Database) -> Result<bool, DatabaseError> {
    let mut client = database.first_client().await?;
    outbox::migrate(&mut client, database.schema()).await?;
    let tx = client.transaction().await?;
    tx.execute("select pg_advisory_xact_lock ($1, hashtext ($2))", &[&LOCK, &database.schema()]).await?;
    let found = version(tx.client(), database.schema()).await?;
    if found.is_none() {
        tx.batch_execute(&tables()).await?;
        tx.batch_execute("create table view_version (version text primary key)").await?;
        tx.execute("insert into view_version values ($1)", &[&version_wanted()]).await?;
    }
    tx.commit().await?;
    match found {
        None => Ok(true),
        Some(found) => as_wanted(&found, database.schema()).map(|()| false),
    }
}

/// Fails with words for a person when the tables are not this program's.
///
/// # Errors
/// When the database refuses, has none, or another version's.
pub async fn check(client: &Client, schema: &str) -> Result<(), DatabaseError> {
    match version(client, schema).await? {
        Some(found) => as_wanted(&found, schema)?,
        None => {
            let words = format!("schema {schema} has no read model; run `order-api migrate`");
            return Err(DatabaseError::Unusable(words));
        }
    }
    outbox::migrate::check(client, schema).await.map_err(DatabaseError::Outbox)
}

async fn version(client: &Client, schema: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let is_there = "select to_regclass (format ('%I.view_version', $1::text)) is not null";
    if !client.query_one(is_there, &[&schema]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    client.query_opt("select max (version) from view_version", &[]).await.map(|row| row.and_then(|row| row.get(0)))
}

fn as_wanted(found: &str, schema: &str) -> Result<(), DatabaseError> {
    if found == version_wanted() {
        return Ok(());
    }
    Err(DatabaseError::Unusable(format!(
        "the read model in schema {schema} is another version's: give this one another schema with --schema and run `order-api \
         migrate`; it is made again from the topics"
    )))
}

/// Gives a role that owns nothing what the daemon needs; the statements that it took.
///
/// # Errors
/// When there is no such role, or the caller may not grant.
pub async fn grant(database: &Database, role: &str) -> Result<Vec<String>, DatabaseError> {
    let mut client = database.first_client().await?;
    Ok(outbox::grants::grant(&mut client, database.schema(), role, &RIGHTS).await?)
}

/// Empties the tables and sends the positions back to the topics' beginning. No instance may run: one that has nothing to read would
/// not notice. `instances`: their sessions' name.
///
/// # Errors
/// When the database refuses, or an instance runs.
pub async fn rewind(database: &Database, instances: &str) -> Result<(), DatabaseError> {
    let mut client = database.first_client().await?;
    let running = "select count(*) from pg_stat_activity where datname = current_database() and application_name = $1";
    let sessions: i64 = client.query_one(running, &[&instances]).await?.get(0);
    if sessions > 0 {
        let words = "an instance of order-api keeps this read model now: stop all of them, then rewind";
        return Err(DatabaseError::Unusable(words.to_owned()));
    }
    let inbox = Inbox::new(database.schema())?;
    let tx = client.transaction().await?;
    // Positions first, as in every transaction that writes rows.
    inbox.rewind(&tx).await?;
    tx.batch_execute("truncate orders, order_contents, order_skus, reservations, stock, payments, heard").await?;
    tx.commit().await?;
    Ok(())
}
