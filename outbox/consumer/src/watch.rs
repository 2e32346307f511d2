//! The engine's look at itself, once a second and whenever the surveyor has news: the client, the feeds, the topics, the
//! group. Everything is judged from what lies there; nothing here waits for a broker.
//!
//! What the judgements are is in `watchdog` and `progress`; what becomes of feeds that stand is in `standstill`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::complaints::Complaints;
use crate::contract::Contract as _;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::group_member::{self, VITALS_WITHIN};
use crate::inquiry::{Answer, Inquiry};
use crate::layout::Layout;
use crate::metrics;
use crate::progress::Progress;
use crate::ranges::Ranges;
use crate::service::{IdOf, Service, TopicOf};
use crate::standstill::Named;
use crate::survey::{Demand, Survey, Surveyor};
use crate::watchdog::{Signs, Watchdog};

/// Between two looks when the surveyor has nothing new.
const PERIOD: Duration = Duration::from_secs(1);
/// After the consumer was set to its offsets, its positions may be those of before for a moment.
const POSITIONS_AFTER: Duration = Duration::from_secs(1);
/// Lanes that nobody has for so long are an error; the group needs some seconds to hand them over.
const UNOWNED_PATIENCE: Duration = Duration::from_secs(30);
/// Between two words about them.
const UNOWNED_PERIOD: Duration = Duration::from_secs(60);

/// What the engine remembers of its looks.
pub(crate) struct Watch<S: Service> {
    pub(crate) surveyor: Surveyor<TopicOf<S>>,
    pub(crate) survey: Arc<Survey<TopicOf<S>>>,
    looked: Instant,
    pub(crate) layout: Layout,
    pub(crate) complaints: Complaints,
    watchdog: Watchdog,
    /// Since when this client is ours.
    client_since: Instant,
    pub(crate) progress: HashMap<IdOf<S>, Progress>,
    pub(crate) named: HashMap<IdOf<S>, Named>,
    pub(crate) inquiry: Option<Inquiry<TopicOf<S>>>,
    /// What was found out about a feed that stands at this offset.
    pub(crate) answers: HashMap<IdOf<S>, (i64, Answer)>,
    /// When the client complained of records that it cannot read.
    pub(crate) unreadable: Option<Instant>,
    pub(crate) ranges: Ranges<S>,
    /// When the client had nothing more to hand over.
    pub(crate) drained: Instant,
    unowned_since: Option<Instant>,
    unowned_told: Option<Instant>,
}

impl<S: Service> Watch<S> {
    pub(crate) fn new(surveyor: Surveyor<TopicOf<S>>, lanes: i32, now: Instant) -> Self {
        Watch {
            surveyor,
            survey: Arc::default(),
            looked: now,
            layout: Layout::new(lanes),
            complaints: Complaints::default(),
            watchdog: Watchdog::new(),
            client_since: now,
            progress: HashMap::new(),
            named: HashMap::new(),
            inquiry: None,
            answers: HashMap::new(),
            unreadable: None,
            ranges: Ranges::new(),
            drained: now,
            unowned_since: None,
            unowned_told: None,
        }
    }

    /// A new client has taken the old one's place.
    pub(crate) fn renewed(&mut self, now: Instant) {
        self.client_since = now;
        self.watchdog.renewed(now);
        self.ranges.renewed();
        self.unreadable = None;
    }
}

impl<S: Service> Engine<S> {
    /// Look, if it is time.
    pub(crate) async fn watch(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        let survey = self.watch.surveyor.survey();
        let is_news = survey.number != self.watch.survey.number;
        if !is_news && now.duration_since(self.watch.looked) < PERIOD {
            return Ok(());
        }
        self.feeds.survey = survey.clone();
        self.watch.survey = survey;
        self.watch.looked = now;
        self.watch_owners(now);
        let words = self.watch.layout.look(&self.watch.survey.partitions, now);
        metrics::changed_topics(S::NAME, words.len());
        self.health.layout(words);
        self.watch.ranges.judge(&mut self.feeds, &self.watch.progress, now)?;
        self.watch_feeds(now).await?;
        self.watch_client(now).await
    }

