//! `/livez`, `/readyz`, `/status`, `/metrics` on one port.
//!
//! `/livez` and `/readyz` are `probes`'; `/status` says the same and what no topic tells, for machines. All answer from the start
//! on.

use std::future::Future;
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
use crate::{clock, probes, relay};
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
    probes::live(&shown.start, &shown.health)
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
    probes::ready(&shown.start, &shown.health, shown.obstacles(), shown.notes())
}

async fn render(State(shown): State<Shown>) -> String {
    shown.metrics.render()
}
