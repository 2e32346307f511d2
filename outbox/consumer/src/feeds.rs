//! The topic partitions of this instance: which are ours, how far each is, which are held, and what the consumer fetches.
//!
//! A rebalance and a hold, from beginning to end. Each change ends in setting the consumer to absolute offsets; records that
//! it fetched before come again. What is wrong with a feed is found out elsewhere (`intake`, `ranges`, `standstill`,
//! `log_watch`); what becomes of it is decided here.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use outbox::inbox::OtherLog;
use rdkafka::consumer::Consumer as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::watch;

use crate::assignment::{self, Closeness, Loaded, Sources};
use crate::background::Background;
use crate::complaints::Complaints;
use crate::contract::Contract;
use crate::engine::retry;
use crate::failure::Failure;
use crate::feed::{Feed, FeedId, Hold, HoldCause, Reread};
use crate::gather::Stop;
use crate::group_member::{GroupMember, Ownership};
use crate::health::Health;
use crate::log_watch::LogWatch;
use crate::lot::Lot;
use crate::metrics;
use crate::process::Moved;
use crate::service::{IdOf, Service, TopicOf};
use crate::survey::Survey;

/// Between two looks at what is held.
const HOLD_PERIOD: Duration = Duration::from_secs(5);
/// How long a witness is waited for before its log's ends are looked at.
const PROOF_PATIENCE: Duration = Duration::from_secs(5);

/// The partition numbers that an instance owns in all topics of its service.
pub type Lanes = BTreeSet<i32>;

/// The partition numbers of these feeds.
pub(crate) fn lanes_of<'f, T: 'f>(feeds: impl IntoIterator<Item = &'f FeedId<T>>) -> Lanes {
    feeds.into_iter().map(|id| id.partition).collect()
}

/// What a person is told of a log that is not believed.
pub(crate) fn words_of<C: Contract>(id: FeedId<C::Topic>, other: &OtherLog) -> String {
    let how = C::how_to_resume(id.topic, id.partition);
    format!("{other}; nothing of it is taken before a person says from where: {how}")
}

/// The feeds of this instance.
pub(crate) struct Feeds<S: Service> {
    /// Shared with nobody but what closes it.
    pub(crate) consumer: Arc<GroupMember>,
    /// Where rows and logs are looked up.
    pub(crate) sources: Sources<TopicOf<S>>,
    pub(crate) by_id: HashMap<IdOf<S>, Feed>,
    /// What is parked in their lanes.
    pub(crate) lot: Lot<TopicOf<S>>,
    pub(crate) logs: LogWatch,
    /// Whether the group has decided what is ours.
    pub(crate) is_assigned: bool,
    /// What the brokers said last of the logs' beginnings.
    pub(crate) survey: Arc<Survey<TopicOf<S>>>,
    /// When the consumer was set to its offsets.
    pub(crate) fetched: Instant,
    /// Held feeds, looked at again: those that were asked for, and what came of it.
    held_again: Background<Loaded<TopicOf<S>>>,
    /// When what is held was looked at last.
    looked_at_holds: Instant,
    /// The topics' partition count at the start.
    partitions: i32,
    health: Health,
}

impl<S: Service> Feeds<S> {
    pub(crate) fn new(
        consumer: GroupMember,
        sources: Sources<TopicOf<S>>,
        logs: LogWatch,
        lot: Lot<TopicOf<S>>,
        partitions: i32,
        health: Health,
    ) -> Self {
        Feeds {
            consumer: Arc::new(consumer),
            sources,
            by_id: HashMap::new(),
            lot,
            logs,
            is_assigned: false,
            survey: Arc::default(),
            fetched: Instant::now(),
            held_again: Background::new(),
            looked_at_holds: Instant::now(),
            partitions,
            health,
        }
    }

