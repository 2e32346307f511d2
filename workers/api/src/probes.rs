//! `/livez`, `/readyz`, `/metrics`, on a port of their own, as every daemon has them.
//!
//! `/livez` is about this process only; `/readyz` lists every obstacle, one a line. All three answer from the start on.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use consumer::Health;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use workers::start::Progress;

/// An obstacle of the process' own, if there is one.
pub(crate) type Obstacle = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// What the endpoints tell; cheap to clone.
#[derive(Clone)]
pub(crate) struct Shown {
    /// The start; once it is done, the rest counts.
    pub(crate) start: Progress,
    /// The consumer of the read model.
    pub(crate) health: Health,
    /// What else may be in the way, once it is known.
    pub(crate) further: Arc<OnceLock<Obstacle>>,
    /// All series.
    pub(crate) metrics: PrometheusHandle,
}

/// Listen; port 0 takes any free one.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// The three endpoints.
pub(crate) fn router(shown: Shown) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(shown)
}

async fn live(State(shown): State<Shown>) -> (StatusCode, String) {
    let live = if shown.start.waits_for().is_some() { Ok(()) } else { shown.health.live() };
    match live {
        Ok(()) => (StatusCode::OK, "live\n".into()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
    }
}

async fn ready(State(shown): State<Shown>) -> (StatusCode, String) {
    if let Some(waits) = shown.start.waits_for() {
        return (StatusCode::SERVICE_UNAVAILABLE, waits + "\n");
    }
    let mut obstacles = shown.health.obstacles();
    obstacles.extend(shown.further.get().and_then(|further| further()));
    let status = if obstacles.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let ready = obstacles.is_empty().then(|| format!("ready, lanes {:?}", shown.health.lanes()));
    let notes = shown.health.notes().into_iter().map(|note| format!("note: {note}"));
    let lines: Vec<String> = ready.into_iter().chain(obstacles).chain(notes).collect();
    (status, lines.join("\n") + "\n")
}

async fn render(State(shown): State<Shown>) -> String {
    shown.metrics.render()
}
