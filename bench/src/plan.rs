//! Which loads are run, in which order, on one pair of servers.
//!
//! The ceiling comes first and the pipeline right after it, on the same warm Kafka and Postgres. Each source of orders
//! has its own daemons, topics and database.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ceiling::Ceiling;
use crate::error::{Doing, Result};
use crate::figures::Figures;
use crate::flash::FlashSale;
use crate::growth::Growth;
use crate::outcome::Report;
use crate::peers::{Beside, PipelinePeers};
use crate::pipeline::{Arrivals, Load, Orders, Pipeline, Workers};
use crate::run::Run;
use crate::servers::Servers;
use crate::{compression, idle, memory, restart};

/// What can be run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// The reference ceiling, with 5 lines and with 10.
    Ceiling,
    /// The pipeline with orders of 5 lines, as many as it takes.
    FiveLines,
    /// Orders of 5 lines at the fixed rates and, after `five-lines`, at half of what it took.
    Rates,
    /// The pipeline with the sample data, as many as it takes.
    Sample,
    /// A flash sale, and hot SKUs; this and what follows only where it is named.
    Flash,
    /// What an order costs with more workers, partitions, and orders in the tables.
    Growth,
    /// What each codec costs.
    Compression,
    /// What the workers hold while orders come for an hour.
    Memory,
    /// What workers use that have nothing to do.
    Idle,
    /// Workers that are killed and started again.
    Restart,
}

/// What came out of a whole run.
pub(crate) struct Measured {
    /// Loads, in the order in which they were run.
    pub(crate) runs: Vec<Run>,
    /// What the peers did with the same loads, where they were asked for.
    pub(crate) peers: Vec<Beside<Run>>,
    /// What is not by the order.
    pub(crate) figures: Figures,
}

/// A whole run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// What to run; when empty, all parts that need not be named.
    pub(crate) parts: Vec<Part>,
    /// Length of each window.
    pub(crate) window: Duration,
    /// Load before each window.
    pub(crate) warm_up: Duration,
    /// Unfinished orders at full speed.
    pub(crate) in_flight: u64,
    /// Partitions per topic of the pipeline.
    pub(crate) partitions: u32,
    /// Whether orders at a rate are looked at hop by hop.
    pub(crate) with_hops: bool,
    /// The fixed rates in orders per second; goals know 100 and 450.
    pub(crate) rates: Vec<u32>,
    /// The sample data.
    pub(crate) sample: PathBuf,
    /// The flash sale.
    pub(crate) flash: FlashSale,
    /// Whether the peers take the loads of 5 lines too.
    pub(crate) peers: bool,
    /// What grows.
    pub(crate) growth: Growth,
    /// How long the memory of workers is looked at.
    pub(crate) memory: Duration,
    /// How often what takes turns does.
    pub(crate) rounds: u32,
}

impl Plan {
    /// Runs all of it and stops the servers.
    pub(crate) async fn run(&self) -> Result<Measured> {
        // Read before anything starts, so that a missing file costs no minutes.
        let sample = self.sample()?;
        let workers = Workers::of(std::env::current_exe().doing("finding this program")?);
        let peers = self.peers.then(PipelinePeers::build).transpose()?;
        let servers = Servers::start()?;
        let (mut runs, mut beside) = (Vec::new(), Vec::new());
        self.warm_up(&servers).await?;
        if self.wants(Part::Ceiling) {
            for lines in [5, 10] {
                announce(&format!("reference ceiling, {lines} lines per order"));
                runs.push(Ceiling::yardstick(lines, self.warm_up, self.window).run(&servers).await?);
            }
        }
        runs.extend(self.synthetic(&workers, &servers, "synthetic", None).await?);
        if let Some(peers) = peers {
            let loads: Vec<Load> =
                self.synthetic_loads().into_iter().map(|(name, pace)| self.load_of(name, pace)).collect();
            beside = peers.run(&servers, &loads).await?;
        }
        if let Some(orders) = sample {
            runs.push(self.sampled(&workers, &servers, "sampled", orders).await?);
        }
        if self.parts.contains(&Part::Flash) {
            let pipeline = self.start(&workers, &servers, "flash", FlashSale::stock()?).await?;
            runs.extend(self.flash.run(&pipeline, self.in_flight).await?);
            pipeline.stop().await?;
        }
        runs.extend(self.named_runs(&workers, &servers).await?);
        let figures = self.named_figures(&workers, &servers).await?;
        servers.stop()?;
        Ok(Measured { runs, peers: beside, figures })
    }

