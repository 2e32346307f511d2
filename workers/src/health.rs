//! What `/livez` and `/readyz` tell, as the engine last reported it.
//!
//! Liveness is progress of the loop, not the servers' state: a restart does not mend a broker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::runtime::Lanes;

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
    restored: Option<String>,
}

impl Default for Health {
    fn default() -> Self {
        Health(Arc::new(Mutex::new(State {
            turned: Instant::now(),
            assigned: None,
            database: Err("not connected yet".into()),
            held: Vec::new(),
            restored: None,
        })))
    }
}

impl Health {
    pub(crate) fn alive(&self) {
        self.state().turned = Instant::now();
    }

    pub(crate) fn assigned(&self, lanes: &Lanes) {
        self.state().assigned = Some(lanes.iter().copied().collect());
    }

    /// No lane is owned until the group says so again.
    pub(crate) fn left(&self) {
        let mut state = self.state();
        state.assigned = None;
        state.held.clear();
    }

    pub(crate) fn database(&self, result: Result<(), &str>) {
        self.state().database = result.map_err(str::to_owned);
    }

    pub(crate) fn held(&self, held: Vec<String>) {
        self.state().held = held;
    }

    /// Why the database may not be worked on, if it may not.
    pub(crate) fn restored(&self, obstacle: Option<String>) {
        self.state().restored = obstacle;
    }

    /// Whether the loop turns; otherwise since when it does not.
    pub fn live(&self) -> Result<(), String> {
        let stalled = self.state().turned.elapsed();
        if stalled < STALLED { Ok(()) } else { Err(format!("the loop has not turned for {} s", stalled.as_secs())) }
    }

    /// Every reason why this instance cannot do its work now; none means ready.
    pub fn obstacles(&self) -> Vec<String> {
        let state = self.state();
        let mut reasons = Vec::new();
        if state.assigned.is_none() {
            reasons.push("no partitions assigned yet".to_owned());
        }
        if let Err(reason) = &state.database {
            reasons.push(format!("database: {reason}"));
        }
        reasons.extend(state.restored.clone());
        reasons.extend(state.held.iter().map(|held| format!("held: {held}")));
        reasons
    }

    /// The lanes that this instance owns.
    pub fn lanes(&self) -> Vec<i32> {
        self.state().assigned.clone().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
