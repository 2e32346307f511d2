//! Looks at the brokers beside the engine, so that the engine's loop never waits for an answer of theirs.
//!
//! A thread with a client of its own: ends and beginnings of the logs in one request each, the topics' partition counts, the
//! group's members. The engine's own client is of no use for it: there a request stands behind a fetch that waits. And since it is
//! another client, its answers tell a broker that is away from a client that is lost. Every request has a time-out; a client
//! that gets no answer is replaced. Nothing here judges; see `progress`, `watchdog`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use outbox::kafka::Listener;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::feed::FeedId;
use crate::group_member::{Asker, config_over};
use crate::membership::lanes_without_owner;
use crate::topic_names::TopicNames;

/// How long one request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at the ends, when nobody asks for one.
const ENDS_PERIOD: Duration = Duration::from_secs(3);
/// Between two looks at everything.
const ALL_PERIOD: Duration = Duration::from_secs(10);
/// Between two looks however urgent.
const SHORTEST_PERIOD: Duration = Duration::from_millis(50);
/// A client that got no answer for so long is replaced.
const CLIENT_PATIENCE: Duration = Duration::from_secs(15);

/// What to look at.
#[derive(Debug, Clone)]
pub(crate) struct Terrain<T> {
    /// librdkafka properties of the user.
    pub(crate) kafka: ClientConfig,
    pub(crate) group: String,
    pub(crate) names: TopicNames<T>,
    /// The topics that the service reads, in full.
    pub(crate) inputs: Vec<Arc<str>>,
    /// Those that it reads or writes, dead letters included.
    pub(crate) topics: Vec<Arc<str>>,
    /// The partition count that the service was started with.
    pub(crate) lanes: i32,
}

/// What was seen last.
#[derive(Debug, Clone)]
pub(crate) struct Survey<T> {
    /// Rises with every answered look.
    pub(crate) number: u64,
    /// Up to where each feed can be read: the end without what a transaction still holds back.
    pub(crate) ends: HashMap<FeedId<T>, i64>,
    /// When these were asked for; the answer is not older.
    pub(crate) ends_asked: Option<Instant>,
    /// The first offset that each log still has.
    pub(crate) lows: HashMap<FeedId<T>, i64>,
    pub(crate) lows_asked: Option<Instant>,
    /// Partition counts; 0: there is no such topic.
    pub(crate) partitions: BTreeMap<Arc<str>, i32>,
    /// Lanes of which some partition is no member's; none while the group is not known.
    pub(crate) unowned: Option<BTreeSet<i32>>,
    /// Since when every request was answered; none while one was not.
    pub(crate) answering_since: Option<Instant>,
    /// Why the last request was not.
    pub(crate) trouble: Option<String>,
}

impl<T> Default for Survey<T> {
    fn default() -> Self {
        Survey {
            number: 0,
            ends: HashMap::new(),
            ends_asked: None,
            lows: HashMap::new(),
            lows_asked: None,
            partitions: BTreeMap::new(),
            unowned: None,
            answering_since: None,
            trouble: None,
        }
    }
}

/// What a topic has to be to be surveyed.
pub(crate) trait Surveyed: Copy + Eq + Hash + Display + Send + Sync + 'static {}

impl<T: Copy + Eq + Hash + Display + Send + Sync + 'static> Surveyed for T {}

/// How much to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Demand {
    /// The ends.
    Ends,
    /// Beginnings, partition counts and members, too.
    All,
}

