//! Drives one service: rebalances, batches, bisection of what cannot be saved, holds, timers, shutdown.
//!
//! One task, one loop. Everything that can wait has a time-out; what cannot be taken is held or sent to the dead letters,
//! and the rest goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::database::Database;
use crate::planted::Planted;
use jiff::Timestamp;
use outbox::inbox::Inbox;
use outbox::{Backoff, Outbox};
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer as _;
use tokio::sync::watch;

use crate::assignment::Sources;
use crate::contract::Contract;
use crate::failure::Failure;
use crate::feeds::{Feeds, Lanes, lanes_of};
use crate::gather::Gatherer;
use crate::group_member::{self, Notes, Ownership};
use crate::health::Health;
use crate::item::{Body, Work};
use crate::log_watch::LogWatch;
use crate::lot::{Lot, Parking};
use crate::metrics;
use crate::pace::Pace;
use crate::process::{Attempt, Done, Ground, Processor};
use crate::reception::Loss;
use crate::refused::Course;
use crate::restored::Gate;
use crate::rivalry::Rivalry;
use crate::service::{ItemOf, Service, Signal as _};
use crate::survey::{Demand, Surveyor, Terrain};
use crate::timers::Timers;
use crate::topic_names::TopicNames;
use crate::unparking::Unparking;
use crate::watch::Watch;

/// How long to wait for something to do before looking after rebalances and timers.
const IDLE: Duration = Duration::from_millis(50);
/// How long closing the Kafka clients may take at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(6);
/// Between two attempts at the database.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_secs(2);
/// After so many attempts in vain what is parked is read anew.
const PATIENCE_WITH_LOT: u32 = 4;

/// Why a consumer could not start, or stopped on its own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Halted(pub String);

/// What an engine needs besides its service.
pub(crate) struct EngineConfig<C> {
    /// librdkafka properties of the user.
    pub(crate) kafka: ClientConfig,
    /// Consumer group.
    pub(crate) group: String,
    /// In front of every topic name.
    pub(crate) topic_prefix: String,
    /// The most items of a lane transaction.
    pub(crate) max_batch_items: usize,
    /// The longest rest between two transactions under load.
    pub(crate) max_pace: Duration,
    pub(crate) timer_period: Duration,
    /// The largest record that a dead-letter topic takes.
    pub(crate) dead_letter_limit_bytes: usize,
    /// How much may be parked, and when it is tried again.
    pub(crate) parking: Parking,
    /// The service's database.
    pub(crate) database: Database,
    /// Its outbox.
    pub(crate) outbox: Outbox,
    /// Its inbox.
    pub(crate) inbox: Inbox,
    /// Encodes and decodes.
    pub(crate) contract: Arc<C>,
    /// The topics' partition count.
    pub(crate) partitions: i32,
    /// Where the present comes from.
    pub(crate) clock: fn() -> Timestamp,
    /// What befalls the Kafka client in a test.
    pub(crate) planted: Planted,
    /// What the health endpoints tell.
    pub(crate) health: Health,
    /// Holds the engine while its database is set back.
    pub(crate) gate: Arc<Gate>,
    /// Turns true when the process is to end.
    pub(crate) shutdown: watch::Receiver<bool>,
}

/// How long to wait for a database that has failed.
pub(crate) fn retry() -> Backoff {
    Backoff::new(FIRST_RETRY, LONGEST_RETRY)
}

/// A service in its consumer group.
pub(crate) struct Engine<S: Service> {
    pub(crate) service: S,
    pub(crate) feeds: Feeds<S>,
    pub(crate) notes: Notes,
    pub(crate) group: Group,
    /// Whether another process has this instance's id.
    pub(crate) rivalry: Rivalry,
    pub(crate) processor: Processor<S>,
    pub(crate) pace: Pace,
    pub(crate) max_batch_items: usize,
    pub(crate) health: Health,
    pub(crate) gate: Arc<Gate>,
    shutdown: watch::Receiver<bool>,
    timers: Timers<S>,
    pub(crate) unparking: Unparking,
    pub(crate) watch: Watch<S>,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) planted: Planted,
}

/// What it takes to join the group (again).
pub(crate) struct Group {
    pub(crate) kafka: ClientConfig,
    pub(crate) name: String,
    pub(crate) topics: Vec<Arc<str>>,
}

