//! The one place where this crate reads the clock. Cores take the time as an input.
//!
//! What a service stores is compared with what other instances stored and will store, so the clock of its database is the
//! one that counts: the present is this host's clock while the two agree, and the database's while they do not. Between
//! two looks the monotonic clock is used meanwhile, so that a host's clock that jumps moves no deadline. Before the first
//! look, and in programs that make none, the present is what the host says.
//! Deliberately absent: slewing. A step is taken at once, and named.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use consumer::Database;
use jiff::{SignedDuration, Timestamp};
use schemas::ServiceName;
use tokio::sync::watch;

use crate::planted::Planted;
use crate::{metrics, postgres};
use consumer::Failure;

/// Two clocks that differ by less agree.
const AGREEMENT: SignedDuration = SignedDuration::from_secs(1);

/// How often both clocks are looked at.
const LOOK_PERIOD: Duration = Duration::from_secs(5);

/// How long a look may take as a whole; the pool's own limits are shorter.
const LOOK_TIMEOUT: Duration = Duration::from_secs(15);

/// How far a planted clock is ahead, in seconds.
#[cfg(feature = "planted-bugs")]
const PLANTED_S: i64 = 1_800;

/// What time it was, and when that was found out.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    time: Timestamp,
    at: Instant,
    skew: SignedDuration,
}

static ANCHOR: Mutex<Option<Anchor>> = Mutex::new(None);

/// The present, in whole microseconds.
pub(crate) fn now() -> Timestamp {
    let now = anchor().map_or_else(host::now, |anchor| anchor.goes_on(anchor.at.elapsed()));
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// One look at both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// This host's clock when the answer was there.
    pub(crate) host: Timestamp,
    /// The database's clock, taken at some moment of the trip.
    pub(crate) database: Timestamp,
    /// From the question to the answer.
    pub(crate) trip: Duration,
}

/// What a look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Judgement {
    /// The present.
    time: Timestamp,
    /// How far the host's clock is ahead of the database's.
    skew: SignedDuration,
    /// How far the present is from where it was expected: 0 unless it jumped.
    jump: SignedDuration,
}

impl Look {
    /// What time it is; `expected` is where the last look and the monotonic clock say that the present is. None when the
    /// answer took too long to say anything.
    fn judge(&self, expected: Option<Timestamp>) -> Option<Judgement> {
        let trip = SignedDuration::try_from(self.trip).ok()?;
        if trip > AGREEMENT {
            return None;
        }
        let database = self.database.checked_add(trip / 2).unwrap_or(self.database);
        let skew = self.host.duration_since(database);
        let time = if skew.abs() <= AGREEMENT { self.host } else { database };
        let jump = expected.map_or(SignedDuration::ZERO, |expected| time.duration_since(expected));
        let jump = if jump.abs() <= AGREEMENT { SignedDuration::ZERO } else { jump };
        Some(Judgement { time, skew, jump })
    }
}

impl Anchor {
    fn goes_on(&self, elapsed: Duration) -> Timestamp {
        self.time.checked_add(elapsed).unwrap_or(self.time)
    }
}

/// Look at both clocks once, and go by what they say.
///
/// # Errors
/// When the database does not answer; then time goes on as before.
pub(crate) async fn look(service: ServiceName, database: &Database) -> Result<(), Failure> {
    let looked = tokio::time::timeout(LOOK_TIMEOUT, postgres::look_at_clock(database)).await;
    let look = looked.map_err(|_| Failure::Retry(format!("no time from the database within {LOOK_TIMEOUT:?}")))??;
    let (at, before) = (Instant::now(), anchor());
    let expected = before.map(|anchor| anchor.goes_on(at.duration_since(anchor.at)));
    let Some(judgement) = look.judge(expected) else { return Ok(()) };
    let Judgement { time, skew, jump } = judgement;
    *ANCHOR.lock().unwrap_or_else(PoisonError::into_inner) = Some(Anchor { time, at, skew });
    metrics::clock_skew(service.as_str(), skew.as_secs_f64());
    if jump != SignedDuration::ZERO {
        tracing::error!(jump_s = jump.as_secs_f64(), now = %time, "the time jumped; deadlines go by the new time");
    }
    let (was, is) = (before.is_some_and(|anchor| is_apart(anchor.skew)), is_apart(skew));
    match (was, is) {
        (false, true) => tracing::error!(
            skew_s = skew.as_secs_f64(),
            "this host's clock and the database's differ; the database's is used: set the clocks"
        ),
        (true, false) => tracing::info!("this host's clock and the database's agree again"),
        (true, true) | (false, false) => {}
    }
    Ok(())
}

