//! What happens by the clock: deadlines, held feeds, gauges.
//!
//! A deadline fires only after its lane has read what was in the reply topics when it had passed: a service that was down must
//! not time out replies that already wait there. Each lane waits for itself: one that is held, or behind, keeps no other from
//! its deadlines.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use schemas::Time;

use super::assignment::lanes_of;
use super::engine::Engine;
use super::failure::Failure;
use super::feed::FeedId;
use super::gather::signal_item;
use super::item::Item;
use super::service::{Lanes, Service};
use super::survey::{Demand, Survey};

const TIMER_PERIOD: Duration = Duration::from_millis(500);
const HOLD_PERIOD: Duration = Duration::from_secs(5);
const OBSERVE_PERIOD: Duration = Duration::from_secs(10);
const DUE_LIMIT: i64 = 500;

/// Passed deadlines of a lane, which wait until it has read what was in the topics.
pub(super) struct Due<T> {
    pub(super) signals: Vec<T>,
    /// When they had passed.
    pub(super) passed: Instant,
    /// Up to where the lane must have read; empty until the ends were asked for after `passed`.
    pub(super) targets: HashMap<FeedId, i64>,
}

pub(super) struct Periods {
    pub(super) timers: Instant,
    pub(super) holds: Instant,
    pub(super) observe: Instant,
}

impl<S: Service> Engine<S> {
    /// Timers, held feeds, gauges: each in its own period.
    pub(super) async fn periodic(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        self.watch_logs().await?;
        if now.duration_since(self.last.holds) >= HOLD_PERIOD {
            self.last.holds = now;
            self.retry_holds().await?;
        }
        let is_time = now.duration_since(self.last.timers) >= TIMER_PERIOD && !self.gate.deadlines_rest();
        if is_time && !self.feeds.is_empty() {
            self.last.timers = now;
            if let Err(failure) = self.look_for_due().await {
                self.tolerate(failure, "timers")?;
            }
        }
        if now.duration_since(self.last.observe) >= OBSERVE_PERIOD {
            self.last.observe = now;
            if let Err(failure) = self.observe().await {
                self.tolerate(failure, "gauges")?;
            }
        }
        self.watch().await
    }

    pub(super) fn tolerate(&self, failure: Failure, what: &str) -> Result<(), Failure> {
        match failure {
            Failure::Halt(reason) => Err(Failure::Halt(reason)),
            Failure::Retry(reason) | Failure::Poison(reason) => {
                tracing::warn!(%reason, what, "put off");
                Ok(())
            }
            Failure::Moved(_) => Ok(()),
        }
    }

    async fn observe(&mut self) -> Result<(), Failure> {
        let client = self.processor.database.client().await?;
        let lanes = lanes_of(self.feeds.keys());
        self.service.observe(&client, &lanes, Time::from(crate::clock::now())).await
    }

    async fn look_for_due(&mut self) -> Result<(), Failure> {
        let lanes: Lanes =
            lanes_of(self.feeds.keys()).into_iter().filter(|lane| !self.due.contains_key(lane)).collect();
        if lanes.is_empty() {
            return Ok(());
        }
        let client = self.processor.database.client().await?;
        let now = Time::from(crate::clock::now());
        let signals = self.service.due(&client, &lanes, now, DUE_LIMIT).await?;
        if signals.is_empty() {
            return Ok(());
        }
        let passed = Instant::now();
        let mut by_lane: BTreeMap<i32, Vec<S::Signal>> = BTreeMap::new();
        for signal in signals {
            by_lane.entry(S::lane_of(&signal)).or_default().push(signal);
        }
        let due = |(lane, signals)| (lane, Due { signals, passed, targets: HashMap::new() });
        self.due.extend(by_lane.into_iter().map(due));
        self.look_soon(Demand::Ends);
        Ok(())
    }

    /// The signals of lanes that have read up to their targets.
    pub(super) fn due_items(&mut self) -> Vec<Item<S::Signal>> {
        if self.due.is_empty() {
            return Vec::new();
        }
        let survey = self.watch.surveyor.survey();
        // Strangers' topics hold no replies.
        let replies: Vec<FeedId> = self.feeds.keys().filter(|id| id.topic.written_by().is_some()).copied().collect();
        for (lane, due) in &mut self.due {
            if due.targets.is_empty() && survey.ends_asked.is_some_and(|asked| asked > due.passed) {
                due.targets = targets(&survey, replies.iter().filter(|id| id.partition == *lane));
            }
        }
        let positions = self.positions();
        // Behind the last record there may be transactions' markers, which only the client's position steps over.
        let read_up_to = |id: &FeedId| {
            let feed = self.feeds.get(id)?;
            // A held feed is fetched again now and then, and what it is given then is not taken.
            let handed_over = positions.get(id).filter(|_| feed.hold.is_none()).copied();
            Some(handed_over.unwrap_or_default().max(feed.next_offset))
        };
        let has_read = |due: &Due<S::Signal>| {
            !due.targets.is_empty()
                && due.targets.iter().all(|(id, target)| read_up_to(id).is_some_and(|at| at >= *target))
        };
        let ready: Vec<i32> = self.due.iter().filter(|(_, due)| has_read(due)).map(|(lane, _)| *lane).collect();
        let fired = ready.iter().filter_map(|lane| self.due.remove(lane));
        fired.flat_map(|due| due.signals).map(signal_item::<S>).collect()
    }
}

/// The ends of these feeds; none where one of them is not known.
fn targets<'f>(survey: &Survey, feeds: impl Iterator<Item = &'f FeedId>) -> HashMap<FeedId, i64> {
    feeds.map(|id| Some((*id, *survey.ends.get(id)?))).collect::<Option<HashMap<_, _>>>().unwrap_or_default()
}