    /// Up to where the feeds were handed over; none right after they were set to their offsets.
    pub(crate) fn positions(&self) -> HashMap<IdOf<S>, i64> {
        if self.feeds.fetched.elapsed() < POSITIONS_AFTER {
            return HashMap::new();
        }
        group_member::positions(&self.feeds.consumer, &self.processor.topics)
    }

    /// The feeds are others now, or none.
    pub(crate) fn feeds_changed(&mut self, now: Instant) {
        let feeds: Vec<IdOf<S>> = self.feeds.by_id.keys().copied().collect();
        self.watch.surveyor.watch(feeds);
        let is_gone = |id: &&IdOf<S>| !self.feeds.by_id.contains_key(*id);
        let gone: Vec<IdOf<S>> = self.watch.progress.keys().filter(is_gone).copied().collect();
        for id in gone {
            self.watch.progress.remove(&id);
            self.watch.answers.remove(&id);
            self.watch.ranges.forget(&id);
            metrics::consumer_lag(&self.processor.topics.full(id.topic), id.partition, 0);
            if let Some(named) = self.watch.named.remove(&id) {
                metrics::standing(S::Contract::topic_name(id.topic), id.partition, named.standing.obstacle.as_str(), 0);
            }
        }
        for (id, feed) in &self.feeds.by_id {
            self.watch.progress.entry(*id).or_insert_with(|| Progress::new(feed.next_offset, now));
        }
        self.feeds.fetched = now;
    }

    /// Whether the client is alive; a new one where it is not.
    async fn watch_client(&mut self, now: Instant) -> Result<(), Failure> {
        let is_connected = match self.notes.vitals() {
            Some(vitals) => vitals.is_connected && now.saturating_duration_since(vitals.at) < VITALS_WITHIN,
            None => now.saturating_duration_since(self.watch.client_since) < VITALS_WITHIN,
        };
        let finding = self.watch.watchdog.look(&Signs {
            now,
            is_assigned: self.feeds.is_assigned,
            is_connected,
            is_starved: self.is_starved(now),
            reachable_since: self.watch.survey.answering_since,
        });
        let words = finding.obstacle.map(|(trouble, lasts)| {
            let brokers = match &self.watch.survey.trouble {
                Some(error) => format!("the brokers do not answer another client either: {error}"),
                None => "the brokers do answer another client".to_owned(),
            };
            format!("{} for {} s; {brokers}", trouble.as_str(), lasts.as_secs())
        });
        self.health.client(words, finding.is_hopeless);
        match finding.renew {
            Some(trouble) => {
                metrics::client_renewed(S::NAME);
                self.renew(trouble.as_str()).await
            }
            None => Ok(()),
        }
    }

    /// Lanes of the service that no instance has.
    fn watch_owners(&mut self, now: Instant) {
        let Some(unowned) = self.watch.survey.unowned.as_ref() else { return };
        metrics::unowned_lanes(S::NAME, unowned.len());
        if unowned.is_empty() {
            if self.watch.unowned_told.take().is_some() {
                tracing::info!(service = S::NAME, "every lane has an owner again");
            }
            self.watch.unowned_since = None;
            return;
        }
        let since = *self.watch.unowned_since.get_or_insert(now);
        let is_told = self.watch.unowned_told.is_some_and(|told| now.duration_since(told) < UNOWNED_PERIOD);
        if now.duration_since(since) >= UNOWNED_PATIENCE && !is_told {
            self.watch.unowned_told = Some(now);
            tracing::error!(
                service = S::NAME,
                lanes = ?unowned,
                for_s = now.duration_since(since).as_secs(),
                "these lanes of the service have no owner: nobody reads their messages"
            );
        }
    }

    /// Ask for fresh ends while there is something to measure.
    pub(crate) fn look_soon(&self, demand: Demand) {
        self.watch.surveyor.demand(demand);
    }
}
