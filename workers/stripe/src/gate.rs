//! The gate in front of an account: so many requests at once, none before the provider's `Retry-After` is over, none while the breaker
//! is open. Who is not let through is told when to come back; nothing was sent then.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::account::Limits;
use crate::breaker::{Admission, Breaker, Change, Told};
use crate::metrics::{self, HeldBack};

/// The longest that an account rests because the provider said so.
const LONGEST_REST_MS: i64 = 600_000;

/// The gate of one account.
#[derive(Debug)]
pub(crate) struct Gate {
    account: String,
    places: Semaphore,
    place_limit: Duration,
    begun: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    breaker: Breaker,
    /// No request before this, in milliseconds since the gate's beginning.
    rests_until_ms: i64,
    random: u64,
}

/// Who was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turned {
    pub(crate) why: HeldBack,
    pub(crate) after_ms: Option<i64>,
}

/// Somebody who was let through; says at the end what came of it.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
    is_probe: bool,
    is_told: bool,
    _place: SemaphorePermit<'a>,
}

impl Gate {
    pub(crate) fn new(account: &str, limits: &Limits) -> Self {
        let random = RandomState::new().hash_one(account);
        let inner = Inner { breaker: Breaker::new(limits.breaker), rests_until_ms: 0, random };
        metrics::breaker_open(account, false);
        Gate {
            account: account.to_owned(),
            places: Semaphore::new(limits.requests),
            place_limit: limits.place_limit,
            begun: Instant::now(),
            inner: Mutex::new(inner),
        }
    }

    /// Let a request through, or say when it may come back.
    pub(crate) async fn enter(&self) -> Result<Pass<'_>, Turned> {
        // Who is turned away does not wait for a place first.
        self.may_come().map_err(|turned| self.turn(turned))?;
        let place = tokio::time::timeout(self.place_limit, self.places.acquire()).await;
        let Ok(Ok(place)) = place else { return Err(self.turn(Turned { why: HeldBack::Full, after_ms: None })) };
        let is_probe = self.admit().map_err(|turned| self.turn(turned))?;
        metrics::requests_open(&self.account, 1);
        Ok(Pass { gate: self, is_probe, is_told: false, _place: place })
    }

    /// The provider asks to wait so long.
    pub(crate) fn rest(&self, after_ms: i64) {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let until = now_ms.saturating_add(after_ms.clamp(0, LONGEST_REST_MS));
        inner.rests_until_ms = inner.rests_until_ms.max(until);
    }

    fn may_come(&self) -> Result<(), Turned> {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let rest_ms = inner.rests_until_ms.saturating_sub(now_ms);
        if rest_ms > 0 {
            // Not all at once when the rest is over.
            let after_ms = rest_ms.saturating_add(i64::try_from(inner.draw() % 1_000).unwrap_or(0));
            return Err(Turned { why: HeldBack::RetryAfter, after_ms: Some(after_ms) });
        }
        Ok(())
    }

    fn admit(&self) -> Result<bool, Turned> {
        self.may_come()?;
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let random = inner.draw();
        match inner.breaker.ask(now_ms, random) {
            Admission::Sent => Ok(false),
            Admission::Probe => Ok(true),
            Admission::NotBefore(ms) => Err(Turned { why: HeldBack::Breaker, after_ms: Some(ms) }),
        }
    }

    fn turn(&self, turned: Turned) -> Turned {
        metrics::held_back(&self.account, turned.why);
        turned
    }

    fn tell(&self, is_probe: bool, told: Told) {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let random = inner.draw();
        let change = inner.breaker.tell(is_probe, told, now_ms, random);
        metrics::breaker_open(&self.account, inner.breaker.is_open());
        match change {
            Some(Change::Opened) => {
                metrics::breaker_opened(&self.account);
                tracing::warn!(
                    account = self.account,
                    "the provider gives no certain answers; nothing is sent for a while"
                );
            }
            Some(Change::Closed) => tracing::info!(account = self.account, "the provider answers again"),
            None => {}
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The next random number: splitmix64, which spreads and keeps no secret.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Pass<'_> {
    /// What came of it.
    pub(crate) fn tell(&mut self, told: Told) {
        if !self.is_told {
            self.is_told = true;
            self.gate.tell(self.is_probe, told);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        metrics::requests_open(&self.gate.account, -1);
        self.tell(Told::GivenUp);
    }
}

#[cfg(test)]
mod tests {
    use crate::breaker::Policy;

    use super::*;

    fn gate(requests: usize) -> Gate {
        let breaker = Policy { opens_after: 2, first_pause_ms: 60_000, longest_pause_ms: 60_000 };
        Gate::new("main", &Limits { requests, place_limit: Duration::from_millis(1), breaker, ..Limits::default() })
    }

    #[tokio::test]
    async fn no_more_requests_at_once_than_places() {
        let gate = gate(1);
        let first = gate.enter().await.unwrap();
        let turned = gate.enter().await.unwrap_err();
        assert_eq!(turned, Turned { why: HeldBack::Full, after_ms: None });
        drop(first);
        assert!(gate.enter().await.is_ok());
    }

    #[tokio::test]
    async fn nobody_goes_before_the_provider_s_time() {
        let gate = gate(5);
        gate.rest(30_000);
        let turned = gate.enter().await.unwrap_err();
        assert_eq!(turned.why, HeldBack::RetryAfter);
        assert!(turned.after_ms.is_some_and(|ms| (29_000..=31_000).contains(&ms)), "{turned:?}");
    }

    #[tokio::test]
    async fn the_breaker_opens_and_nothing_is_sent() {
        let gate = gate(5);
        for _ in 0..2 {
            gate.enter().await.unwrap().tell(Told::Uncertain);
        }
        let turned = gate.enter().await.unwrap_err();
        assert_eq!(turned.why, HeldBack::Breaker);
        assert!(turned.after_ms.is_some_and(|ms| ms > 1_000), "{turned:?}");
    }
}
