//! Parked keys are tried again: the first message alone, then what is behind it, in order, each deleted in the transaction that
//! takes it.
//!
//! Rows are read beside the loop, and what an operator has done to them is looked for now and then; while nothing is parked
//! nothing is asked. What such a key may do and when it is due is in `lot`.

use std::time::{Duration, Instant};

use outbox::inbox::parking::{ParkedLanes, ParkedMessage};

use crate::background::Background;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::feeds::lanes_of;
use crate::metrics;
use crate::parking;
use crate::process::{Attempt, Ground};
use crate::service::{ItemOf, Service};
use crate::status::{ParkedKeyStatus, ParkedStatus};

/// Between two looks at the rows of parked keys, and at the gauges.
const LOOK_PERIOD: Duration = Duration::from_secs(2);
/// So many messages of a key are read at once.
const MESSAGES: i64 = 64;
/// After a success so many times as many messages are taken together.
const GROWTH: usize = 4;

/// What is under way.
pub(crate) struct Unparking {
    rows: Background<Rows>,
    look: Background<Look>,
    looked: Instant,
}

/// The first messages of a parked key.
struct Rows {
    lane: i32,
    key: Vec<u8>,
    messages: Vec<ParkedMessage>,
}

/// What is parked in the lanes of this instance, and how many changes it knew of when it asked.
struct Look {
    changes: u64,
    lanes: Vec<i32>,
    loaded: ParkedLanes,
}

impl Unparking {
    pub(crate) fn new(now: Instant) -> Self {
        Unparking { rows: Background::new(), look: Background::new(), looked: now }
    }

    /// No lane is ours any more.
    pub(crate) fn leave(&mut self) {
        self.rows.give_up();
        self.look.give_up();
    }

    /// Ends what is under way.
    pub(crate) async fn join(self) {
        self.rows.join().await;
        self.look.join().await;
    }
}

impl<S: Service> Engine<S> {
    /// Try the key again that is due, one at a time.
    pub(crate) async fn unpark(&mut self, now: Instant) -> Result<(), Failure> {
        if now.duration_since(self.unparking.looked) >= LOOK_PERIOD {
            self.unparking.looked = now;
            self.report_parked();
            self.look_at_lot();
        }
        self.take_look()?;
        let answer = self.unparking.rows.answer();
        if self.feeds.lot.is_empty() || self.feeds.lot.rests(now) {
            return Ok(());
        }
        match answer {
            Some(Ok(rows)) => self.try_again(rows).await?,
            Some(Err(failure)) => self.watch.complaints.tolerate(failure, "parked messages")?,
            None => {}
        }
        self.read_due();
        Ok(())
    }

    /// Read the rows of the key that is due.
    fn read_due(&mut self) {
        if !self.unparking.rows.is_free() {
            return;
        }
        let Some(due) = self.feeds.lot.due((self.clock)()) else { return };
        let (lane, key) = (due.lane, due.key.clone());
        let sources = &self.feeds.sources;
        let (database, inbox) = (sources.database.clone(), sources.inbox.clone());
        self.unparking.rows.ask(async move {
            let client = database.client().await?;
            let messages = inbox.parked_messages(&client, lane, &key, MESSAGES).await;
            Ok(Rows { lane, key, messages: messages.map_err(Failure::of_outbox)? })
        });
    }

    /// An operator may have asked for a key, or given it up.
    fn look_at_lot(&mut self) {
        if self.feeds.lot.is_empty() || !self.unparking.look.is_free() {
            return;
        }
        let changes = self.feeds.lot.changes();
        let lanes: Vec<i32> = lanes_of(self.feeds.by_id.keys()).into_iter().collect();
        let sources = &self.feeds.sources;
        let (database, inbox) = (sources.database.clone(), sources.inbox.clone());
        self.unparking.look.ask(async move {
            let client = database.client().await?;
            let loaded = inbox.load_parked(&client, &lanes).await.map_err(Failure::of_outbox)?;
            Ok(Look { changes, lanes, loaded })
        });
    }

