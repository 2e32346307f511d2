//! Whether records wait behind a transaction that some client has begun and not ended.
//!
//! Whoever reads committed records, as all services do, stops there until the client ends it or the broker gives it up
//! (`transaction.timeout.ms`, up to 15 minutes by default): nothing behind it is read, and nothing counts as lag.
//! Who began it is not said here: the client library cannot ask for that (`kafka-transactions.sh describe-producers` can).

use std::fmt;
use std::time::Duration;

use outbox::log::{Bounds, Partition};
use rdkafka::consumer::Consumer as _;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use schemas::Time;

use super::connection::{TopicConsumer, blocking, bounds};
use super::{ClientError, Connection};

/// A transaction that is open, and what waits for its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTransaction {
    /// The full name of the topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The transaction's first record: committed reads end before it.
    pub from_offset: i64,
    /// Behind the last record.
    pub end: i64,
    /// When its first record was written, by that record's timestamp; none where it could not be read.
    pub since: Option<Time>,
}

impl fmt::Display for OpenTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, from_offset, end, since } = self;
        write!(
            f,
            "{topic}[{partition}]: the records from offset {from_offset} to {} wait behind an open transaction",
            end - 1
        )?;
        match since {
            Some(since) => write!(f, " since {since}"),
            None => Ok(()),
        }
    }
}

/// The open transaction that a partition's committed reads stop at, if there is one.
pub async fn open_transaction(
    connection: &Connection,
    topic: &str,
    partition: i32,
) -> Result<Option<OpenTransaction>, ClientError> {
    Ok(open_transactions(connection, vec![(topic.to_owned(), partition)]).await?.pop())
}

/// The same for many partitions, over two connections for all of them.
pub async fn open_transactions(
    connection: &Connection,
    partitions: Vec<(String, i32)>,
) -> Result<Vec<OpenTransaction>, ClientError> {
    let (all, committed) = (connection.consumer_that("read_uncommitted")?, connection.consumer_that("read_committed")?);
    let asking = connection.clone();
    let (all, mut found) = blocking(move || {
        let place = |(topic, partition): (String, i32)| Partition { topic: topic.into(), partition };
        let places: Vec<Partition> = partitions.into_iter().map(place).collect();
        // In this order: a record that is written in between is never taken for one that waits.
        let ends = bounds(&all, &asking, &places)?;
        let stables = bounds(&committed, &asking, &places)?;
        let waiting = |(Partition { topic, partition }, (end, stable)): (Partition, (Bounds, Bounds))| {
            let (from_offset, end) = (stable.high, end.high);
            let topic = topic.to_string();
            (from_offset < end).then_some(OpenTransaction { topic, partition, from_offset, end, since: None })
        };
        let found: Vec<_> = places.into_iter().zip(ends.into_iter().zip(stables)).filter_map(waiting).collect();
        Ok((all, found))
    })
    .await?;
    for transaction in &mut found {
        transaction.since = time_of_record(&all, transaction, connection.answer_wait()).await;
    }
    Ok(found)
}

/// When the transaction's first record was written; none where it does not come.
async fn time_of_record(consumer: &TopicConsumer, transaction: &OpenTransaction, limit: Duration) -> Option<Time> {
    let mut list = TopicPartitionList::new();
    let OpenTransaction { topic, partition, from_offset, .. } = transaction;
    list.add_partition_offset(topic, *partition, Offset::Offset(*from_offset)).ok()?;
    consumer.assign(&list).ok()?;
    let first = tokio::time::timeout(limit, consumer.recv()).await.ok()?.ok()?;
    Some(Time::from_micros(first.timestamp().to_millis()?.saturating_mul(1000)))
}
