//! Single events at a rate, over connections that take turns, and how long each takes from its commit's return to the consumer.
//!
//! Ours and a peer's are measured by the same lines. Deliberately absent: the relay, and what is checked when all is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_postgres::Client;

use super::topic::Reader;
use super::writer::{Load, Noted, Sink, Writers};
use crate::error::{BenchError, Result};
use crate::figures::Figures;
use crate::measure::{Latencies, Meter, Target, Usage};

/// Transactions per second.
const PER_SECOND: u32 = 1000;
/// Load before the window.
const WARM_UP: Duration = Duration::from_secs(3);
/// Connections.
pub(crate) const WRITERS: usize = 4;

/// What is written, and who reads it.
pub(crate) struct Singles {
    pub(crate) reader: Arc<Reader>,
    /// When the commit of each event returned, on the reader's clock.
    committed: Arc<Vec<AtomicU64>>,
}

/// What was written.
pub(crate) struct Written {
    /// Events before the window.
    warm: u64,
    /// Events at its end.
    last: u64,
    /// All of them.
    pub(crate) all: u64,
    /// What the window cost.
    pub(crate) usage: Usage,
}

impl Written {
    /// Events of the window.
    pub(crate) fn counted(&self) -> u64 {
        self.last - self.warm
    }
}

impl Singles {
    /// The most events that come of a window so long.
    pub(crate) fn most(length: Duration) -> Result<usize> {
        let seconds = usize::try_from((WARM_UP + length).as_secs()).map_err(BenchError::other)?;
        Ok((seconds + 5) * usize::try_from(PER_SECOND).map_err(BenchError::other)?)
    }

    /// So many at most are read by this reader.
    pub(crate) fn new(reader: Reader, most: usize) -> Self {
        let committed = (0..most).map(|_| AtomicU64::new(0)).collect();
        Singles { reader: Arc::new(reader), committed: Arc::new(committed) }
    }

    /// Writes them: a warm-up, and the window that is measured.
    pub(crate) async fn write(
        &self,
        sinks: Vec<Sink>,
        targets: Vec<Target>,
        meter: &Client,
        length: Duration,
    ) -> Result<Written> {
        let noted: Noted = {
            let (committed, reader) = (Arc::clone(&self.committed), Arc::clone(&self.reader));
            Arc::new(move |number| note(&committed, number, reader.now()))
        };
        let load = Load { batch: 1, per_second: Some(PER_SECOND), noted: Some(noted) };
        let writers = Writers::start(sinks, load)?;
        tokio::time::sleep(WARM_UP).await;
        let warm = writers.numbers.committed();
        let measured = Meter::start(targets, meter).await?;
        tokio::time::sleep(length).await;
        let usage = measured.finish(meter).await?;
        let last = writers.numbers.committed();
        let all = writers.stop().await?;
        Ok(Written { warm, last, all, usage })
    }

    /// Ends the reader, and adds how long the events of the window took.
    pub(crate) fn finish(self, written: &Written, load: &'static str, figures: &mut Figures) -> Result<()> {
        let mut latencies = Latencies::new()?;
        for number in written.warm..written.last {
            let index = usize::try_from(number).map_err(BenchError::other)?;
            let returned = self.committed.get(index).map_or(0, |at| at.load(Ordering::Acquire));
            let missing = || BenchError::other(format!("event {number} is missing"));
            let arrived = self.reader.arrival(index).ok_or_else(missing)?;
            // A relay may have the event before the writer's task is woken with the commit's answer.
            latencies.record_us(arrived.saturating_sub(returned) / 1000);
        }
        let reader = Arc::into_inner(self.reader).ok_or_else(|| BenchError::other("a writer still notes commits"))?;
        reader.finish()?;
        let found = latencies.quantiles().ok_or_else(|| BenchError::other("no event was measured"))?;
        for (what, value) in [("p50", found.p50), ("p90", found.p90), ("p99", found.p99), ("longest", found.max)] {
            figures.add(load, what, value, "ms");
        }
        Ok(())
    }
}

/// Notes when the commit of an event returned.
fn note(committed: &[AtomicU64], number: u64, now: u64) {
    if let Some(at) = usize::try_from(number).ok().and_then(|number| committed.get(number)) {
        at.store(now, Ordering::Release);
    }
}
