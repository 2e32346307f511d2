//! Loads of requests: as many as are answered, or so many a second.
//!
//! At a rate a request counts from when it was due, not from when a connection was free for it, so a stall shows in the latencies
//! of all that came meanwhile. A thread of its own keeps the time, because the runtime's timers know whole milliseconds alone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::caller::{Caller, Work};
use crate::error::{BenchError, Doing, Result};
use crate::measure::{Latencies, Meter, Target, Usage};

/// Before a window.
const WARM_UP: Duration = Duration::from_secs(1);
/// Requests that may wait for one connection.
const WAITING: usize = 1_024;

/// What became of a load.
pub(crate) struct Answered {
    /// Requests answered, those before and after the window among them.
    pub(crate) all: u64,
    /// Within the window.
    pub(crate) counted: u64,
    /// Of those, from when each was due. Nothing at full speed.
    pub(crate) latencies: Latencies,
    /// What the window cost.
    pub(crate) usage: Usage,
}

/// A window, and what is looked at in it.
pub(crate) struct Window<'w> {
    /// How long.
    pub(crate) length: Duration,
    /// Whose CPU.
    pub(crate) targets: Vec<Target>,
    /// For Postgres' counters.
    pub(crate) client: &'w Client,
}

/// As many requests as are answered, on so many connections.
pub(crate) async fn at_full_speed(work: &Arc<Work>, connections: u32, window: Window<'_>) -> Result<Answered> {
    let (next, answered, stop) =
        (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let mut callers = JoinSet::new();
    for _ in 0..connections {
        let mut caller = Caller::connect(work).await?;
        let (next, answered, stop) = (Arc::clone(&next), Arc::clone(&answered), Arc::clone(&stop));
        callers.spawn(async move {
            while !stop.load(Ordering::Acquire) {
                caller.ask(next.fetch_add(1, Ordering::Relaxed)).await?;
                answered.fetch_add(1, Ordering::AcqRel);
            }
            Ok(())
        });
    }
    let measured = async {
        tokio::time::sleep(WARM_UP).await;
        let meter = Meter::start(window.targets, window.client).await?;
        let before = answered.load(Ordering::Acquire);
        tokio::time::sleep(window.length.saturating_sub(meter.elapsed())).await;
        let counted = answered.load(Ordering::Acquire) - before;
        Ok::<_, BenchError>((counted, meter.finish(window.client).await?))
    };
    let (counted, usage) = tokio::select! {
        measured = measured => measured?,
        Some(ended) = callers.join_next() => return Err(ended_early(ended)),
    };
    stop.store(true, Ordering::Release);
    join(callers).await?;
    Ok(Answered { all: answered.load(Ordering::Acquire), counted, latencies: Latencies::new()?, usage })
}

/// So many requests a second, and the connections that are there for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) per_second: u32,
    pub(crate) connections: u32,
}

/// So many requests a second, whether those before are answered or not.
pub(crate) async fn at_rate(work: &Arc<Work>, rate: Rate, window: Window<'_>) -> Result<Answered> {
    let (mut callers, mut senders) = (JoinSet::new(), Vec::new());
    let first_counted = Arc::new(AtomicU64::new(u64::MAX));
    let latencies = Arc::new(Mutex::new(Latencies::new()?));
    for _ in 0..rate.connections {
        let (sender, mut due) = mpsc::channel::<(u64, Instant)>(WAITING);
        let mut caller = Caller::connect(work).await?;
        let (first_counted, latencies) = (Arc::clone(&first_counted), Arc::clone(&latencies));
        callers.spawn(async move {
            while let Some((number, since)) = due.recv().await {
                caller.ask(number).await?;
                if number >= first_counted.load(Ordering::Acquire) {
                    let us = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
                    latencies.lock().unwrap_or_else(PoisonError::into_inner).record_us(us);
                }
            }
            Ok(())
        });
        senders.push(sender);
    }
    let count = requests(rate, WARM_UP + window.length);
    first_counted.store(requests(rate, WARM_UP), Ordering::Release);
    let pacing = std::thread::Builder::new().name("pace".into());
    let pacing = pacing.spawn(move || pace(&senders, rate, count)).doing("starting the pace")?;
    tokio::time::sleep(WARM_UP).await;
    let meter = Meter::start(window.targets, window.client).await?;
    tokio::time::sleep(window.length.saturating_sub(meter.elapsed())).await;
    let usage = meter.finish(window.client).await?;
    join(callers).await?;
    pacing.join().map_err(|_| BenchError::other("the pace panicked"))?;
    let found = Arc::into_inner(latencies).ok_or_else(|| BenchError::other("a caller is still there"))?;
    let latencies = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let counted = latencies.quantiles().map_or(0, |found| found.count);
    Ok(Answered { all: count, counted, latencies, usage })
}

fn requests(rate: Rate, time: Duration) -> u64 {
    u64::from(rate.per_second) * u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 1_000_000) / 1_000
}

/// Gives each request to the next connection when it is due. A connection that has ended gets none: its error ends the load.
fn pace(senders: &[mpsc::Sender<(u64, Instant)>], rate: Rate, count: u64) {
    let began = Instant::now();
    for (number, sender) in (0..count).zip(senders.iter().cycle()) {
        let due = began + Duration::from_nanos(number * 1_000_000_000 / u64::from(rate.per_second.max(1)));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if sender.blocking_send((number, due)).is_err() {
            return;
        }
    }
}

async fn join(mut callers: JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = callers.join_next().await {
        ended.map_err(BenchError::other)??;
    }
    Ok(())
}

fn ended_early(ended: std::result::Result<Result<()>, tokio::task::JoinError>) -> BenchError {
    match ended {
        Ok(Ok(())) => BenchError::other("a caller ended early"),
        Ok(Err(error)) => error,
        Err(error) => BenchError::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_from_when_it_was_due_and_all_are_given_out() {
        let (sender, mut due) = mpsc::channel(1_000);
        let rate = Rate { per_second: 2_000, connections: 1 };
        let began = Instant::now();
        pace(&[sender], rate, requests(rate, Duration::from_millis(100)));
        let mut seen = Vec::new();
        while let Ok((number, at)) = due.try_recv() {
            seen.push(number);
            // Not when the thread came to it.
            let since = at.duration_since(began).as_nanos();
            assert!(since >= u128::from(number) * 500_000, "{number}: {since}");
        }
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
        assert!(began.elapsed() >= Duration::from_millis(99));
    }
}
