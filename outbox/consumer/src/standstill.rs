//! What becomes of a feed that stands: it is named in the log, in `/readyz` and in a metric; what can be mended is mended.
//!
//! Records that the client library cannot read: on a topic that anyone writes the run of them is passed over, after
//! `PASS_AFTER`, with one dead letter; on a topic that one of our services writes the partition is held. What the client does
//! not bring is fetched again, then by a new client. An open transaction is waited for, as Kafka's rule for committed reads
//! is, and its first record told.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use outbox::inbox::Cursor;
use outbox::inbox::place::Place;

use crate::contract::Contract as _;
use crate::dead_letter::{DeadCause, DeadLetter};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::feed::Feed;
use crate::gather::Stop;
use crate::group_member::Vitals;
use crate::inquiry::{Answer, Inquiry, Question};
use crate::item::{Cause, Item, Progress as Step, Work};
use crate::metrics;
use crate::progress::{Obstacle, Progress, Sight, Standing};
use crate::service::{IdOf, ItemOf, Service};
use crate::status::{FeedStatus, HeldStatus, PositionStatus};
use crate::survey::Demand;

/// An unreadable run on a topic that anyone writes is passed over after this.
const PASS_AFTER: Duration = Duration::from_secs(20);
/// What the client does not bring is fetched again after this.
const REFETCH_AFTER: Duration = Duration::from_secs(10);
/// So long an error of the client about a record concerns the feeds that stand; it is repeated as long as one does.
const COMPLAINT_LASTS: Duration = Duration::from_secs(10);
/// An instance with a feed that stands so long is not ready.
const READY_PATIENCE: Duration = Duration::from_secs(30);

/// A feed whose standing was told.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) standing: Standing,
    /// When it was fetched again on account of it.
    refetched: Option<Instant>,
}

impl<S: Service> Engine<S> {
    /// Take a look at every feed.
    pub(crate) async fn watch_feeds(&mut self, now: Instant) -> Result<(), Failure> {
        let positions = self.positions();
        let vitals = self.notes.vitals();
        let mut seen = Vec::new();
        let mut feeds = Vec::new();
        let mut has_moved = false;
        for (id, feed) in &self.feeds.by_id {
            let topic = self.processor.topics.full(id.topic);
            let handed_over = positions.get(id).copied().unwrap_or(feed.next_offset);
            let done = handed_over.max(feed.next_offset);
            let end = self.watch.survey.ends.get(id).copied();
            if let Some(end) = end {
                metrics::consumer_lag(&topic, id.partition, end - done);
            }
            feeds.push(status_of::<S>(*id, feed, end.map(|end| (end - done).max(0)), (self.clock)()));
            if done > feed.next_offset && feed.fetching {
                // Behind a transaction's marker; the group's offset too, or tools would see a lag for ever.
                self.feeds.store_for_tools(*id, done);
            }
            let progress = self.watch.progress.entry(*id).or_insert_with(|| Progress::new(feed.next_offset, now));
            let before = progress.moved();
            let standing = progress.look(&Sight {
                now,
                position: if feed.rereading.is_some() { handed_over } else { done },
                end,
                open: vitals.as_ref().and_then(|vitals| open_at(vitals, &topic, id.partition, done)),
                held: feed.hold.as_ref().map(|hold| hold.since),
                is_unreadable: self.watch.unreadable.is_some_and(|at| now.duration_since(at) < COMPLAINT_LASTS)
                    && !matches!(self.watch.answers.get(id), Some((at, Answer::Readable)) if *at == done),
                is_saturated: self.service.is_saturated(),
                drained: self.watch.drained,
            });
            has_moved |= progress.moved() != before;
            seen.push((*id, standing));
        }
        self.health.feeds(feeds);
        for (id, standing) in seen {
            self.name(id, standing, now);
        }
        if has_moved {
            // Lag is measured where there is any.
            self.look_soon(Demand::Ends);
        }
        self.ask_why(now).await;
        self.report_standing(now);
        self.act(now).await
    }

    /// Whether feeds stand that were fetched again in vain.
    pub(crate) fn is_starved(&self, now: Instant) -> bool {
        self.watch.named.values().any(|named| {
            named.standing.obstacle == Obstacle::NotFetched
                && named.refetched.is_some_and(|refetched| now.duration_since(refetched) >= REFETCH_AFTER)
        })
    }