    /// What the look has found, unless it is history.
    fn take_look(&mut self) -> Result<(), Failure> {
        match self.unparking.look.answer() {
            Some(Ok(Look { changes, lanes, loaded })) if changes == self.feeds.lot.changes() => {
                let topics = &self.feeds.sources.topics;
                self.feeds.lot.load(&lanes, loaded, |name| topics.find(name));
                Ok(())
            }
            Some(Err(failure)) => self.watch.complaints.tolerate(failure, "what is parked"),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    async fn try_again(&mut self, rows: Rows) -> Result<(), Failure> {
        let Rows { lane, key, messages } = rows;
        let is_first =
            |first: &ParkedMessage| self.feeds.lot.find(lane, &key).is_some_and(|parked| parked.first == first.number);
        // Otherwise somebody has taken it, and the next look will tell.
        if !messages.first().is_some_and(is_first) {
            self.feeds.lot.rest(lane, &key, (self.clock)());
            return Ok(());
        }
        let mut items: Vec<ItemOf<S>> = Vec::with_capacity(messages.len());
        for message in messages {
            match parking::item_of::<S>(&self.processor.contract, message) {
                Ok(item) => items.push(item),
                Err(reason) if items.is_empty() => return self.in_vain(lane, &key, reason).await,
                Err(_) => break,
            }
        }
        self.take_in_order(lane, &key, &items).await
    }

    /// Take these messages of a key, one by one where they cannot be taken together, up to the first that cannot be taken.
    async fn take_in_order(&mut self, lane: i32, key: &[u8], items: &[ItemOf<S>]) -> Result<(), Failure> {
        let (mut rest, mut size) = (items, 1);
        while let Some(part) = rest.get(..size.min(rest.len())).filter(|part| !part.is_empty()) {
            let now = (self.clock)();
            let ground = Ground { feeds: &self.feeds.by_id, lot: &self.feeds.lot };
            match self.processor.attempt(&mut self.service, ground, part, now).await {
                Ok(Attempt::Done(done)) => {
                    metrics::parked_retry(S::NAME, "taken");
                    self.committed(done, part.len());
                    rest = &rest[part.len()..];
                    size *= GROWTH;
                }
                Ok(Attempt::Overtaken(overtaken)) => {
                    metrics::retry(S::NAME, "moved");
                    return self.overtaken(lanes_of(&overtaken), &mut []).await;
                }
                Err(Failure::Halt(reason)) => return Err(Failure::Halt(reason)),
                Err(failure @ (Failure::Retry(_) | Failure::Environment(_))) => {
                    self.put_off(&failure, part.len());
                    self.feeds.lot.rest(lane, key, now);
                    return Ok(());
                }
                Err(Failure::Poison(reason)) => {
                    self.service.forget();
                    if part.len() == 1 {
                        return self.in_vain(lane, key, reason).await;
                    }
                    size = 1;
                }
            }
        }
        Ok(())
    }

    /// The first message of a key was tried again, and cannot be taken yet.
    async fn in_vain(&mut self, lane: i32, key: &[u8], reason: String) -> Result<(), Failure> {
        metrics::parked_retry(S::NAME, "in_vain");
        let shown = String::from_utf8_lossy(key).into_owned();
        tracing::warn!(service = S::NAME, lane, key = shown, %reason, "a parked key was tried again in vain");
        let put_off = self.feeds.lot.put_off(lane, key, crate::text::detail(reason), (self.clock)());
        let Some(parked) = put_off else { return Ok(()) };
        let sources = &self.feeds.sources;
        let noted = async {
            let client = sources.database.client().await?;
            sources.inbox.put_off_parked(&client, &parked).await.map(drop).map_err(Failure::of_outbox)
        };
        match noted.await {
            Ok(()) => Ok(()),
            // Then it is tried again sooner than it has to be.
            Err(failure) => self.watch.complaints.tolerate(failure, "parked messages"),
        }
    }

    /// The gauges, the alarm and the status.
    pub(crate) fn report_parked(&mut self) {
        let now = (self.clock)();
        let status = ParkedStatus::of(&self.feeds.lot, now);
        metrics::parked(S::NAME, status.messages, status.keys, status.oldest_s);
        if let Some(oldest) = self.feeds.lot.alarm(now) {
            let ParkedKeyStatus { key, cause, age_s, .. } = ParkedKeyStatus::of(oldest, now);
            tracing::error!(service = S::NAME, key, age_s, cause, "a key has been parked for long");
        }
        self.health.parked(status);
    }
}
