//! A service's outbox and inbox go over to topics that an archive was restored into with other partitions.
//!
//! Lanes are numbered anew, so that nothing in the outbox names a message of the new topics: its rows are forgotten, and its
//! lanes begin behind what was restored. The inbox begins at the new ends, and remembers up to where records were restored:
//! only below that does their header count. That is right only for a service at rest, whose outbox is archived to its last
//! message and whose inbox has taken all that is archived. What the service itself waits for (a deadline, a provider's answer)
//! stands in its tables, and moves to the partition of its order.
//!
//! The inbox keeps the rows of the old topics. Nobody reads them but a second run of the same restore, which has to know what
//! earlier restores had left.

use std::collections::{BTreeMap, HashMap};

use outbox::inbox::place::Restoration;
use outbox::inbox::{Cursor, Inbox, PartitionState, TopicPartition};
use outbox::operate::adopt::{self, LastPublished, Tail};
use outbox::{Epochs, OutboxError, cut};
use schemas::ServiceName;
use tokio_postgres::Transaction;

use super::adopt::Adopted;
use super::repartition::Placed;
use crate::error::ReplayError;
use crate::snapshot::{Connection, LaneCut, OutboxCut, ServiceTables, company, read_inbox};

/// Where a service's tables stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// At rest at the archive's end.
    Before,
    /// Gone over already.
    After,
}

/// What earlier restores have made of the partitions that a service reads, by full topic name and partition.
pub(crate) async fn restorations(
    service: ServiceName,
    tables: &ServiceTables,
) -> Result<HashMap<(String, i32), Restoration>, ReplayError> {
    let connection = Connection::open(service, &tables.database_url, &tables.schema).await?;
    let checked = provision::migrate::check(&connection.client, service, &tables.schema).await;
    let inbox = match checked {
        Ok(()) => read_inbox(service, &connection.client, &tables.schema).await,
        Err(failure) => Err(ReplayError::tables(service, failure)),
    };
    connection.close().await;
    Ok(inbox?.restorations)
}

/// An error where the service cannot go over to these topics. Changes nothing.
pub(crate) async fn check_rest(
    service: ServiceName,
    tables: &ServiceTables,
    topics: &[Placed],
) -> Result<(), ReplayError> {
    let mut connection = Connection::open(service, &tables.database_url, &tables.schema).await?;
    let checked = async {
        let tx = begin(service, tables, &mut connection).await?;
        stand(service, &tables.schema, topics, &tx).await.map(drop)
    }
    .await;
    connection.close().await;
    checked
}

/// Go over, in one transaction. Once more is nothing more.
pub(crate) async fn resettle(
    service: ServiceName,
    tables: &ServiceTables,
    topics: &[Placed],
) -> Result<Adopted, ReplayError> {
    let mut connection = Connection::open(service, &tables.database_url, &tables.schema).await?;
    let resettled = in_transaction(service, tables, topics, &mut connection).await;
    connection.close().await;
    resettled
}

async fn in_transaction(
    service: ServiceName,
    tables: &ServiceTables,
    topics: &[Placed],
    connection: &mut Connection,
) -> Result<Adopted, ReplayError> {
    let failed = connection.failed("going over to the restored topics");
    let schema = tables.schema.as_str();
    let tx = begin(service, tables, connection).await?;
    let mut adopted = Adopted { service: service.as_str(), written: 0, read: 0, set_back: 0 };
    if stand(service, schema, topics, &tx).await? == Stand::After {
        return Ok(adopted);
    }
    let written: Vec<&Placed> = topics.iter().filter(|topic| topic.channel.writer() == Some(service)).collect();
    let read: Vec<&Placed> = topics.iter().filter(|topic| topic.channel.reader() == Some(service)).collect();
    adopted.written = write_elsewhere(&tx, schema, &written).await.map_err(ReplayError::outbox(service))?;
    adopted.read = read_elsewhere(&tx, schema, &read).await.map_err(ReplayError::outbox(service))?;
    let count = topics.first().map_or(0, |topic| topic.lanes.len());
    let home =
        outbox::partition_sql(schema, "convert_to(order_id, 'UTF8')", "$1").map_err(ReplayError::outbox(service))?;
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    move_orders(service, &tx, &home, count).await.map_err(&failed)?;
    let inbox = Inbox::new(schema).map_err(ReplayError::outbox(service))?;
    inbox.move_parked(&tx, count).await.map_err(ReplayError::outbox(service))?;
    // What was written is what a second run would find.
    if stand(service, schema, topics, &tx).await? != Stand::After {
        return Err(refused(service, "the tables do not say what was written to them"));
    }
    tx.commit().await.map_err(&failed)?;
    Ok(adopted)
}

