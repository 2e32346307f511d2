//! The writing end of a peer: one transaction with one statement that inserts all its events.

use std::ops::Range;

use tokio_postgres::{Client, Statement};

use crate::alone::events::{Events, id};
use crate::error::{Doing, Result};

/// A peer's table and a connection to it.
pub(crate) struct TableSink {
    client: Client,
    insert: Statement,
    events: Events,
    as_json: bool,
}

impl TableSink {
    /// `insert` takes ids, keys and payloads as arrays.
    pub(crate) async fn new(client: Client, insert: &str, events: Events, as_json: bool) -> Result<Self> {
        let insert = client.prepare(insert).await.doing("preparing a peer's insert")?;
        Ok(Self { client, insert, events, as_json })
    }

    /// Commits the events of these numbers in one transaction.
    pub(crate) async fn write(&mut self, numbers: Range<u64>) -> Result<()> {
        let mut ids = Vec::new();
        let mut keys = Vec::new();
        let mut payloads = Vec::new();
        for number in numbers {
            ids.push(id(number));
            keys.push(String::from_utf8_lossy(&self.events.key(number)).into_owned());
            payloads.push(if self.as_json { self.events.json(number) } else { self.events.payload(number) });
        }
        let transaction = self.client.transaction().await.doing("beginning a peer's transaction")?;
        transaction.execute(&self.insert, &[&ids, &keys, &payloads]).await.doing("inserting into a peer's table")?;
        transaction.commit().await.doing("committing a peer's transaction")
    }
}
