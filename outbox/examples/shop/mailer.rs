//! The mailer: a consumer with a table of its own. Work, position and offset are one transaction, so a record counts
//! exactly once, whatever is delivered twice and whoever dies in between.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use outbox::inbox::{
    Advance, Cursor, Delivery, Inbox, LogMark, LogStart, PartitionState, SourceCursor, TopicPartition, judge,
};
use outbox::position::POSITION_HEADER;
use outbox::{Client, Database, Outbox, OutboxConfig, Position};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use crate::{Copy, Result};

const INSERT: &str = "insert into mailer.mails (order_body) values ($1)";
/// How long to wait for a record.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Mailer {
    client: Client,
    outbox: Outbox,
    inbox: Inbox,
    consumer: Arc<BaseConsumer>,
    /// What the tables hold of each partition; it changes only with this consumer's own transactions.
    partitions: HashMap<i32, PartitionState>,
    topic: String,
}

/// What a reading brought.
#[derive(Default)]
pub(crate) struct Mails {
    pub(crate) sent: usize,
    pub(crate) duplicates: usize,
    /// The records behind them.
    pub(crate) records: Vec<Copy>,
}

impl Mailer {
    /// Makes the tables and resumes where the last transaction ended. A consumer with a group does the same for the
    /// partitions that a rebalance gives it.
    pub(crate) async fn open(database: &Database, brokers: &str, topic: &str, partitions: i32) -> Result<Self> {
        let mut client = database.connect().await?;
        outbox::migrate(&mut client, "mailer").await?;
        let own = "create table if not exists mailer.mails (number bigserial primary key, order_body text not null)";
        client.batch_execute(own).await?;
        // It publishes nothing, so it names no topics; the outbox is what begins transactions.
        let outbox = Outbox::open(&client, OutboxConfig::new("mailer", "/mailer", Vec::new())).await?;
        let inbox = Inbox::new("mailer")?;
        let all: Vec<TopicPartition> =
            (0..partitions).map(|partition| TopicPartition { topic: topic.to_owned(), partition }).collect();
        inbox.ensure(&client, &all).await?;
        let states = inbox.load(&client, &all).await?;

        let mut list = TopicPartitionList::new();
        for (at, state) in all.iter().zip(&states) {
            list.add_partition_offset(topic, at.partition, Offset::Offset(state.next_offset.unwrap_or(0)))?;
        }
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "mailer").create()?;
        consumer.assign(&list)?;
        let partitions = all.iter().map(|at| at.partition).zip(states).collect();
        Ok(Self { client, outbox, inbox, consumer: Arc::new(consumer), partitions, topic: topic.to_owned() })
    }

    /// Reads until so many mails are sent.
    pub(crate) async fn read(&mut self, wanted: usize) -> Result<Mails> {
        let mut mails = Mails::default();
        let consumer = Arc::clone(&self.consumer);
        while mails.sent < wanted {
            let polled = tokio::task::block_in_place(|| consumer.poll(PATIENCE));
            let message = polled.ok_or("no record came in time")??;
            match self.take(&message).await? {
                Delivery::Next => mails.sent += 1,
                Delivery::Duplicate | Delivery::Stale => mails.duplicates += 1,
                // Something before this record is missing: a service would stop here and say so.
                Delivery::Gap { .. } | Delivery::EpochNotAtFirst { .. } => return Err("a gap in the topic".into()),
            }
            mails.records.push(Copy::of(&message));
        }
        Ok(mails)
    }

    /// One record: judged by its position; then work, cursor and offset in one transaction.
    async fn take(&mut self, message: &BorrowedMessage<'_>) -> Result<Delivery> {
        let at = TopicPartition { topic: self.topic.clone(), partition: message.partition() };
        let position = position_of(message)?;
        let state = self.partitions.get(&at.partition).cloned().unwrap_or_default();
        let judged = judge(state.cursors.get(&position.source).copied(), &position, LogStart::AtZero);
        let body = String::from_utf8(message.payload().unwrap_or_default().to_vec())?;
        if judged != Delivery::Next {
            println!("   mailer: {position} at offset {} is {judged:?}: dropped", message.offset());
            return Ok(judged);
        }
        let mut transaction = self.outbox.begin(&mut self.client).await?;
        transaction.execute(INSERT, &[&body]).await?;
        let cursor = Cursor::from(&position);
        let step = Advance {
            at: at.clone(),
            from: state.next_offset,
            to: message.offset() + 1,
            log: LogMark::default(),
            cursors: vec![SourceCursor { source: position.source.clone(), cursor }],
        };
        // Refused if another instance has taken this partition meanwhile.
        self.inbox.advance(&mut transaction, &[step]).await?;
        transaction.commit(Vec::new()).await?;
        let state = self.partitions.entry(at.partition).or_default();
        state.next_offset = Some(message.offset() + 1);
        state.cursors.insert(position.source.clone(), cursor);
        println!("   mailer: {position} → mail for {body}");
        Ok(judged)
    }

    /// Reads a record, does its work, and dies before the commit.
    pub(crate) async fn read_and_crash(mut self) -> Result<()> {
        let polled = tokio::task::block_in_place(|| self.consumer.poll(PATIENCE));
        let message = polled.ok_or("no record came in time")??;
        let body = String::from_utf8(message.payload().unwrap_or_default().to_vec())?;
        let transaction = self.outbox.begin(&mut self.client).await?;
        transaction.execute(INSERT, &[&body]).await?;
        println!("   mailer: dies with {body} in hand");
        Ok(())
    }

    /// The orders for which a mail was sent.
    pub(crate) async fn mails(&self) -> Result<Vec<String>> {
        let sql = "select order_body::json ->> 'order' from mailer.mails order by 1";
        Ok(self.client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
    }
}

fn position_of(message: &BorrowedMessage<'_>) -> Result<Position> {
    let headers = message.headers().ok_or("a record without headers")?;
    let found = headers.iter().filter(|header| header.key == POSITION_HEADER).last();
    Ok(Position::parse(found.and_then(|header| header.value).ok_or("a record without a position")?)?)
}
