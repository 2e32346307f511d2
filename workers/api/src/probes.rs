//! `/livez`, `/readyz`, `/metrics`, on a port of their own, as every daemon has them.
//!
//! What the first two answer is the workers'; all three answer from the start on.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use consumer::Health;
use metrics_exporter_prometheus::PrometheusHandle;
use workers::probes;
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

/// The three endpoints.
pub(crate) fn router(shown: Shown) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(shown)
}

async fn live(State(shown): State<Shown>) -> (StatusCode, String) {
    probes::live(&shown.start, &shown.health)
}

async fn ready(State(shown): State<Shown>) -> (StatusCode, String) {
    let mut obstacles = shown.health.obstacles();
    obstacles.extend(shown.further.get().and_then(|further| further()));
    probes::ready(&shown.start, &shown.health, obstacles, shown.health.notes())
}

async fn render(State(shown): State<Shown>) -> String {
    shown.metrics.render()
}
