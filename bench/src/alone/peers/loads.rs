//! R1, R2 and R3 on a peer. Each says what ran, with its version, and the figures under the names that ours have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::bed::{ARRIVAL, PeerBed};
use crate::alone::drain::{milliseconds, per_second};
use crate::alone::latency::{PER_SECOND, WARM_UP, note};
use crate::alone::topic::{Reader, Tally};
use crate::alone::writer::{Load, Noted, Writers, preload};
use crate::error::{BenchError, Result};
use crate::figures::Figures;
use crate::measure::{Counters, Latencies, Meter};

/// How long a peer may take to catch up after R3.
const CATCH_UP: Duration = Duration::from_secs(60);

/// R1 and R4: a backlog, then the peer starts.
pub(super) async fn drain(bed: &PeerBed<'_>, events: u32) -> Result<(String, Figures)> {
    const LOAD: &str = "drain";
    let expected = u64::from(events);
    let before = Counters::read(&bed.meter).await?;
    for sink in bed.sinks(1).await? {
        preload(sink, expected).await?;
    }
    let inserted = Counters::read(&bed.meter).await?.wal_bytes - before.wal_bytes;
    bed.settle().await?;
    let reader = bed.read(0)?;
    let peer = bed.start()?;
    // What it has to fetch first is not its time to the first message.
    peer.says("version: ", ARRIVAL)?;
    let began = reader.now();
    let meter = Meter::start(bed.targets(&peer)?, &bed.meter).await?;
    bed.relays(&peer)?;
    let all_came = bed.arrived(&reader, expected, ARRIVAL).await?;
    let usage = meter.finish(&bed.meter).await?;
    let (count, first, last) = (reader.count(), reader.first(), reader.last());
    reader.finish()?;
    let mut figures = Figures::default();
    if all_came {
        let tally = complete(bed, expected).await?;
        figures.add(LOAD, "duplicates", tally.duplicates as f64, "");
        figures.add(LOAD, "keys out of order", tally.disordered_keys as f64, "");
    } else {
        figures.add(LOAD, "left when time was over", expected.saturating_sub(count) as f64, "");
    }
    figures.add(LOAD, "rate", per_second(count, last - first), "/s");
    figures.add(LOAD, "start to first message", milliseconds(first.saturating_sub(began)), "ms");
    figures.add_costs(LOAD, &usage, count);
    figures.add(LOAD, "write-ahead log at insert", share(inserted, expected), "B/event");
    Ok((bed.end(peer).await?, figures))
}

/// R2: single events at 1,000 a second, from the commit's return to the consumer.
pub(super) async fn latency(bed: &PeerBed<'_>, length: Duration) -> Result<(String, Figures)> {
    const LOAD: &str = "latency-notify";
    let seconds = usize::try_from((WARM_UP + length).as_secs()).map_err(BenchError::other)?;
    let most = (seconds + 5) * usize::try_from(PER_SECOND).map_err(BenchError::other)?;
    let reader = Arc::new(bed.read(most)?);
    let peer = bed.start()?;
    bed.relays(&peer)?;
    let committed: Arc<Vec<AtomicU64>> = Arc::new((0..most).map(|_| AtomicU64::new(0)).collect());
    let noted: Noted = {
        let (committed, reader) = (Arc::clone(&committed), Arc::clone(&reader));
        Arc::new(move |number| note(&committed, number, reader.now()))
    };
    let load = Load { batch: 1, per_second: Some(PER_SECOND), noted: Some(noted) };
    let writers = Writers::start(bed.sinks(4).await?, load)?;
    tokio::time::sleep(WARM_UP).await;
    let warm = writers.numbers.committed();
    let meter = Meter::start(bed.targets(&peer)?, &bed.meter).await?;
    tokio::time::sleep(length).await;
    let usage = meter.finish(&bed.meter).await?;
    let last = writers.numbers.committed();
    let all = writers.stop().await?;
    if !bed.arrived(&reader, all, ARRIVAL).await? {
        return Err(BenchError::other(format!("{} of {all} events came in time", reader.count())));
    }
    let found = measured(&reader, &committed, warm..last)?;
    let reader = Arc::into_inner(reader).ok_or_else(|| BenchError::other("a writer still notes commits"))?;
    reader.finish()?;
    let tally = complete(bed, all).await?;
    let mut figures = Figures::default();
    let quantiles = found.quantiles().ok_or_else(|| BenchError::other("no event was measured"))?;
    for (what, value) in
        [("p50", quantiles.p50), ("p90", quantiles.p90), ("p99", quantiles.p99), ("longest", quantiles.max)]
    {
        figures.add(LOAD, what, value, "ms");
    }
    figures.add_costs(LOAD, &usage, last - warm);
    figures.add(LOAD, "duplicates", tally.duplicates as f64, "");
    Ok((bed.end(peer).await?, figures))
}

/// R3: eight writers, twenty events per transaction, as fast as they go.
pub(super) async fn live(bed: &PeerBed<'_>, length: Duration) -> Result<(String, Figures)> {
    const LOAD: &str = "live";
    let reader = bed.read(0)?;
    let peer = bed.start()?;
    bed.relays(&peer)?;
    let meter = Meter::start(bed.targets(&peer)?, &bed.meter).await?;
    let writers = Writers::start(bed.sinks(8).await?, Load { batch: 20, per_second: None, noted: None })?;
    let began = reader.now();
    tokio::time::sleep(length).await;
    let (inserted, relayed, window) = (writers.numbers.committed(), reader.count(), reader.now() - began);
    let all = writers.stop().await?;
    let stopped = reader.now();
    let is_level = bed.arrived(&reader, all, CATCH_UP).await?;
    let usage = meter.finish(&bed.meter).await?;
    let (count, last) = (reader.count(), reader.last());
    reader.finish()?;
    let mut figures = Figures::default();
    figures.add(LOAD, "inserted", per_second(inserted, window), "/s");
    figures.add(LOAD, "relayed", per_second(relayed, window), "/s");
    if is_level {
        figures.add(LOAD, "catch-up", milliseconds(last.saturating_sub(stopped)), "ms");
        figures.add(LOAD, "duplicates", complete(bed, all).await?.duplicates as f64, "");
    } else {
        figures.add(LOAD, "not relayed a minute after the writers stopped", all.saturating_sub(count) as f64, "");
    }
    figures.add_costs(LOAD, &usage, count);
    Ok((bed.end(peer).await?, figures))
}

/// Every event is in the topic.
async fn complete(bed: &PeerBed<'_>, events: u64) -> Result<Tally> {
    let tally = bed.tally().await?;
    if tally.events == events {
        return Ok(tally);
    }
    Err(BenchError::other(format!("{events} events were committed, and the topic has {tally:?}")))
}

fn measured(reader: &Reader, committed: &[AtomicU64], numbers: std::ops::Range<u64>) -> Result<Latencies> {
    let mut latencies = Latencies::new()?;
    for number in numbers {
        let index = usize::try_from(number).map_err(BenchError::other)?;
        let returned = committed.get(index).map_or(0, |at| at.load(Ordering::Acquire));
        let arrived = reader.arrival(index).ok_or_else(|| BenchError::other(format!("event {number} is missing")))?;
        latencies.record_us(arrived.saturating_sub(returned) / 1000);
    }
    Ok(latencies)
}

#[expect(clippy::float_arithmetic, reason = "a figure for people, not an amount")]
fn share(bytes: i64, events: u64) -> f64 {
    bytes as f64 / (events.max(1) as f64)
}