async fn begin<'c>(
    service: ServiceName,
    tables: &ServiceTables,
    connection: &'c mut Connection,
) -> Result<Transaction<'c>, ReplayError> {
    let failed = connection.failed("looking whether the service is at rest");
    let tx = connection.client.transaction().await.map_err(failed)?;
    match company(&tx, service, &tables.schema).await? {
        Some(company) => Err(refused(service, company)),
        None => Ok(tx),
    }
}

/// Where the tables stand; an error where neither before nor after.
async fn stand(
    service: ServiceName,
    schema: &str,
    topics: &[Placed],
    tx: &Transaction<'_>,
) -> Result<Stand, ReplayError> {
    let failed = ReplayError::outbox(service);
    let outbox = cut::read(tx.client(), schema).await.map_err(&failed)?;
    let inbox = Inbox::new(schema).map_err(&failed)?.load_all(tx.client()).await.map_err(&failed)?;
    let of_ours = |topic: &&Placed| topic.channel.writer() == Some(service) || topic.channel.reader() == Some(service);
    let is_new =
        |topic: &Placed| inbox.contains_key(&at(&topic.to, 0)) || outbox.lanes.contains_key(&(topic.to.clone(), 0));
    let stand = if topics.iter().filter(of_ours).any(is_new) { Stand::After } else { Stand::Before };
    for topic in topics {
        if topic.channel.writer() == Some(service) {
            check_outbox(service, topic, stand, &outbox)?;
        }
        if topic.channel.reader() == Some(service) {
            check_inbox(service, topic, stand, &inbox)?;
        }
    }
    let known = |name: &str| topics.iter().any(|topic| topic.from == name || topic.to == name);
    match outbox.lanes.keys().find(|(name, _)| !known(name)) {
        Some((name, _)) => Err(refused(service, format!("its outbox writes to {name} too, which is not restored"))),
        None => Ok(stand),
    }
}

fn check_outbox(service: ServiceName, topic: &Placed, stand: Stand, outbox: &OutboxCut) -> Result<(), ReplayError> {
    let new: Vec<i64> = topic.lanes.iter().map(|lane| lane.sequence).collect();
    let (name, sequences) = match stand {
        Stand::Before => (&topic.from, &topic.sequences),
        Stand::After => (&topic.to, &new),
    };
    for (partition, archived) in (0..).zip(sequences) {
        let lane = outbox.lanes.get(&(name.clone(), partition));
        let head = lane.map_or(0, |lane| lane.head);
        if lane.is_some_and(|LaneCut { epochs, .. }| *epochs != Epochs::default()) {
            return Err(refused(service, format!("{name}[{partition}] has had more than one epoch")));
        }
        if head != *archived {
            let advice = match stand {
                Stand::Before => "start the service until all is published, stop it, and archive again",
                Stand::After => "the service has gone over to these topics, and gone on; there is nothing to restore",
            };
            return Err(refused(
                service,
                format!(
                    "its outbox holds {name}[{partition}] up to sequence {head}, the archive up to {archived}; {advice}"
                ),
            ));
        }
    }
    Ok(())
}