impl<S: Service> Engine<S> {
    /// Join the group; nothing is fetched before `run`.
    pub(crate) fn new(service: S, config: EngineConfig<S::Contract>) -> Result<Self, Halted> {
        let topics = TopicNames::new(&config.topic_prefix, S::Contract::TOPICS);
        let names: Vec<_> = S::INPUTS.iter().map(|topic| topics.full(*topic)).collect();
        let loss = Loss::of_first(config.planted);
        let (consumer, notes) = group_member::create(&config.kafka, &config.group, loss)
            .and_then(|made| group_member::subscribe(&made.0, &names).map(|()| made))
            .map_err(|error| Halted(format!("cannot join the group {}: {error}", config.group)))?;
        let now = Instant::now();
        let outputs = config.outbox.config().topics.iter().map(|topic| Arc::from(topic.name.as_str()));
        let surveyor = Surveyor::start(Terrain {
            kafka: config.kafka.clone(),
            group: config.group.clone(),
            names: topics.clone(),
            inputs: names.clone(),
            topics: names.iter().cloned().chain(outputs).collect(),
            lanes: config.partitions,
        })
        .map_err(|error| Halted(format!("cannot start the surveyor's thread: {error}")))?;
        let logs = LogWatch::new(&config.kafka);
        let sources = Sources {
            database: config.database.clone(),
            inbox: config.inbox.clone(),
            topics: topics.clone(),
            look: logs.look.clone(),
        };
        Ok(Engine {
            service,
            feeds: Feeds::new(
                consumer,
                sources,
                logs,
                Lot::new(config.parking),
                config.partitions,
                config.health.clone(),
            ),
            notes,
            group: Group { kafka: config.kafka, name: config.group.clone(), topics: names },
            rivalry: Rivalry::default(),
            processor: Processor::new(
                config.database,
                config.outbox,
                config.inbox,
                config.contract,
                topics,
                (config.topic_prefix, config.group),
                config.dead_letter_limit_bytes,
            ),
            pace: Pace::new(config.max_pace, now),
            max_batch_items: config.max_batch_items,
            health: config.health,
            gate: config.gate,
            shutdown: config.shutdown,
            timers: Timers::new(config.timer_period, now),
            unparking: Unparking::new(now),
            watch: Watch::new(surveyor, config.partitions, now),
            clock: config.clock,
            planted: config.planted,
        })
    }