    async fn named_runs(&self, workers: &Workers, servers: &Servers) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        if self.parts.contains(&Part::Growth) {
            runs.extend(self.growth.run(self, workers, servers).await?);
        }
        if self.parts.contains(&Part::Compression) {
            runs.extend(compression::run(self, workers, servers).await?);
        }
        Ok(runs)
    }

    async fn named_figures(&self, workers: &Workers, servers: &Servers) -> Result<Figures> {
        let mut figures = Figures::default();
        if self.parts.contains(&Part::Idle) {
            figures.extend(idle::run(self, workers, servers).await?);
        }
        if self.parts.contains(&Part::Restart) {
            figures.extend(restart::run(self, workers, servers).await?);
        }
        if self.parts.contains(&Part::Memory) {
            figures.extend(memory::run(self, workers, servers, self.memory).await?);
        }
        Ok(figures)
    }

    /// The sample data, if it is wanted.
    pub(crate) fn sample(&self) -> Result<Option<Orders>> {
        self.wants(Part::Sample).then(|| Orders::sample(&self.sample)).transpose()
    }

    /// Warms up Kafka and Postgres: whoever comes first would otherwise pay for what the broker's compiler does in its first
    /// seconds.
    pub(crate) async fn warm_up(&self, servers: &Servers) -> Result<()> {
        announce("warming up Kafka and Postgres");
        Ceiling::yardstick(5, self.warm_up, Duration::from_secs(1)).run(servers).await.map(|_| ())
    }

    /// The loads of orders with 5 lines that are wanted, on a pipeline of these workers and this name; `half` at that rate, or at
    /// half of what the pipeline has just taken.
    pub(crate) async fn synthetic(
        &self,
        workers: &Workers,
        servers: &Servers,
        name: &str,
        half_rate: Option<f64>,
    ) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        if !self.wants(Part::FiveLines) && !self.wants(Part::Rates) {
            return Ok(runs);
        }
        let pipeline = self.start(workers, servers, name, Orders::Synthetic { lines: 5 }).await?;
        for (name, pace) in self.synthetic_loads() {
            runs.push(self.load(&pipeline, &name, pace).await?);
        }
        if let (true, Some(rate)) = (self.wants(Part::Rates), half_rate.or_else(|| half(&runs))) {
            runs.push(self.load(&pipeline, "half", Arrivals::PerSecond(rate)).await?);
        }
        pipeline.stop().await?;
        Ok(runs)
    }

    /// The sample data as fast as it goes, on a pipeline of these workers and this name.
    pub(crate) async fn sampled(
        &self,
        workers: &Workers,
        servers: &Servers,
        name: &str,
        orders: impl Into<Arc<Orders>>,
    ) -> Result<Run> {
        let pipeline = self.start(workers, servers, &format!("{name}s"), orders).await?;
        let run = self.load(&pipeline, "sample", Arrivals::InFlight(self.in_flight)).await?;
        pipeline.stop().await?;
        Ok(run)
    }

    fn wants(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    fn synthetic_loads(&self) -> Vec<(String, Arrivals)> {
        let full = self.wants(Part::FiveLines).then(|| ("max5".to_owned(), Arrivals::InFlight(self.in_flight)));
        let rates = if self.wants(Part::Rates) { &self.rates[..] } else { &[] };
        let rates = rates.iter().map(|rate| (format!("at{rate}"), Arrivals::PerSecond(f64::from(*rate))));
        full.into_iter().chain(rates).collect()
    }

    /// A pipeline with as many partitions as there are cores, or as was said.
    pub(crate) async fn start<'s>(
        &self,
        workers: &Workers,
        servers: &'s Servers,
        name: &str,
        orders: impl Into<Arc<Orders>>,
    ) -> Result<Pipeline<'s>> {
        announce(&format!("starting the pipeline: {name}"));
        Pipeline::start_of(workers.clone(), servers, name, orders, self.partitions).await
    }

    /// One load, from rest.
    pub(crate) async fn load(&self, pipeline: &Pipeline<'_>, name: &str, pace: Arrivals) -> Result<Run> {
        announce(&format!("pipeline, load {name}: {pace}"));
        pipeline.settle().await?;
        pipeline.load(&self.load_of(name.to_owned(), pace)).await
    }

    fn load_of(&self, name: String, pace: Arrivals) -> Load {
        let with_hops = self.with_hops && matches!(pace, Arrivals::PerSecond(_));
        Load { name, pace, warm_up: self.warm_up, window: self.window, with_hops }
    }
}

/// Progress goes to standard error; standard output is for the outcome.
pub(crate) fn announce(what: &str) {
    eprintln!("bench: {what}");
}

/// Half of what was taken at full speed, where that was run.
#[expect(clippy::float_arithmetic, reason = "a pace, not an amount")]
pub(crate) fn half(runs: &[Run]) -> Option<f64> {
    Report::find(runs, "max5").map(|full| full.orders_per_second / 2.0)
}
