//! R2: single-event transactions at 1,000 a second; from the commit's return to the consumer.
//!
//! Four connections take turns, so that a slow commit does not delay the next one. With the relay in the writer's
//! process rows come from memory; with the relay elsewhere it is told by NOTIFY.

use std::time::Duration;

use outbox::Relay;

use super::bed::{Bed, Running, Work};
use super::relay::config;
use super::singles::{Singles, WRITERS};
use crate::error::Result;
use crate::figures::Figures;

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
    let most = Singles::most(length)?;
    let singles = Singles::new(bed.read(most)?, most);
    let process = if relay == Where::OwnProcess { Some(bed.relay()?) } else { None };
    let task = match &process {
        Some(process) => {
            process.leads()?;
            bed.announce()
        }
        None => lead_here(&bed, work),
    };

    let targets = bed.targets(process.as_ref())?;
    let written = singles.write(bed.sinks(WRITERS).await?, targets, &bed.meter, length).await?;
    bed.arrived(&singles.reader, written.all).await?;
    task.stop().await?;
    if let Some(process) = process {
        process.stop()?;
    }

    let mut figures = Figures::default();
    singles.finish(&written, load, &mut figures)?;
    let verdict = bed.verify(written.all).await?;
    bed.end().await?;

    figures.add(load, "rate", super::drain::per_second(written.counted(), nanos(written.usage.elapsed)), "/s");
    figures.add_costs(load, &written.usage, written.counted());
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

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