    /// Work until asked to stop; then commit the group's offsets and leave.
    pub(crate) async fn run(mut self) -> Result<(), Halted> {
        self.gate.pass(self.shutdown.clone()).await;
        let result = loop {
            if self.is_stopping() {
                break Ok(());
            }
            self.health.alive();
            // A turn is short: it waits at most `IDLE` for work, and a batch is bounded.
            if let Err(failure) = self.turn().await {
                break Err(Halted(failure.to_string()));
            }
        };
        self.timers.join().await;
        self.unparking.join().await;
        let consumer = self.feeds.join().await;
        let surveyor = self.watch.surveyor;
        surveyor.stop();
        if let Some(inquiry) = self.watch.inquiry {
            inquiry.give_up();
            inquiry.answer().await;
        }
        // Closing blocks until the group has heard of it.
        let closed = tokio::task::spawn_blocking(move || {
            if let Err(error) = consumer.commit_consumer_state(rdkafka::consumer::CommitMode::Sync) {
                tracing::debug!(%error, "the group's offsets were not committed; positions are in the database");
            }
            drop(consumer);
            surveyor.join();
        });
        if tokio::time::timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::warn!("the Kafka clients did not close within {CLOSE_TIMEOUT:?}");
        }
        result
    }

    /// The group has decided anew what is ours.
    async fn own(&mut self, note: Ownership) -> Result<(), Failure> {
        self.leave();
        if self.feeds.own(note, &mut self.service, &self.shutdown).await? {
            self.feeds_changed(Instant::now());
        }
        Ok(())
    }

    /// No lane is ours until the group says so again.
    pub(crate) fn leave(&mut self) {
        self.timers.leave();
        self.unparking.leave();
        self.service.forget();
        self.feeds.leave();
        self.feeds_changed(Instant::now());
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.shutdown.borrow()
    }

    /// One turn of the loop. Only what must end the process is an error.
    async fn turn(&mut self) -> Result<(), Failure> {
        if let Some(note) = self.notes.take() {
            self.own(note).await?;
        }
        self.periodic().await?;
        if self.feeds.lot.rests(Instant::now()) {
            tokio::time::sleep(IDLE).await;
            return Ok(());
        }
        // Everything gathered before is committed or held by now, so the client's own positions count.
        let mut due = match self.timers.has_due() {
            true => self.timers.due_items(&self.feeds, &self.watch.surveyor.survey(), &self.positions()),
            false => Vec::new(),
        };
        let gatherer = Gatherer {
            consumer: &self.feeds.consumer,
            contract: &*self.processor.contract,
            topics: &self.processor.topics,
            service: &mut self.service,
            feeds: &mut self.feeds.by_id,
            lot: &self.feeds.lot,
            max_items: self.max_batch_items,
            idle: if due.is_empty() { IDLE } else { Duration::ZERO },
            planted: self.planted,
        };
        let mut gathered = gatherer.gather(&self.pace).await;
        if gathered.is_drained {
            self.watch.drained = Instant::now();
        }
        self.heed(&gathered.errors).await?;
        gathered.items.append(&mut due);
        let mut course = Course::GoesOn;
        if !gathered.items.is_empty() {
            let (items, started) = (gathered.items.len(), Instant::now());
            course = self.process(gathered.items).await?;
            self.pace.worked(items, started, Instant::now());
        }
        // What was given up comes again, and what stops its feed behind it.
        if course == Course::GoesOn && !gathered.stops.is_empty() {
            self.feeds.stop(gathered.stops)?;
        }
        Ok(())
    }

    /// What happens by the clock, each in its own period.
    async fn periodic(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        self.feeds.tend(now, &self.group.topics, &mut self.watch.complaints).await?;
        if self.timers.take(&mut self.service, &mut self.watch.complaints)? {
            self.look_soon(Demand::Ends);
        }
        self.timers.look_up(&mut self.service, &self.feeds, self.gate.deadlines_rest(), self.clock, now);
        self.unpark(now).await?;
        self.watch().await
    }

    /// Commit these items, in parts where they cannot be committed together.
    pub(crate) async fn process(&mut self, items: Vec<ItemOf<S>>) -> Result<Course, Failure> {
        let (mut parts, mut course) = (vec![items], Course::GoesOn);
        let (mut backoff, mut vain) = (retry(), 0);
        while let Some(mut part) = parts.pop() {
            part.retain(|item| self.is_wanted(item));
            if part.is_empty() {
                continue;
            }
            if self.is_stopping() && backoff.is_failing() {
                return Ok(course);
            }
            let now = (self.clock)();
            let ground = Ground { feeds: &self.feeds.by_id, lot: &self.feeds.lot };
            match self.processor.attempt(&mut self.service, ground, &part, now).await {
                Ok(Attempt::Done(done)) => {
                    let is_parked = done.plan.parked.is_some();
                    self.committed(done, part.len());
                    (backoff, vain) = (retry(), 0);
                    if is_parked {
                        // Behind it there may be more of its key.
                        course = self.give_up(&mut parts)?;
                    }
                }
                Ok(Attempt::Overtaken(overtaken)) => {
                    metrics::retry(S::NAME, "moved");
                    parts.push(part);
                    self.overtaken(lanes_of(&overtaken), &mut parts).await?;
                }
                Err(Failure::Halt(reason)) => return Err(Failure::Halt(reason)),
                Err(Failure::Poison(reason)) => {
                    metrics::retry(S::NAME, "poison");
                    self.service.forget();
                    if self.bisect(part, reason, &mut parts)? == Course::GivenUp {
                        course = self.give_up(&mut parts)?;
                    }
                }
                Err(failure @ (Failure::Retry(_) | Failure::Environment(_))) => {
                    self.put_off(&failure, part.len());
                    tokio::time::sleep(backoff.wait()).await;
                    vain += 1;
                    let parked = part.iter().filter(|item| matches!(item.work, Work::Park(_)));
                    let lanes: Lanes = parked.map(|item| item.feed.partition).collect();
                    parts.push(part);
                    // Somebody else may have added to a key, which no feed's row tells.
                    if vain % PATIENCE_WITH_LOT == 0 && !lanes.is_empty() {
                        self.overtaken(lanes, &mut parts).await?;
                    }
                }
            }
        }
        Ok(course)
    }

    /// Whether it is still to be taken. A signal survives a hold of its lane's feed; a record does not: it will be fetched again.
    /// A signal of a parked key waits for it, and comes again by itself.
    fn is_wanted(&self, item: &ItemOf<S>) -> bool {
        let Some(feed) = self.feeds.by_id.get(&item.feed) else { return false };
        match &item.work {
            Work::Decide { body: Body::Signal(signal), .. } => !self.feeds.lot.holds(item.feed.partition, signal.key()),
            Work::Decide { body: Body::Message(_), .. } | Work::Skip(_) | Work::DeadLetter(_) | Work::Park(_) => {
                feed.takes_records()
            }
        }
    }

    /// What these lanes' rows say counts, and what was gathered of them before does not.
    pub(crate) async fn overtaken(&mut self, lanes: Lanes, parts: &mut [Vec<ItemOf<S>>]) -> Result<(), Failure> {
        self.service.forget();
        for part in parts {
            part.retain(|item| item.progress.is_none() || !lanes.contains(&item.feed.partition));
        }
        self.feeds.reload(&lanes).await
    }

    /// A batch is tried again: no content is at fault.
    pub(crate) fn put_off(&mut self, failure: &Failure, items: usize) {
        metrics::retry(S::NAME, failure.kind());
        self.service.forget();
        tracing::warn!(reason = %failure, items, "a batch was rolled back and is tried again");
        self.health.database(Err(&failure.to_string()));
        self.health.alive();
    }

    pub(crate) fn committed(&mut self, done: Done<S>, items: usize) {
        self.feeds.committed(done.feeds);
        self.parked(done.plan);
        for ((kind, outcome), count) in done.counts {
            metrics::messages(S::NAME, kind, outcome, count);
        }
        metrics::batch(S::NAME, u32::try_from(items).unwrap_or(u32::MAX), done.process, done.commit);
        self.health.database(Ok(()));
        self.service.committed(done.follow_up);
    }
}