    /// Take over what the group has assigned, after `leave`: load the rows, resume the service, start fetching. False where
    /// it has assigned nothing yet, or the end came first.
    pub(crate) async fn own(
        &mut self,
        note: Ownership,
        service: &mut S,
        shutdown: &watch::Receiver<bool>,
    ) -> Result<bool, Failure> {
        let Ownership::Assigned(list) = note else { return Ok(false) };
        let ids: Vec<IdOf<S>> = list
            .iter()
            // Partitions that the topics did not have at the start are held: see `layout`.
            .filter(|(_, partition)| *partition < self.partitions)
            .filter_map(|(topic, partition)| {
                Some(FeedId { topic: self.sources.topics.find(topic)?, partition: *partition })
            })
            .collect();
        let lanes = lanes_of(&ids);
        let mut backoff = retry();
        loop {
            if *shutdown.borrow() {
                return Ok(false);
            }
            match self.load(&ids, &lanes, service).await {
                Ok(()) => break,
                Err(Failure::Retry(reason) | Failure::Environment(reason)) => {
                    tracing::warn!(%reason, "the lanes' positions cannot be loaded yet");
                    self.health.database(Err(&reason));
                    tokio::time::sleep(backoff.wait()).await;
                }
                Err(failure) => return Err(failure),
            }
            self.health.alive();
        }
        tracing::info!(service = S::NAME, lanes = ?lanes, "lanes assigned");
        metrics::lanes(S::NAME, lanes.len());
        self.is_assigned = true;
        self.health.assigned(&lanes);
        self.report_holds();
        Ok(true)
    }

    /// No lane is ours until the group says so again.
    pub(crate) fn leave(&mut self) {
        self.held_again.give_up();
        self.by_id.clear();
        self.lot.leave();
        self.is_assigned = false;
        metrics::lanes(S::NAME, 0);
        self.health.left();
    }

    async fn load(&mut self, ids: &[IdOf<S>], lanes: &Lanes, service: &mut S) -> Result<(), Failure> {
        let loaded = assignment::load::<S::Contract>(&self.sources, ids, Closeness::AsNeeded).await?;
        self.load_lot(lanes).await?;
        service.assigned(&self.sources.database, lanes).await?;
        self.by_id = loaded.feeds;
        self.hold_others(&loaded.others);
        if !ids.is_empty() {
            self.fetch()?;
        }
        self.health.database(Ok(()));
        Ok(())
    }

    /// What is parked in these lanes.
    async fn load_lot(&mut self, lanes: &Lanes) -> Result<(), Failure> {
        let lanes: Vec<i32> = lanes.iter().copied().collect();
        let client = self.sources.database.client().await?;
        let loaded = self.sources.inbox.load_parked(&client, &lanes).await.map_err(Failure::of_outbox)?;
        self.lot.load(&lanes, loaded, |name| self.sources.topics.find(name));
        Ok(())
    }

    /// Tell the consumer what to fetch, at absolute offsets. Records fetched before are discarded by librdkafka.
    fn fetch(&mut self) -> Result<(), Failure> {
        self.fetched = Instant::now();
        let set = || {
            let mut list = TopicPartitionList::new();
            for (id, feed) in self.by_id.iter().filter(|(_, feed)| feed.fetching) {
                let offset = feed.fetch_offset(self.survey.lows.get(id).copied().unwrap_or_default());
                let topic = self.sources.topics.full(id.topic);
                list.add_partition_offset(&topic, id.partition, Offset::Offset(offset))?;
            }
            self.consumer.assign(&list)
        };
        set().map_err(|error| Failure::Retry(format!("the consumer cannot be set to its offsets: {error}")))
    }

