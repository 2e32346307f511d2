//! Rows of a rebuild in Postgres: read from the live tables, brought into the form in which a table keeps them, written.
//!
//! Values are texts as Postgres prints them, so that numbers of any size and times compare exactly.

use std::collections::BTreeMap;

use deadpool_postgres::ClientWrapper;
use postgres_protocol::escape::escape_identifier;
use serde_json::Value;

use crate::database::Database;
use crate::rebuild::{RebuildError, Table, columns};

/// A row: texts by column, `None` for null.
pub(crate) type Row = BTreeMap<String, Option<String>>;

/// Rows that go to the server at once.
const CHUNK_ROWS: usize = 1000;

/// A session of its own, without the limits of a batch's.
pub(crate) async fn connect(database: &Database) -> Result<ClientWrapper, RebuildError> {
    let (config, tls) = database.connector();
    let client = outbox::connect(&config, tls).await?;
    client.batch_execute("set timezone = 'UTC'").await?;
    Ok(client)
}

/// All rows of a live table.
pub(crate) async fn read(client: &ClientWrapper, schema: &str, table: &Table) -> Result<Vec<Row>, RebuildError> {
    let sql = format!(
        "select (select jsonb_object_agg(name, value) from jsonb_each_text(to_jsonb(t)) c (name, value))::text from {} t",
        named(schema, table.name)
    );
    client.query(&sql, &[]).await?.iter().map(|row| parse(table, row.get(0))).collect()
}

/// The rebuilt rows in the form in which the table would keep them: the columns that the service names, no others.
pub(crate) async fn as_stored(client: &ClientWrapper, schema: &str, table: &Table) -> Result<Vec<Row>, RebuildError> {
    let sql = format!(
        "select (select jsonb_object_agg(name, value) from jsonb_each_text(to_jsonb(t)) c (name, value))::text \
         from rows from (jsonb_populate_recordset(null::{}, $1::text::jsonb)) with ordinality t order by ordinality",
        named(schema, table.name)
    );
    let mut rows = Vec::with_capacity(table.rows.len());
    for given in table.rows.chunks(CHUNK_ROWS) {
        let stored = client.query(&sql, &[&Value::from(given).to_string()]).await?;
        for (given, stored) in given.iter().zip(&stored) {
            let mut row = parse(table, stored.get(0))?;
            let given = columns(table, given)?;
            if let Some(name) = given.keys().find(|name| !row.contains_key(*name)) {
                return Err(RebuildError::Table { table: table.name, what: format!("it has no column {name}") });
            }
            row.retain(|name, _| given.contains_key(name));
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Makes a schema with these tables.
pub(crate) async fn write(database: &Database, schema: &str, tables: &[Table]) -> Result<(), RebuildError> {
    let client = connect(database).await?;
    // Until COMMIT nobody sees anything of it; a connection that is dropped before takes it back.
    client.batch_execute(&format!("begin; create schema {}", escape_identifier(schema))).await?;
    for table in tables {
        let (live, new) = (named(database.schema(), table.name), named(schema, table.name));
        client.batch_execute(&format!("create table {new} (like {live} including all)")).await?;
        let sql = format!("insert into {new} select * from jsonb_populate_recordset(null::{live}, $1::text::jsonb)");
        for rows in table.rows.chunks(CHUNK_ROWS) {
            client.execute(&sql, &[&Value::from(rows).to_string()]).await?;
        }
    }
    Ok(client.batch_execute("commit").await?)
}

fn named(schema: &str, table: &str) -> String {
    format!("{}.{}", escape_identifier(schema), escape_identifier(table))
}

fn parse(table: &Table, text: &str) -> Result<Row, RebuildError> {
    serde_json::from_str(text).map_err(|error| RebuildError::Table { table: table.name, what: error.to_string() })
}