    /// Tell of the begin and the end of a standstill.
    fn name(&mut self, id: IdOf<S>, standing: Option<Standing>, now: Instant) {
        let service = S::NAME;
        let before = self.watch.named.get(&id).map(|named| named.standing);
        if let Some(before) = before.filter(|before| standing.map(|now| now.obstacle) != Some(before.obstacle)) {
            metrics::standing(S::Contract::topic_name(id.topic), id.partition, before.obstacle.as_str(), 0);
        }
        match (before, standing) {
            (None, None) => {}
            (None, Some(standing)) => {
                if standing.obstacle != Obstacle::Held {
                    tracing::warn!(service, feed = %id, offset = standing.at, cause = standing.obstacle.as_str(), "this partition stands");
                }
                self.watch.named.insert(id, Named { standing, refetched: None });
            }
            (Some(before), None) => {
                let stood_s = now.saturating_duration_since(before.since).as_secs();
                tracing::info!(service, feed = %id, cause = before.obstacle.as_str(), stood_s, "this partition resumes");
                self.watch.named.remove(&id);
                self.watch.answers.remove(&id);
            }
            (Some(before), Some(standing)) => {
                if let Some(named) = self.watch.named.get_mut(&id) {
                    named.standing = standing;
                }
                if before.at != standing.at {
                    self.watch.answers.remove(&id);
                }
            }
        }
    }

    /// Have it found out what stands behind an obstacle, one feed at a time.
    async fn ask_why(&mut self, now: Instant) {
        if self.watch.inquiry.as_ref().is_some_and(Inquiry::is_done)
            && let Some(inquiry) = self.watch.inquiry.take()
        {
            let (feed, from) = (inquiry.feed, inquiry.from);
            let answer = inquiry.answer().await;
            if let Answer::Nothing(reason) = &answer {
                tracing::warn!(%feed, offset = from, %reason, "why this partition stands could not be found out");
            }
            self.watch.answers.insert(feed, (from, answer));
        }
        if self.watch.inquiry.is_some() {
            return;
        }
        let unasked = self.watch.named.iter().find(|(id, named)| {
            let is_open = matches!(named.standing.obstacle, Obstacle::Unreadable | Obstacle::OpenTransaction);
            is_open && !matches!(self.watch.answers.get(id), Some((at, _)) if *at == named.standing.at)
        });
        let Some((id, named)) = unasked else { return };
        let question = Question {
            kafka: self.group.kafka.clone(),
            group: self.group.name.clone(),
            topic: self.processor.topics.full(id.topic),
            partition: id.partition,
            from: named.standing.at,
            end: self.watch.survey.ends.get(id).copied().unwrap_or(named.standing.at),
            planted: self.planted,
        };
        tracing::debug!(feed = %id, ?now, "asking why this partition stands");
        self.watch.inquiry = Inquiry::start(*id, named.standing.obstacle, question);
    }

    /// `/readyz` and the gauge.
    fn report_standing(&self, now: Instant) {
        let mut lines = Vec::new();
        for (id, named) in &self.watch.named {
            let lasts = now.saturating_duration_since(named.standing.since);
            let seconds = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
            metrics::standing(
                S::Contract::topic_name(id.topic),
                id.partition,
                named.standing.obstacle.as_str(),
                seconds,
            );
            if named.standing.obstacle != Obstacle::Held {
                lines.push((self.words_for(*id, &named.standing, lasts), lasts >= READY_PATIENCE));
            }
        }
        lines.sort();
        self.health.standing(lines);
    }

    fn words_for(&self, id: IdOf<S>, standing: &Standing, lasts: Duration) -> String {
        let answer = self.watch.answers.get(&id).filter(|(at, _)| *at == standing.at).map(|(_, answer)| answer);
        let why = match (standing.obstacle, answer) {
            (Obstacle::Held, _) => "held".to_owned(),
            (Obstacle::Unreadable, Some(Answer::Unreadable { last, reason })) => {
                let what = if S::Contract::written_by(id.topic).is_some() {
                    "it will be held"
                } else {
                    "they will be passed over with one dead letter"
                };
                format!(
                    "the client library cannot read the records at offsets {} to {last} ({reason}); {what}",
                    standing.at
                )
            }
            (Obstacle::Unreadable, _) => "the client library reports records that it cannot read".to_owned(),
            (Obstacle::OpenTransaction, answer) => {
                let first = match answer {
                    Some(Answer::Transaction { since, key, source }) => {
                        let since = since.map_or("an unknown time".to_owned(), |since| since.to_string());
                        format!(" since {since}, key {key}, ce_source {source}")
                    }
                    Some(Answer::Readable | Answer::Unreadable { .. } | Answer::Nothing(_)) | None => String::new(),
                };
                format!(
                    "a producer's transaction is open{first}; `kafka-transactions.sh describe-producers --topic {} \
                     --partition {}` names the producer",
                    self.processor.topics.full(id.topic),
                    id.partition
                )
            }
            (Obstacle::NotFetched, _) => {
                let end = self.watch.survey.ends.get(&id).copied().unwrap_or(standing.at);
                format!("the log continues to offset {end}, and the client does not bring it")
            }
            (Obstacle::Saturated, _) => "the service has as much under way as it may have".to_owned(),
        };
        format!("{id} stands at offset {} for {} s: {why}", standing.at, lasts.as_secs())
    }

