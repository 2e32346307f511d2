//! R2: single-event transactions at 1,000 a second; from the commit's return to the consumer.
//!
//! Four connections take turns, so that a slow commit does not delay the next one. With the relay in the writer's
//! process rows come from memory; with the relay elsewhere it is told by NOTIFY.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outbox::Relay;

use super::bed::{Bed, Running, Work};
use super::relay::config;
use super::writer::{Load, Noted, Writers};
use crate::error::{BenchError, Result};
use crate::figures::Figures;
use crate::measure::{Latencies, Meter};

/// Transactions per second.
pub(crate) const PER_SECOND: u32 = 1000;
/// Load before the window.
pub(crate) const WARM_UP: Duration = Duration::from_secs(3);

/// Where the relay runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// As a task beside the writers.
    WriterProcess,
    /// As a process of its own.
    OwnProcess,
}

/// Runs it.
pub(crate) async fn run(work: &Work<'_>, relay: Where, length: Duration) -> Result<Figures> {
    let load = match relay {
        Where::WriterProcess => "latency-hint",
        Where::OwnProcess => "latency-notify",
    };
    let bed = Bed::new(work, "latency").await?;
    let seconds = usize::try_from((WARM_UP + length).as_secs()).map_err(BenchError::other)?;
    let most = (seconds + 5) * usize::try_from(PER_SECOND).map_err(BenchError::other)?;
    let reader = Arc::new(bed.read(most)?);
    let process = if relay == Where::OwnProcess { Some(bed.relay()?) } else { None };
    let task = match &process {
        Some(process) => {
            process.leads()?;
            bed.announce()
        }
        None => lead_here(&bed, work),
    };

    let committed: Arc<Vec<AtomicU64>> = Arc::new((0..most).map(|_| AtomicU64::new(0)).collect());
    let noted: Noted = {
        let (committed, reader) = (Arc::clone(&committed), Arc::clone(&reader));
        Arc::new(move |number| note(&committed, number, reader.now()))
    };
    let load_of = Load { batch: 1, per_second: Some(PER_SECOND), noted: Some(noted) };
    let writers = Writers::start(bed.sinks(4).await?, load_of)?;
    tokio::time::sleep(WARM_UP).await;
    let warm = writers.numbers.committed();
    let meter = Meter::start(bed.targets(process.as_ref())?, &bed.meter).await?;
    tokio::time::sleep(length).await;
    let usage = meter.finish(&bed.meter).await?;
    let last = writers.numbers.committed();
    let all = writers.stop().await?;
    bed.arrived(&reader, all).await?;
    task.stop().await?;
    if let Some(process) = process {
        process.stop()?;
    }

    let mut latencies = Latencies::new()?;
    for number in usize::try_from(warm).unwrap_or(0)..usize::try_from(last).unwrap_or(0) {
        let returned = committed.get(number).map_or(0, |at| at.load(Ordering::Acquire));
        let arrived = reader.arrival(number).ok_or_else(|| BenchError::other(format!("event {number} is missing")))?;
        // The relay has the event before the writer's task is woken with the commit's answer.
        latencies.record_us(arrived.saturating_sub(returned) / 1000);
    }
    let reader = Arc::into_inner(reader).ok_or_else(|| BenchError::other("a writer still notes commits"))?;
    reader.finish()?;
    let verdict = bed.verify(all).await?;
    bed.end().await?;

    let mut figures = Figures::default();
    let found = latencies.quantiles().ok_or_else(|| BenchError::other("no event was measured"))?;
    for (what, value) in [("p50", found.p50), ("p90", found.p90), ("p99", found.p99), ("longest", found.max)] {
        figures.add(load, what, value, "ms");
    }
    figures.add(load, "rate", super::drain::per_second(last - warm, nanos(usage.elapsed)), "/s");
    figures.add_costs(load, &usage, last - warm);
    figures.add(load, "duplicates", verdict.duplicates as f64, "");
    Ok(figures)
}

/// A relay as a task of this process.
fn lead_here(bed: &Bed<'_>, work: &Work<'_>) -> Running {
    let relay = Relay::new(&bed.outbox, config(bed.database(), work.servers.brokers()));
    Running::start(|stopped| async move {
        // It ends by itself only when its configuration cannot work, and then no event arrives.
        if let Err(error) = relay.run(stopped).await {
            eprintln!("bench-outbox: the relay: {error}");
        }
    })
}

/// Notes when the commit of an event returned.
pub(crate) fn note(committed: &[AtomicU64], number: u64, now: u64) {
    if let Some(at) = usize::try_from(number).ok().and_then(|number| committed.get(number)) {
        at.store(now, Ordering::Release);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
