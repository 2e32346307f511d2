//! THE transaction: the only place in this crate that opens one.
//!
//! begin, lock the feeds' rows and compare, lock and load aggregates | decide in memory | advance the feeds, save, append to the
//! outbox, commit. Two round trips. Where the service recalls its aggregates, the first is spared: the commit, which is a single
//! statement then, compares the feeds' rows and the aggregates. Whatever fails rolls all of it back; nothing outside (a provider
//! call, a Kafka offset) happens before the commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::database::Database;
use deadpool_postgres::Object;
use jiff::Timestamp;
use outbox::inbox::{Advance, Cursor, Held, Inbox, LogMark, SourceCursor, TopicPartition};
use outbox::{Outbox, OutboxMessage, Transaction};

use crate::contract::Contract;
use crate::emitter::Emitter;
use crate::failure::Failure;
use crate::feed::{Feed, FeedId};
use crate::item::Work;
use crate::lot::{Lot, Plan};
use crate::metrics;
use crate::parking;
use crate::service::{BodyOf, IdOf, ItemOf, Service, TopicOf};
use crate::topic_names::TopicNames;
use crate::trust::{Recollection, Trust};

/// How long one attempt may take before its connection is given up.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(40);

/// What an attempt came to, when nothing failed.
pub(crate) enum Attempt<S: Service> {
    /// The batch is committed.
    Done(Done<S>),
    /// Another instance has moved these feeds on: drop them, reload, run the rest again.
    Overtaken(Vec<IdOf<S>>),
}

/// A committed batch.
pub(crate) struct Done<S: Service> {
    pub(crate) follow_up: S::FollowUp,
    /// Where each feed's row is now.
    pub(crate) feeds: Vec<Moved<TopicOf<S>>>,
    /// What it did to what is parked.
    pub(crate) plan: Plan,
    pub(crate) counts: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) process: Duration,
    pub(crate) commit: Duration,
}

/// Where a feed's row is now.
pub(crate) struct Moved<T> {
    pub(crate) id: FeedId<T>,
    pub(crate) next_offset: i64,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) log: LogMark,
}

/// Runs batches of one service.
pub(crate) struct Processor<S: Service> {
    pub(crate) database: Database,
    pub(crate) outbox: Outbox,
    pub(crate) inbox: Inbox,
    pub(crate) contract: Arc<S::Contract>,
    pub(crate) topics: TopicNames<TopicOf<S>>,
    pub(crate) prefix: String,
    pub(crate) group: String,
    pub(crate) dead_letter_limit_bytes: usize,
    connection: Option<Connection<S>>,
    trust: Trust,
}

struct Connection<S: Service> {
    client: Object,
    statements: S::Statements,
}

/// What a batch is run on.
pub(crate) struct Ground<'g, S: Service> {
    pub(crate) feeds: &'g HashMap<IdOf<S>, Feed>,
    pub(crate) lot: &'g Lot<TopicOf<S>>,
}

impl<S: Service> Clone for Ground<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Service> Copy for Ground<'_, S> {}

