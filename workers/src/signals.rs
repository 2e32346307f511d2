//! SIGTERM and SIGINT as a daemon hears them: the first asks it to end, a later one insists.
//!
//! Heard from the first instruction on, so that a signal during the start ends it cleanly. What comes within a second of the
//! first is the same request: `timeout` signals its child and then the whole group, a terminal signals everybody.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How a daemon's end is called that somebody insisted on.
pub const INSISTED: &str = "ended by a second signal";

/// Signals this close together are one request.
const ONE_REQUEST: Duration = Duration::from_secs(1);

/// Both signals, from when this was made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    asked: Option<Instant>,
    requests: u32,
}

impl Signals {
    /// Hear them from now on.
    pub fn listen() -> std::io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Signals { terminate, interrupt, asked: None, requests: 0 })
    }

    /// The next request to end: the first signal, then one that came later than that one's own echo.
    pub async fn request(&mut self) {
        loop {
            tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
            if is_request(self.asked.map(|asked| asked.elapsed())) {
                self.asked = Some(Instant::now());
                self.requests = self.requests.saturating_add(1);
                return;
            }
        }
    }

    /// Whether there was more than one request.
    pub fn has_insisted(&self) -> bool {
        self.requests > 1
    }
}

/// Until the daemon is told to stop: what a task that serves waits for.
pub async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end as well.
    let _ = stopping.wait_for(|stopped| *stopped).await;
}

fn is_request(since_last: Option<Duration>) -> bool {
    since_last.is_none_or(|since| since > ONE_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_within_a_second_are_one_request() {
        assert!(is_request(None));
        assert!(!is_request(Some(Duration::from_millis(20))));
        assert!(!is_request(Some(ONE_REQUEST)));
        assert!(is_request(Some(Duration::from_millis(1_001))));
    }
}