/// Look at both clocks again and again until asked to stop.
pub(crate) async fn watch(service: ServiceName, database: Database, mut stopping: watch::Receiver<bool>) {
    let looks = async {
        loop {
            tokio::time::sleep(LOOK_PERIOD).await;
            if let Err(error) = look(service, &database).await {
                tracing::debug!(%error, "the database's clock cannot be looked at; the monotonic clock is used meanwhile");
            }
        }
    };
    tokio::select! {
        // An error means that the sender is gone, which is an end as well.
        _ = stopping.wait_for(|stopped| *stopped) => {}
        () = looks => {}
    }
}

/// In tests, this host's clock is wrong when asked to be.
pub(crate) fn plant(planted: Planted) {
    #[cfg(feature = "planted-bugs")]
    if planted.is_clock_ahead {
        host::put_ahead(PLANTED_S);
    }
    #[cfg(not(feature = "planted-bugs"))]
    let Planted { decisions: _, client: _ } = planted;
}

/// What people should know about the clocks; none while they agree.
pub(crate) fn note() -> Option<String> {
    let skew = anchor()?.skew;
    is_apart(skew).then(|| {
        let side = if skew.is_negative() { "behind" } else { "ahead of" };
        let seconds = skew.abs().as_secs();
        format!("clock: this host is {seconds} s {side} the database, whose clock is used")
    })
}

fn is_apart(skew: SignedDuration) -> bool {
    skew.abs() > AGREEMENT
}

fn anchor() -> Option<Anchor> {
    *ANCHOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This host's own clock; in tests it can be told to be wrong.
pub(crate) mod host {
    use jiff::Timestamp;

    #[cfg(feature = "planted-bugs")]
    static AHEAD_S: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);

    /// What it says.
    pub(crate) fn now() -> Timestamp {
        #[cfg(feature = "planted-bugs")]
        let ahead = jiff::SignedDuration::from_secs(AHEAD_S.load(std::sync::atomic::Ordering::Relaxed));
        #[cfg(not(feature = "planted-bugs"))]
        let ahead = jiff::SignedDuration::ZERO;
        let now = Timestamp::now();
        now.checked_add(ahead).unwrap_or(now)
    }

    /// From now on it is wrong by so many seconds.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn put_ahead(seconds: i64) {
        AHEAD_S.store(seconds, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn look(host_s: i64, database_s: i64) -> Look {
        Look { host: at(host_s), database: at(database_s), trip: Duration::from_millis(2) }
    }

    #[test]
    fn clocks_that_agree_are_the_hosts() {
        let judgement = look(100, 100).judge(Some(at(100))).unwrap();
        assert_eq!((judgement.time, judgement.jump), (at(100), SignedDuration::ZERO));
        assert!(!is_apart(judgement.skew));
    }

    #[test]
    fn a_host_that_is_ahead_or_behind_is_not_believed_and_nothing_jumps() {
        for wrong_s in [1_800, -1_800, 7_200_000] {
            let judgement = look(100 + wrong_s, 100).judge(Some(at(100))).unwrap();
            assert_eq!(judgement.time.as_second(), at(100).as_second(), "{wrong_s}");
            assert_eq!(judgement.jump, SignedDuration::ZERO, "the clock that counts did not move");
            assert!((judgement.skew.as_secs() - wrong_s).abs() <= 1, "{:?}", judgement.skew);
        }
        let back = look(105, 105).judge(Some(at(105))).unwrap();
        assert_eq!((back.time, back.jump), (at(105), SignedDuration::ZERO));
    }

    #[test]
    fn a_database_whose_clock_jumps_is_followed_and_the_jump_is_named() {
        let ahead = look(100, 1_900).judge(Some(at(100))).unwrap();
        assert_eq!((ahead.time.as_second(), ahead.jump.as_secs()), (at(1_900).as_second(), 1_800));
        let back = look(110, 110).judge(Some(at(1_910))).unwrap();
        assert_eq!((back.time, back.jump.as_secs()), (at(110), -1_800));
    }

    #[test]
    fn an_answer_that_took_long_says_nothing() {
        let slow = Look { trip: Duration::from_secs(3), ..look(100, 90) };
        assert_eq!(slow.judge(Some(at(100))), None);
    }

    #[test]
    fn time_goes_on_by_the_monotonic_clock_between_looks() {
        let anchor = Anchor { time: at(100), at: Instant::now(), skew: SignedDuration::ZERO };
        assert_eq!(anchor.goes_on(Duration::from_secs(7)), at(107));
    }
}
