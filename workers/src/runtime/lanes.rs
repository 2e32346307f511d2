//! Lanes come and go, stop and go on: assignment, holds, gaps, offsets outside the log.
//!
//! Each change ends in setting the consumer to absolute offsets; records that it fetched before come again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use outbox::inbox::OtherLog;

use super::assignment::{self, Closeness, Loaded, lanes_of};
use super::consumer::Ownership;
use super::engine::{Engine, RETRY_FIRST, RETRY_LONGEST};
use super::failure::Failure;
use super::feed::{Feed, FeedId, Hold, HoldCause, Reread};
use super::gather::Stop;
use super::service::{Lanes, Service};
use crate::metrics;

/// How long a witness is waited for before its log's ends are looked at.
const PROOF_PATIENCE: Duration = Duration::from_secs(5);

/// What a person is told of a log that is not believed.
pub(super) fn words_of(id: FeedId, other: &OtherLog) -> String {
    let FeedId { topic, partition } = id;
    format!(
        "{other}; nothing of it is taken before a person says from where: \
         accept-gap --topic {topic} --partition {partition} --offset OFFSET"
    )
}

impl<S: Service> Engine<S> {
    /// Lanes come and go.
    pub(super) async fn own(&mut self, note: Ownership) -> Result<(), Failure> {
        self.leave();
        let Ownership::Assigned(list) = note else { return Ok(()) };
        let ids: Vec<FeedId> = list
            .iter()
            // Partitions that the topics did not have at the start are held: see `layout`.
            .filter(|(_, partition)| *partition < self.partitions)
            .filter_map(|(topic, partition)| {
                Some(FeedId { topic: self.processor.topics.find(topic)?, partition: *partition })
            })
            .collect();
        let lanes = lanes_of(&ids);
        let mut backoff = RETRY_FIRST;
        loop {
            if self.is_stopping() {
                return Ok(());
            }
            match self.load(&ids, &lanes).await {
                Ok(()) => break,
                Err(Failure::Retry(reason)) => {
                    tracing::warn!(%reason, "the lanes' positions cannot be loaded yet");
                    self.health.database(Err(&reason));
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(RETRY_LONGEST);
                }
                Err(failure) => return Err(failure),
            }
            self.health.alive();
        }
        tracing::info!(service = S::NAME.as_str(), lanes = ?lanes, "lanes assigned");
        metrics::lanes(S::NAME.as_str(), lanes.len());
        self.is_assigned = true;
        self.health.assigned(&lanes);
        self.feeds_changed(Instant::now());
        self.report_holds();
        Ok(())
    }

    /// No lane is ours until the group says so again.
    pub(super) fn leave(&mut self) {
        self.due.clear();
        self.lookup.give_up();
        self.held_again.give_up();
        self.feeds.clear();
        self.is_assigned = false;
        metrics::lanes(S::NAME.as_str(), 0);
        self.health.left();
        self.feeds_changed(Instant::now());
    }

    async fn load(&mut self, ids: &[FeedId], lanes: &Lanes) -> Result<(), Failure> {
        let loaded = assignment::load(&self.sources(), ids, Closeness::AsNeeded).await?;
        let client = self.processor.database.client().await?;
        self.service.assigned(&client, lanes).await?;
        self.feeds = loaded.feeds;
        self.hold_others(&loaded.others);
        if !ids.is_empty() {
            self.fetch()?;
        }
        self.health.database(Ok(()));
        Ok(())
    }

    fn fetch(&mut self) -> Result<(), Failure> {
        self.watch.fetched = Instant::now();
        assignment::fetch(&self.consumer, &self.processor.topics, &self.feeds, &self.watch.survey.lows)
            .map_err(|error| Failure::Retry(format!("the consumer cannot be set to its offsets: {error}")))
    }

    /// Another instance moved these feeds on: take their rows' values and fetch from there.
    pub(super) async fn reload(&mut self, moved: &[FeedId]) -> Result<(), Failure> {
        tracing::info!(?moved, "another instance has moved these feeds on");
        match assignment::load(&self.sources(), moved, Closeness::AsNeeded).await {
            Ok(fresh) => {
                for id in moved {
                    self.feeds.remove(id);
                }
                self.replace_feeds(fresh)
            }
            Err(Failure::Retry(reason)) => {
                // Without their rows these feeds may not go on; the next hold check tries again.
                for id in moved {
                    self.hold_because(*id, 0, HoldCause::Log, reason.clone());
                }
                self.refetch()
            }
            Err(failure) => Err(failure),
        }
    }