    /// Mend what can be mended.
    async fn act(&mut self, now: Instant) -> Result<(), Failure> {
        let mut passes = Vec::new();
        let mut stops = Vec::new();
        let mut unfetched = Vec::new();
        for (id, named) in &self.watch.named {
            let Standing { since, obstacle, at } = named.standing;
            let lasts = now.saturating_duration_since(since);
            match (obstacle, self.watch.answers.get(id)) {
                (Obstacle::Unreadable, Some((offset, Answer::Unreadable { last, reason }))) if *offset == at => {
                    let words =
                        format!("the client library cannot read the records at offsets {at} to {last}: {reason}");
                    if S::Contract::written_by(id.topic).is_some() {
                        stops.push(Stop { feed: *id, offset: at, hold: Some(words) });
                    } else if lasts >= PASS_AFTER {
                        let restoration = self.feeds.by_id.get(id).map(|feed| feed.restoration).unwrap_or_default();
                        let place = restoration.place(id.partition, at, || None);
                        passes.push(passed_over::<S>(*id, place, (at, *last), words));
                    }
                }
                (Obstacle::NotFetched, _) if lasts >= REFETCH_AFTER && named.refetched.is_none() => unfetched.push(*id),
                (
                    Obstacle::Held
                    | Obstacle::Unreadable
                    | Obstacle::OpenTransaction
                    | Obstacle::NotFetched
                    | Obstacle::Saturated,
                    _,
                ) => {}
            }
        }
        if !stops.is_empty() {
            self.feeds.stop(stops)?;
        }
        if !passes.is_empty() {
            self.process(passes).await?;
            self.feeds.refetch()?;
        }
        if !unfetched.is_empty() {
            tracing::warn!(feeds = ?unfetched, "the client does not bring what the logs hold; the feeds are fetched again");
            for id in &unfetched {
                self.watch.named.entry(*id).and_modify(|named| named.refetched = Some(now));
            }
            self.feeds.refetch()?;
        }
        Ok(())
    }
}

/// The feed for whoever asks.
fn status_of<S: Service>(id: IdOf<S>, feed: &Feed, lag: Option<i64>, now: Timestamp) -> FeedStatus {
    let held = feed.hold.as_ref().map(|hold| HeldStatus {
        offset: hold.offset,
        since: now.checked_sub(hold.since.elapsed()).unwrap_or(now),
        why: hold.reason.clone(),
    });
    FeedStatus {
        topic: S::Contract::topic_name(id.topic).to_owned(),
        partition: id.partition,
        next_offset: feed.next_offset,
        position: feed.cursor.map(|Cursor { epoch, sequence }| PositionStatus { epoch, sequence }),
        lag,
        held,
    }
}

/// When the client saw a transaction open right behind this position.
fn open_at(vitals: &Vitals, topic: &str, partition: i32, position: i64) -> Option<Instant> {
    let high = vitals.open.get(&(topic.to_owned(), partition))?;
    (position < *high).then_some(vitals.at)
}

/// One dead letter for the whole run, and the feed behind it. What cannot be read cannot be carried.
fn passed_over<S: Service>(id: IdOf<S>, place: Place, (first, last): (i64, i64), detail: String) -> ItemOf<S> {
    tracing::error!(feed = %id, first, last, %detail, "records that cannot be read are passed over with one dead letter");
    let offset = |offset: i64| Some(offset.to_be_bytes().to_vec());
    let letter = DeadLetter {
        topic: id.topic,
        partition: id.partition,
        offset: first,
        place,
        timestamp: rdkafka::Timestamp::NotAvailable,
        key: None,
        payload: None,
        headers: vec![(LAST_OFFSET_HEADER.to_owned(), offset(last))],
        headers_left_out: 0,
        is_reduced: false,
        cause: DeadCause::Unreadable,
        detail,
    };
    Item {
        feed: id,
        progress: Some(Step { offset: last, place, cursor: None }),
        work: Work::DeadLetter(Box::new(letter)),
        raw: None,
        slot: None,
        cause: Cause::default(),
    }
}

/// The last offset of a run that could not be read; the first is the letter's original offset.
const LAST_OFFSET_HEADER: &str = "kafka_dlt-original-last-offset";