/// The thread; stopped and joined by `stop`.
pub(crate) struct Surveyor<T> {
    shared: Arc<Shared<T>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared<T> {
    orders: Mutex<Orders<T>>,
    changed: Condvar,
    survey: Mutex<Arc<Survey<T>>>,
}

struct Orders<T> {
    feeds: Vec<FeedId<T>>,
    demand: Option<Demand>,
    is_stopping: bool,
}

impl<T: Surveyed> Surveyor<T> {
    /// Start looking.
    pub(crate) fn start(terrain: Terrain<T>) -> std::io::Result<Self> {
        let orders = Orders { feeds: Vec::new(), demand: None, is_stopping: false };
        let survey = Mutex::default();
        let shared = Arc::new(Shared { orders: Mutex::new(orders), changed: Condvar::new(), survey });
        let looking = shared.clone();
        let thread = std::thread::Builder::new().name("surveyor".into()).spawn(move || look_on(&terrain, &looking))?;
        Ok(Surveyor { shared, thread: Some(thread) })
    }

    /// What was seen last.
    pub(crate) fn survey(&self) -> Arc<Survey<T>> {
        lock(&self.shared.survey).clone()
    }

    /// From now on these feeds' logs are looked at.
    pub(crate) fn watch(&self, feeds: Vec<FeedId<T>>) {
        lock(&self.shared.orders).feeds = feeds;
        self.demand(Demand::All);
    }

    /// Look at once.
    pub(crate) fn demand(&self, demand: Demand) {
        let mut orders = lock(&self.shared.orders);
        orders.demand = orders.demand.max(Some(demand));
        self.shared.changed.notify_one();
    }

    /// Wait for the thread's end; blocks for at most a request's time.
    pub(crate) fn join(mut self) {
        self.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the surveyor ended by a panic");
        }
    }
}

impl<T> Surveyor<T> {
    /// Stop looking. Returns at once; `join` waits.
    pub(crate) fn stop(&self) {
        lock(&self.shared.orders).is_stopping = true;
        self.shared.changed.notify_one();
    }
}

impl<T> Drop for Surveyor<T> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's life.
fn look_on<T: Surveyed>(terrain: &Terrain<T>, shared: &Shared<T>) {
    let mut survey = Survey::default();
    let mut client: Option<(Asker, Instant)> = None;
    let (mut ends_at, mut all_at) = (Instant::now(), Instant::now());
    while let Some((feeds, demand)) = next_look(shared, ends_at, all_at) {
        let begun = Instant::now();
        ends_at = begun + ENDS_PERIOD;
        if demand == Demand::All {
            all_at = begun + ALL_PERIOD;
        }
        let looked = match &client {
            Some((consumer, _)) => look(terrain, consumer, &feeds, demand, &mut survey),
            None => new_client(terrain).and_then(|consumer| {
                let (consumer, _) = client.insert((consumer, begun));
                look(terrain, consumer, &feeds, demand, &mut survey)
            }),
        };
        match looked {
            Ok(()) => {
                survey.answering_since.get_or_insert(begun);
                survey.trouble = None;
                survey.number += 1;
                if let Some((_, answered)) = &mut client {
                    *answered = begun;
                }
            }
            Err(error) => {
                survey.answering_since = None;
                survey.trouble = Some(error.to_string());
                if client.as_ref().is_some_and(|(_, answered)| answered.elapsed() > CLIENT_PATIENCE) {
                    client = None;
                }
            }
        }
        *lock(&shared.survey) = Arc::new(survey.clone());
    }
}

/// Wait until a look is wanted; none when there shall be no more.
fn next_look<T: Copy>(shared: &Shared<T>, ends_at: Instant, all_at: Instant) -> Option<(Vec<FeedId<T>>, Demand)> {
    let earliest = Instant::now() + SHORTEST_PERIOD;
    let mut orders = lock(&shared.orders);
    loop {
        if orders.is_stopping {
            return None;
        }
        let now = Instant::now();
        let periodic = if now >= all_at { Some(Demand::All) } else { (now >= ends_at).then_some(Demand::Ends) };
        let wanted = orders.demand.max(periodic);
        let until = match wanted {
            Some(demand) if now >= earliest => {
                orders.demand = None;
                return Some((orders.feeds.clone(), demand));
            }
            Some(_) => earliest,
            None => ends_at.min(all_at),
        };
        let (kept, _) = shared
            .changed
            .wait_timeout(orders, until.saturating_duration_since(now))
            .unwrap_or_else(PoisonError::into_inner);
        orders = kept;
    }
}

