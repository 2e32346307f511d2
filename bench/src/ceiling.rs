//! The reference ceiling: a fixed workload that shows what the machine gives to any program of this shape.
//!
//! Per order eleven chained transactions in batches of 200, 13 outbox rows in 60 lanes, 14 messages on Kafka; one process,
//! no logic, no decoding. The pipeline's rate is judged as a ratio to this one, measured in the same run. What it does
//! must never change with the pipeline.

mod batch;
mod filler;
mod step;
mod table;
mod wire;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::error::{BenchError, Result};
use crate::measure::{Meter, Target, connect};
use crate::run::Run;
use crate::servers::Servers;
use step::{STEPS, Topic};
use wire::{Loop, Progress, Writer};
use worker::{Counts, Worker};

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Ceiling {
    /// Lines per order.
    pub(crate) lines: u32,
    /// Orders per transaction.
    pub(crate) batch: u32,
    /// Workers (connections) per step.
    pub(crate) workers: u32,
    /// Unfinished orders at any time.
    pub(crate) in_flight: u64,
    /// Load before the window.
    pub(crate) warm_up: Duration,
    /// The window.
    pub(crate) window: Duration,
}

impl Ceiling {
    /// The yardstick: batches of 200, one worker a step, enough orders under way to fill all batches.
    pub(crate) fn yardstick(lines: u32, warm_up: Duration, window: Duration) -> Self {
        Ceiling { lines, batch: 200, workers: 1, in_flight: 4_400, warm_up, window }
    }

    /// Runs it on fresh topics and a fresh database, and drops the database afterwards.
    pub(crate) async fn run(&self, servers: &Servers) -> Result<Run> {
        let name = format!("ceiling{}", self.lines);
        let prefix = format!("{name}-{}.", servers.next_number());
        let topics: Vec<String> = Topic::ALL.iter().map(|topic| format!("{prefix}{}", topic.name())).collect();
        servers.create_topics(&topics, table::PARTITIONS).await?;
        let url = servers.create_database(&name)?;
        let client = connect(&url).await?;
        table::create(&client, i16::try_from(STEPS.len()).unwrap_or(i16::MAX)).await?;

        let progress = Arc::new(Progress::default());
        let counts = Arc::new(Counts::default());
        let writer = Arc::new(Writer::connect(servers.brokers(), &prefix, progress.clone())?);
        let (mut workers, steps) = self.start_workers(&url, &writer, &counts).await?;
        let driver = Loop {
            brokers: servers.brokers().to_owned(),
            prefix,
            in_flight: self.in_flight,
            writer,
            progress: progress.clone(),
            steps,
        };
        let mut driver = tokio::task::spawn_blocking(move || driver.run());
        let measured = tokio::select! {
            run = self.measure(&name, servers, &client, &progress, &counts) => run,
            ended = &mut driver => Err(ended_early(ended)),
            Some(ended) = workers.join_next() => Err(ended_early(ended)),
        };
        progress.stopping.store(true, Ordering::Relaxed);
        let run = measured?;
        driver.await.map_err(BenchError::other)??;
        while let Some(ended) = workers.join_next().await {
            ended.map_err(BenchError::other)??;
        }
        self.check(&client, &progress).await?;
        drop(client);
        servers.drop_database(&name).await?;
        Ok(run)
    }

    async fn start_workers(
        &self,
        url: &str,
        writer: &Arc<Writer>,
        counts: &Arc<Counts>,
    ) -> Result<(JoinSet<Result<()>>, Vec<Option<mpsc::Sender<wire::Arrival>>>)> {
        let capacity = usize::try_from(self.in_flight).map_err(BenchError::other)?;
        let (senders, receivers): (Vec<_>, Vec<_>) = STEPS
            .iter()
            .map(|_| mpsc::channel(capacity))
            .map(|(sender, receiver)| (sender, Arc::new(Mutex::new(receiver))))
            .unzip();
        let mut workers = JoinSet::new();
        for (step, orders) in receivers.iter().enumerate() {
            let hands_on = STEPS[step].out.is_empty();
            for _ in 0..self.workers {
                let worker = Worker {
                    step,
                    client: connect(url).await?,
                    orders: orders.clone(),
                    hand_on: hands_on.then(|| senders.get(step + 1).cloned()).flatten(),
                    writer: writer.clone(),
                    counts: counts.clone(),
                    batch: usize::try_from(self.batch).map_err(BenchError::other)?,
                    lines: self.lines,
                };
                workers.spawn(worker.run());
            }
        }
        let steps = senders.into_iter().zip(STEPS).map(|(sender, step)| step.from_topic.then_some(sender)).collect();
        Ok((workers, steps))
    }

    async fn measure(
        &self,
        name: &str,
        servers: &Servers,
        client: &Client,
        progress: &Progress,
        counts: &Counts,
    ) -> Result<Run> {
        tokio::time::sleep(self.warm_up).await;
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut targets = servers.targets();
        targets.push(Target::own("own process"));
        let meter = Meter::start(targets, client).await?;
        let before = (now(&progress.done), now(&counts.statements), now(&counts.transactions), now(&counts.orders));
        tokio::time::sleep(self.window.saturating_sub(meter.elapsed())).await;
        let done = now(&progress.done) - before.0;
        let statements = now(&counts.statements) - before.1;
        let transactions = now(&counts.transactions) - before.2;
        let orders = now(&counts.orders) - before.3;
        let usage = meter.finish(client).await?;
        let filled = orders / transactions.max(1);
        if filled * 10 < u64::from(self.batch) * 9 {
            eprintln!("{name}: batches held {filled} orders instead of {}", self.batch);
        }
        let mut run = Run::of(name, f64::from(self.lines), done, &usage);
        run.count_statements(statements);
        Ok(run)
    }

    /// The work was really done: every order in its last state, every piece shipped, every message delivered.
    async fn check(&self, client: &Client, progress: &Progress) -> Result<()> {
        let published = progress.published.load(Ordering::Relaxed);
        let expected = (published, batch::pieces(published, self.lines), 0);
        let (done, shipped, reserved) = table::sums(client).await?;
        let lost = progress.lost.load(Ordering::Relaxed);
        let found = (done.unsigned_abs(), shipped.unsigned_abs(), reserved.unsigned_abs());
        if found == expected && lost == 0 {
            return Ok(());
        }
        Err(BenchError::other(format!("the ceiling's tables hold {found:?}, not {expected:?}; {lost} messages lost")))
    }
}

fn ended_early(ended: std::result::Result<Result<()>, tokio::task::JoinError>) -> BenchError {
    match ended {
        Ok(Ok(())) => BenchError::other("a part of the ceiling ended early"),
        Ok(Err(error)) => error,
        Err(error) => BenchError::other(error),
    }
}
