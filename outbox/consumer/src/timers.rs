//! What a service finds by the clock: deadlines, and what gauges show.
//!
//! A deadline fires only after its lane has read what was in the reply topics when it had passed: a service that was down must
//! not time out replies that already wait there. Each lane waits for itself: one that is held, or behind, keeps no other from
//! its deadlines.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::background::Background;
use crate::complaints::Complaints;
use crate::contract::Contract as _;
use crate::failure::Failure;
use crate::feed::FeedId;
use crate::feeds::{Feeds, Lanes, lanes_of};
use crate::gather::signal_item;
use crate::service::{IdOf, ItemOf, Service, Signal, TopicOf, Wanted};
use crate::survey::Survey;

const GAUGE_PERIOD: Duration = Duration::from_secs(10);
const DUE_LIMIT: i64 = 500;

/// Passed deadlines of a lane, which wait until it has read what was in the topics.
struct Due<S: Service> {
    signals: Vec<S::Signal>,
    /// When they had passed.
    passed: Instant,
    /// Up to where the lane must have read; empty until the ends were asked for after `passed`.
    targets: HashMap<IdOf<S>, i64>,
}

/// What the service looks up by the clock, and the deadlines that it has found.
pub(crate) struct Timers<S: Service> {
    due: HashMap<i32, Due<S>>,
    lookup: Background<Option<S::Found>>,
    /// When deadlines were looked up last, and what gauges show.
    looked_at_timers: Instant,
    looked_at_gauges: Instant,
    /// How often deadlines are looked up.
    period: Duration,
}

impl<S: Service> Timers<S> {
    pub(crate) fn new(period: Duration, now: Instant) -> Self {
        let (looked_at_timers, looked_at_gauges) = (now, now);
        Timers { due: HashMap::new(), lookup: Background::new(), looked_at_timers, looked_at_gauges, period }
    }

    /// No lane is ours any more.
    pub(crate) fn leave(&mut self) {
        self.due.clear();
        self.lookup.give_up();
    }

    /// Ends what is under way.
    pub(crate) async fn join(self) {
        self.lookup.join().await;
    }

    /// What a look-up has found, if one is done. True where deadlines have passed: then the ends of the topics are wanted.
    pub(crate) fn take(&mut self, service: &mut S, complaints: &mut Complaints) -> Result<bool, Failure> {
        match self.lookup.answer() {
            Some(Ok(Some(found))) => Ok(self.take_found(service, found)),
            Some(Ok(None)) | None => Ok(false),
            Some(Err(failure)) => complaints.tolerate(failure, "timers and gauges").map(|()| false),
        }
    }

    /// Ask the database for what is due and what the gauges show, each in its own period. `deadlines_rest`: none fires now.
    pub(crate) fn look_up(
        &mut self,
        service: &mut S,
        feeds: &Feeds<S>,
        deadlines_rest: bool,
        clock: fn() -> Timestamp,
        now: Instant,
    ) {
        if !self.lookup.is_free() {
            return;
        }
        let is_gauge_time = now.duration_since(self.looked_at_gauges) >= GAUGE_PERIOD;
        let is_timer_time = now.duration_since(self.looked_at_timers) >= self.period;
        let lanes = lanes_of(feeds.by_id.keys());
        // What is due in a lane is looked for again when the last of it has fired.
        let due: Lanes = match is_timer_time && !deadlines_rest {
            true => lanes.iter().filter(|lane| !self.due.contains_key(lane)).copied().collect(),
            false => Lanes::new(),
        };
        if !is_gauge_time && due.is_empty() {
            return;
        }
        if is_gauge_time {
            self.looked_at_gauges = now;
        }
        if is_timer_time {
            self.looked_at_timers = now;
        }
        // Signals of parked keys are found again and again, and must not take the place of others.
        let parked = due.iter().map(|lane| feeds.lot.keys_of(*lane)).max().unwrap_or_default();
        let due_limit = DUE_LIMIT.saturating_add(i64::try_from(parked).unwrap_or(i64::MAX));
        let wanted = Wanted { due, due_limit, gauges: is_gauge_time.then_some(lanes) };
        let database = feeds.sources.database.clone();
        let look = service.look_up(&database, clock(), wanted);
        self.lookup.ask(async move {
            match look {
                Some(look) => look.await.map(Some),
                // While no record comes nothing else would notice that the database is away, or is another one.
                None => database.client().await.map(|_| None).map_err(Failure::from),
            }
        });
    }

    fn take_found(&mut self, service: &mut S, found: S::Found) -> bool {
        let passed = Instant::now();
        let mut by_lane: BTreeMap<i32, Vec<S::Signal>> = BTreeMap::new();
        for signal in service.found(found) {
            by_lane.entry(signal.lane()).or_default().push(signal);
        }
        let has_found = !by_lane.is_empty();
        let due = |(lane, signals)| (lane, Due::<S> { signals, passed, targets: HashMap::new() });
        self.due.extend(by_lane.into_iter().map(due));
        has_found
    }

    /// Whether a deadline waits for its lane.
    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The signals of lanes that have read up to their targets. `positions`: up to where the feeds were handed over.
    pub(crate) fn due_items(
        &mut self,
        feeds: &Feeds<S>,
        survey: &Survey<TopicOf<S>>,
        positions: &HashMap<IdOf<S>, i64>,
    ) -> Vec<ItemOf<S>> {
        // Strangers' topics hold no replies.
        let is_reply = |id: &&IdOf<S>| S::Contract::written_by(id.topic).is_some();
        let replies: Vec<IdOf<S>> = feeds.by_id.keys().filter(is_reply).copied().collect();
        for (lane, due) in &mut self.due {
            if due.targets.is_empty() && survey.ends_asked.is_some_and(|asked| asked > due.passed) {
                due.targets = targets::<TopicOf<S>>(survey, replies.iter().filter(|id| id.partition == *lane));
            }
        }
        // Behind the last record there may be transactions' markers, which only the client's position steps over.
        let read_up_to = |id: &IdOf<S>| {
            let feed = feeds.by_id.get(id)?;
            // A held feed is fetched again now and then, and what it is given then is not taken.
            let handed_over = positions.get(id).filter(|_| feed.hold.is_none()).copied();
            Some(handed_over.unwrap_or_default().max(feed.next_offset))
        };
        let has_read = |due: &Due<S>| {
            !due.targets.is_empty()
                && due.targets.iter().all(|(id, target)| read_up_to(id).is_some_and(|at| at >= *target))
        };
        let ready: Vec<i32> = self.due.iter().filter(|(_, due)| has_read(due)).map(|(lane, _)| *lane).collect();
        let fired = ready.iter().filter_map(|lane| self.due.remove(lane));
        fired.flat_map(|due| due.signals).map(signal_item::<S>).collect()
    }
}

/// The ends of these feeds; none where one of them is not known.
fn targets<'f, T: Copy + Eq + Hash + 'f>(
    survey: &Survey<T>,
    feeds: impl Iterator<Item = &'f FeedId<T>>,
) -> HashMap<FeedId<T>, i64> {
    feeds.map(|id| Some((*id, *survey.ends.get(id)?))).collect::<Option<HashMap<_, _>>>().unwrap_or_default()
}
