//! The writing end: transactions of so many events, as fast as they go or at a rate.
//!
//! Writers draw the events' numbers from one counter, so that every number is committed exactly once.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use outbox::{Client, Outbox};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::events::Events;
use super::peers::TableSink;
use crate::error::{BenchError, Result};

/// Where writers take numbers from, and when they stop.
#[derive(Default)]
pub(crate) struct Numbers {
    next: AtomicU64,
    committed: AtomicU64,
    stopping: AtomicBool,
}

impl Numbers {
    /// Events committed so far.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }
}

/// Running writers.
pub(crate) struct Writers {
    pub(crate) numbers: Arc<Numbers>,
    tasks: JoinSet<Result<()>>,
}

/// What is called with the number of each event once its commit has returned.
pub(crate) type Noted = Arc<dyn Fn(u64) + Send + Sync>;

/// Where a writer writes.
pub(crate) enum Sink {
    /// An outbox of ours.
    Outbox {
        /// For transactions.
        client: Box<Client>,
        /// The outbox.
        outbox: Outbox,
        /// What is written.
        events: Events,
    },
    /// A peer's table.
    Table(TableSink),
}

struct Writer {
    sink: Sink,
    numbers: Arc<Numbers>,
    batch: u64,
    period: Option<Duration>,
    noted: Option<Noted>,
}

/// How writers write.
pub(crate) struct Load {
    /// Events per transaction.
    pub(crate) batch: u64,
    /// Transactions per second of all writers together; none: as many as they can.
    pub(crate) per_second: Option<u32>,
    /// Called for every event once its commit has returned.
    pub(crate) noted: Option<Noted>,
}

impl Writers {
    /// Starts one for each of these.
    pub(crate) fn start(sinks: Vec<Sink>, load: Load) -> Result<Self> {
        let count = u32::try_from(sinks.len()).map_err(BenchError::other)?;
        let numbers = Arc::new(Numbers::default());
        let mut tasks = JoinSet::new();
        let period = load.per_second.map(|rate| Duration::from_secs(1) * count / rate.max(1));
        let writers = sinks.into_iter().map(|sink| Writer {
            sink,
            numbers: Arc::clone(&numbers),
            batch: load.batch,
            period,
            noted: load.noted.clone(),
        });
        let began = Instant::now();
        for (writer, number) in writers.zip(0_u32..) {
            // Spread over the period, so that they do not all commit at once.
            let first = began + period.unwrap_or_default() * number / count.max(1);
            tasks.spawn(writer.run(first));
        }
        Ok(Self { numbers, tasks })
    }

    /// Lets them finish their transaction; returns how many events are committed. An error ends all.
    pub(crate) async fn stop(mut self) -> Result<u64> {
        self.numbers.stopping.store(true, Ordering::Release);
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(BenchError::other)??;
        }
        Ok(self.numbers.committed())
    }
}

impl Writer {
    async fn run(mut self, first: Instant) -> Result<()> {
        let mut ticks = self.period.map(|period| interval_at(first, period));
        if let Some(ticks) = &mut ticks {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        while !self.numbers.stopping.load(Ordering::Acquire) {
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            self.write().await?;
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        let from = self.numbers.next.fetch_add(self.batch, Ordering::AcqRel);
        self.sink.write(from..from + self.batch).await?;
        if let Some(noted) = &self.noted {
            (from..from + self.batch).for_each(|number| noted(number));
        }
        self.numbers.committed.fetch_add(self.batch, Ordering::AcqRel);
        Ok(())
    }
}

impl Sink {
    /// Commits the events of these numbers in one transaction.
    async fn write(&mut self, numbers: Range<u64>) -> Result<()> {
        match self {
            Sink::Outbox { client, outbox, events } => {
                let messages = numbers.map(|number| events.message(number)).collect();
                let transaction = outbox.begin(client).await.map_err(BenchError::other)?;
                transaction.commit(messages).await.map(drop).map_err(BenchError::other)
            }
            Sink::Table(table) => table.write(numbers).await,
        }
    }
}

/// Commits so many events, in large transactions of one writer.
pub(crate) async fn preload(mut sink: Sink, events: u64) -> Result<()> {
    const BATCH: u64 = 1000;
    let mut written = 0;
    while written < events {
        let until = events.min(written + BATCH);
        sink.write(written..until).await?;
        written = until;
    }
    Ok(())
}
