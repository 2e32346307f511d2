//! What happens by the clock: deadlines, held feeds, gauges.
//!
//! A deadline fires only after its lane has read what was in the reply topics when it had passed: a service that was down must
//! not time out replies that already wait there. Each lane waits for itself: one that is held, or behind, keeps no other from
//! its deadlines.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::contract::Contract as _;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::feed::FeedId;
use crate::feeds::{Lanes, lanes_of};
use crate::gather::signal_item;
use crate::service::{IdOf, ItemOf, Service, Signal, TopicOf, Wanted};
use crate::survey::{Demand, Survey};

const TIMER_PERIOD: Duration = Duration::from_millis(500);
const HOLD_PERIOD: Duration = Duration::from_secs(5);
const GAUGE_PERIOD: Duration = Duration::from_secs(10);
const DUE_LIMIT: i64 = 500;

/// Passed deadlines of a lane, which wait until it has read what was in the topics.
pub(crate) struct Due<S: Service> {
    pub(crate) signals: Vec<S::Signal>,
    /// When they had passed.
    pub(crate) passed: Instant,
    /// Up to where the lane must have read; empty until the ends were asked for after `passed`.
    pub(crate) targets: HashMap<IdOf<S>, i64>,
}

pub(crate) struct Periods {
    pub(crate) timers: Instant,
    pub(crate) holds: Instant,
    pub(crate) gauges: Instant,
}

impl<S: Service> Engine<S> {
    /// Timers, held feeds, gauges: each in its own period.
    pub(crate) async fn periodic(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        self.feeds.watch_logs(&self.group.topics, &mut self.watch.complaints).await?;
        if now.duration_since(self.last.holds) >= HOLD_PERIOD {
            self.last.holds = now;
            if self.feeds.logs.is_overdue {
                self.feeds.verify_logs(&mut self.watch.complaints).await?;
            } else {
                self.feeds.look_at_holds();
            }
        }
        self.feeds.take_holds(&mut self.watch.complaints)?;
        if let Some(answer) = self.lookup.answer() {
            match answer {
                Ok(Some(found)) => self.take_found(found),
                Ok(None) => {}
                Err(failure) => self.watch.complaints.tolerate(failure, "timers and gauges")?,
            }
        }
        self.look_up(now);
        self.watch().await
    }

    /// Ask the database for what is due and what the gauges show, each in its own period.
    fn look_up(&mut self, now: Instant) {
        if !self.lookup.is_free() {
            return;
        }
        let is_gauge_time = now.duration_since(self.last.gauges) >= GAUGE_PERIOD;
        let is_timer_time = now.duration_since(self.last.timers) >= TIMER_PERIOD;
        let lanes = lanes_of(self.feeds.by_id.keys());
        // What is due in a lane is looked for again when the last of it has fired.
        let due: Lanes = match is_timer_time && !self.gate.deadlines_rest() {
            true => lanes.iter().filter(|lane| !self.due.contains_key(lane)).copied().collect(),
            false => Lanes::new(),
        };
        if !is_gauge_time && due.is_empty() {
            return;
        }
        if is_gauge_time {
            self.last.gauges = now;
        }
        if is_timer_time {
            self.last.timers = now;
        }
        let wanted = Wanted { due, due_limit: DUE_LIMIT, gauges: is_gauge_time.then_some(lanes) };
        let look = self.service.look_up(&self.processor.database, (self.clock)(), wanted);
        let database = self.processor.database.clone();
        self.lookup.ask(async move {
            match look {
                Some(look) => look.await.map(Some),
                // While no record comes nothing else would notice that the database is away, or is another one.
                None => database.client().await.map(|_| None).map_err(Failure::from),
            }
        });
    }

    fn take_found(&mut self, found: S::Found) {
        let passed = Instant::now();
        let mut by_lane: BTreeMap<i32, Vec<S::Signal>> = BTreeMap::new();
        for signal in self.service.found(found) {
            by_lane.entry(signal.lane()).or_default().push(signal);
        }
        if by_lane.is_empty() {
            return;
        }
        let due = |(lane, signals)| (lane, Due::<S> { signals, passed, targets: HashMap::new() });
        self.due.extend(by_lane.into_iter().map(due));
        self.look_soon(Demand::Ends);
    }

    /// The signals of lanes that have read up to their targets.
    pub(crate) fn due_items(&mut self) -> Vec<ItemOf<S>> {
        if self.due.is_empty() {
            return Vec::new();
        }
        let survey = self.watch.surveyor.survey();
        // Strangers' topics hold no replies.
        let is_reply = |id: &&IdOf<S>| S::Contract::written_by(id.topic).is_some();
        let replies: Vec<IdOf<S>> = self.feeds.by_id.keys().filter(is_reply).copied().collect();
        for (lane, due) in &mut self.due {
            if due.targets.is_empty() && survey.ends_asked.is_some_and(|asked| asked > due.passed) {
                due.targets = targets::<TopicOf<S>>(&survey, replies.iter().filter(|id| id.partition == *lane));
            }
        }
        let positions = self.positions();
        // Behind the last record there may be transactions' markers, which only the client's position steps over.
        let read_up_to = |id: &IdOf<S>| {
            let feed = self.feeds.by_id.get(id)?;
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
