//! How the pipeline is, as the door sees it.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use schemas::Time;
use serde::Serialize;
use utoipa::ToSchema;
use workers::status::{RelayStatus, Status};

use super::Shared;
use super::problem::Problem;
use crate::daemons::Heard;

/// How the pipeline is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusShape {
    /// Orders taken a second, in the last minute.
    placed_per_second: f64,
    /// Orders confirmed a second, in the last minute.
    confirmed_per_second: f64,
    /// From taken to confirmed: half of them took no longer, in milliseconds.
    confirm_p50_ms: Option<f64>,
    /// All but one in a hundred.
    confirm_p99_ms: Option<f64>,
    /// Orders that are not finished, by state.
    open: Vec<OpenShape>,
    /// Commands that the order service has not taken yet; null where that is not known.
    commands_waiting: Option<i64>,
    /// Events that the read model has not taken yet; null where that is not known.
    view_behind: Option<i64>,
    /// Commands of this instance that Kafka has not confirmed yet.
    unconfirmed: u64,
    /// Streams of events of this instance that are open.
    streams: usize,
    /// The daemons that this instance knows of, as each of them says itself; at most a few seconds old.
    daemons: Vec<DaemonShape>,
}

/// Orders of one state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OpenShape {
    /// The state.
    state: String,
    /// How many.
    orders: i64,
    /// How many seconds ago the oldest of them was accepted.
    oldest_s: i64,
}

/// A daemon, and whether it answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DaemonShape {
    /// What the settings call it.
    #[schema(example = "order")]
    name: String,
    /// Whether it answers.
    answers: bool,
    /// Since when it does, or does not; null before it was asked.
    since: Option<String>,
    /// When it was asked last.
    asked_at: Option<String>,
    /// Why it does not answer.
    why: Option<String>,
    /// What it says; null where it does not answer.
    says: Option<SaysShape>,
}

/// What a daemon says of itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SaysShape {
    /// The service.
    service: String,
    /// The instance's stable name.
    instance: Option<String>,
    /// The program's version.
    version: String,
    /// When the process began.
    started: String,
    /// Whether it can do its work.
    ready: bool,
    /// Why not, a line for each obstacle.
    reasons: Vec<String>,
    /// What a person should know although it is no obstacle.
    notes: Vec<String>,
    /// The lanes that it owns, ascending.
    lanes: Vec<i32>,
    /// Messages that it has not taken yet; null where that is not known of each of its feeds.
    lag: Option<i64>,
    /// Feeds that wait for a person.
    held: Vec<HeldShape>,
    /// What is parked in its lanes.
    parked: ParkedShape,
    /// Its relay; null until its work has begun.
    relay: Option<RelayShape>,
}

/// A feed that waits for a person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldShape {
    /// The topic.
    topic: String,
    /// The partition.
    partition: i32,
    /// The record that cannot be taken.
    offset: i64,
    /// Since when.
    since: String,
    /// Why.
    why: String,
}

/// What is parked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ParkedShape {
    /// Messages.
    messages: u64,
    /// Keys.
    keys: u64,
    /// How long the oldest key has been, in seconds.
    oldest_s: i64,
}

/// A relay.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RelayShape {
    /// `leading`, `standby`, `taking_over` or `disconnected`.
    #[schema(example = "leading")]
    role: String,
    /// Since when.
    since: String,
    /// Messages that are not published yet; only the leader knows.
    backlog: Option<i64>,
    /// Lanes that it does not publish, and why.
    held: Vec<HeldLaneShape>,
    /// The last error, until publishing goes on.
    last_error: Option<String>,
}

/// A lane that is not published.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldLaneShape {
    /// The topic.
    topic: String,
    /// The partition.
    partition: i32,
    /// Why.
    why: String,
}

impl DaemonShape {
    fn of(heard: Heard) -> Self {
        let Heard { daemon, at, since, answer } = heard;
        let (says, why) = match answer {
            Ok(status) => (Some(SaysShape::of(*status)), None),
            Err(why) => (None, Some(why)),
        };
        let time = |time: Timestamp| Time::from(time).to_string();
        DaemonShape {
            name: daemon.name,
            answers: says.is_some(),
            since: since.map(time),
            asked_at: at.map(time),
            why,
            says,
        }
    }
}

