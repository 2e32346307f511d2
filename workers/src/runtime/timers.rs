//! What happens by the clock: deadlines, held feeds, gauges.
//!
//! A deadline fires only after its lane has read what was in the reply topics when it had passed: a service that was down must
//! not time out replies that already wait there.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use schemas::Time;

use super::assignment::{self, lanes_of};
use super::engine::Engine;
use super::failure::Failure;
use super::feed::FeedId;
use super::gather::signal_item;
use super::item::Item;
use super::service::Service;

const TIMER_PERIOD: Duration = Duration::from_millis(500);
const HOLD_PERIOD: Duration = Duration::from_secs(5);
const OBSERVE_PERIOD: Duration = Duration::from_secs(10);
const RANGE_PERIOD: Duration = Duration::from_secs(20);
const DUE_LIMIT: i64 = 500;

/// Passed deadlines that wait until their lanes have read what was in the topics.
pub(super) struct Due<T> {
    pub(super) signals: Vec<T>,
    pub(super) targets: HashMap<FeedId, i64>,
}

pub(super) struct Periods {
    pub(super) timers: Instant,
    pub(super) holds: Instant,
    pub(super) observe: Instant,
    pub(super) ranges: Instant,
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
        if is_time && self.due.is_none() && !self.feeds.is_empty() {
            self.last.timers = now;
            if let Err(failure) = self.look_for_due().await {
                self.tolerate(failure, "timers")?;
            }
        }
        if now.duration_since(self.last.ranges) >= RANGE_PERIOD {
            self.last.ranges = now;
            self.check_idle_ranges().await?;
        }
        if now.duration_since(self.last.observe) >= OBSERVE_PERIOD {
            self.last.observe = now;
            if let Err(failure) = self.observe().await {
                self.tolerate(failure, "gauges")?;
            }
        }
        Ok(())
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
        let client = self.processor.database.client().await?;
        let lanes = lanes_of(self.feeds.keys());
        let now = Time::from(crate::clock::now());
        let signals = self.service.due(&client, &lanes, now, DUE_LIMIT).await?;
        if signals.is_empty() {
            return Ok(());
        }
        let due: Vec<i32> = signals.iter().map(S::lane_of).collect();
        // Strangers' topics hold no replies, and their ends may be transaction markers that are never delivered.
        let replies: Vec<FeedId> = self
            .feeds
            .keys()
            .filter(|id| due.contains(&id.partition) && id.topic.written_by().is_some())
            .copied()
            .collect();
        let marks = assignment::watermarks(&self.consumer, &self.processor.topics, replies).await?;
        self.due = Some(Due { signals, targets: marks.into_iter().map(|(id, mark)| (id, mark.high)).collect() });
        Ok(())
    }

    /// The signals whose lanes have read up to their targets; all of them or none.
    pub(super) fn due_items(&mut self) -> Vec<Item<S::Signal>> {
        let reached = |(id, target): (&FeedId, &i64)| self.feeds.get(id).is_none_or(|feed| feed.next_offset >= *target);
        match self.due.take() {
            Some(due) if due.targets.iter().all(reached) => due.signals.into_iter().map(signal_item::<S>).collect(),
            waiting => {
                self.due = waiting;
                Vec::new()
            }
        }
    }
}
