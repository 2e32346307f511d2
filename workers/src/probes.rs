//! What `/livez` and `/readyz` answer, whichever daemon is asked: the workers, and the API beside them.
//!
//! `/livez` is about this process only; `/readyz` lists every obstacle, one a line, and below them what a person should know
//! although it is no obstacle yet. While servers are waited for, a process is live, and not ready because of them.

use std::net::SocketAddr;

use axum::http::StatusCode;
use consumer::Health;
use tokio::net::TcpListener;

use crate::start::Progress;

/// Listen; port 0 takes any free one.
///
/// # Errors
/// When the address cannot be had.
pub async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Whether the process is one that a restart would not mend.
pub fn live(start: &Progress, health: &Health) -> (StatusCode, String) {
    let live = if start.waits_for().is_some() { Ok(()) } else { health.live() };
    match live {
        Ok(()) => (StatusCode::OK, "live\n".into()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
    }
}

/// Whether it does its work: once it has started, these obstacles count, and these notes are told.
pub fn ready(start: &Progress, health: &Health, obstacles: Vec<String>, notes: Vec<String>) -> (StatusCode, String) {
    if let Some(waits) = start.waits_for() {
        return (StatusCode::SERVICE_UNAVAILABLE, waits + "\n");
    }
    let status = if obstacles.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let ready = obstacles.is_empty().then(|| format!("ready, lanes {:?}", health.lanes()));
    let notes = notes.into_iter().map(|note| format!("note: {note}"));
    let lines: Vec<String> = ready.into_iter().chain(obstacles).chain(notes).collect();
    (status, lines.join("\n") + "\n")
}