/// A client outside of the group: it is only asked.
fn new_client<T>(terrain: &Terrain<T>) -> KafkaResult<Asker> {
    let defaults = [
        ("reconnect.backoff.ms", "50"),
        ("reconnect.backoff.max.ms", "1000"),
        ("socket.timeout.ms", "10000"),
        ("topic.metadata.refresh.interval.ms", "60000"),
    ];
    let mut config = config_over(&terrain.kafka, &defaults);
    config.remove("group.id").remove("group.instance.id");
    config
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("statistics.interval.ms", "0");
    config.create_with_context(Listener::default())
}

fn look<T: Surveyed>(
    terrain: &Terrain<T>,
    consumer: &Asker,
    feeds: &[FeedId<T>],
    demand: Demand,
    survey: &mut Survey<T>,
) -> KafkaResult<()> {
    // What the client has to complain of is in the answers, too; its queue must not grow.
    while let Some(reported) = consumer.poll(Duration::ZERO) {
        drop(reported);
    }
    let asked = Instant::now();
    survey.ends = offsets(terrain, consumer, feeds, Offset::End)?;
    survey.ends_asked = Some(asked);
    if demand == Demand::All {
        let asked = Instant::now();
        survey.lows = offsets(terrain, consumer, feeds, Offset::Beginning)?;
        survey.lows_asked = Some(asked);
        survey.partitions = partition_counts(terrain, consumer)?;
        survey.unowned = unowned(terrain, consumer)?;
    }
    Ok(())
}

/// One request for all feeds of a broker.
fn offsets<T: Surveyed>(
    terrain: &Terrain<T>,
    consumer: &Asker,
    feeds: &[FeedId<T>],
    which: Offset,
) -> KafkaResult<HashMap<FeedId<T>, i64>> {
    if feeds.is_empty() {
        return Ok(HashMap::new());
    }
    let mut list = TopicPartitionList::with_capacity(feeds.len());
    for id in feeds {
        list.add_partition_offset(&terrain.names.full(id.topic), id.partition, which)?;
    }
    let answered = consumer.offsets_for_times(list, ANSWER_WITHIN)?;
    let found = answered.elements().into_iter().filter_map(|element| {
        let id = FeedId { topic: terrain.names.find(element.topic())?, partition: element.partition() };
        match element.offset() {
            Offset::Offset(offset) if element.error().is_ok() => Some((id, offset)),
            Offset::Offset(_)
            | Offset::Beginning
            | Offset::End
            | Offset::Stored
            | Offset::Invalid
            | Offset::OffsetTail(_) => None,
        }
    });
    Ok(found.collect())
}

fn partition_counts<T>(terrain: &Terrain<T>, consumer: &Asker) -> KafkaResult<BTreeMap<Arc<str>, i32>> {
    let count = |topic: &Arc<str>| {
        let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WITHIN)?;
        let partitions = metadata.topics().iter().find(|found| found.name() == &**topic);
        let count = partitions.map_or(0, |found| found.partitions().len());
        Ok((topic.clone(), i32::try_from(count).unwrap_or(i32::MAX)))
    };
    terrain.topics.iter().map(count).collect()
}

fn unowned<T>(terrain: &Terrain<T>, consumer: &Asker) -> KafkaResult<Option<BTreeSet<i32>>> {
    let list = match consumer.fetch_group_list(Some(&terrain.group), ANSWER_WITHIN) {
        Ok(list) => list,
        // Every broker is asked; one that does not answer leaves the question open.
        Err(KafkaError::GroupListFetch(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(group) = list.groups().iter().find(|group| group.name() == terrain.group) else { return Ok(None) };
    let assignments: Vec<&[u8]> = group.members().iter().filter_map(|member| member.assignment()).collect();
    Ok(Some(lanes_without_owner(&assignments, &terrain.inputs, terrain.lanes)))
}