/// What the inbox knows.
type States = BTreeMap<TopicPartition, PartitionState>;

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.to_owned(), partition }
}

fn check_inbox(service: ServiceName, topic: &Placed, stand: Stand, inbox: &States) -> Result<(), ReplayError> {
    if stand == Stand::After {
        for (partition, lane) in (0..).zip(&topic.lanes) {
            let expected = (Some(lane.end), lane.end, topic.shift);
            let found = inbox.get(&at(&topic.to, partition));
            if found.map(|state| (state.next_offset, state.restored_below, state.place_shift)) != Some(expected) {
                let reason = format!("its inbox knows {}[{partition}], and not as it would be restored", topic.to);
                return Err(refused(service, format!("{reason}; give another --topic-prefix")));
            }
        }
        return Ok(());
    }
    for (partition, end) in (0..).zip(&topic.ends) {
        let next = inbox.get(&at(&topic.from, partition)).and_then(|state| state.next_offset).unwrap_or(0);
        if next != *end {
            let advice = match next < *end {
                true => "start the service until it has read all, stop it, and archive again",
                false => "archive again",
            };
            return Err(refused(
                service,
                format!(
                    "it has read {}[{partition}] up to offset {next}, the archive ends at {end}; {advice}",
                    topic.from
                ),
            ));
        }
    }
    Ok(())
}

/// The outbox forgets its old topics, and begins behind what was restored. How many topics.
async fn write_elsewhere(tx: &Transaction<'_>, schema: &str, topics: &[&Placed]) -> Result<u64, OutboxError> {
    adopt::forget_topics(tx, schema).await?;
    let mut written = 0;
    for topic in topics {
        let count = i32::try_from(topic.lanes.len()).unwrap_or(i32::MAX);
        adopt::register(tx, schema, &topic.to, count).await?;
        written += 1;
        let tails: Vec<Tail> = (0_i32..)
            .zip(&topic.lanes)
            .map(|(partition, lane)| {
                let last = LastPublished { epoch: 1, sequence: lane.sequence, offset: lane.last_offset };
                let last = Some(last).filter(|last| last.sequence > 0);
                Tail { topic: topic.to.clone(), partition, last, epochs: Epochs::default() }
            })
            .collect();
        adopt::raise(tx, schema, &tails).await?;
    }
    Ok(written)
}

/// The inbox begins at the new ends. How many partitions.
async fn read_elsewhere(tx: &Transaction<'_>, schema: &str, topics: &[&Placed]) -> Result<u64, OutboxError> {
    let inbox = Inbox::new(schema)?;
    let mut read = 0;
    for topic in topics {
        for (partition, lane) in (0_i32..).zip(&topic.lanes) {
            let writer = topic.channel.writer().filter(|_| lane.sequence > 0);
            let cursor = Cursor { epoch: 1, sequence: lane.sequence };
            let state = PartitionState {
                next_offset: Some(lane.end),
                cursors: writer.map(|writer| (writer.source().to_owned(), cursor)).into_iter().collect(),
                restored_below: lane.end,
                place_shift: topic.shift,
                ..PartitionState::default()
            };
            inbox.insert(tx, &at(&topic.to, partition), &state).await?;
            read += 1;
        }
    }
    Ok(read)
}

/// What belongs to an order goes to its new partition.
async fn move_orders(
    service: ServiceName,
    tx: &Transaction<'_>,
    home: &str,
    count: i32,
) -> Result<(), tokio_postgres::Error> {
    let Some(table) = provision::schema::partitioned(service) else { return Ok(()) };
    let sql = format!("update {table} set partition = {home} where partition is distinct from {home}");
    tx.execute(&sql, &[&count]).await.map(drop)
}

fn refused(service: ServiceName, reason: impl std::fmt::Display) -> ReplayError {
    ReplayError::tables(service, format!("not ready for other partitions: {reason}"))
}
