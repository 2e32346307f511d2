//! From a daemon's first instruction to its first work: waits for the servers, bounded, saying for what.
//!
//! A supervisor that starts everything at once starts a daemon before its servers; one that ended for that would be started
//! again and again until the supervisor gives up. What waiting cannot mend (a wrong password, a missing schema) ends the
//! start at once. The health port tells what is waited for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use consumer::{DatabaseError, Failure};
use outbox::Backoff;
use provision::topics::TopicsError;

/// Between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a wait is told.
const TELL_PERIOD: Duration = Duration::from_secs(5);

/// Why an attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The server may be there in a moment.
    NotYet(String),
    /// Only a person can mend it.
    Lasting(String),
}

impl From<Failure> for Obstacle {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        match failure {
            Failure::Retry(_) => Obstacle::NotYet(text),
            Failure::Poison(_) | Failure::Environment(_) | Failure::Halt(_) => Obstacle::Lasting(text),
        }
    }
}

impl From<DatabaseError> for Obstacle {
    fn from(error: DatabaseError) -> Self {
        Obstacle::from(Failure::from(error))
    }
}

impl From<TopicsError> for Obstacle {
    fn from(error: TopicsError) -> Self {
        let text = error.to_string();
        match error {
            TopicsError::Unreachable(_) | TopicsError::Kafka { .. } => Obstacle::NotYet(text),
            TopicsError::Refused { .. }
            | TopicsError::Configuration(_)
            | TopicsError::Denied { .. }
            | TopicsError::Mistakes(_) => Obstacle::Lasting(text),
        }
    }
}

/// What a start is waiting for, for the health port; cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Mutex<Option<String>>>);

impl Default for Progress {
    fn default() -> Self {
        Progress(Arc::new(Mutex::new(Some("starting".into()))))
    }
}

impl Progress {
    /// What is waited for; none once everything has started.
    pub fn waits_for(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything has started.
    pub fn is_done(&self) {
        self.set(None);
    }

    fn set(&self, waits_for: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = waits_for;
    }
}

/// One start: its limit counts for all servers together.
#[derive(Debug)]
pub struct Start {
    begun: Instant,
    limit: Duration,
    progress: Progress,
}

impl Start {
    /// That may take so long, and tells its progress there.
    pub fn new(limit: Duration, progress: Progress) -> Self {
        Start { begun: Instant::now(), limit, progress }
    }

    /// Attempt it until it succeeds, cannot succeed, or the start has taken too long.
    ///
    /// # Errors
    /// In words: the lasting obstacle, or what was still in the way in the end, and how to wait longer.
    pub async fn await_server<T>(
        &self,
        server: &str,
        mut attempt: impl AsyncFnMut() -> Result<T, Obstacle>,
    ) -> Result<T, String> {
        let (mut backoff, mut told) = (Backoff::new(FIRST_PAUSE, LONGEST_PAUSE), None::<Instant>);
        self.progress.set(Some(format!("starting: asks {server}")));
        loop {
            let reason = match attempt().await {
                Ok(value) => {
                    if told.is_some() {
                        tracing::info!(waited_s = self.begun.elapsed().as_secs(), "{server} answers");
                    }
                    return Ok(value);
                }
                Err(Obstacle::Lasting(reason)) => return Err(reason),
                Err(Obstacle::NotYet(reason)) => reason,
            };
            let waited = self.begun.elapsed();
            let Some(left) = self.limit.checked_sub(waited).filter(|left| !left.is_zero()) else {
                let seconds = waited.as_secs();
                return Err(format!("{reason} (waited {seconds} s for {server}; --start-timeout-s waits longer)"));
            };
            if told.is_none_or(|at| at.elapsed() >= TELL_PERIOD) {
                tracing::warn!(waited_s = waited.as_secs(), limit_s = self.limit.as_secs(), %reason, "waiting for {server}");
                told = Some(Instant::now());
            }
            self.progress.set(Some(format!("starting: waits for {server}, {} s so far: {reason}", waited.as_secs())));
            tokio::time::sleep(backoff.wait().min(left)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(limit: Duration, obstacles: Vec<Obstacle>) -> (Result<u32, String>, Progress) {
        let progress = Progress::default();
        let start = Start::new(limit, progress.clone());
        let mut obstacles = obstacles.into_iter();
        let mut attempts = 0;
        let ended = start
            .await_server("Postgres", async || {
                attempts += 1;
                obstacles.next().map_or(Ok(attempts), Err)
            })
            .await;
        (ended, progress)
    }

    #[tokio::test]
    async fn a_late_server_is_waited_for_and_told_of() {
        let late = || Obstacle::NotYet("connection refused".into());
        let (ended, progress) = outcome(Duration::from_secs(60), vec![late(), late()]).await;
        assert_eq!(ended, Ok(3));
        let waits = progress.waits_for().unwrap();
        assert!(waits.contains("Postgres") && waits.contains("connection refused"), "{waits}");
        progress.is_done();
        assert_eq!(progress.waits_for(), None);
    }

    #[tokio::test]
    async fn what_waiting_cannot_mend_ends_at_once() {
        let (ended, _) = outcome(Duration::from_secs(60), vec![Obstacle::Lasting("wrong password".into())]).await;
        assert_eq!(ended, Err("wrong password".into()));
    }

    #[tokio::test]
    async fn a_wait_has_an_end_that_says_for_what() {
        let (ended, _) = outcome(Duration::ZERO, vec![Obstacle::NotYet("connection refused".into())]).await;
        let words = ended.unwrap_err();
        assert!(
            words.contains("refused") && words.contains("Postgres") && words.contains("--start-timeout-s"),
            "{words}"
        );
    }
}
