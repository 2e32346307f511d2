//! The part `memory`: what the workers hold while orders come for an hour, and whether it grows; once with somebody who asks for
//! their metrics, and once without.
//!
//! The slope is a line through all samples but those of the first sixth, in which caches and allocators fill.

use std::time::{Duration, Instant};

use schemas::ServiceName;

use crate::error::{BenchError, Result};
use crate::figures::Figures;
use crate::goals::{Goal, at_most, mebibytes};
use crate::measure::{Target, resident_of};
use crate::pipeline::{Arrivals, Load, Orders, Pipeline, Workers};
use crate::plan::{Plan, announce};
use crate::servers::Servers;

/// Orders a second.
const RATE: f64 = 100.0;
/// Between two samples.
const SAMPLE: Duration = Duration::from_secs(1);
/// Between two scrapes: the shortest that anybody sets.
const SCRAPES: Duration = Duration::from_secs(5);
/// The names of highest memory and slope, without and with scrapes.
const KINDS: [(bool, &str, &str); 2] =
    [(false, "highest memory", "growth"), (true, "highest memory, scraped", "growth, scraped")];
/// The most that a worker may hold.
const MOST_MIB: f64 = 64.0;
/// What counts as flat: a twentieth of that.
const FLAT_MIB_PER_HOUR: f64 = 3.2;

/// Runs both, for so long each.
pub(crate) async fn run(plan: &Plan, workers: &Workers, servers: &Servers, length: Duration) -> Result<Figures> {
    let mut figures = Figures::default();
    for (is_scraped, highest, growth) in KINDS {
        let scraped = if is_scraped { "scraped" } else { "left alone" };
        let name = format!("memory{}", u8::from(is_scraped));
        let pipeline = plan.start(workers, servers, &name, Orders::Synthetic { lines: 5 }).await?;
        announce(&format!("{RATE:.0} orders/s for {} s, workers are {scraped}", length.as_secs()));
        let pace = Arrivals::PerSecond(RATE);
        let load = Load { name, pace, warm_up: plan.warm_up, window: length, with_hops: false };
        let samples = sampled(&pipeline, &load, is_scraped).await?;
        for service in ServiceName::ALL.map(ServiceName::as_str) {
            let (most, slope) = samples.of_service(service)?;
            figures.add(service, highest, most, "MiB");
            figures.add(service, growth, slope, "MiB/h");
        }
        pipeline.stop().await?;
    }
    Ok(figures)
}

async fn sampled(pipeline: &Pipeline<'_>, load: &Load, is_scraped: bool) -> Result<Samples> {
    let mut samples = Samples::of(pipeline)?;
    let mut loading = std::pin::pin!(pipeline.load(load));
    let mut pause = tokio::time::interval(SAMPLE);
    loop {
        tokio::select! {
            ended = &mut loading => return ended.map(|_| samples),
            _ = pause.tick() => samples.take(is_scraped.then_some(pipeline))?,
        }
    }
}

/// Memory in the course of time, worker by worker.
struct Samples {
    began: Instant,
    last_scrape: Instant,
    workers: Vec<(Target, Vec<(f64, f64)>)>,
}

impl Samples {
    fn of(pipeline: &Pipeline<'_>) -> Result<Self> {
        let workers = pipeline.worker_processes()?.into_iter().map(|target| (target, Vec::new())).collect();
        Ok(Samples { began: Instant::now(), last_scrape: Instant::now(), workers })
    }

    /// One sample of each; and a scrape, when it is due.
    fn take(&mut self, scraped: Option<&Pipeline<'_>>) -> Result<()> {
        if let Some(pipeline) = scraped.filter(|_| self.last_scrape.elapsed() >= SCRAPES) {
            self.last_scrape = Instant::now();
            tokio::task::block_in_place(|| pipeline.scrape())?;
        }
        let seconds = self.began.elapsed().as_secs_f64();
        for (target, samples) in &mut self.workers {
            samples.push((seconds, mebibytes(resident_of(target.pid))));
        }
        Ok(())
    }

    /// The highest sample in MiB, and how much an hour adds.
    #[expect(clippy::float_arithmetic, reason = "figures for people, not amounts")]
    fn of_service(&self, service: &str) -> Result<(f64, f64)> {
        let of_service = self.workers.iter().find(|(target, _)| target.name == service);
        let (_, samples) = of_service.ok_or_else(|| BenchError::other(format!("{service} was not looked at")))?;
        let most = samples.iter().map(|(_, mib)| *mib).fold(0.0, f64::max);
        let per_second = slope(&samples[samples.len() / 6..]);
        Ok((most, per_second * 3600.0))
    }
}

/// Of the line that is nearest to these points; 0 where they are no line.
#[expect(clippy::float_arithmetic, reason = "figures for people, not amounts")]
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len().max(1) as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let square: f64 = points.iter().map(|point| (point.0 - x) * (point.0 - x)).sum();
    let product: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    if square > 0.0 { product / square } else { 0.0 }
}

/// How large and how flat they are; nothing where it was not run.
pub(crate) fn judge(figures: &Figures) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (_, highest, growth) in KINDS {
        for service in ServiceName::ALL.map(ServiceName::as_str) {
            for (what, unit, goal) in [(highest, "MiB", MOST_MIB), (growth, "MiB/h", FLAT_MIB_PER_HOUR)] {
                let found = figures.get(service, what);
                goals.extend(found.map(|found| at_most(format!("{service}: {what}"), unit, goal, found)));
            }
        }
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_that_of_the_line_through_the_points() {
        assert_eq!(slope(&[(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)]), 2.0);
        assert_eq!((slope(&[(1.0, 3.0)]), slope(&[])), (0.0, 0.0));
    }

    #[test]
    fn a_worker_that_grows_misses_its_goal_scraped_or_not() {
        let mut figures = Figures::default();
        assert!(judge(&figures).is_empty());
        figures.add("order", "growth, scraped", 3.3, "MiB/h");
        figures.add("order", "highest memory", 64.0, "MiB");
        let met: Vec<bool> = judge(&figures).iter().map(|goal| goal.met).collect();
        assert_eq!(met, [true, false]);
    }
}
