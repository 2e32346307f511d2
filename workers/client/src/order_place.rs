//! On which partition an order's commands lie: there, where its `PlaceOrder` is.
//!
//! Usually where murmur2 puts the order's id. A program with another partitioner may have placed it elsewhere, and all
//! commands of an order have to be on one partition: only there does a cancel come after what it cancels.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use schemas::{Message, OrderCommand, OrderId, TopicName, partitioner};

use super::{ClientError, Connection, Record, Selection, TopicReader};

/// Where the commands of an order belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderPlace {
    /// The partition.
    pub partition: i32,
    /// Whether its `PlaceOrder` was found there; otherwise it is where murmur2 puts the order's id.
    pub is_placed: bool,
}

impl OrderPlace {
    /// Finds it: looks where murmur2 puts the id first, and into the other partitions only when it is not there.
    /// `progress` hears how many records are still to be read; `patience` bounds every wait for the next one.
    pub async fn find(
        connection: &Connection,
        order_id: &OrderId,
        patience: Duration,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, ClientError> {
        for where_ in [Partitions::Usual, Partitions::Others] {
            let mut reader = commands(connection, order_id, where_).await?;
            while let Some(record) = reader.next_to_end(patience, &mut progress).await? {
                if is_placing(&record) {
                    return Ok(Self { partition: record.partition, is_placed: true });
                }
            }
        }
        let count = connection.partitions(&connection.topic(TopicName::OrderCommands)).await?;
        Ok(Self { partition: partitioner::partition_of(order_id.as_str().as_bytes(), count), is_placed: false })
    }
}

impl OrderPlace {
    /// The partitions of many orders in one pass; those of orders that were not placed are left out.
    pub async fn find_all(
        connection: &Connection,
        order_ids: &[OrderId],
        patience: Duration,
        mut progress: impl FnMut(u64),
    ) -> Result<HashMap<OrderId, i32>, ClientError> {
        if let [one] = order_ids {
            let Self { partition, is_placed } = Self::find(connection, one, patience, progress).await?;
            return Ok(is_placed.then(|| (one.clone(), partition)).into_iter().collect());
        }
        let mut missing: HashSet<&str> = order_ids.iter().map(OrderId::as_str).collect();
        let mut found = HashMap::with_capacity(order_ids.len());
        let selection = Selection { topic: TopicName::OrderCommands, key: None, from_end: false };
        let mut reader = TopicReader::open(connection, selection).await?;
        while !missing.is_empty() {
            let Some(record) = reader.next_to_end(patience, &mut progress).await? else { break };
            if let Message::OrderCommand(OrderCommand::PlaceOrder(placing)) = &record.message
                && missing.remove(placing.order_id.as_str())
            {
                found.insert(placing.order_id.clone(), record.partition);
            }
        }
        Ok(found)
    }
}

/// Which partitions of the order commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partitions {
    /// The one that murmur2 gives.
    Usual,
    /// All but that one.
    Others,
}

/// Reads the commands under an order's key there.
pub(super) async fn commands(
    connection: &Connection,
    order_id: &OrderId,
    partitions: Partitions,
) -> Result<TopicReader, ClientError> {
    let key = order_id.as_str().to_owned();
    let selection = Selection { topic: TopicName::OrderCommands, key: Some(key.clone()), from_end: false };
    let is_wanted = move |partition, count| {
        let is_usual = partition == partitioner::partition_of(key.as_bytes(), count);
        is_usual == (partitions == Partitions::Usual)
    };
    TopicReader::open_where(connection, selection, is_wanted).await
}

/// Whether it is the order's `PlaceOrder`.
pub(super) fn is_placing(record: &Record) -> bool {
    matches!(record.message, Message::OrderCommand(OrderCommand::PlaceOrder(_)))
}