    /// Another instance moved feeds of these lanes on, or parked or freed one of their keys: take all their rows' values and fetch
    /// from there. What was judged before counts no more.
    pub(crate) async fn reload(&mut self, lanes: &Lanes) -> Result<(), Failure> {
        tracing::info!(?lanes, "another instance has moved feeds of these lanes on");
        let moved: Vec<IdOf<S>> = self.by_id.keys().filter(|id| lanes.contains(&id.partition)).copied().collect();
        let fresh = match assignment::load::<S::Contract>(&self.sources, &moved, Closeness::AsNeeded).await {
            Ok(fresh) => self.load_lot(lanes).await.map(|()| fresh),
            Err(failure) => Err(failure),
        };
        match fresh {
            Ok(fresh) => {
                for id in moved {
                    self.by_id.remove(&id);
                }
                self.replace(fresh)
            }
            Err(Failure::Retry(reason) | Failure::Environment(reason)) => {
                // Without their rows these feeds may not go on; the next hold check tries again.
                for id in moved {
                    self.hold_because(id, 0, HoldCause::Log, reason.clone());
                }
                self.refetch()
            }
            Err(failure) => Err(failure),
        }
    }

    /// Put feeds that were loaded again in the places of the old ones, and fetch from there.
    pub(crate) fn replace(&mut self, loaded: Loaded<TopicOf<S>>) -> Result<(), Failure> {
        let is_fetched = |id, fresh: &Feed| fresh.fetching || self.by_id.get(id).is_some_and(|old| old.fetching);
        let is_news = loaded.feeds.iter().any(|(id, fresh)| is_fetched(id, fresh));
        for (id, mut feed) in loaded.feeds {
            feed.hold = self.by_id.remove(&id).and_then(|old| old.hold);
            if feed.takes_records() && feed.hold.take_if(|hold| hold.cause == HoldCause::Log).is_some() {
                tracing::info!(feed = %id, next_offset = feed.next_offset, "the log is believed; the feed resumes");
            }
            self.by_id.insert(id, feed);
        }
        self.hold_others(&loaded.others);
        self.report_holds();
        if is_news { self.refetch() } else { Ok(()) }
    }

    /// Set the consumer anew. Feeds not in this batch lose nothing: records fetched ahead come again.
    pub(crate) fn refetch(&mut self) -> Result<(), Failure> {
        for feed in self.by_id.values_mut() {
            feed.rewind();
        }
        self.fetch()
    }

    /// Gaps and holds found in a batch.
    pub(crate) fn stop(&mut self, stops: Vec<Stop<TopicOf<S>>>) -> Result<(), Failure> {
        for Stop { feed, offset, hold } in stops {
            match hold {
                Some(reason) => self.hold(feed, offset, reason),
                None => {
                    tracing::warn!(%feed, offset, "a sequence is missing; the log is read again from its start");
                    if let Some(feed) = self.by_id.get_mut(&feed) {
                        feed.rereading = Some(Reread { until: offset });
                    }
                }
            }
        }
        self.report_holds();
        self.refetch()
    }

    /// A record of this feed cannot be taken, or it is not the one by which its log is known.
    fn hold(&mut self, id: IdOf<S>, offset: i64, reason: String) {
        let is_unproven = self.by_id.get(&id).is_some_and(|feed| feed.proof.is_some());
        let cause = if is_unproven { HoldCause::Log } else { HoldCause::Record };
        self.hold_because(id, offset, cause, reason);
    }

    /// These feeds' logs are not the ones that their offsets belong to.
    fn hold_others(&mut self, others: &HashMap<IdOf<S>, OtherLog>) {
        for (id, other) in others {
            let offset = self.by_id.get(id).map_or(0, |feed| feed.next_offset);
            self.hold_because(*id, offset, HoldCause::Log, words_of::<S::Contract>(*id, other));
        }
    }

    fn hold_because(&mut self, id: IdOf<S>, offset: i64, cause: HoldCause, reason: String) {
        let Some(feed) = self.by_id.get_mut(&id) else { return };
        feed.fetching = false;
        feed.rereading = None;
        match &mut feed.hold {
            Some(hold) if (hold.offset, hold.cause) == (offset, cause) => hold.reason = reason,
            _ => {
                tracing::error!(feed = %id, offset, %reason, "this partition is held until a person acts");
                feed.hold = Some(Hold { offset, cause, reason, since: Instant::now() });
            }
        }
    }

