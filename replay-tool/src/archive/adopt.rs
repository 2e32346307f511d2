//! A service's outbox and inbox go over to topics that an archive was restored into.
//!
//! The restored topics hold the old records under the old offsets, so that all that changes is the topics' names. Their ids
//! are forgotten, because they are others; the last record taken stays the witness, and proves the new log. Where the archive
//! ends before what the service has read or published, the inbox is set back to that end, and the relay finds by itself that
//! its topics lack messages, and publishes them again from the outbox.

use outbox::inbox::Inbox;
use outbox::operate::adopt;
use schemas::ServiceName;
use serde::Serialize;

use crate::error::ReplayError;
use crate::snapshot::{Connection, ServiceTables, company};

use super::restore::ORIGINAL_TOPIC;

/// A topic that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Its old full name, and the new one.
    pub(crate) from: String,
    pub(crate) to: String,
    /// Where each of its partitions ends in the archive.
    pub(crate) ends: Vec<i64>,
}

/// What became of a service's tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Adopted {
    pub(crate) service: &'static str,
    /// Topics that the outbox now writes to under the new names; none where it did before.
    pub(crate) written: u64,
    /// Partitions that the inbox now reads under the new names.
    pub(crate) read: u64,
    /// Of these, partitions where the service had read more than the archive holds: what comes there next is taken.
    pub(crate) set_back: u64,
}

/// In one transaction. Once more is nothing more.
pub(crate) async fn adopt(
    service: ServiceName,
    tables: &ServiceTables,
    moved: &[Moved],
) -> Result<Adopted, ReplayError> {
    let mut connection = Connection::open(service, &tables.database_url, &tables.schema).await?;
    let adopted = in_transaction(service, tables, moved, &mut connection).await;
    connection.close().await;
    adopted
}

async fn in_transaction(
    service: ServiceName,
    tables: &ServiceTables,
    moved: &[Moved],
    connection: &mut Connection,
) -> Result<Adopted, ReplayError> {
    let failed = connection.failed("going over to the restored topics");
    let (refused, schema) = (ReplayError::outbox(service), tables.schema.as_str());
    let inbox = Inbox::new(schema).map_err(&refused)?;
    let tx = connection.client.transaction().await.map_err(&failed)?;
    if let Some(company) = company(&tx, service, &tables.schema).await? {
        return Err(ReplayError::tables(service, format!("not changed: {company}")));
    }
    let mut adopted = Adopted { service: service.as_str(), written: 0, read: 0, set_back: 0 };
    for Moved { from, to, ends } in moved {
        if from != to {
            adopted.written += u64::from(adopt::rename_topic(&tx, schema, from, to).await.map_err(&refused)?);
            // Dead letters that wait in the outbox, or were published from there, name the topic of the record that was set
            // aside. The restored ones name the new topic, and both have to say the same.
            let origins = (from.as_bytes(), to.as_bytes());
            adopt::replace_header(&tx, schema, ORIGINAL_TOPIC, origins).await.map_err(&refused)?;
        }
        let moved = inbox.move_topic(&tx, from, to, ends).await.map_err(&refused)?;
        adopted.read += moved.partitions;
        adopted.set_back += moved.set_back;
    }
    tx.commit().await.map_err(&failed)?;
    Ok(adopted)
}
