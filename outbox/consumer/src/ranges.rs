//! Offsets outside of their logs: the topic was truncated or made anew. Judged from what the surveyor saw.
//!
//! The client tells of such an offset once, or not at all, and then fetches that partition no more. A broker that just came up
//! may show an end that is too low for a moment, so an offset counts as outside only after `PATIENCE`.

use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::failure::Failure;
use crate::gather::Stop;
use crate::service::Service;
use crate::survey::Demand;

/// How long an offset must seem to be outside.
const PATIENCE: Duration = Duration::from_secs(8);

impl<S: Service> Engine<S> {
    /// After a client error about an offset: look at the logs at once, and fetch again what is inside them.
    pub(crate) fn check_ranges(&mut self) {
        self.watch.suspicion = Some(Instant::now());
        self.look_soon(Demand::All);
    }

    /// Hold the feeds whose offsets are outside of their logs.
    pub(crate) fn judge_ranges(&mut self, now: Instant) -> Result<(), Failure> {
        let survey = self.watch.survey.clone();
        let Some(asked) = survey.ends_asked.min(survey.lows_asked) else { return Ok(()) };
        let mut stops = Vec::new();
        for (id, feed) in self.feeds.by_id.iter().filter(|(_, feed)| feed.fetching && feed.hold.is_none()) {
            let next = feed.next_offset;
            let bounds = survey.lows.get(id).zip(survey.ends.get(id));
            // Only what was seen after the feed moved last can be compared with where it is.
            let is_comparable = self.watch.progress.get(id).is_some_and(|progress| progress.moved() < asked);
            let Some((low, end)) = bounds.filter(|(low, end)| is_comparable && (next < **low || next > **end)) else {
                self.watch.outside.remove(id);
                continue;
            };
            let since = *self.watch.outside.entry(*id).or_insert(now);
            if now.duration_since(since) >= PATIENCE {
                let reason = format!("offset {next} is outside the log, which holds {low} to {end}");
                stops.push(Stop { feed: *id, offset: next, hold: Some(reason) });
            }
        }
        if self.watch.suspicion.is_some_and(|suspicion| suspicion < asked) {
            self.watch.suspicion = None;
            if self.watch.outside.is_empty() {
                // The answer may be of a later log than the error: the client must be told to go on in any case.
                tracing::warn!(
                    "the client complained of an offset, and all are inside their logs: they are fetched again"
                );
                self.feeds.refetch()?;
            }
        }
        for stop in &stops {
            self.watch.outside.remove(&stop.feed);
        }
        if stops.is_empty() { Ok(()) } else { self.feeds.stop(stops) }
    }
}