impl SaysShape {
    fn of(status: Status) -> Self {
        let Status { service, instance, version, started, ready, reasons, notes, lanes, feeds, parked, relay } = status;
        let held = |feed: consumer::status::FeedStatus| {
            let (topic, partition) = (feed.topic, feed.partition);
            feed.held.map(|held| HeldShape {
                topic,
                partition,
                offset: held.offset,
                since: Time::from(held.since).to_string(),
                why: held.why,
            })
        };
        SaysShape {
            service,
            instance,
            version,
            started: Time::from(started).to_string(),
            ready,
            reasons,
            notes,
            lanes,
            lag: feeds.iter().map(|feed| feed.lag).sum(),
            held: feeds.into_iter().filter_map(held).collect(),
            parked: ParkedShape { messages: parked.messages, keys: parked.keys, oldest_s: parked.oldest_s },
            relay: relay.map(RelayShape::of),
        }
    }
}

impl RelayShape {
    fn of(relay: RelayStatus) -> Self {
        let RelayStatus { role, since, backlog, held, last_error, .. } = relay;
        let lane = |held: workers::status::HeldLaneStatus| HeldLaneShape {
            topic: held.topic,
            partition: held.partition,
            why: held.why,
        };
        RelayShape {
            role,
            since: Time::from(since).to_string(),
            backlog,
            held: held.into_iter().map(lane).collect(),
            last_error,
        }
    }
}

/// How the pipeline is.
#[utoipa::path(get, path = "/v1/status", tag = "status",
    responses(
        (status = 200, description = "How it is", body = StatusShape),
    ))]
pub(super) async fn status(State(door): Shared) -> Result<Json<StatusShape>, Problem> {
    let (told, now) = (door.tail.pace().told(), Time::from(Timestamp::now()));
    let open = door.reads.open().await?.into_iter().map(|open| OpenShape {
        oldest_s: (now.as_micros() - open.oldest.as_micros()) / 1_000_000,
        state: open.stage,
        orders: open.orders,
    });
    Ok(Json(StatusShape {
        placed_per_second: per_second(told.placed),
        confirmed_per_second: per_second(told.confirmed),
        confirm_p50_ms: told.p50_us.map(milliseconds),
        confirm_p99_ms: told.p99_us.map(milliseconds),
        open: open.collect(),
        commands_waiting: door.lag.commands(),
        view_behind: door.lag.view(),
        unconfirmed: door.unconfirmed(),
        streams: door.streams.load(Ordering::Relaxed),
        daemons: door.daemons.heard().into_iter().map(DaemonShape::of).collect(),
    }))
}

/// Of what the last minute had.
#[expect(clippy::float_arithmetic, reason = "a number for people")]
fn per_second(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / 60.0
}

#[expect(clippy::float_arithmetic, reason = "a number for people")]
fn milliseconds(micros: i64) -> f64 {
    f64::from(i32::try_from(micros).unwrap_or(i32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::daemons::addresses;

    fn shown(answer: Result<Box<Status>, String>) -> Value {
        let daemon = addresses("pay=a:1").unwrap().remove(0);
        let at = Timestamp::from_second(1).ok();
        serde_json::to_value(DaemonShape::of(Heard { daemon, at, since: at, answer })).unwrap()
    }

    #[test]
    fn what_a_daemon_says_is_shown_and_what_is_not_heard_is_told_so() {
        let page = include_str!("../../../../docs/status.md");
        let example = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let says = &shown(Ok(serde_json::from_str(example).unwrap()))["says"];
        let why = "2 messages of the key a are parked, and no more may be";
        let held = json!([{ "topic": "stock.commands.v1", "partition": 0, "offset": 2,
            "since": "2026-11-30T15:56:28.100000Z", "why": why }]);
        assert_eq!((&says["lag"], &says["lanes"], &says["held"]), (&json!(2), &json!([0]), &held));
        assert_eq!(says["parked"], json!({ "messages": 2, "keys": 1, "oldest_s": 9 }));
        assert_eq!((&says["relay"]["role"], &says["relay"]["backlog"]), (&json!("leading"), &json!(0)));
        let silent = json!({ "name": "pay", "answers": false, "since": "1970-01-01T00:00:01.000000Z",
            "asked_at": "1970-01-01T00:00:01.000000Z", "why": "Connection refused", "says": null });
        assert_eq!(shown(Err("Connection refused".to_owned())), silent);
        let mut unknown: Status = serde_json::from_str(example).unwrap();
        unknown.feeds[0].lag = None;
        assert_eq!(shown(Ok(Box::new(unknown)))["says"]["lag"], Value::Null, "of one feed it is not known");
    }
}
