//! What costs more to count than anybody should wait for: what became of orders, which stock runs out, what each hour has brought in.
//!
//! Counted one after the other in the background, once for everybody, and shown with the time at which it was counted. After each
//! count the database has rest for many times as long as it took, so whatever there is to count, it costs a small share of one
//! connection, and is only older. Where nobody looks, nothing is counted. Deliberately absent: counts that a page waits for, and rows
//! that are kept for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use consumer::DatabaseError;
use domain::stock::Level;
use jiff::Timestamp;
use schemas::{Sku, Time};
use tokio::sync::watch;

use crate::http::Door;
use crate::view::{Became, Owed, Sold, Takings};

/// Whose orders are told apart by what became of them: those of the last hour.
pub(super) const LOOKED_BACK_S: i64 = 3_600;

/// A SKU of which no more than so many pieces are left runs out.
pub(super) const SCARCE: i64 = 10;

/// So many SKUs that run out are told.
pub(super) const SCARCE_TOLD: i64 = 10;

/// Of so many of the newest refunds that came back it is looked whether the money is still here.
const CAME_BACK: i64 = 1_000;

/// So many SKUs of an hour are told.
pub(super) const BEST_TOLD: i64 = 20;

/// How many hours are kept.
pub(super) const HOURS: i64 = 24;

/// An hour, in seconds and microseconds.
const HOUR_S: i64 = 3_600;
const HOUR_US: i64 = HOUR_S * 1_000_000;

/// After how long something is counted again; hours that are over change by refunds and cancellations alone.
const AGAIN: Duration = Duration::from_secs(10);
const HOUR_AGAIN: Duration = Duration::from_secs(30);
const HOUR_OVER_AGAIN: Duration = Duration::from_secs(900);

/// A count rests for so many times what it took.
const REST: u32 = 20;

/// For so long after somebody has looked it is counted on.
const WATCHED: Duration = Duration::from_secs(600);

/// Between two looks whether anything is due.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a count may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Something that was counted.
#[derive(Debug, Clone)]
pub(super) struct Counted<T> {
    /// What came of it.
    pub(super) what: T,
    /// When it was counted.
    pub(super) at: Time,
}

/// What an hour has brought in.
#[derive(Debug, Clone, Default)]
pub(super) struct Hour {
    /// By currency.
    pub(super) takings: Vec<Takings>,
    /// What was ordered most.
    pub(super) best: Vec<Sold>,
}

/// All that was counted; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts(Arc<Mutex<Counting>>);

/// What is known by counting; each thing since it was counted first.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// What became of the orders of the last hour.
    pub(super) became: Option<Counted<Vec<Became>>>,
    /// SKUs that run out, the scarcest first.
    pub(super) scarce: Option<Counted<Vec<(Sku, Level)>>>,
    /// Money of orders that were undone, which came back: the oldest first.
    pub(super) owed: Option<Counted<Vec<Owed>>>,
    /// Hours by their number since 1970.
    pub(super) hours: BTreeMap<i64, Counted<Arc<Hour>>>,
}

#[derive(Debug, Default)]
struct Counting {
    known: Known,
    /// When somebody looked last.
    looked: Option<Instant>,
    /// When each thing was tried to count last, whatever came of it.
    tried: BTreeMap<Task, Instant>,
}

/// Something to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Became,
    Scarce,
    Owed,
    Hour(i64),
}

/// When an hour began.
pub(super) fn begin_of(hour: i64) -> Time {
    Time::from_micros(hour.saturating_mul(HOUR_US))
}

/// The hour of a time.
pub(super) fn hour_of(time: Time) -> i64 {
    time.as_micros().div_euclid(HOUR_US)
}

impl Counts {
    /// What is known now.
    pub(super) fn known(&self) -> Known {
        self.locked().known.clone()
    }

    /// Somebody looks: it is counted from now on, and for a while.
    pub(super) fn look(&self) {
        self.locked().looked = Some(Instant::now());
    }

    /// Counts until asked to stop.
    pub(super) async fn keep_counting(self, door: Arc<Door>, mut stopping: watch::Receiver<bool>) {
        loop {
            let begun = Instant::now();
            let due = self.locked().due(hour_of(Time::from(Timestamp::now())), begun);
            if let Some(task) = due {
                tokio::select! {
                    // An error means that the sender is gone, which is an end as well.
                    _ = stopping.wait_for(|stopped| *stopped) => return,
                    counted = tokio::time::timeout(LIMIT, self.count(&door, task)) => {
                        if let Ok(Err(error)) = counted {
                            tracing::debug!(?task, %error, "it cannot be counted");
                        }
                    }
                }
            }
            tokio::select! {
                _ = stopping.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep((begun.elapsed() * REST).max(PAUSE)) => {}
            }
        }
    }

