//! Forms a batch: waits for something to do, lets more collect as the pace says, and takes it.
//!
//! Bounded by `max_items` and by the time the pace allows. What makes a feed stop (a gap, a hold) ends up in `stops`.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::planted::Planted;
use futures_util::FutureExt;
use outbox::inbox::Witness;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};

use crate::feed::{Feed, FeedId};
use crate::group_member::GroupMember;
use crate::intake::{Verdict, judge_record};
use crate::item::{Body, Item, Work};
use crate::lot::Lot;
use crate::pace::Pace;
use crate::reception;
use crate::service::{IdOf, ItemOf, Service, Signal as _, TopicOf};
use crate::topic_names::TopicNames;
use crate::witness;

/// What was taken.
pub(crate) struct Gathered<S: Service> {
    pub(crate) items: Vec<ItemOf<S>>,
    /// Feeds that cannot go on, in the order found.
    pub(crate) stops: Vec<Stop<TopicOf<S>>>,
    /// What the client reported.
    pub(crate) errors: Vec<KafkaError>,
    /// Whether the client had nothing more to hand over.
    pub(crate) is_drained: bool,
}

/// A feed that cannot go on.
#[derive(Debug)]
pub(crate) struct Stop<T> {
    pub(crate) feed: FeedId<T>,
    pub(crate) offset: i64,
    /// `None`: a gap; the log is read again first.
    pub(crate) hold: Option<String>,
}

/// What a gathering works with.
pub(crate) struct Gatherer<'e, S: Service> {
    pub(crate) consumer: &'e GroupMember,
    pub(crate) contract: &'e S::Contract,
    pub(crate) topics: &'e TopicNames<TopicOf<S>>,
    pub(crate) service: &'e mut S,
    pub(crate) feeds: &'e mut HashMap<IdOf<S>, Feed>,
    pub(crate) lot: &'e Lot<TopicOf<S>>,
    pub(crate) max_items: usize,
    /// How long to wait for the first item.
    pub(crate) idle: Duration,
    pub(crate) planted: Planted,
}

/// What was seen of the feeds while a batch was gathered.
struct Seen<'e, T> {
    stopped: HashSet<FeedId<T>>,
    /// The last record of each that is in the batch.
    last: HashMap<FeedId<T>, BorrowedMessage<'e>>,
}

impl<'e, S: Service> Gatherer<'e, S> {
    /// Wait for something, then take what is there. Empty after `idle`, or when a rebalance was noted.
    pub(crate) async fn gather(mut self, pace: &Pace) -> Gathered<S> {
        let mut gathered = Gathered { items: Vec::new(), stops: Vec::new(), errors: Vec::new(), is_drained: false };
        let mut seen = Seen { stopped: HashSet::new(), last: HashMap::new() };
        if !self.first(&mut gathered, &mut seen).await {
            gathered.is_drained = true;
            return gathered;
        }
        self.drain(&mut gathered, &mut seen);
        let start = pace.next_start();
        while gathered.items.len() < self.max_items && gathered.stops.is_empty() && Instant::now() < start {
            let left = start.saturating_duration_since(Instant::now());
            // One sleep for the rest of the interval, not a wake-up per record: the queue collects meanwhile.
            tokio::time::sleep(left).await;
            self.drain(&mut gathered, &mut seen);
        }
        for (id, message) in seen.last {
            let witness = Witness { offset: message.offset(), digest: witness::digest(&message) };
            self.feeds.entry(id).and_modify(|feed| feed.gathered_witness = Some(witness));
        }
        gathered
    }

    async fn first(&mut self, gathered: &mut Gathered<S>, seen: &mut Seen<'e, TopicOf<S>>) -> bool {
        let saturated = self.service.is_saturated();
        let (consumer, planted) = (self.consumer, self.planted);
        let deadline = tokio::time::sleep(self.idle);
        tokio::select! {
            signal = self.service.signal() => gathered.items.push(signal_item::<S>(signal)),
            received = reception::next(consumer, planted), if !saturated => self.take(received, gathered, seen),
            () = deadline => return false,
        }
        true
    }

    /// Take everything that needs no waiting.
    fn drain(&mut self, gathered: &mut Gathered<S>, seen: &mut Seen<'e, TopicOf<S>>) {
        while gathered.items.len() < self.max_items {
            match self.service.signal().now_or_never() {
                Some(signal) => gathered.items.push(signal_item::<S>(signal)),
                None => break,
            }
        }
        let consumer = self.consumer;
        let mut taken = gathered.items.len();
        while taken < self.max_items && !self.service.is_saturated() {
            match reception::next(consumer, self.planted).now_or_never() {
                Some(received) => self.take(received, gathered, seen),
                None => {
                    gathered.is_drained = true;
                    break;
                }
            }
            taken += 1;
        }
    }

    fn take(
        &mut self,
        received: Result<BorrowedMessage<'e>, KafkaError>,
        gathered: &mut Gathered<S>,
        seen: &mut Seen<'e, TopicOf<S>>,
    ) {
        let message = match received {
            Ok(message) => message,
            Err(error) => return gathered.errors.push(error),
        };
        let Some(topic) = self.topics.find(message.topic()) else { return };
        let id = FeedId { topic, partition: message.partition() };
        // A record of a feed that was taken away, or that stopped in this very batch.
        let Some(feed) = self.feeds.get_mut(&id).filter(|feed| feed.fetching && !seen.stopped.contains(&id)) else {
            return;
        };
        let hold = match judge_record::<S>(self.contract, id, feed, self.lot, &message, self.planted) {
            Verdict::Take(item) => {
                seen.last.insert(id, message);
                return gathered.items.push(item);
            }
            Verdict::Ignore => return,
            Verdict::Reread => None,
            Verdict::Hold(reason) => Some(reason),
        };
        seen.stopped.insert(id);
        gathered.stops.push(Stop { feed: id, offset: message.offset(), hold });
    }
}

/// A signal belongs to its lane's first feed.
pub(crate) fn signal_item<S: Service>(signal: S::Signal) -> ItemOf<S> {
    let feed = FeedId { topic: S::INPUTS[0], partition: signal.lane() };
    let cause = signal.cause();
    let work = Work::Decide { name: "signal", body: Body::Signal(signal) };
    Item { feed, progress: None, work, raw: None, slot: None, cause }
}
