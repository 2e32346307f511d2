//! How the pipeline is, as the door sees it.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use schemas::Time;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;

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

/// How the pipeline is.
#[utoipa::path(get, path = "/v1/status", tag = "status",
    responses(
        (status = 200, description = "How it is", body = StatusShape),
        (status = "4XX", description = "A problem", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Ask again", body = Problem, content_type = "application/problem+json"),
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