    /// Put feeds that were loaded again in the places of the old ones, and fetch from there.
    pub(super) fn replace_feeds(&mut self, loaded: Loaded) -> Result<(), Failure> {
        let is_fetched = |id, fresh: &Feed| fresh.fetching || self.feeds.get(id).is_some_and(|old| old.fetching);
        let is_news = loaded.feeds.iter().any(|(id, fresh)| is_fetched(id, fresh));
        for (id, mut feed) in loaded.feeds {
            feed.hold = self.feeds.remove(&id).and_then(|old| old.hold);
            if feed.takes_records() && feed.hold.take_if(|hold| hold.cause == HoldCause::Log).is_some() {
                tracing::info!(feed = %id, next_offset = feed.next_offset, "the log is believed; the feed goes on");
            }
            self.feeds.insert(id, feed);
        }
        self.hold_others(&loaded.others);
        self.report_holds();
        if is_news { self.refetch() } else { Ok(()) }
    }

    /// Set the consumer anew. Feeds not in this batch lose nothing: records fetched ahead come again.
    pub(super) fn refetch(&mut self) -> Result<(), Failure> {
        for feed in self.feeds.values_mut() {
            feed.rewind();
        }
        self.fetch()
    }

    /// Gaps and holds found in a batch.
    pub(super) fn stop_feeds(&mut self, stops: Vec<Stop>) -> Result<(), Failure> {
        for Stop { feed, offset, hold } in stops {
            match hold {
                Some(reason) => self.hold(feed, offset, reason),
                None => {
                    tracing::warn!(%feed, offset, "a sequence is missing; the log is read again from its start");
                    if let Some(feed) = self.feeds.get_mut(&feed) {
                        feed.rereading = Some(Reread { until: offset });
                    }
                }
            }
        }
        self.report_holds();
        self.refetch()
    }

    /// A record of this feed cannot be taken, or it is not the one by which its log is known.
    pub(super) fn hold(&mut self, id: FeedId, offset: i64, reason: String) {
        let is_unproven = self.feeds.get(&id).is_some_and(|feed| feed.proof.is_some());
        let cause = if is_unproven { HoldCause::Log } else { HoldCause::Record };
        self.hold_because(id, offset, cause, reason);
    }

    /// These feeds' logs are not the ones that their offsets belong to.
    fn hold_others(&mut self, others: &HashMap<FeedId, OtherLog>) {
        for (id, other) in others {
            let offset = self.feeds.get(id).map_or(0, |feed| feed.next_offset);
            self.hold_because(*id, offset, HoldCause::Log, words_of(*id, other));
        }
    }

    fn hold_because(&mut self, id: FeedId, offset: i64, cause: HoldCause, reason: String) {
        let Some(feed) = self.feeds.get_mut(&id) else { return };
        feed.fetching = false;
        feed.rereading = None;
        match &mut feed.hold {
            Some(hold) if (hold.offset, hold.cause) == (offset, cause) => hold.reason = reason,
            _ => {
                tracing::error!(feed = %id, offset, %reason, "this partition is held until a person acts");
                feed.hold = Some(Hold { offset, cause, reason, since: Instant::now() });
            }
        }
    }

    pub(super) fn report_holds(&self) {
        let held: Vec<String> = self
            .feeds
            .iter()
            .filter_map(|(id, feed)| {
                let hold = feed.hold.as_ref()?;
                Some(format!(
                    "{id} at offset {} for {} s: {}",
                    hold.offset,
                    hold.since.elapsed().as_secs(),
                    hold.reason
                ))
            })
            .collect();
        metrics::held(S::NAME.as_str(), held.len());
        self.health.held(held);
    }

    /// A held feed is tried again from its row's values: `accept-gap` may have moved it, or a newer binary reads the record.
    /// And a feed whose witness does not come is compared with what its log holds: the log may end before it. Both are
    /// looked at in the background: the other lanes have nothing to do with it.
    pub(super) fn look_at_holds(&mut self) {
        let standing: Vec<FeedId> =
            self.feeds.iter().filter(|(_, feed)| is_standing(feed)).map(|(id, _)| *id).collect();
        if standing.is_empty() || !self.held_again.is_free() {
            return;
        }
        let sources = self.sources();
        self.held_again.ask(async move { assignment::load(&sources, &standing, Closeness::WithRanges).await });
    }

    /// What came of it.
    pub(super) fn take_holds(&mut self) -> Result<(), Failure> {
        match self.held_again.answer() {
            None => Ok(()),
            Some(Ok(mut fresh)) => {
                // A witness that has not come yet, or another record in its place: only another row or log is news. And what
                // has gone on meanwhile is further than what was found.
                fresh.feeds.retain(|id, feed| {
                    let expected = |feed: &Feed| feed.proof.map(|proof| proof.witness);
                    let before = self.feeds.get(id).filter(|before| is_standing(before));
                    before.is_some_and(|before| expected(before).is_none() || expected(before) != expected(feed))
                });
                fresh.others.retain(|id, _| fresh.feeds.contains_key(id));
                self.replace_feeds(fresh)
            }
            Some(Err(failure)) => self.tolerate(failure, "held partitions"),
        }
    }
}

/// Whether nothing of this feed is taken, or its log does not show the record by which it is known.
fn is_standing(feed: &Feed) -> bool {
    feed.hold.is_some() || feed.proof.is_some_and(|proof| proof.since.elapsed() >= PROOF_PATIENCE)
}
