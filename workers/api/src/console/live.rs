//! How the pipeline is, sampled once for everybody who looks: the last quarter of an hour in memory, and the part of the overview that
//! changes, made at most once a sample and sent to all.
//!
//! Nobody's browser asks again and again. Where nobody looks, a sample is kept, and nothing is made of it. A sample has all that is
//! known now; of those before it, the few numbers are kept that charts show.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use jiff::Timestamp;
use schemas::Time;
use tokio::sync::watch;

use super::counts::{Counts, Known};
use super::visit::Visit;
use super::{Shared, overview};
use crate::daemons::Heard;
use crate::http::{Door, Problem, Room};
use crate::pace::Told;
use crate::view::Open;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(2);

/// How long a sample may take to be asked for.
const LIMIT: Duration = Duration::from_secs(5);

/// A quarter of an hour.
pub(super) const SPAN: Duration = Duration::from_secs(900);
const SAMPLES: usize = 450;

/// Open orders are counted by an index, each of them: whoever has very many has them counted less often.
const REST: u32 = 20;

/// How often a stream shows that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// How the pipeline is.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// When.
    pub(super) at: Time,
    /// How fast orders go.
    pub(super) told: Told,
    /// Orders that are not finished, by stage; none where the read model did not answer.
    pub(super) open: Option<Vec<Open>>,
    /// Commands that the order service has not taken yet.
    pub(super) commands_waiting: Option<i64>,
    /// Events that the read model has not taken yet.
    pub(super) view_behind: Option<i64>,
    /// What each daemon says of itself.
    pub(super) daemons: Vec<Heard>,
    /// What is counted seldom.
    pub(super) known: Known,
}

/// What charts show of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// When.
    pub(super) at: Time,
    /// How fast orders went.
    pub(super) told: Told,
    /// Orders that were not finished.
    pub(super) open: Option<i64>,
    /// Commands that the order service had not taken.
    pub(super) commands_waiting: Option<i64>,
    /// Events that the read model had not taken.
    pub(super) view_behind: Option<i64>,
}

impl Moment {
    fn of(sample: &Sample) -> Self {
        Moment {
            at: sample.at,
            told: sample.told,
            open: sample.open.as_ref().map(|open| open.iter().map(|open| open.orders).sum()),
            commands_waiting: sample.commands_waiting,
            view_behind: sample.view_behind,
        }
    }
}

/// The last quarter of an hour, and who looks; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    seen: Arc<Mutex<Seen>>,
    shown: watch::Sender<Arc<str>>,
}

#[derive(Debug, Default)]
struct Seen {
    last: Option<Sample>,
    moments: VecDeque<Moment>,
    /// What was made of the last sample.
    part: Option<Arc<str>>,
}

impl Live {
    /// The part that changes, as of the last sample.
    pub(super) fn part(&self) -> Arc<str> {
        let mut seen = self.seen();
        let Seen { last, moments, part } = &mut *seen;
        let made = || overview::live_part(last.as_ref(), moments.make_contiguous()).into_string().into();
        Arc::clone(part.get_or_insert_with(made))
    }

    /// Samples until asked to stop.
    pub(super) async fn keep_sampling(self, door: Arc<Door>, counts: Counts, mut stopping: watch::Receiver<bool>) {
        let mut opened = Opened::default();
        loop {
            if self.shown.receiver_count() > 0 {
                counts.look();
            }
            tokio::select! {
                // An error means that the sender is gone, which is an end as well.
                _ = stopping.wait_for(|stopped| *stopped) => return,
                sample = sample(&door, &counts, &mut opened) => self.keep(sample),
            }
            tokio::select! {
                _ = stopping.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    fn keep(&self, sample: Sample) {
        {
            let mut seen = self.seen();
            while seen.moments.len() >= SAMPLES {
                seen.moments.pop_front();
            }
            seen.moments.push_back(Moment::of(&sample));
            seen.last = Some(sample);
            seen.part = None;
        }
        if self.shown.receiver_count() > 0 {
            self.shown.send_replace(self.part());
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Open orders as they were counted last.
#[derive(Default)]
struct Opened {
    found: Option<Vec<Open>>,
    rests_until: Option<Instant>,
}

impl Opened {
    async fn count(&mut self, door: &Door) -> Option<Vec<Open>> {
        let begun = Instant::now();
        if self.rests_until.is_none_or(|until| begun >= until) {
            let found = tokio::time::timeout(LIMIT, door.reads.open()).await;
            self.found = found.ok().and_then(Result::ok);
            // What was not answered is asked for again with the next sample.
            self.rests_until = self.found.as_ref().map(|_| begun + begun.elapsed() * REST);
        }
        self.found.clone()
    }
}

async fn sample(door: &Door, counts: &Counts, opened: &mut Opened) -> Sample {
    Sample {
        open: opened.count(door).await,
        at: Time::from(Timestamp::now()),
        told: door.tail.pace().told(),
        commands_waiting: door.lag.commands(),
        view_behind: door.lag.view(),
        daemons: door.daemons.heard(),
        known: counts.known(),
    }
}

/// The overview's live part, each time that there is a new one.
pub(super) async fn stream(State(console): Shared, visit: Visit, headers: HeaderMap) -> Result<Response, Problem> {
    let room = Room::take(&console.door)?;
    let (shown, stopping) = (console.live.shown.subscribe(), console.door.stopping.clone());
    let stream = unfold((shown, stopping, room), async |(mut shown, mut stopping, room)| {
        tokio::select! {
            _ = stopping.wait_for(|stopped| *stopped) => return None,
            changed = shown.changed() => changed.ok()?,
        }
        let part = Arc::clone(&shown.borrow_and_update());
        Some((Ok::<_, Infallible>(Event::default().data(&*part)), (shown, stopping, room)))
    });
    let stream = stream.take_until(Box::pin(visit.pass(&console, &headers).ends()));
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}
