//! What `/livez`, `/readyz` and `/status` tell, as the engine last reported it.
//!
//! Liveness is progress of the loop, not the servers' state: a restart does not mend a broker. The one exception is a Kafka
//! client that does not come back although the brokers answer another client of this process: there a restart may help.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::feeds::Lanes;
use crate::status::{ConsumerStatus, FeedStatus, ParkedStatus};

/// The loop turns at least this often, however long a transaction takes.
const STALLED: Duration = Duration::from_secs(120);

/// A handle to the state; cheap to clone.
#[derive(Debug, Clone)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    turned: Instant,
    assigned: Option<Vec<i32>>,
    database: Result<(), String>,
    held: Vec<String>,
    /// Why consumption rests, if it does: too many keys are refused.
    flood: Option<String>,
    feeds: Vec<FeedStatus>,
    parked: ParkedStatus,
    restored: Option<String>,
    /// Feeds that stand, and whether that has lasted too long.
    standing: Vec<(String, bool)>,
    /// What is wrong with the Kafka client, and whether only a new process can help.
    client: Option<String>,
    is_hopeless: bool,
    /// What this user may not do, because of which no lane is owned.
    denied: Option<String>,
    /// Topics that are not as they were.
    layout: Vec<String>,
}

impl Default for Health {
    fn default() -> Self {
        Health(Arc::new(Mutex::new(State {
            turned: Instant::now(),
            assigned: None,
            database: Err("not connected yet".into()),
            held: Vec::new(),
            flood: None,
            feeds: Vec::new(),
            parked: ParkedStatus::default(),
            restored: None,
            standing: Vec::new(),
            client: None,
            is_hopeless: false,
            denied: None,
            layout: Vec::new(),
        })))
    }
}

impl Health {
    pub(crate) fn alive(&self) {
        self.state().turned = Instant::now();
    }

    pub(crate) fn assigned(&self, lanes: &Lanes) {
        let mut state = self.state();
        state.assigned = Some(lanes.iter().copied().collect());
        state.denied = None;
    }

    /// The group does not take this instance: its user has no permission for it. Until lanes are assigned.
    pub(crate) fn denied(&self, words: String) {
        self.state().denied = Some(words);
    }

    /// No lane is owned until the group says so again.
    pub(crate) fn left(&self) {
        let mut state = self.state();
        state.assigned = None;
        state.held.clear();
        state.standing.clear();
        state.feeds.clear();
        (state.flood, state.parked) = (None, ParkedStatus::default());
    }

    pub(crate) fn database(&self, result: Result<(), &str>) {
        self.state().database = result.map_err(str::to_owned);
    }

    pub(crate) fn held(&self, held: Vec<String>) {
        self.state().held = held;
    }

    /// Why consumption rests, until what was refused is taken.
    pub(crate) fn flood(&self, words: Option<String>) {
        self.state().flood = words;
    }

    /// Every feed, in any order.
    pub(crate) fn feeds(&self, mut feeds: Vec<FeedStatus>) {
        feeds.sort_unstable_by(|one, other| (&one.topic, one.partition).cmp(&(&other.topic, other.partition)));
        self.state().feeds = feeds;
    }

    pub(crate) fn parked(&self, parked: ParkedStatus) {
        self.state().parked = parked;
    }

    /// Why the database may not be worked on, if it may not.
    pub(crate) fn restored(&self, obstacle: Option<String>) {
        self.state().restored = obstacle;
    }

    /// Feeds that do not move although their logs go on: words, and whether it has lasted too long to be ready.
    pub(crate) fn standing(&self, standing: Vec<(String, bool)>) {
        self.state().standing = standing;
    }

    /// What is wrong with the Kafka client, and whether only a new process can help.
    pub(crate) fn client(&self, trouble: Option<String>, is_hopeless: bool) {
        let mut state = self.state();
        (state.client, state.is_hopeless) = (trouble, is_hopeless);
    }

    /// Topics that have other partitions than at the start.
    pub(crate) fn layout(&self, changed: Vec<String>) {
        self.state().layout = changed;
    }

    /// Whether the loop turns and a restart would help nothing; otherwise why not.
    pub fn live(&self) -> Result<(), String> {
        let state = self.state();
        let stalled = state.turned.elapsed();
        match &state.client {
            _ if stalled >= STALLED => Err(format!("the loop has not turned for {} s", stalled.as_secs())),
            Some(trouble) if state.is_hopeless => Err(format!("no client of this process comes back: {trouble}")),
            Some(_) | None => Ok(()),
        }
    }

    /// Every reason why this instance cannot do its work now; none means ready.
    pub fn obstacles(&self) -> Vec<String> {
        let state = self.state();
        let mut reasons = Vec::new();
        match &state.client {
            Some(trouble) => reasons.push(trouble.clone()),
            None if state.assigned.is_none() => reasons.push("no partitions assigned yet".to_owned()),
            None => {}
        }
        reasons.extend(state.denied.clone());
        if let Err(reason) = &state.database {
            reasons.push(format!("database: {reason}"));
        }
        reasons.extend(state.restored.clone());
        reasons.extend(state.held.iter().map(|held| format!("held: {held}")));
        reasons.extend(state.flood.iter().map(|flood| format!("consumption rests: {flood}")));
        reasons.extend(state.layout.iter().cloned());
        reasons.extend(state.standing.iter().filter(|(_, is_long)| *is_long).map(|(words, _)| words.clone()));
        reasons
    }

    /// What a person should know although this instance does its work.
    pub fn notes(&self) -> Vec<String> {
        let state = self.state();
        let standing = state.standing.iter().filter(|(_, is_long)| !is_long).map(|(words, _)| words.clone());
        let ParkedStatus { messages, keys, oldest_s, .. } = &state.parked;
        let parked = (*keys > 0).then(|| {
            format!("{messages} messages of {keys} keys are parked, the oldest for {oldest_s} s; see /status")
        });
        standing.chain(parked).collect()
    }

    /// The lanes that this instance owns.
    pub fn lanes(&self) -> Vec<i32> {
        self.state().assigned.clone().unwrap_or_default()
    }

    /// What no topic tells.
    pub fn status(&self) -> ConsumerStatus {
        let state = self.state();
        ConsumerStatus {
            lanes: state.assigned.clone().unwrap_or_default(),
            feeds: state.feeds.clone(),
            parked: state.parked.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
