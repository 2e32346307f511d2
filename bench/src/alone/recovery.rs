//! The relay is killed with SIGKILL under load and started again at once: how long until an event arrives that was
//! committed after the kill, and what was published twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::bed::{Bed, Work};
use super::drain::milliseconds;
use super::writer::{Load, Noted, Writers};
use crate::error::{BenchError, Result};
use crate::figures::Figures;

const LOAD: &str = "recovery";
const KILLS: usize = 20;
const PER_SECOND: u32 = 1000;
/// How long the relay works before each kill.
const CALM: Duration = Duration::from_secs(2);
/// More events than are ever written here.
const MOST: usize = 200_000;

/// Runs it.
pub(crate) async fn run(work: &Work<'_>) -> Result<Figures> {
    let bed = Bed::new(work, LOAD).await?;
    let reader = bed.read(MOST)?;
    let mut relay = bed.relay()?;
    relay.leads()?;
    let announcer = bed.announce();
    let newest = Arc::new(AtomicU64::new(0));
    let noted: Noted = {
        let newest = Arc::clone(&newest);
        Arc::new(move |number| {
            newest.fetch_max(number, Ordering::AcqRel);
        })
    };
    let load = Load { batch: 1, per_second: Some(PER_SECOND), noted: Some(noted) };
    let writers = Writers::start(bed.sinks(4).await?, load)?;
    let mut times = Vec::new();
    for _ in 0..KILLS {
        tokio::time::sleep(CALM).await;
        let killed = reader.now();
        relay.kill9()?;
        // Numbers are drawn before the commit, so up to four above this one may be committed already.
        let after = newest.load(Ordering::Acquire) + 10;
        relay = bed.relay()?;
        let first = loop {
            let number = usize::try_from(after).map_err(BenchError::other)?;
            if let Some(at) = reader.arrival(number) {
                break at;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        times.push(first.saturating_sub(killed));
    }
    let all = writers.stop().await?;
    bed.arrived(&reader, all).await?;
    announcer.stop().await?;
    relay.stop()?;
    reader.finish()?;
    let verdict = bed.verify(all).await?;
    bed.end().await?;

    times.sort_unstable();
    let mut figures = Figures::default();
    let longest = times.last().copied().unwrap_or(u64::MAX);
    let median = times.get(times.len() / 2).copied().unwrap_or(u64::MAX);
    figures.add(LOAD, "kill to first new message, median", milliseconds(median), "ms");
    figures.add(LOAD, "kill to first new message, longest", milliseconds(longest), "ms");
    figures.add(LOAD, "duplicates", verdict.duplicates as f64, "");
    Ok(figures)
}
