//! What becomes of what cannot be committed: it is halved until the culprit is alone, and the culprit is parked, goes to the dead
//! letters, or holds its partition.
//!
//! What decodes is parked, whoever sent it. What does not decode never comes here: `intake` has judged it. A record of one of our
//! own services is not kept while it goes well, so it is fetched once more to be parked as it came.

use std::time::Instant;

use crate::dead_letter::DeadCause;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::gather::Stop;
use crate::item::Work;
use crate::lot::{Plan, Refusal};
use crate::metrics;
use crate::parking::key_of;
use crate::service::{ItemOf, Service};
use crate::text;

/// How a batch goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// With what is left of it.
    GoesOn,
    /// Not at all: what is left was given up, and is fetched again.
    GivenUp,
}

impl<S: Service> Engine<S> {
    /// Halve what cannot be committed; rule on a single culprit.
    pub(crate) fn bisect(
        &mut self,
        mut part: Vec<ItemOf<S>>,
        reason: String,
        parts: &mut Vec<Vec<ItemOf<S>>>,
    ) -> Result<Course, Failure> {
        if part.len() > 1 {
            let second = part.split_off(part.len() / 2);
            parts.push(second);
            parts.push(part);
            return Ok(Course::GoesOn);
        }
        let Some(mut item) = part.pop() else { return Ok(Course::GoesOn) };
        let Some(progress) = item.progress else {
            tracing::error!(feed = %item.feed, %reason, "a signal cannot be saved; it will come again");
            return Ok(Course::GoesOn);
        };
        match &mut item.work {
            Work::Decide { .. } if item.raw.is_some() => self.refuse(item, progress.offset, reason, parts),
            Work::Decide { .. } => {
                tracing::warn!(feed = %item.feed, offset = progress.offset, %reason, "a record cannot be taken; it is fetched once more");
                self.feeds.by_id.entry(item.feed).and_modify(|feed| feed.suspect = Some(progress.offset));
                Ok(Course::GivenUp)
            }
            Work::DeadLetter(letter) if !letter.is_reduced => {
                // Whatever a stranger sent must not block the partition: then only the fact is kept.
                tracing::error!(feed = %item.feed, %reason, "a dead letter cannot be saved as it is; it is reduced");
                letter.is_reduced = true;
                parts.push(vec![item]);
                Ok(Course::GoesOn)
            }
            Work::Park(_) => self.refuse_parked(item, progress.offset, reason, parts),
            Work::Skip(_) | Work::DeadLetter(_) => self.hold(&item, progress.offset, reason),
        }
    }

    /// A record decodes and cannot be taken.
    fn refuse(
        &mut self,
        mut item: ItemOf<S>,
        offset: i64,
        reason: String,
        parts: &mut Vec<Vec<ItemOf<S>>>,
    ) -> Result<Course, Failure> {
        let (feed, now) = (item.feed, Instant::now());
        let key = key_of::<S>(&item).unwrap_or_default();
        match self.feeds.lot.refused(feed.partition, key, &reason, now) {
            Refusal::Park => {
                let shown = String::from_utf8_lossy(key).into_owned();
                tracing::error!(%feed, offset, key = shown, %reason, "a record cannot be taken; its key is parked");
                item.work = Work::Park(Some(text::detail(reason)));
                parts.push(vec![item]);
                Ok(Course::GoesOn)
            }
            Refusal::Unparkable => self.set_aside(item, offset, reason, parts),
            Refusal::Full(words) => self.hold(&item, offset, format!("{words}; the next is refused: {reason}")),
            Refusal::Flood(words) => {
                metrics::retry(S::NAME, "flood");
                let rest = self.feeds.lot.flood(feed, offset, now);
                tracing::error!(%feed, offset, reason = words, ?rest, "consumption rests");
                self.health.flood(Some(words));
                Ok(Course::GivenUp)
            }
        }
    }

    /// A record cannot be parked: there is no room behind its key, or the database does not keep it.
    fn refuse_parked(
        &mut self,
        item: ItemOf<S>,
        offset: i64,
        reason: String,
        parts: &mut Vec<Vec<ItemOf<S>>>,
    ) -> Result<Course, Failure> {
        let key = key_of::<S>(&item).unwrap_or_default();
        match self.feeds.lot.extend(item.feed.partition, key, 1) {
            Err(full) => self.hold(&item, offset, full),
            Ok(_) => self.set_aside(item, offset, reason, parts),
        }
    }

    /// A stranger's goes to the dead letters; one of our own services' holds its partition.
    fn set_aside(
        &mut self,
        mut item: ItemOf<S>,
        offset: i64,
        reason: String,
        parts: &mut Vec<Vec<ItemOf<S>>>,
    ) -> Result<Course, Failure> {
        use crate::contract::Contract as _;
        match item.raw.take() {
            Some(mut letter) if S::Contract::written_by(item.feed.topic).is_none() => {
                tracing::error!(feed = %item.feed, %reason, "a record cannot be saved; it goes to the dead letters");
                letter.cause = DeadCause::Refused;
                letter.detail = text::detail(&reason);
                item.work = Work::DeadLetter(letter);
                parts.push(vec![item]);
                Ok(Course::GoesOn)
            }
            Some(_) | None => self.hold(&item, offset, reason),
        }
    }

    fn hold(&mut self, item: &ItemOf<S>, offset: i64, reason: String) -> Result<Course, Failure> {
        self.feeds.stop(vec![Stop { feed: item.feed, offset, hold: Some(reason) }])?;
        Ok(Course::GoesOn)
    }

    /// Give up what is left of a batch, but for its signals: it is fetched again.
    pub(crate) fn give_up(&mut self, parts: &mut [Vec<ItemOf<S>>]) -> Result<Course, Failure> {
        for part in parts {
            part.retain(|item| item.progress.is_none());
        }
        self.feeds.refetch()?;
        Ok(Course::GivenUp)
    }

    /// A batch that did this to the lot is committed.
    pub(crate) fn parked(&mut self, plan: Plan) {
        if let Some((run, true)) = &plan.taken {
            let key = String::from_utf8_lossy(&run.key).into_owned();
            tracing::info!(service = S::NAME, lane = run.lane, key, "a parked key is free: all its messages are taken");
        }
        let is_change = plan.fenced().is_some();
        self.feeds.lot.apply(plan, Instant::now());
        if is_change {
            self.report_parked();
        }
        let feeds = &self.feeds.by_id;
        if self.feeds.lot.ebbs(|id| feeds.get(&id).map(|feed| feed.next_offset)) {
            tracing::info!(service = S::NAME, "what was refused is taken; consumption goes on");
            self.health.flood(None);
        }
    }
}
