//! What a run costs: CPU, memory, transactions and write-ahead log between two moments.
//!
//! A [`Meter`] is started when the load is steady and finished when the window ends; it divides by nothing itself.
//! One thread samples the memory of process trees meanwhile; the meter joins it.

mod database;
mod latency;
mod process;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) use database::{Counters, connect};
pub(crate) use latency::{Latencies, Quantiles};
use process::Snapshot;
pub(crate) use process::{Target, forget_peak, memory_of, peak_bytes, resident_of};
use tokio_postgres::Client;

use crate::error::{BenchError, Result};

/// How often the memory of process trees is looked at; each look costs milliseconds per backend.
const MEMORY_PERIOD: Duration = Duration::from_secs(5);

/// A measurement under way.
pub(crate) struct Meter {
    targets: Vec<Target>,
    began: Instant,
    cpu_ms: Vec<u64>,
    counters: Counters,
    stop: Sender<()>,
    sampler: JoinHandle<Vec<u64>>,
}

/// What one process (or tree) used between start and finish.
#[derive(Debug, Clone)]
pub(crate) struct Used {
    /// The target's name.
    pub(crate) name: String,
    /// CPU time in milliseconds.
    pub(crate) cpu_ms: u64,
    /// The highest memory seen, in bytes.
    pub(crate) peak_bytes: u64,
}

/// What a window cost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    /// How long it lasted.
    pub(crate) elapsed: Duration,
    /// Per target, in the order given.
    pub(crate) processes: Vec<Used>,
    /// Committed transactions, the meter's own two queries left out.
    pub(crate) commits: i64,
    /// Bytes of write-ahead log.
    pub(crate) wal_bytes: i64,
    /// Pages that the database's backends asked for.
    pub(crate) buffers: i64,
    /// How often they went down an index.
    pub(crate) descents: i64,
}

impl Meter {
    /// Starts measuring. `client` is used for Postgres' counters only.
    pub(crate) async fn start(targets: Vec<Target>, client: &Client) -> Result<Self> {
        targets.iter().for_each(|target| forget_peak(target.pid));
        let (stop, stopped) = channel();
        let sampled = targets.clone();
        let sampler = std::thread::Builder::new()
            .name("memory".into())
            .spawn(move || sample_memory(&sampled, &stopped))
            .map_err(|source| BenchError::Io { doing: "starting the memory sampler".into(), source })?;
        let counters = Counters::read(client).await?;
        let snapshot = Snapshot::take();
        let cpu_ms = targets.iter().map(|target| snapshot.cpu_ms(target)).collect();
        Ok(Meter { targets, began: Instant::now(), cpu_ms, counters, stop, sampler })
    }

    /// How long it has been running.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends the window and says what it cost.
    pub(crate) async fn finish(self, client: &Client) -> Result<Usage> {
        let elapsed = self.began.elapsed();
        let snapshot = Snapshot::take();
        let cpu_ms: Vec<u64> = self.targets.iter().map(|target| snapshot.cpu_ms(target)).collect();
        let counters = Counters::read(client).await?;
        drop(self.stop);
        let peaks = self.sampler.join().map_err(|_| BenchError::other("the memory sampler panicked"))?;
        let processes = self
            .targets
            .iter()
            .enumerate()
            .map(|(index, target)| Used {
                name: target.name.clone(),
                cpu_ms: cpu_ms[index].saturating_sub(self.cpu_ms[index]),
                // The kernel's own high-water mark where one process is the whole target, else the highest sample.
                peak_bytes: snapshot.single(target).and_then(peak_bytes).unwrap_or(peaks[index]),
            })
            .collect();
        Ok(Usage {
            elapsed,
            processes,
            commits: counters.commits - self.counters.commits - 1,
            wal_bytes: counters.wal_bytes - self.counters.wal_bytes,
            buffers: counters.buffers - self.counters.buffers,
            descents: counters.descents - self.counters.descents,
        })
    }
}

fn sample_memory(targets: &[Target], stopped: &Receiver<()>) -> Vec<u64> {
    let mut peaks = vec![0; targets.len()];
    loop {
        let snapshot = Snapshot::take();
        for (peak, target) in peaks.iter_mut().zip(targets) {
            *peak = snapshot.memory_bytes(target).max(*peak);
        }
        match stopped.recv_timeout(MEMORY_PERIOD) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return peaks,
        }
    }
}
