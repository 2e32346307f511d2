//! R1 and R4: a backlog of committed events, then the relay starts. And the ceiling for it: reading the same rows only.
//!
//! The rate is that between the first and the last event at the consumer; the time to the first counts from the start of
//! the relay's process, so it holds connecting, the election, and reading where the topics stand.

use std::time::Instant;

use super::bed::{Bed, Work};
use super::ceiling::read_only;
use super::writer::preload;
use crate::error::{BenchError, Result};
use crate::figures::Figures;
use crate::measure::{Counters, Meter};

const LOAD: &str = "drain";

/// Runs it.
pub(crate) async fn run(work: &Work<'_>, events: u32) -> Result<Figures> {
    let bed = Bed::new(work, LOAD).await?;
    let expected = u64::from(events);
    let mut figures = Figures::default();
    let before = Counters::read(&bed.meter).await?;
    for sink in bed.sinks(1).await? {
        preload(sink, expected).await?;
    }
    let after = Counters::read(&bed.meter).await?;
    let inserted = after.wal_bytes - before.wal_bytes;
    bed.settle().await?;

    let reader = bed.read(0)?;
    let began = reader.now();
    let relay = bed.relay()?;
    let meter = Meter::start(bed.targets(Some(&relay))?, &bed.meter).await?;
    bed.arrived(&reader, expected).await?;
    let usage = meter.finish(&bed.meter).await?;
    relay.stop()?;
    let (first, last) = (reader.first(), reader.last());
    reader.finish()?;
    let verdict = bed.verify(expected).await?;

    figures.add(LOAD, "rate", per_second(expected, last - first), "/s");
    figures.add(LOAD, "start to first message", milliseconds(first - began), "ms");
    figures.add(LOAD, "start to last message", milliseconds(last - began), "ms");
    figures.add_costs(LOAD, &usage, expected);
    figures.add(LOAD, "write-ahead log at insert", share(inserted, events), "B/event");
    figures.add(LOAD, "duplicates", verdict.duplicates as f64, "");

    let started = Instant::now();
    let rows = read_only(&bed, work.partitions).await?;
    if rows != expected {
        return Err(BenchError::other(format!("the table gave {rows} of {expected} rows")));
    }
    let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    figures.add("ceiling", "read only", per_second(rows, nanos), "/s");
    bed.end().await?;
    Ok(figures)
}

/// A rate.
#[expect(clippy::float_arithmetic, reason = "a figure for people, not an amount")]
pub(crate) fn per_second(events: u64, nanos: u64) -> f64 {
    events as f64 * 1e9 / (nanos.max(1) as f64)
}

/// Nanoseconds as milliseconds.
#[expect(clippy::float_arithmetic, reason = "a figure for people, not an amount")]
pub(crate) fn milliseconds(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

#[expect(clippy::float_arithmetic, reason = "a figure for people, not an amount")]
fn share(bytes: i64, events: u32) -> f64 {
    bytes as f64 / f64::from(events)
}
