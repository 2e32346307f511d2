//! `/livez`, `/readyz`, `/metrics` on one port.
//!
//! `/livez` is about this process only; `/readyz` lists every obstacle, one a line.

use std::future::Future;
use std::net::SocketAddr;

use crate::relay;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use outbox::RelayStatus;
use tokio::net::TcpListener;

use crate::health::Health;

#[derive(Clone)]
struct Shown {
    health: Health,
    relay: RelayStatus,
    metrics: PrometheusHandle,
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
    health: Health,
    relay: RelayStatus,
    metrics: PrometheusHandle,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(Shown { health, relay, metrics });
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

async fn live(State(shown): State<Shown>) -> (StatusCode, String) {
    match shown.health.live() {
        Ok(()) => (StatusCode::OK, "live\n".into()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
    }
}

async fn ready(State(shown): State<Shown>) -> (StatusCode, String) {
    let mut obstacles = shown.health.obstacles();
    if let Some(reason) = relay::obstacle(&shown.relay) {
        obstacles.push(format!("relay: {reason}"));
    }
    if obstacles.is_empty() {
        (StatusCode::OK, format!("ready, lanes {:?}\n", shown.health.lanes()))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, obstacles.join("\n") + "\n")
    }
}

async fn render(State(shown): State<Shown>) -> String {
    shown.metrics.render()
}