    /// The rows of these feeds are committed.
    pub(crate) fn committed(&mut self, moved: Vec<Moved<TopicOf<S>>>) {
        let mut released = false;
        for Moved { id, next_offset, cursor, log } in moved {
            if let Some(feed) = self.by_id.get_mut(&id) {
                let was_held = feed.hold.is_some();
                feed.committed(next_offset, cursor, log);
                released |= was_held && feed.hold.is_none();
                self.store_for_tools(id, next_offset);
            }
        }
        if released {
            self.report_holds();
        }
    }

    /// The group's offset, for people's lag tools and autoscalers only: the row decides where to resume.
    pub(crate) fn store_for_tools(&self, id: IdOf<S>, next_offset: i64) {
        let topic = self.sources.topics.full(id.topic);
        if let Err(error) = self.consumer.store_offset(&topic, id.partition, next_offset - 1) {
            tracing::debug!(%error, feed = %id, "the group's offset was not stored");
        }
    }

    /// Ends what is under way; the consumer is to be closed by the caller.
    pub(crate) async fn join(self) -> Arc<GroupMember> {
        self.logs.join().await;
        self.held_again.join().await;
        self.consumer
    }

    fn report_holds(&self) {
        let held: Vec<String> = self
            .by_id
            .iter()
            .filter_map(|(id, feed)| {
                let hold = feed.hold.as_ref()?;
                Some(format!(
                    "{id} at offset {} for {} s: {}",
                    hold.offset,
                    hold.since.elapsed().as_secs(),
                    hold.reason
                ))
            })
            .collect();
        metrics::held(S::NAME, held.len());
        self.health.held(held);
    }

    /// What goes on by itself, in its own period: logs that are compared, held feeds that are looked at again.
    pub(crate) async fn tend(
        &mut self,
        now: Instant,
        inputs: &[Arc<str>],
        complaints: &mut Complaints,
    ) -> Result<(), Failure> {
        self.watch_logs(inputs, complaints).await?;
        if now.duration_since(self.looked_at_holds) >= HOLD_PERIOD {
            self.looked_at_holds = now;
            if self.logs.is_overdue {
                self.verify_logs(complaints).await?;
            } else {
                self.look_at_holds();
            }
        }
        self.take_holds(complaints)
    }

    /// A held feed is tried again from its row's values: `accept-gap` may have moved it, or a newer binary reads the record.
    /// And a feed whose witness does not come is compared with what its log holds: the log may end before it. Both are
    /// looked at in the background: the other lanes have nothing to do with it.
    fn look_at_holds(&mut self) {
        let standing: Vec<IdOf<S>> =
            self.by_id.iter().filter(|(_, feed)| is_standing(feed)).map(|(id, _)| *id).collect();
        if standing.is_empty() || !self.held_again.is_free() {
            return;
        }
        let sources = self.sources.clone();
        let look = async move { assignment::load::<S::Contract>(&sources, &standing, Closeness::WithRanges).await };
        self.held_again.ask(look);
    }

    /// What came of it.
    fn take_holds(&mut self, complaints: &mut Complaints) -> Result<(), Failure> {
        match self.held_again.answer() {
            None => Ok(()),
            Some(Ok(mut fresh)) => {
                // A witness that has not come yet, or another record in its place: only another row or log is news. And what
                // has gone on meanwhile is further than what was found.
                fresh.feeds.retain(|id, feed| {
                    let expected = |feed: &Feed| feed.proof.map(|proof| proof.witness);
                    let before = self.by_id.get(id).filter(|before| is_standing(before));
                    before.is_some_and(|before| expected(before).is_none() || expected(before) != expected(feed))
                });
                fresh.others.retain(|id, _| fresh.feeds.contains_key(id));
                self.replace(fresh)
            }
            Some(Err(failure)) => complaints.tolerate(failure, "held partitions"),
        }
    }
}

/// Whether nothing of this feed is taken, or its log does not show the record by which it is known.
fn is_standing(feed: &Feed) -> bool {
    feed.hold.is_some() || feed.proof.is_some_and(|proof| proof.since.elapsed() >= PROOF_PATIENCE)
}
