//! THE transaction: the only place in this crate that opens one.
//!
//! begin, lock the feeds' rows and compare, lock and load aggregates | decide in memory | save, advance the feeds, append to the
//! outbox, commit. Two round trips. Whatever fails rolls all of it back; nothing outside (a provider call, a Kafka offset)
//! happens before the commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use jiff::Timestamp;
use outbox::inbox::{Advance, Cursor, Inbox, LogMark, SourceCursor, TopicPartition};
use outbox::{Outbox, OutboxMessage};
use provision::Database;
use schemas::{Codec, Message, Time};

use super::emitter::{Emitter, TopicNames};
use super::failure::Failure;
use super::feed::{Feed, FeedId};
use super::item::{Body, Item, Work};
use super::service::Service;
use crate::metrics;

/// How long one attempt may take before its connection is given up.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(40);

/// A committed batch.
pub(crate) struct Done<F> {
    pub(crate) follow_up: F,
    /// Where each feed's row is now.
    pub(crate) feeds: Vec<Moved>,
    pub(crate) counts: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) process: Duration,
    pub(crate) commit: Duration,
}

/// Where a feed's row is now.
pub(crate) struct Moved {
    pub(crate) id: FeedId,
    pub(crate) next_offset: i64,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) log: LogMark,
}

/// Runs batches of one service.
pub(crate) struct Processor<S: Service> {
    pub(crate) database: Database,
    pub(crate) outbox: Outbox,
    pub(crate) inbox: Inbox,
    pub(crate) codec: Arc<Codec>,
    pub(crate) topics: TopicNames,
    pub(crate) prefix: String,
    pub(crate) group: String,
    pub(crate) dead_letter_limit_bytes: usize,
    connection: Option<Connection<S>>,
}

struct Connection<S: Service> {
    client: Object,
    statements: S::Statements,
}

/// How a feed's row moves in a batch.
struct Step {
    id: FeedId,
    at: TopicPartition,
    /// What the row has to hold.
    row: Option<i64>,
    next_offset: i64,
    log: LogMark,
    cursor: Option<Cursor>,
    /// The cursor, where it moves.
    moved_cursor: Option<Cursor>,
}

impl<S: Service> Processor<S> {
    pub(crate) fn new(
        database: Database,
        outbox: Outbox,
        inbox: Inbox,
        codec: Arc<Codec>,
        topics: TopicNames,
        names: (String, String),
        dead_letter_limit_bytes: usize,
    ) -> Self {
        let (prefix, group) = names;
        Processor { database, outbox, inbox, codec, topics, prefix, group, dead_letter_limit_bytes, connection: None }
    }

