//! What a stranger does to a topic with Kafka's own means: transactions, more partitions; and what a lag tool reads.
//!
//! A transaction that is neither committed nor aborted stays open, as that of a client that has died.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::{ClientConfig, TopicPartitionList};

use crate::broker::{Broker, Sent};
use crate::{Outcome, Servers, trouble};

const ANSWER: Duration = Duration::from_secs(30);

/// An open transaction.
pub struct Transaction {
    producer: FutureProducer,
    prefix: String,
}

impl Broker {
    /// Begins a transaction.
    pub async fn begin(&self) -> Outcome<Transaction> {
        let mut config = self.config.clone();
        config.set("transactional.id", Servers::unique_name()).set("transaction.timeout.ms", "600000");
        let producer: FutureProducer = config.create()?;
        let beginning = producer.clone();
        tokio::task::spawn_blocking(move || {
            beginning.init_transactions(ANSWER)?;
            beginning.begin_transaction()
        })
        .await??;
        Ok(Transaction { producer, prefix: self.prefix.clone() })
    }

    /// Raises a topic's partition count.
    pub async fn raise_partitions(&self, topic: &str, to: usize) -> Outcome {
        let admin: AdminClient<DefaultClientContext> = self.config.create()?;
        let name = format!("{}{topic}", self.prefix);
        let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
        for raised in admin.create_partitions([&NewPartitions::new(&name, to)], &options).await? {
            raised.map_err(|(name, code)| trouble(format!("{name}: {code}")))?;
        }
        Ok(())
    }

    /// What a group has stored for a partition, as a lag tool reads it.
    pub async fn stored_offset(&self, group: &str, topic: &str, partition: i32) -> Outcome<Option<i64>> {
        let (mut config, group): (ClientConfig, String) = (self.config.clone(), format!("{}{group}", self.prefix));
        let topic = format!("{}{topic}", self.prefix);
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = config.set("group.id", group).create()?;
            let mut list = TopicPartitionList::new();
            list.add_partition(&topic, partition);
            let stored = outbox::kafka::committed(&consumer, &list, ANSWER)?;
            Ok(stored.elements().first().and_then(|element| element.offset().to_raw()).filter(|offset| *offset >= 0))
        })
        .await?
    }
}

impl Transaction {
    /// Sends a record; its partition and offset.
    pub async fn send(&self, record: &Sent) -> Outcome<(i32, i64)> {
        let topic = format!("{}{}", self.prefix, record.topic);
        let mut outgoing = FutureRecord::<[u8], [u8]>::to(&topic);
        outgoing.partition = record.partition;
        outgoing.key = record.key.as_deref();
        outgoing.payload = record.value.as_deref();
        let delivered = self.producer.send(outgoing, ANSWER).await;
        delivered.map(|delivery| (delivery.partition, delivery.offset)).map_err(|(error, _)| error.into())
    }

    /// Commits it.
    pub async fn commit(self) -> Outcome {
        Ok(tokio::task::spawn_blocking(move || self.producer.commit_transaction(ANSWER)).await??)
    }

    /// Aborts it.
    pub async fn abort(self) -> Outcome {
        Ok(tokio::task::spawn_blocking(move || self.producer.abort_transaction(ANSWER)).await??)
    }
}
