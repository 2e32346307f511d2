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

/// Something in words, while there is something to say.
pub(crate) type Told = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// What the process tells beside its consumer.
pub(crate) struct Further {
    /// What is in the way of its work.
    pub(crate) obstacles: Vec<Told>,
    /// What a person should know.
    pub(crate) notes: Vec<Told>,
}

/// What the endpoints tell; cheap to clone.
#[derive(Clone)]
pub(crate) struct Shown {
    /// The start; once it is done, the rest counts.
    pub(crate) start: Progress,
    /// The consumer of the read model.
    pub(crate) health: Health,
    /// What else there is to tell, once it is known.
    pub(crate) further: Arc<OnceLock<Further>>,
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
    let (mut obstacles, mut notes) = (shown.health.obstacles(), shown.health.notes());
    if let Some(further) = shown.further.get() {
        obstacles.extend(further.obstacles.iter().filter_map(|told| told()));
        notes.extend(further.notes.iter().filter_map(|told| told()));
    }
    probes::ready(&shown.start, &shown.health, obstacles, notes)
}

async fn render(State(shown): State<Shown>) -> String {
    shown.metrics.render()
}
