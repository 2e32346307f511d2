//! Which loads are run, in which order, on one pair of servers.
//!
//! The ceiling comes first and the pipeline right after it, on the same warm Kafka and Postgres. Each source of orders
//! has its own daemons, topics and database.

use std::path::PathBuf;
use std::time::Duration;

use crate::ceiling::Ceiling;
use crate::error::Result;
use crate::outcome::Report;
use crate::pipeline::{Arrivals, Load, Orders, Pipeline};
use crate::run::Run;
use crate::servers::Servers;

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
}

/// A whole run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// What to run; all parts when empty.
    pub(crate) parts: Vec<Part>,
    /// Length of each window.
    pub(crate) window: Duration,
    /// Load before each window.
    pub(crate) warm_up: Duration,
    /// Unfinished orders at full speed.
    pub(crate) in_flight: u64,
    /// Partitions per topic of the pipeline.
    pub(crate) partitions: u32,
    /// The fixed rates in orders per second; goals know 100 and 450.
    pub(crate) rates: Vec<u32>,
    /// The sample data.
    pub(crate) sample: PathBuf,
}

impl Plan {
    /// Runs all of it and stops the servers.
    pub(crate) async fn run(&self) -> Result<Vec<Run>> {
        // Read before anything starts, so that a missing file costs no minutes.
        let sample = if self.wants(Part::Sample) { Some(Orders::sample(&self.sample)?) } else { None };
        let servers = Servers::start()?;
        let mut runs = Vec::new();
        // Whoever comes first would otherwise pay for what the broker's compiler does in its first seconds.
        announce("warming up Kafka and Postgres");
        Ceiling::yardstick(5, self.warm_up, Duration::from_secs(1)).run(&servers).await?;
        if self.wants(Part::Ceiling) {
            for lines in [5, 10] {
                announce(&format!("reference ceiling, {lines} lines per order"));
                runs.push(Ceiling::yardstick(lines, self.warm_up, self.window).run(&servers).await?);
            }
        }
        if self.wants(Part::FiveLines) || self.wants(Part::Rates) {
            let pipeline = self.start(&servers, "synthetic", Orders::Synthetic { lines: 5 }).await?;
            for (name, pace) in self.synthetic_loads() {
                runs.push(self.load(&pipeline, &name, pace).await?);
            }
            if let (true, Some(full)) = (self.wants(Part::Rates), Report::find(&runs, "max5")) {
                let half = Arrivals::PerSecond(half(full.orders_per_second));
                runs.push(self.load(&pipeline, "half", half).await?);
            }
            pipeline.stop().await?;
        }
        if let Some(orders) = sample {
            let pipeline = self.start(&servers, "sampled", orders).await?;
            runs.push(self.load(&pipeline, "sample", Arrivals::InFlight(self.in_flight)).await?);
            pipeline.stop().await?;
        }
        servers.stop()?;
        Ok(runs)
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

    async fn start<'s>(&self, servers: &'s Servers, name: &str, orders: Orders) -> Result<Pipeline<'s>> {
        announce(&format!("starting the pipeline: {name} orders"));
        Pipeline::start(servers, name, orders, self.partitions).await
    }

    async fn load(&self, pipeline: &Pipeline<'_>, name: &str, pace: Arrivals) -> Result<Run> {
        announce(&format!("pipeline, load {name}: {pace}"));
        pipeline.settle().await?;
        let load = Load { name: name.to_owned(), pace, warm_up: self.warm_up, window: self.window };
        pipeline.load(&load).await
    }
}

/// Progress goes to standard error; standard output is for the outcome.
fn announce(what: &str) {
    eprintln!("bench: {what}");
}

#[expect(clippy::float_arithmetic, reason = "a pace, not an amount")]
fn half(rate: f64) -> f64 {
    rate / 2.0
}
