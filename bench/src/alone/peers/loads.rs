//! R1, R2 and R3 on a peer. Each says what ran, with its version, and the figures under the names that ours have.

use std::time::Duration;

use super::bed::{ARRIVAL, PeerBed};
use crate::alone::drain::{milliseconds, per_second};
use crate::alone::singles::{Singles, WRITERS};
use crate::alone::topic::Tally;
use crate::alone::writer::{Load, Writers, preload};
use crate::error::{BenchError, Result};
use crate::figures::Figures;
use crate::measure::{Counters, Meter};

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
    let all_came = reader.sees(expected, ARRIVAL).await?;
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
    let most = Singles::most(length)?;
    let singles = Singles::new(bed.read(most)?, most);
    let peer = bed.start()?;
    bed.relays(&peer)?;
    let written = singles.write(bed.sinks(WRITERS).await?, bed.targets(&peer)?, &bed.meter, length).await?;
    if !singles.reader.sees(written.all, ARRIVAL).await? {
        let (seen, all) = (singles.reader.count(), written.all);
        return Err(BenchError::other(format!("{seen} of {all} events came in time")));
    }
    let mut figures = Figures::default();
    singles.finish(&written, LOAD, &mut figures)?;
    let tally = complete(bed, written.all).await?;
    figures.add_costs(LOAD, &written.usage, written.counted());
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
    let is_level = reader.sees(all, CATCH_UP).await?;
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

#[expect(clippy::float_arithmetic, reason = "a figure for people, not an amount")]
fn share(bytes: i64, events: u64) -> f64 {
    bytes as f64 / (events.max(1) as f64)
}
