//! SIGTERM and SIGINT: the first asks for an end in good order, a later one for an end at once.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Failure;

/// Whoever signals a process and its group sends the same wish twice, as GNU `timeout` does.
const SAME_WITHIN: Duration = Duration::from_secs(1);

/// The signals, heard from the moment that this is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    first: Option<Instant>,
}

impl Signals {
    pub(crate) fn hear() -> Result<Self, Failure> {
        let terminate = signal(SignalKind::terminate()).map_err(Failure::Signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
        Ok(Self { terminate, interrupt, first: None })
    }

    /// Returns at the first signal, and from then on at each that is not the same one sent twice.
    pub(crate) async fn asked(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            let is_same = self.first.is_some_and(|first| first.elapsed() < SAME_WITHIN);
            if !is_same {
                self.first.get_or_insert_with(Instant::now);
                return;
            }
        }
    }
}
