//! A service's outbox and inbox go over to topics that an archive was restored into.
//!
//! The restored topics hold the old records under the old offsets, so that all that changes is the topics' names. Their ids
//! are forgotten, because they are others; the last record taken stays the witness, and proves the new log. Where the archive
//! ends before what the service has read or published, the inbox is set back to that end, and the relay finds by itself that
//! its topics lack messages, and publishes them again from the outbox.

use schemas::ServiceName;
use serde::Serialize;

use crate::error::ReplayError;
use crate::snapshot::{Connection, ServiceTables, company};

use super::restore::ORIGINAL_TOPIC;

/// Dead letters that wait in the outbox, or were published from there, name the topic of the record that was set aside. The
/// restored ones name the new topic, and both have to say the same. In each of the two tables.
fn rename_in_letters(table: &str) -> String {
    format!(
        "update {table} set headers = overlay(headers placing $2::bytea from position($1::bytea in headers) \
         for length($1)) where type is null and position($1::bytea in headers) > 0"
    )
}

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
    let tx = connection.client.transaction().await.map_err(&failed)?;
    if let Some(company) = company(&tx, service, &tables.schema).await? {
        return Err(ReplayError::Tables { service, reason: format!("not changed: {company}") });
    }
    let mut adopted = Adopted { service: service.as_str(), written: 0, read: 0, set_back: 0 };
    for Moved { from, to, ends } in moved {
        let renamed = "update outbox_topics set name = $2 where name = $1";
        if from != to {
            adopted.written += tx.execute(renamed, &[from, to]).await.map_err(&failed)?;
            let positions = "update inbox_positions set topic = $2 where topic = $1";
            tx.execute(positions, &[from, to]).await.map_err(&failed)?;
            let (old, new) = (packed_origin(from), packed_origin(to));
            for table in ["outbox_messages_0", "outbox_messages_1"] {
                tx.execute(&rename_in_letters(table), &[&old, &new]).await.map_err(&failed)?;
            }
        }
        for (partition, end) in (0_i32..).zip(ends) {
            let beyond = "select count(*) from inbox_offsets where topic = $1 and partition = $2 and next_offset > $3";
            let row = tx.query_one(beyond, &[from, &partition, end]).await.map_err(&failed)?;
            adopted.set_back += u64::try_from(row.get::<_, i64>(0)).unwrap_or(0);
            let offsets = "update inbox_offsets set topic = $2, topic_id = null, next_offset = least(next_offset, $4), \
                           witness_offset = case when next_offset <= $4 then witness_offset end, \
                           witness_digest = case when next_offset <= $4 then witness_digest end \
                           where topic = $1 and partition = $3";
            adopted.read += tx.execute(offsets, &[from, to, &partition, end]).await.map_err(&failed)?;
        }
    }
    tx.commit().await.map_err(&failed)?;
    Ok(adopted)
}

/// The header that names a dead letter's origin, as the outbox packs it: lengths (of the name in two bytes, of the value in
/// four), each before what it counts. With its lengths it is found nowhere else.
fn packed_origin(topic: &str) -> Vec<u8> {
    let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let [_, _, high, low] = length(ORIGINAL_TOPIC);
    [&[high, low], ORIGINAL_TOPIC.as_bytes(), &length(topic), topic.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_header_has_its_lengths_in_front() {
        let packed = packed_origin("eu-t");
        assert_eq!(packed[..2], [0, 24]);
        assert_eq!(packed[26..], [0, 0, 0, 4, b'e', b'u', b'-', b't']);
    }
}
