//! How the pipeline is, sampled once for everybody who looks: the last quarter of an hour in memory, and the part of the overview that
//! changes, made once a sample and sent to all.
//!
//! Nobody's browser asks again and again. Where nobody looks, a sample is kept, and nothing is made of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use jiff::Timestamp;
use schemas::Time;
use tokio::sync::watch;

use super::{Shared, overview};
use crate::daemons::Heard;
use crate::http::Door;
use crate::pace::Told;
use crate::view::Open;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(2);

/// How long a sample may take to be asked for.
const LIMIT: Duration = Duration::from_secs(5);

/// A quarter of an hour.
const SAMPLES: usize = 450;

/// How often a stream shows that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// How the pipeline was at one time.
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
}

/// The last quarter of an hour, and who looks; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    samples: Arc<Mutex<VecDeque<Arc<Sample>>>>,
    shown: watch::Sender<Arc<str>>,
}

impl Live {
    /// The samples, the oldest first.
    pub(super) fn samples(&self) -> Vec<Arc<Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Samples until asked to stop.
    pub(super) async fn keep_sampling(self, door: Arc<Door>, mut stopping: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                // An error means that the sender is gone, which is an end as well.
                _ = stopping.wait_for(|stopped| *stopped) => return,
                sample = sample(&door) => self.keep(sample),
            }
            tokio::select! {
                _ = stopping.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    fn keep(&self, sample: Sample) {
        {
            let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
            while samples.len() >= SAMPLES {
                samples.pop_front();
            }
            samples.push_back(Arc::new(sample));
        }
        if self.shown.receiver_count() > 0 {
            self.shown.send_replace(overview::live_part(&self.samples()).into_string().into());
        }
    }
}

async fn sample(door: &Door) -> Sample {
    let open = tokio::time::timeout(LIMIT, door.reads.open()).await;
    Sample {
        at: Time::from(Timestamp::now()),
        told: door.tail.pace().told(),
        open: open.ok().and_then(Result::ok),
        commands_waiting: door.lag.commands(),
        view_behind: door.lag.view(),
        daemons: door.daemons.heard(),
    }
}

/// The overview's live part, each time that there is a new one.
pub(super) async fn stream(State(console): Shared) -> Response {
    let (shown, stopping) = (console.live.shown.subscribe(), console.door.stopping.clone());
    let stream = unfold((shown, stopping), async |(mut shown, mut stopping)| {
        tokio::select! {
            _ = stopping.wait_for(|stopped| *stopped) => return None,
            changed = shown.changed() => changed.ok()?,
        }
        let part = Arc::clone(&shown.borrow_and_update());
        Some((Ok::<_, Infallible>(Event::default().data(&*part)), (shown, stopping)))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}
