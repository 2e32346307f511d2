//! The read model's schema: made once, checked at every start, and emptied so that all of it is read again.
//!
//! Its tables are the services' own by their descriptions, without the services' checks: topics are read beside one another, so a
//! reservation may come before the receipt that it took from. All of it follows from topics, so there are no steps from version to
//! version: whatever changes in a description is another version, which is made anew.

use std::convert::Infallible;

use consumer::{Database, DatabaseError};
use outbox::grants::Right;
use outbox::inbox::Inbox;
use postgres_protocol::escape::escape_identifier;
use sha2::{Digest as _, Sha256};
use tables::{Column, EachTable, TableRow};
use tokio_postgres::{Client, GenericClient};

use crate::has_changes;

const INDEXES: &str = include_str!("indexes.sql");

/// What the rows hold, where the tables do not tell it: with what is kept, it is another number, and so another version.
///
/// 1: what was said of orders and stock; 2: what inventory and payment say of an order, too.
const CONTENT: u32 = 2;

/// First key of the advisory lock; the second is a hash of the schema's name.
const LOCK: i32 = 0x7669_6577;

/// Of each table.
struct Each<T> {
    made: Vec<T>,
    make: fn(&TableText) -> Vec<T>,
}

/// A table as far as its schema is concerned.
struct TableText {
    name: &'static str,
    columns: Vec<String>,
    key: Vec<&'static str>,
    changes: bool,
}

impl<T> EachTable for Each<T> {
    type Error = Infallible;

    fn table<R: TableRow>(&mut self) -> Result<(), Infallible> {
        let column = |column: &Column| {
            format!("{} {}{}", column.name, column.kind.sql(), if column.is_nullable { "" } else { " not null" })
        };
        let table = TableText {
            name: R::TABLE,
            columns: R::COLUMNS.iter().map(column).collect(),
            key: R::key_columns().map(|column| column.name).collect(),
            changes: has_changes::<R>(),
        };
        self.made.extend((self.make)(&table));
        Ok(())
    }
}

fn of_each<T>(make: fn(&TableText) -> Vec<T>) -> Vec<T> {
    let mut each = Each { made: Vec::new(), make };
    let Ok(()) = crate::each_table(&mut each);
    each.made
}

/// All statements that make the tables. Rows that change are to stay within their page (HOT).
fn tables() -> String {
    let table = |table: &TableText| {
        let room = if table.changes { " with (fillfactor = 60)" } else { "" };
        let (columns, key) = (table.columns.join(", "), table.key.join(", "));
        vec![format!("create table {} ({columns}, primary key ({key})){room};\n", table.name)]
    };
    of_each(table).concat() + INDEXES
}

/// What the daemon does to the tables. `for update` takes UPDATE as well.
fn rights() -> Vec<Right> {
    let of_table = |table: &TableText| {
        let all: [Right; 3] = [(table.name, "SELECT"), (table.name, "INSERT"), (table.name, "UPDATE")];
        all.into_iter().filter(|(_, privilege)| table.changes || *privilege != "UPDATE").collect()
    };
    std::iter::once(("view_version", "SELECT")).chain(of_each(of_table)).collect()
}

/// What tells this program's tables from another version's.
fn version_wanted() -> String {
    version_of(CONTENT)
}

fn version_of(content: u32) -> String {
    let digest: [u8; 32] = Sha256::new().chain_update(tables()).chain_update(content.to_be_bytes()).finalize().into();
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
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
        create_tables(tx.client()).await?;
        tx.batch_execute("create table view_version (version text primary key)").await?;
        tx.execute("insert into view_version values ($1)", &[&version_wanted()]).await?;
    }
    tx.commit().await?;
    match found {
        None => Ok(true),
        Some(found) => as_wanted(&found, database.schema()).map(|()| false),
    }
}

/// Creates the tables where the search path of `client` points; without outbox and inbox. For a rebuild beside a live schema.
///
/// # Errors
/// When the database refuses.
pub async fn create_tables(client: &impl GenericClient) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(&tables()).await
}

/// The names of the tables.
pub fn table_names() -> Vec<&'static str> {
    of_each(|table| vec![table.name])
}

/// Whether there is a read model in this schema.
///
/// # Errors
/// When the database refuses.
pub async fn is_there(client: &Client, schema: &str) -> Result<bool, tokio_postgres::Error> {
    Ok(version(client, schema).await?.is_some())
}

/// By this name the database knows the sessions of the instances that keep the read model of this schema.
pub fn instances(schema: &str) -> String {
    format!("order-api {schema}")
}

/// By this name those that read it for people.
pub fn readers(schema: &str) -> String {
    format!("order-api reads {schema}")
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
    let newest = format!("select max (version) from {}.view_version", escape_identifier(schema));
    client.query_opt(&newest, &[]).await.map(|row| row.and_then(|row| row.get(0)))
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
    Ok(outbox::grants::grant(&mut client, database.schema(), role, &rights()).await?)
}

/// Empties the tables and sends the positions back to the topics' beginning. No instance may run: one that has nothing to read would
/// not notice.
///
/// # Errors
/// When the database refuses, or an instance runs.
pub async fn rewind(database: &Database) -> Result<(), DatabaseError> {
    let mut client = database.first_client().await?;
    let running = "select count(*) from pg_stat_activity where datname = current_database() and application_name = $1";
    let sessions: i64 = client.query_one(running, &[&instances(database.schema())]).await?.get(0);
    if sessions > 0 {
        let words = "an instance of order-api keeps this read model now: stop all of them, then rewind";
        return Err(DatabaseError::Unusable(words.to_owned()));
    }
    let inbox = Inbox::new(database.schema())?;
    let tx = client.transaction().await?;
    // Positions first, as in every transaction that writes rows.
    inbox.rewind(&tx).await?;
    tx.batch_execute(&format!("truncate {}", table_names().join(", "))).await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_hold_something_else_are_another_version_s() {
        assert_eq!(version_wanted(), version_of(2), "whoever keeps something else counts on");
        assert_ne!(version_of(1), version_of(2));
        let refused = as_wanted(&version_of(1), "view").unwrap_err().to_string();
        assert!(refused.contains("another version's") && refused.contains("migrate"), "{refused}");
    }
}
