//! `/livez`, `/readyz`, `/status`, `/metrics` on one port.
//!
//! `/livez` is about this process only; `/readyz` lists every obstacle, one a line, and below them what a person should know
//! although it is no obstacle yet; `/status` says the same and what no topic tells, for machines. All answer from the start on: while servers are waited for, the process is live, and
//! not ready because of them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use outbox::RelayStatus;
use tokio::net::TcpListener;

use crate::start::Progress;
use crate::status::{About, Status};
use crate::{clock, relay};
use consumer::Health;

/// What the endpoints tell; cheap to clone.
#[derive(Clone)]
pub(crate) struct Shown {
    /// The start; once it is done, the rest counts.
    pub(crate) start: Progress,
    /// The engine.
    pub(crate) health: Health,
    /// The relay, once there is one.
    pub(crate) relay: Arc<OnceLock<RelayStatus>>,
    /// All series.
    pub(crate) metrics: PrometheusHandle,
    /// What does not change.
    pub(crate) about: About,
}

/// Listen; port 0 takes any free one.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Answer until asked to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    shown: Shown,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/status", get(tell))
        .route("/metrics", get(render))
        .with_state(shown);
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

async fn live(State(shown): State<Shown>) -> (StatusCode, String) {
    let live = if shown.start.waits_for().is_some() { Ok(()) } else { shown.health.live() };
    match live {
        Ok(()) => (StatusCode::OK, "live\n".into()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
    }
}

impl Shown {
    /// Every reason why this instance cannot do its work now.
    pub(crate) fn obstacles(&self) -> Vec<String> {
        if let Some(waits) = self.start.waits_for() {
            return vec![waits];
        }
        let relay = self.relay.get().and_then(relay::obstacle).map(|reason| format!("relay: {reason}"));
        self.health.obstacles().into_iter().chain(relay).collect()
    }

    /// What a person should know although it is no obstacle.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.health.notes().into_iter().chain(clock::note()).collect()
    }
}

async fn tell(State(shown): State<Shown>) -> Json<Status> {
    Json(Status::of(&shown))
}

async fn ready(State(shown): State<Shown>) -> (StatusCode, String) {
    if let Some(waits) = shown.start.waits_for() {
        return (StatusCode::SERVICE_UNAVAILABLE, waits + "\n");
    }
    let obstacles = shown.obstacles();
    let status = if obstacles.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let ready = obstacles.is_empty().then(|| format!("ready, lanes {:?}", shown.health.lanes()));
    let notes = shown.notes().into_iter().map(|note| format!("note: {note}"));
    let lines: Vec<String> = ready.into_iter().chain(obstacles).chain(notes).collect();
    (status, lines.join("\n") + "\n")
}

async fn render(State(shown): State<Shown>) -> String {
    shown.metrics.render()
}
