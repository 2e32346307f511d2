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

use std::collections::HashMap;

use outbox::Epochs;
use schemas::ServiceName;
use schemas::place::Restoration;
use tokio_postgres::Transaction;

use super::adopt::Adopted;
use super::repartition::Placed;
use crate::error::ReplayError;
use crate::snapshot::{Connection, LaneCut, OutboxCut, ServiceTables, company, read_cut, read_inbox};

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
    let checked = workers::migrate::check(&connection.client, service, &tables.schema).await;
    let inbox = match checked {
        Ok(()) => read_inbox(service, &connection.client).await,
        Err(failure) => Err(ReplayError::Tables { service, reason: failure.to_string() }),
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
        stand(service, topics, &tx).await.map(drop)
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
    let tx = begin(service, tables, connection).await?;
    let mut adopted = Adopted { service: service.as_str(), written: 0, read: 0, set_back: 0 };
    if stand(service, topics, &tx).await? == Stand::After {
        return Ok(adopted);
    }
    let written: Vec<&Placed> = topics.iter().filter(|topic| topic.channel.writer() == Some(service)).collect();
    let read: Vec<&Placed> = topics.iter().filter(|topic| topic.channel.reader() == Some(service)).collect();
    adopted.written = write_elsewhere(&tx, &written).await.map_err(&failed)?;
    adopted.read = read_elsewhere(&tx, &read).await.map_err(&failed)?;
    let count = topics.first().map_or(0, |topic| topic.lanes.len());
    move_orders(service, &tx, i32::try_from(count).unwrap_or(i32::MAX)).await.map_err(&failed)?;
    // What was written is what a second run would find.
    if stand(service, topics, &tx).await? != Stand::After {
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
async fn stand(service: ServiceName, topics: &[Placed], tx: &Transaction<'_>) -> Result<Stand, ReplayError> {
    let outbox = read_cut(service, tx.client()).await?;
    let failed = ReplayError::database(service, "reading the inbox");
    let sql = "select topic, partition, next_offset, restored_below, place_shift from inbox_offsets";
    let rows = tx.query(sql, &[]).await.map_err(failed)?;
    let inbox: Inbox =
        rows.iter().map(|row| ((row.get(0), row.get(1)), (row.get(2), row.get(3), row.get(4)))).collect();
    let of_ours = |topic: &&Placed| topic.channel.writer() == Some(service) || topic.channel.reader() == Some(service);
    let is_new = |topic: &Placed| {
        inbox.contains_key(&(topic.to.clone(), 0)) || outbox.lanes.contains_key(&(topic.to.clone(), 0))
    };
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

/// Next offset, bound and shift of a partition.
type Inbox = HashMap<(String, i32), (Option<i64>, i64, i32)>;

fn check_inbox(service: ServiceName, topic: &Placed, stand: Stand, inbox: &Inbox) -> Result<(), ReplayError> {
    if stand == Stand::After {
        for (partition, lane) in (0..).zip(&topic.lanes) {
            let expected = (Some(lane.end), lane.end, topic.shift);
            if inbox.get(&(topic.to.clone(), partition)) != Some(&expected) {
                let reason = format!("its inbox knows {}[{partition}], and not as it would be restored", topic.to);
                return Err(refused(service, format!("{reason}; give another --topic-prefix")));
            }
        }
        return Ok(());
    }
    for (partition, end) in (0..).zip(&topic.ends) {
        let next = inbox.get(&(topic.from.clone(), partition)).and_then(|(next, _, _)| *next).unwrap_or(0);
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
async fn write_elsewhere(tx: &Transaction<'_>, topics: &[&Placed]) -> Result<u64, tokio_postgres::Error> {
    let forget = "truncate outbox_messages_0, outbox_messages_1; delete from outbox_positions; \
                  delete from outbox_lanes; delete from outbox_topics";
    tx.batch_execute(forget).await?;
    let mut written = 0;
    for topic in topics {
        let count = i32::try_from(topic.lanes.len()).unwrap_or(i32::MAX);
        tx.query_one("select outbox_register($1, $2)", &[&topic.to, &count]).await?;
        written += 1;
        for (partition, lane) in (0_i32..).zip(&topic.lanes).filter(|(_, lane)| lane.sequence > 0) {
            let raise = "update outbox_lanes l set floor = $3, pruned = $3 from outbox_topics t \
                         where t.id = l.topic_id and t.name = $1 and l.partition = $2 returning l.lane";
            let row = tx.query_one(raise, &[&topic.to, &partition, &lane.sequence]).await?;
            let number: i32 = row.get(0);
            let position = "insert into outbox_positions (lane, epoch, sequence, kafka_offset) values ($1, 1, $2, $3)";
            tx.execute(position, &[&number, &lane.sequence, &lane.last_offset]).await?;
        }
    }
    Ok(written)
}

/// The inbox begins at the new ends. How many partitions.
async fn read_elsewhere(tx: &Transaction<'_>, topics: &[&Placed]) -> Result<u64, tokio_postgres::Error> {
    let mut read = 0;
    for topic in topics {
        for (partition, lane) in (0_i32..).zip(&topic.lanes) {
            let offset = "insert into inbox_offsets (topic, partition, next_offset, restored_below, place_shift) \
                          values ($1, $2, $3, $3, $4)";
            read += tx.execute(offset, &[&topic.to, &partition, &lane.end, &topic.shift]).await?;
            if let Some(writer) = topic.channel.writer().filter(|_| lane.sequence > 0) {
                let position = "insert into inbox_positions (topic, partition, source, epoch, sequence) \
                                values ($1, $2, $3, 1, $4)";
                tx.execute(position, &[&topic.to, &partition, &writer.source(), &lane.sequence]).await?;
            }
        }
    }
    Ok(read)
}

/// What belongs to an order goes to its new partition.
async fn move_orders(service: ServiceName, tx: &Transaction<'_>, count: i32) -> Result<(), tokio_postgres::Error> {
    let table = match service {
        ServiceName::Order => "orders",
        ServiceName::Payment => "payment_calls",
        ServiceName::Inventory => return Ok(()),
    };
    let home = "outbox_partition(convert_to(order_id, 'UTF8'), $1)";
    let sql = format!("update {table} set partition = {home} where partition is distinct from {home}");
    tx.execute(&sql, &[&count]).await.map(drop)
}

fn refused(service: ServiceName, reason: impl std::fmt::Display) -> ReplayError {
    ReplayError::Tables { service, reason: format!("not ready for other partitions: {reason}") }
}