    async fn count(&self, door: &Door, task: Task) -> Result<(), DatabaseError> {
        let now = Time::from(Timestamp::now());
        match task {
            Task::Became => {
                let what = door.reads.became(now.plus_ms(-LOOKED_BACK_S * 1_000)).await?;
                self.locked().known.became = Some(Counted { what, at: now });
            }
            Task::Scarce => {
                let what = door.reads.scarce(SCARCE, SCARCE_TOLD).await?;
                self.locked().known.scarce = Some(Counted { what, at: now });
            }
            Task::Owed => {
                let what = door.reads.owed(CAME_BACK).await?;
                self.locked().known.owed = Some(Counted { what, at: now });
            }
            Task::Hour(hour) => {
                let (from, before) = (begin_of(hour), begin_of(hour + 1));
                let takings = door.reads.takings(from, before).await?;
                let best = door.reads.best(from, before, BEST_TOLD).await?;
                let what = Arc::new(Hour { takings, best });
                self.locked().known.hours.insert(hour, Counted { what, at: now });
            }
        }
        Ok(())
    }

    fn locked(&self) -> MutexGuard<'_, Counting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counting {
    /// What is to be counted next, and is noted as tried: what never was, then what is due for the longest. Hours of long ago are
    /// forgotten.
    fn due(&mut self, hour: i64, now: Instant) -> Option<Task> {
        let kept = hour - HOURS + 1..=hour;
        self.known.hours.retain(|known, _| kept.contains(known));
        self.looked.filter(|looked| now.saturating_duration_since(*looked) <= WATCHED)?;
        let hours = kept.rev().map(|each| (Task::Hour(each), if each == hour { HOUR_AGAIN } else { HOUR_OVER_AGAIN }));
        let all: Vec<_> =
            [(Task::Became, AGAIN), (Task::Scarce, AGAIN), (Task::Owed, AGAIN)].into_iter().chain(hours).collect();
        self.tried.retain(|tried, _| all.iter().any(|(task, _)| task == tried));
        let never = all.iter().map(|(task, _)| *task).find(|task| !self.tried.contains_key(task));
        let late = |(task, again): &(Task, Duration)| {
            let age = now.saturating_duration_since(*self.tried.get(task)?);
            Some((age.checked_sub(*again)?, *task))
        };
        let due = never.or_else(|| all.iter().filter_map(late).max_by_key(|(late, _)| *late).map(|(_, task)| task))?;
        self.tried.insert(due, now);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_counted_comes_first_then_what_is_late() {
        let (mut counting, now) = (Counting::default(), Instant::now());
        assert_eq!(counting.due(100, now), None, "nobody looks");
        counting.looked = Some(now);
        let first: Vec<Task> = std::iter::from_fn(|| counting.due(100, now)).collect();
        assert_eq!(first[..5], [Task::Became, Task::Scarce, Task::Owed, Task::Hour(100), Task::Hour(99)]);
        assert_eq!(first.len(), 27);
        // What is small is due first, then the present hour; those that are over long after.
        let then: Vec<Task> = std::iter::from_fn(|| counting.due(100, now + HOUR_AGAIN)).collect();
        assert_eq!(then.len(), 4, "{then:?}");
        assert_eq!(then[3], Task::Hour(100), "{then:?}");
        assert_eq!(counting.due(100, now + HOUR_OVER_AGAIN), None, "nobody looks any more");
        counting.looked = Some(now + HOUR_OVER_AGAIN);
        let later: Vec<Task> = std::iter::from_fn(|| counting.due(100, now + HOUR_OVER_AGAIN)).collect();
        assert_eq!(later.len(), 27);
        // The next hour has begun: it is new, and the oldest one is forgotten.
        counting.known.hours =
            (77..=100).map(|hour| (hour, Counted { what: Arc::default(), at: begin_of(hour) })).collect();
        assert_eq!(counting.due(101, now + HOUR_OVER_AGAIN), Some(Task::Hour(101)));
        assert!(!counting.known.hours.contains_key(&77) && counting.known.hours.contains_key(&78));
    }

    #[test]
    fn an_hour_has_a_number_and_a_beginning() {
        let time: Time = "2026-11-30T12:59:59Z".parse().unwrap();
        assert_eq!(begin_of(hour_of(time)).to_string(), "2026-11-30T12:00:00Z".parse::<Time>().unwrap().to_string());
        assert_eq!(hour_of(Time::from_micros(-1)), -1);
    }
}
