//! What `GET /status` tells, as JSON: what no topic tells of a daemon. docs/status.md has the shape, and a test holds it to it.
//!
//! It answers 200 whatever it has to tell. No secret and no payload is in it.

use consumer::status::{FeedStatus, ParkedStatus};
use jiff::Timestamp;
use outbox::{RelayReport, Role};
use schemas::ServiceName;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::config::Config;
use crate::http::Shown;

/// How a daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The service.
    pub service: String,
    /// The instance's stable name, if it has one.
    pub instance: Option<String>,
    /// The program's version.
    pub version: String,
    /// When the process began.
    pub started: Timestamp,
    /// Whether it can do its work now, as `/readyz` says.
    pub ready: bool,
    /// Why not, a line for each obstacle.
    pub reasons: Vec<String>,
    /// What a person should know although it is no obstacle.
    pub notes: Vec<String>,
    /// The lanes that it owns, ascending.
    pub lanes: Vec<i32>,
    /// Its feeds, by topic and partition.
    pub feeds: Vec<FeedStatus>,
    /// What is parked in its lanes.
    pub parked: ParkedStatus,
    /// Its relay; none until the work has begun.
    pub relay: Option<RelayStatus>,
}

/// How a relay is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayStatus {
    /// `leading`, `standby`, `taking_over` or `disconnected`.
    pub role: String,
    /// Since when.
    pub since: Timestamp,
    /// Messages that the broker has not acknowledged; only the leader knows.
    pub backlog: Option<i64>,
    /// How long the oldest of them has waited, in seconds.
    pub oldest_pending_s: Option<u64>,
    /// Lanes that it does not publish for now, and why.
    pub held: Vec<HeldLaneStatus>,
    /// The last error, until publishing goes on.
    pub last_error: Option<String>,
}

/// A lane that is not published for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLaneStatus {
    /// The topic, in full.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Why, for people.
    pub why: String,
}

/// What does not change while a process lives.
#[derive(Debug, Clone)]
pub(crate) struct About {
    service: ServiceName,
    instance: Option<String>,
    started: Timestamp,
}

impl About {
    /// Of a process that begins now.
    pub(crate) fn now(service: ServiceName, config: &Config) -> Self {
        About { service, instance: config.instance_id.clone(), started: clock::now() }
    }
}

impl Status {
    pub(crate) fn of(shown: &Shown) -> Self {
        let About { service, instance, started } = shown.about.clone();
        let (reasons, consumer) = (shown.obstacles(), shown.health.status());
        Status {
            service: service.as_str().to_owned(),
            instance,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            ready: reasons.is_empty(),
            reasons,
            notes: shown.notes(),
            lanes: consumer.lanes,
            feeds: consumer.feeds,
            parked: consumer.parked,
            relay: shown.relay.get().map(|status| RelayStatus::of(status.report())),
        }
    }
}

impl RelayStatus {
    fn of(report: RelayReport) -> Self {
        let RelayReport { role, role_since, backlog, oldest_pending, held, last_error, .. } = report;
        let role = match role {
            Role::Disconnected => "disconnected",
            Role::Standby => "standby",
            Role::TakingOver => "taking_over",
            Role::Leading => "leading",
        };
        let held = held.into_iter().map(|lane| HeldLaneStatus {
            topic: lane.topic,
            partition: lane.partition,
            why: lane.reason,
        });
        RelayStatus {
            role: role.to_owned(),
            since: role_since,
            backlog,
            oldest_pending_s: oldest_pending.map(|age| age.as_secs()),
            held: held.collect(),
            last_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_the_documented_one() {
        let page = include_str!("../../docs/status.md");
        let example = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let status: Status = serde_json::from_str(example).unwrap();
        let (shown, documented): (serde_json::Value, serde_json::Value) =
            (serde_json::to_value(&status).unwrap(), serde_json::from_str(example).unwrap());
        assert_eq!(shown, documented, "fields that are missing on either side, or written otherwise");
    }
}
