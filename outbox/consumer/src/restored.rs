//! A service whose database was set back holds until a person has chosen a road.
//!
//! After a restore of one database the service's own topics hold messages that its tables do not. Working on from there
//! fires deadlines and answers inputs from a state that is older than what others have acted on: money was captured for
//! orders that the restored state then cancels. So the database is compared with the topics at the start, and again before a
//! new connection is used once another one has failed; while they differ nothing is taken, no deadline
//! fires and nothing is published. Each instance looks by itself, whoever leads the relay.
//!
//! Once the older state was accepted, the orders under way get their time once more: their deadlines rest for as long as a
//! new order has, because the answers that they wait for are only now repeated.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use outbox::{Comparison, Outbox, Restored};
use rdkafka::ClientConfig;
use tokio::sync::watch;

use crate::database::Database;
use crate::health::Health;
use crate::metrics;

/// How long one look may take; a healthy one takes less than a tenth of a second.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);
/// How often it is looked again while the service holds.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// The gate that every batch and every deadline passes.
pub(crate) struct Gate {
    service: &'static str,
    outbox: Outbox,
    database: outbox::Database,
    kafka: ClientConfig,
    /// How long deadlines rest after an older state was accepted.
    rest: Duration,
    health: Health,
    roads: Roads,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Why nothing may be done, and when that was found.
    closed: Option<(String, Instant)>,
    is_told: bool,
    deadlines_from: Option<Instant>,
}

impl Gate {
    pub(crate) fn new(
        service: &'static str,
        outbox: &Outbox,
        database: &Database,
        kafka: ClientConfig,
        rest: Duration,
        health: &Health,
        roads: Roads,
    ) -> Arc<Self> {
        let (outbox, health) = (outbox.clone(), health.clone());
        let (connector, tls) = database.connector();
        let own = outbox::Database::new(connector, tls);
        let state = Mutex::default();
        let gate = Arc::new(Gate { service, outbox, database: own, kafka, rest, health, roads, state });
        let guard = gate.clone();
        database.guard_with(Box::new(move || {
            let gate = guard.clone();
            Box::pin(async move { gate.look().await })
        }));
        gate
    }

    /// Waits until the database holds what was published; false if asked to stop before.
    pub(crate) async fn pass(&self, mut shutdown: watch::Receiver<bool>) -> bool {
        loop {
            // Whoever holds lives: a restart would not help.
            self.health.alive();
            tokio::select! {
                looked = self.look() => if looked.is_ok() {
                    return true;
                },
                // An error means that the daemon is gone, which is an end as well.
                _ = shutdown.wait_for(|stopped| *stopped) => return false,
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                _ = shutdown.wait_for(|stopped| *stopped) => return false,
            }
        }
    }

    /// Looks again while something is in the way, until asked to stop. A connection that was refused for it may not be
    /// needed again, and then nobody else would find out that the way is free.
    pub(crate) async fn keep_looking(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                // An error means that the daemon is gone, which is an end as well.
                _ = shutdown.wait_for(|stopped| *stopped) => return,
            }
            if self.state().closed.is_none() {
                continue;
            }
            tokio::select! {
                // What it finds is told by itself.
                _ = self.look() => {}
                _ = shutdown.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    /// Compares the database with the topics.
    ///
    /// # Errors
    /// In words for a person, why nothing may be done.
    pub(crate) async fn look(&self) -> Result<(), String> {
        if let Some((words, at)) = &self.state().closed
            && at.elapsed() < LOOK_AGAIN
        {
            return Err(words.clone());
        }
        match tokio::time::timeout(LOOK_TIMEOUT, self.outbox.compare(&self.database, &self.kafka)).await {
            Ok(Ok(Comparison { restored: None, last_epoch_age })) => {
                self.open(last_epoch_age);
                Ok(())
            }
            Ok(Ok(Comparison { restored: Some(restored), .. })) => Err(self.hold(&restored)),
            Ok(Err(error)) => Err(self.put_off(&error.to_string())),
            Err(_) => Err(self.put_off(&format!("no answer within {LOOK_TIMEOUT:?}"))),
        }
    }

    /// Whether no deadline may fire yet, because an older state was accepted a short time ago.
    pub(crate) fn deadlines_rest(&self) -> bool {
        self.state().deadlines_from.is_some_and(|from| Instant::now() < from)
    }

    fn open(&self, last_epoch_age: Option<Duration>) {
        let rest = last_epoch_age.and_then(|age| self.rest.checked_sub(age)).filter(|rest| !rest.is_zero());
        let mut state = self.state();
        if state.is_told {
            tracing::info!(service = self.service, "the database holds what was published; the service resumes");
        }
        if let Some(rest) = rest {
            tracing::warn!(service = self.service, ?rest, "an older state was accepted; deadlines rest");
        }
        *state = State { deadlines_from: rest.map(|rest| Instant::now() + rest), ..State::default() };
        drop(state);
        metrics::restored(self.service, false);
        self.health.restored(None);
    }

    fn hold(&self, restored: &Restored) -> String {
        let words = words(self.service, restored, &self.roads);
        let mut state = self.state();
        if !std::mem::replace(&mut state.is_told, true) {
            tracing::error!(service = self.service, "{words}");
        }
        state.closed = Some((words.clone(), Instant::now()));
        drop(state);
        metrics::restored(self.service, true);
        self.health.restored(Some(words.clone()));
        words
    }

    /// Unknown is no leave to work.
    fn put_off(&self, reason: &str) -> String {
        let words = format!("the database cannot be compared with the {} service's topics yet: {reason}", self.service);
        let mut state = self.state();
        let is_news = state.closed.as_ref().is_none_or(|(told, _)| *told != words);
        if is_news {
            tracing::warn!(service = self.service, reason, "waiting to compare the database with the topics");
        }
        state.closed = Some((words.clone(), Instant::now()));
        drop(state);
        self.health.restored(Some(words.clone()));
        words
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a person can do about a database that was set back, each in words.
#[derive(Debug, Clone)]
pub struct Roads {
    /// How the state is brought up to what was published.
    pub forward: String,
    /// How the older state is accepted, which voids what was published after it.
    pub back: String,
}

impl Default for Roads {
    fn default() -> Self {
        Roads {
            forward: "restore the database from a newer copy, or rebuild its rows from the topics".to_owned(),
            back: "run `outbox-relay rebase`".to_owned(),
        }
    }
}

/// What was found, and the two roads.
fn words(service: &str, restored: &Restored, Roads { forward, back }: &Roads) -> String {
    format!(
        "the {service} service's database was set back: {restored}. Nothing is taken, no deadline fires and nothing is \
         published until a person chooses: (a) bring the state up to what was published: {forward}; or (b) go on from the \
         older state, which voids what was published after it: {back}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_what_was_found_and_both_roads() {
        let restored =
            Restored { topic: "order.events.v1".to_owned(), partition: 3, offset: 812, epoch: 1, sequence: 531 };
        let words = words("order", &restored, &Roads { forward: "run `rebuild`".into(), back: "run `accept`".into() });
        for part in [
            "the order service's database",
            "order.events.v1[3] holds message 1:531 at offset 812",
            "`rebuild`; or (b)",
            "`accept`",
        ] {
            assert!(words.contains(part), "{part} is not in: {words}");
        }
    }
}
