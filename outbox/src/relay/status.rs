//! What a relay tells about itself, for `/readyz`, dashboards and tests.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::metrics::Meters;

/// A handle to a relay's state; cheap to clone, valid as long as anybody holds it.
#[derive(Clone)]
pub struct RelayStatus {
    shared: Arc<Shared>,
}

struct Shared {
    report: Mutex<RelayReport>,
    meters: Meters,
}

/// What a relay is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Not running, or connecting to the database.
    Disconnected,
    /// Another relay leads; this one waits for its turn.
    Standby,
    /// Leads, and reads where the topics stand.
    TakingOver,
    /// Leads and publishes.
    Leading,
}

/// A lane that is not published for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLane {
    /// Full topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// Why, in words for a person; names the message.
    pub reason: String,
    /// The message that is in the way, if it is one.
    pub message: Option<NamedMessage>,
}

/// A message by what a person finds it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedMessage {
    /// Its sequence in its lane.
    pub sequence: i64,
    /// Its key, which is its aggregate; bytes that are no UTF-8 are replaced.
    pub key: Option<String>,
    /// Its `ce_id`, or the id of a raw record.
    pub id: Option<String>,
    /// Its `ce_type`; none for a raw record.
    pub ce_type: Option<String>,
}

impl fmt::Display for NamedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ce_type.as_deref().unwrap_or("raw record"))?;
        for (what, value) in [("key", &self.key), ("id", &self.id)] {
            if let Some(value) = value {
                write!(f, ", {what} {}", value.escape_debug())?;
            }
        }
        write!(f, ", sequence {}", self.sequence)
    }
}

/// Messages are in flight, and none is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stalled {
    /// For how long, over all producers that were tried.
    pub lasts: Duration,
    /// What the Kafka client says.
    pub reason: String,
}

/// A relay's state at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayReport {
    /// What it is doing.
    pub role: Role,
    /// Since when, by this host's clock.
    pub role_since: Timestamp,
    /// Messages in the table that are not acknowledged; known only while leading.
    pub backlog: Option<i64>,
    /// Age of the oldest of them.
    pub oldest_pending: Option<Duration>,
    /// Messages acknowledged since this relay was made.
    pub published: u64,
    /// Epochs that it had to begin.
    pub epoch_changes: u64,
    /// Lanes that it holds.
    pub held: Vec<HeldLane>,
    /// Nothing is acknowledged although messages are in flight; told from 3 s on.
    pub stalled: Option<Stalled>,
    /// Bytes that the tables of messages take, with their indexes; known only while leading.
    pub table_bytes: Option<u64>,
    /// How often it has truncated a table.
    pub truncations: u64,
    /// Why a table that is past retention is not truncated yet.
    pub rotation_obstacle: Option<String>,
    /// The last error, until publishing goes on.
    pub last_error: Option<String>,
}

impl RelayStatus {
    pub(crate) fn new(schema: &str) -> Self {
        let report = RelayReport {
            role: Role::Disconnected,
            role_since: Timestamp::now(),
            backlog: None,
            oldest_pending: None,
            published: 0,
            epoch_changes: 0,
            held: Vec::new(),
            stalled: None,
            table_bytes: None,
            truncations: 0,
            rotation_obstacle: None,
            last_error: None,
        };
        Self { shared: Arc::new(Shared { report: Mutex::new(report), meters: Meters::new(schema) }) }
    }

    /// The state now.
    pub fn report(&self) -> RelayReport {
        self.shared.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.shared.meters
    }

    pub(crate) fn set_role(&self, role: Role) {
        self.meters().leading.set(if role == Role::Leading { 1 } else { 0 });
        if role != Role::Leading && role != Role::TakingOver {
            self.meters().end_lead();
        }
        self.change(|report| {
            if role != Role::Leading && role != Role::TakingOver {
                report.backlog = None;
                report.oldest_pending = None;
                report.held.clear();
                report.stalled = None;
                report.table_bytes = None;
                report.rotation_obstacle = None;
            }
            if role == Role::Leading || role == Role::Standby {
                report.last_error = None;
            }
            if report.role != role {
                report.role_since = Timestamp::now();
            }
            report.role = role;
        });
    }

    pub(crate) fn add_published(&self, messages: u64) {
        self.meters().published.increment(messages);
        self.change(|report| report.published += messages);
    }

    pub(crate) fn set_pending(&self, backlog: i64, oldest: Option<Duration>) {
        self.meters().backlog.set(i32::try_from(backlog).unwrap_or(i32::MAX));
        self.meters().oldest.set(oldest.unwrap_or_default());
        self.change(|report| (report.backlog, report.oldest_pending) = (Some(backlog), oldest));
    }

    pub(crate) fn add_epoch_change(&self) {
        self.meters().epoch_changes.increment(1);
        self.change(|report| report.epoch_changes += 1);
    }

    pub(crate) fn set_table_bytes(&self, bytes: u64) {
        // A gauge takes no 64-bit integer; no table has so many bytes that the difference could be seen.
        self.meters().table_kibibytes.set(u32::try_from(bytes / 1024).unwrap_or(u32::MAX));
        self.change(|report| report.table_bytes = Some(bytes));
    }

    pub(crate) fn add_truncation(&self) {
        self.meters().truncations.increment(1);
        self.change(|report| report.truncations += 1);
    }

    pub(crate) fn set_rotation_obstacle(&self, obstacle: Option<String>) {
        self.meters().overdue.set(u8::from(obstacle.is_some()));
        self.change(|report| report.rotation_obstacle = obstacle);
    }

    pub(crate) fn set_held(&self, held: Vec<HeldLane>) {
        self.meters().held.set(u32::try_from(held.len()).unwrap_or(u32::MAX));
        self.change(|report| report.held = held);
    }

    pub(crate) fn set_stalled(&self, stalled: Option<Stalled>) {
        self.change(|report| report.stalled = stalled);
    }

    pub(crate) fn add_renewed_producer(&self) {
        self.meters().renewed_producers.increment(1);
    }

    pub(crate) fn set_restored(&self, is_restored: bool) {
        self.meters().restored.set(u8::from(is_restored));
    }

    pub(crate) fn set_error(&self, error: String) {
        self.change(|report| report.last_error = Some(error));
    }

    fn change(&self, with: impl FnOnce(&mut RelayReport)) {
        with(&mut self.shared.report.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
