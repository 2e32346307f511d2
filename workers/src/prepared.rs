//! The statements on a table of rows, prepared once per connection and run in lane transactions.
//!
//! Their texts come from the table's description (`tables::statements`). Reads are carried out at once; writes are deferred,
//! so that they go with the commit in one round trip. None is sent for no rows.

use std::marker::PhantomData;

use outbox::{Expect, Transaction};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use consumer::Failure;

use crate::columns::unreadable;
use tables::{TableRow, statements};

/// Locks rows by key and reads them.
#[derive(Debug)]
pub(crate) struct Lock<R>(LookUp<R>);

impl<R: TableRow> Lock<R> {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        LookUp::of(client, &statements::lock::<R>()).await.map(Lock)
    }

    /// Those that are there of these keys, which ascend: one array for each column of the key.
    pub(crate) async fn rows(
        &self,
        tx: &Transaction<'_>,
        keys: &[&(dyn ToSql + Sync)],
    ) -> Result<impl Iterator<Item = Result<R, Failure>> + use<R>, Failure> {
        self.0.rows(tx, keys).await
    }
}

/// Reads rows by key and locks nothing.
#[derive(Debug)]
pub(crate) struct LookUp<R> {
    statement: Statement,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow> LookUp<R> {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        LookUp::of(client, &statements::look_up::<R>()).await
    }

    /// A look-up of the table's own, which gives all columns.
    pub(crate) async fn of(client: &Client, sql: &str) -> Result<Self, tokio_postgres::Error> {
        Ok(LookUp { statement: client.prepare(sql).await?, row: PhantomData })
    }

    /// Those that are there.
    pub(crate) async fn rows(
        &self,
        tx: &Transaction<'_>,
        keys: &[&(dyn ToSql + Sync)],
    ) -> Result<impl Iterator<Item = Result<R, Failure>> + use<R>, Failure> {
        let rows = tx.query(&self.statement, keys).await.map_err(Failure::of_outbox)?;
        Ok(rows.into_iter().map(|row| R::read(&row).map_err(unreadable)))
    }
}

/// Inserts rows.
#[derive(Debug)]
pub(crate) struct Insert<R> {
    statement: Statement,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow> Insert<R> {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Insert { statement: client.prepare(&statements::insert::<R>()).await?, row: PhantomData })
    }

    /// All of them, or the transaction fails.
    pub(crate) fn defer(&self, tx: &mut Transaction<'_>, rows: Vec<R>) {
        if rows.is_empty() {
            return;
        }
        let expected = Expect::Rows(rows.len() as u64);
        tx.defer(&self.statement, R::insert_parameters(rows), expected);
    }
}

/// Writes what may change of rows that are still as they were loaded.
#[derive(Debug)]
pub(crate) struct Update<R> {
    statement: Statement,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow> Update<R> {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Update { statement: client.prepare(&statements::update::<R>()).await?, row: PhantomData })
    }

    /// All of them, each with the guard that it was loaded with, or the transaction fails.
    pub(crate) fn defer(&self, tx: &mut Transaction<'_>, rows: Vec<(R::Guard, R)>) {
        if rows.is_empty() {
            return;
        }
        tx.defer(&self.statement, R::update_parameters(rows), Expect::Rows(1));
    }
}

/// Deletes rows by key.
#[derive(Debug)]
pub(crate) struct Delete<R> {
    statement: Statement,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow<Key = (String,)>> Delete<R> {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Delete { statement: client.prepare(&statements::delete::<R>()).await?, row: PhantomData })
    }

    /// All of these keys, or the transaction fails.
    pub(crate) fn defer(&self, tx: &mut Transaction<'_>, keys: Vec<String>) {
        if keys.is_empty() {
            return;
        }
        let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        tx.defer(&self.statement, vec![Box::new(keys), Box::new(count)], Expect::Rows(1));
    }
}

#[cfg(test)]
mod plan_tests;