    /// Run one batch. After an error that is not `Moved` the connection is a new one next time.
    pub(crate) async fn attempt(
        &mut self,
        service: &S,
        feeds: &HashMap<FeedId, Feed>,
        items: &[Item<S::Signal>],
        now: Timestamp,
    ) -> Result<Done<S::FollowUp>, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.client.is_closed() => connection,
            Some(_) => {
                self.database.suspect();
                self.connect(service).await?
            }
            None => self.connect(service).await?,
        };
        let run = self.run(&mut connection, service, feeds, items, now);
        let result = match tokio::time::timeout(ATTEMPT_TIMEOUT, run).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Retry(format!("the database did not answer within {ATTEMPT_TIMEOUT:?}"))),
        };
        if matches!(result, Err(Failure::Retry(_))) {
            self.database.suspect();
        }
        if matches!(result, Ok(_) | Err(Failure::Moved(_))) {
            self.connection = Some(connection);
        } else {
            // Whatever state the session is in, nobody gets it again.
            drop(Object::take(connection.client));
        }
        result
    }

    async fn connect(&self, service: &S) -> Result<Connection<S>, Failure> {
        let client = self.database.client().await?;
        let statements = service.prepare(&client).await?;
        self.inbox.prepare(&client).await.map_err(Failure::of_outbox)?;
        Ok(Connection { client, statements })
    }

    async fn run(
        &self,
        connection: &mut Connection<S>,
        service: &S,
        feeds: &HashMap<FeedId, Feed>,
        items: &[Item<S::Signal>],
        now: Timestamp,
    ) -> Result<Done<S::FollowUp>, Failure> {
        let begun = Instant::now();
        let Connection { client, statements } = connection;
        let mut tx = self.outbox.begin(client).await.map_err(Failure::of_outbox)?;
        let steps = self.steps(feeds, items);
        let partitions: Vec<TopicPartition> = steps.iter().map(|step| step.at.clone()).collect();
        let inputs: Vec<&Body<S::Signal>> = items.iter().filter_map(body_of).collect();
        // Sent in this order in one round trip: positions are locked before aggregates.
        let (held, batch) = tokio::join!(self.inbox.lock(&tx, &partitions), service.load(&tx, statements, &inputs));
        let held = held.map_err(Failure::of_outbox)?;
        let moved: Vec<FeedId> =
            steps.iter().zip(held).filter(|(step, row)| step.row != *row).map(|(step, _)| step.id).collect();
        if !moved.is_empty() {
            tx.rollback().await.map_err(Failure::of_outbox)?;
            return Err(Failure::Moved(moved));
        }
        let mut batch = batch?;
        let (messages, counts) = self.decide(service, &mut batch, items, now)?;
        let follow_up = service.save(batch, statements, &mut tx)?;
        self.inbox.advance(&mut tx, &advances(&steps)).await.map_err(Failure::of_outbox)?;
        let committing = Instant::now();
        tx.commit(messages).await.map_err(Failure::of_outbox)?;
        let moved = |Step { id, next_offset, cursor, log, .. }| Moved { id, next_offset, cursor, log };
        let feeds = steps.into_iter().map(moved).collect();
        Ok(Done { follow_up, feeds, counts, process: begun.elapsed(), commit: committing.elapsed() })
    }

    /// One step per feed of the batch, ascending, so that rows are always locked in the same order.
    fn steps(&self, feeds: &HashMap<FeedId, Feed>, items: &[Item<S::Signal>]) -> Vec<Step> {
        let mut steps: BTreeMap<FeedId, Step> = BTreeMap::new();
        for item in items {
            let Some(feed) = feeds.get(&item.feed) else { continue };
            let step = steps.entry(item.feed).or_insert_with(|| Step {
                id: item.feed,
                at: TopicPartition {
                    topic: self.topics.full(item.feed.topic).to_string(),
                    partition: item.feed.partition,
                },
                row: feed.row,
                next_offset: feed.next_offset,
                log: feed.log,
                cursor: feed.cursor,
                moved_cursor: None,
            });
            if let Some(progress) = item.progress {
                // While a log is read again for a missing sequence, the resume offset stays ahead.
                if progress.offset >= step.next_offset {
                    step.next_offset = progress.offset + 1;
                    // Known of the last record of a gathering; where a part of it ends earlier, the topic's id must do.
                    step.log.witness = feed.gathered_witness.filter(|witness| witness.offset == progress.offset);
                }
                step.moved_cursor = progress.cursor.or(step.moved_cursor);
                step.cursor = progress.cursor.or(step.cursor);
            }
        }
        steps.into_values().collect()
    }

    /// Every item in order, in memory.
    #[expect(clippy::type_complexity, reason = "two results of one pass, used once")]
    fn decide(
        &self,
        service: &S,
        batch: &mut S::Batch,
        items: &[Item<S::Signal>],
        now: Timestamp,
    ) -> Result<(Vec<OutboxMessage>, BTreeMap<(&'static str, &'static str), u64>), Failure> {
        let time = Time::from(now);
        let mut emitter = Emitter::new(S::NAME, now, items.len() * 3);
        let mut dead = Vec::new();
        let mut counts = BTreeMap::new();
        for item in items {
            let (kind, outcome) = match &item.work {
                Work::Decide(body) => {
                    emitter.begin(item.feed, item.progress.map(|progress| progress.place), &item.cause);
                    (name_of(body), service.decide(batch, body, time, &mut emitter)?.as_str())
                }
                Work::Skip(skip) => ("record", skip.as_str()),
                Work::DeadLetter(letter) => {
                    metrics::dead_letter(S::NAME.as_str(), letter.topic.as_str(), letter.cause.as_str());
                    let letter = letter.as_ref().clone();
                    dead.push(letter.into_message(
                        S::NAME,
                        &self.prefix,
                        &self.group,
                        now,
                        self.dead_letter_limit_bytes,
                    ));
                    ("record", "dead_letter")
                }
            };
            tracing::debug!(
                feed = %item.feed,
                offset = item.progress.map(|progress| progress.offset),
                kind,
                outcome,
                trace_parent = item.cause.trace_parent.as_deref(),
                "decided"
            );
            *counts.entry((kind, outcome)).or_default() += 1;
        }
        let mut messages = emitter.into_messages(&self.codec, &self.topics)?;
        messages.append(&mut dead);
        Ok((messages, counts))
    }
}

fn body_of<S>(item: &Item<S>) -> Option<&Body<S>> {
    match &item.work {
        Work::Decide(body) => Some(body),
        Work::Skip(_) | Work::DeadLetter(_) => None,
    }
}

fn name_of<S>(body: &Body<S>) -> &'static str {
    match body {
        Body::Message(message) => Message::name(message),
        Body::Signal(_) => "signal",
    }
}

/// The steps as the inbox takes them.
fn advances(steps: &[Step]) -> Vec<Advance> {
    let moved = |step: &Step| {
        let (writer, cursor) = step.id.topic.written_by().zip(step.moved_cursor)?;
        Some(SourceCursor { source: writer.source().to_owned(), cursor })
    };
    steps
        .iter()
        .map(|step| Advance {
            at: step.at.clone(),
            from: step.row,
            to: step.next_offset,
            log: step.log,
            cursors: moved(step).into_iter().collect(),
        })
        .collect()
}