/// How a feed's row moves in a batch.
struct FeedMove<T> {
    id: FeedId<T>,
    at: TopicPartition,
    /// What the row has to hold.
    row: Held,
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
        contract: Arc<S::Contract>,
        topics: TopicNames<TopicOf<S>>,
        names: (String, String),
        dead_letter_limit_bytes: usize,
    ) -> Self {
        let (prefix, group) = names;
        Processor {
            database,
            outbox,
            inbox,
            contract,
            topics,
            prefix,
            group,
            dead_letter_limit_bytes,
            connection: None,
            trust: Trust::default(),
        }
    }

    /// Run one batch. After an error the connection is a new one next time.
    pub(crate) async fn attempt(
        &mut self,
        service: &mut S,
        ground: Ground<'_, S>,
        items: &[ItemOf<S>],
        now: Timestamp,
    ) -> Result<Attempt<S>, Failure> {
        let plan = parking::plan::<S>(ground.lot, items, now).map_err(Failure::Poison)?;
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.client.is_closed() => connection,
            Some(_) => {
                self.database.suspect();
                self.connect(service).await?
            }
            None => self.connect(service).await?,
        };
        let inputs: Vec<&BodyOf<S>> = items.iter().filter_map(body_of::<S>).collect();
        // A lane that is compared as a whole is locked as a whole.
        let may_recall = plan.fenced().is_none() && self.trust.is_given();
        let recalled = if may_recall { service.recall(&inputs) } else { None };
        let run = self.run_either(recalled, &mut connection, service, ground, (items, &inputs, plan), now);
        let result = match tokio::time::timeout(ATTEMPT_TIMEOUT, run).await {
            Ok((result, memory)) => {
                self.trust.learn(memory);
                result
            }
            Err(_) => Err(Failure::Retry(format!("the database did not answer within {ATTEMPT_TIMEOUT:?}"))),
        };
        if matches!(result, Err(Failure::Retry(_) | Failure::Environment(_))) {
            self.database.suspect();
        }
        if result.is_ok() {
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

    /// By memory first, where it has given a batch; else, or where it was wrong, by the rows.
    async fn run_either(
        &self,
        recalled: Option<S::Batch>,
        connection: &mut Connection<S>,
        service: &S,
        ground: Ground<'_, S>,
        (items, inputs, plan): (&[ItemOf<S>], &[&BodyOf<S>], Plan),
        now: Timestamp,
    ) -> (Result<Attempt<S>, Failure>, Recollection) {
        let mut memory = Recollection::NotAsked;
        if let Some(batch) = recalled {
            match self.run_recalled(connection, service, ground, (items, plan.clone()), batch, now).await {
                Ok(done) => {
                    metrics::recalled(S::NAME, "right");
                    return (Ok(Attempt::Done(done)), Recollection::Right);
                }
                Err(failure @ Failure::Halt(_)) => return (Err(failure), memory),
                Err(failure) if connection.client.is_closed() => return (Err(failure), memory),
                Err(failure) => {
                    tracing::debug!(%failure, "what was decided by memory does not hold; the rows are read");
                    metrics::recalled(S::NAME, "wrong");
                    memory = Recollection::Wrong;
                }
            }
        }
        (self.run(connection, service, ground, (items, inputs, plan), now).await, memory)
    }

    async fn run_recalled(
        &self,
        connection: &mut Connection<S>,
        service: &S,
        ground: Ground<'_, S>,
        (items, plan): (&[ItemOf<S>], Plan),
        batch: S::Batch,
        now: Timestamp,
    ) -> Result<Done<S>, Failure> {
        let begun = Instant::now();
        let Connection { client, statements } = connection;
        let tx = self.outbox.begin(client).await.map_err(Failure::of_outbox)?.of_plain_session();
        self.finish(tx, service, statements, batch, (self.steps(ground, items, &plan), plan), (items, now, begun)).await
    }

    async fn run(
        &self,
        connection: &mut Connection<S>,
        service: &S,
        ground: Ground<'_, S>,
        (items, inputs, plan): (&[ItemOf<S>], &[&BodyOf<S>], Plan),
        now: Timestamp,
    ) -> Result<Attempt<S>, Failure> {
        let begun = Instant::now();
        let Connection { client, statements } = connection;
        let tx = self.outbox.begin(client).await.map_err(Failure::of_outbox)?;
        let steps = self.steps(ground, items, &plan);
        let partitions: Vec<TopicPartition> = steps.iter().map(|step| step.at.clone()).collect();
        // Sent in this order in one round trip: positions are locked before aggregates.
        let (held, batch) = tokio::join!(self.inbox.lock(&tx, &partitions), service.load(&tx, statements, inputs));
        let held = held.map_err(Failure::of_outbox)?;
        let overtaken: Vec<IdOf<S>> =
            steps.iter().zip(held).filter(|(step, row)| step.row != *row).map(|(step, _)| step.id).collect();
        if !overtaken.is_empty() {
            tx.rollback().await.map_err(Failure::of_outbox)?;
            return Ok(Attempt::Overtaken(overtaken));
        }
        self.finish(tx, service, statements, batch?, (steps, plan), (items, now, begun)).await.map(Attempt::Done)
    }

    /// Decides and commits.
    async fn finish(
        &self,
        mut tx: Transaction<'_>,
        service: &S,
        statements: &S::Statements,
        mut batch: S::Batch,
        (steps, plan): (Vec<FeedMove<TopicOf<S>>>, Plan),
        (items, now, begun): (&[ItemOf<S>], Timestamp, Instant),
    ) -> Result<Done<S>, Failure> {
        let (messages, counts) = self.decide(service, &mut batch, items, now)?;
        self.inbox.advance(&mut tx, &advances::<S>(&steps, &plan));
        parking::carry_out::<S>(&self.inbox, &mut tx, &plan, items, now)?;
        let follow_up = service.save(batch, statements, &mut tx)?;
        let committing = Instant::now();
        tx.commit(messages).await.map_err(Failure::of_outbox)?;
        let moved = |FeedMove { id, next_offset, cursor, log, .. }| Moved { id, next_offset, cursor, log };
        let feeds = steps.into_iter().map(moved).collect();
        Ok(Done { follow_up, feeds, plan, counts, process: begun.elapsed(), commit: committing.elapsed() })
    }

    /// One step per feed of the batch, ascending, so that rows are always locked in the same order; all feeds of a lane that is
    /// compared as a whole.
    fn steps(&self, ground: Ground<'_, S>, items: &[ItemOf<S>], plan: &Plan) -> Vec<FeedMove<TopicOf<S>>> {
        let Ground { feeds, lot } = ground;
        let step = |id: IdOf<S>, feed: &Feed| FeedMove {
            id,
            at: TopicPartition { topic: self.topics.full(id.topic).to_string(), partition: id.partition },
            row: Held { next_offset: feed.row, parkings: lot.parkings(id) },
            next_offset: feed.next_offset,
            log: feed.log,
            cursor: feed.cursor,
            moved_cursor: None,
        };
        let mut steps: BTreeMap<IdOf<S>, FeedMove<TopicOf<S>>> = BTreeMap::new();
        if let Some(lane) = plan.fenced() {
            let of_lane = feeds.iter().filter(|(id, _)| id.partition == lane);
            steps.extend(of_lane.map(|(id, feed)| (*id, step(*id, feed))));
        }
        for item in items {
            let Some(feed) = feeds.get(&item.feed) else { continue };
            let step = steps.entry(item.feed).or_insert_with(|| step(item.feed, feed));
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
        items: &[ItemOf<S>],
        now: Timestamp,
    ) -> Result<(Vec<OutboxMessage>, BTreeMap<(&'static str, &'static str), u64>), Failure> {
        let mut emitter = Emitter::<S::Contract>::new(S::NAME, now, items.len() * 3);
        let mut dead = Vec::new();
        let mut counts = BTreeMap::new();
        for item in items {
            let (kind, outcome) = match &item.work {
                Work::Decide { name, body } => {
                    emitter.attribute_to(item.feed, item.place(), &item.cause);
                    (*name, service.decide(batch, body, now, &mut emitter)?)
                }
                Work::Skip(skip) => ("record", skip.as_str()),
                Work::DeadLetter(letter) => {
                    let topic = S::Contract::topic_name(letter.topic);
                    metrics::dead_letter(S::NAME, topic, letter.cause.as_str());
                    let letter = letter.as_ref().clone();
                    dead.push(letter.into_message::<S::Contract>(
                        S::NAME,
                        &self.prefix,
                        &self.group,
                        now,
                        self.dead_letter_limit_bytes,
                    ));
                    ("record", "dead_letter")
                }
                Work::Park(_) => ("record", "parked"),
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
        let mut messages = emitter.into_messages(&self.contract, &self.topics)?;
        messages.append(&mut dead);
        Ok((messages, counts))
    }
}

fn body_of<S: Service>(item: &ItemOf<S>) -> Option<&BodyOf<S>> {
    match &item.work {
        Work::Decide { body, .. } => Some(body),
        Work::Skip(_) | Work::DeadLetter(_) | Work::Park(_) => None,
    }
}

/// The steps as the inbox takes them.
fn advances<S: Service>(steps: &[FeedMove<TopicOf<S>>], plan: &Plan) -> Vec<Advance> {
    let counts = |lane| plan.counts() && plan.fenced() == Some(lane);
    let moved = |step: &FeedMove<TopicOf<S>>| {
        let (writer, cursor) = S::Contract::written_by(step.id.topic).zip(step.moved_cursor)?;
        Some(SourceCursor { source: writer.to_owned(), cursor })
    };
    steps
        .iter()
        .map(|step| Advance {
            at: step.at.clone(),
            from: step.row.next_offset,
            to: step.next_offset,
            log: step.log,
            cursors: moved(step).into_iter().collect(),
            parkings: step.row.parkings,
            parks: counts(step.id.partition),
        })
        .collect()
}
