//! Offsets outside of their logs: the topic was truncated or made anew. Judged from what the surveyor saw.
//!
//! The client tells of such an offset once, or not at all, and then fetches that partition no more. A broker that just came up
//! may show an end that is too low for a moment, so an offset counts as outside only after `PATIENCE`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::feeds::Feeds;
use crate::gather::Stop;
use crate::progress::Progress;
use crate::service::{IdOf, Service};

/// How long an offset must seem to be outside.
const PATIENCE: Duration = Duration::from_secs(8);

/// What is suspected.
pub(crate) struct Ranges<S: Service> {
    /// When the client complained of an offset.
    suspicion: Option<Instant>,
    /// Since when an offset seems to be outside of its log.
    outside: HashMap<IdOf<S>, Instant>,
}

impl<S: Service> Ranges<S> {
    pub(crate) fn new() -> Self {
        Ranges { suspicion: None, outside: HashMap::new() }
    }

    /// The client complains of an offset: what is inside its log has to be fetched again, as soon as the logs were looked at.
    pub(crate) fn suspect(&mut self, now: Instant) {
        self.suspicion = Some(now);
    }

    /// A new client has complained of nothing.
    pub(crate) fn renewed(&mut self) {
        self.suspicion = None;
    }

    /// This feed is not ours any more.
    pub(crate) fn forget(&mut self, id: &IdOf<S>) {
        self.outside.remove(id);
    }

    /// Hold the feeds whose offsets are outside of their logs, by the survey that they have.
    pub(crate) fn judge(
        &mut self,
        feeds: &mut Feeds<S>,
        progress: &HashMap<IdOf<S>, Progress>,
        now: Instant,
    ) -> Result<(), Failure> {
        let survey = feeds.survey.clone();
        let Some(asked) = survey.ends_asked.min(survey.lows_asked) else { return Ok(()) };
        let mut stops = Vec::new();
        for (id, feed) in feeds.by_id.iter().filter(|(_, feed)| feed.fetching && feed.hold.is_none()) {
            let next = feed.next_offset;
            let bounds = survey.lows.get(id).zip(survey.ends.get(id));
            // Only what was seen after the feed moved last can be compared with where it is.
            let is_comparable = progress.get(id).is_some_and(|progress| progress.moved() < asked);
            let Some((low, end)) = bounds.filter(|(low, end)| is_comparable && (next < **low || next > **end)) else {
                self.outside.remove(id);
                continue;
            };
            let since = *self.outside.entry(*id).or_insert(now);
            if now.duration_since(since) >= PATIENCE {
                let reason = format!("offset {next} is outside the log, which holds {low} to {end}");
                stops.push(Stop { feed: *id, offset: next, hold: Some(reason) });
            }
        }
        if self.suspicion.is_some_and(|suspicion| suspicion < asked) {
            self.suspicion = None;
            if self.outside.is_empty() {
                // The answer may be of a later log than the error: the client must be told to go on in any case.
                tracing::warn!(
                    "the client complained of an offset, and all are inside their logs: they are fetched again"
                );
                feeds.refetch()?;
            }
        }
        for stop in &stops {
            self.outside.remove(&stop.feed);
        }
        if stops.is_empty() { Ok(()) } else { feeds.stop(stops) }
    }
}
