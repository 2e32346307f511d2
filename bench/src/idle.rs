//! The part `idle`: what workers use that have nothing to do, and what the servers use for them.
//!
//! The same servers with and without workers, in turns. Kafka and Postgres use something by themselves; what counts is the
//! difference, and of the workers everything.

use crate::error::{BenchError, Result};
use crate::figures::Figures;
use crate::goals::{Goal, at_most, median};
use crate::measure::{Meter, Target, connect};
use crate::pipeline::{Orders, Pipeline, Workers};
use crate::plan::{Plan, announce};
use crate::servers::Servers;

const LOAD: &str = "idle";
const WORKERS: &str = "three workers";
const BESIDE: &str = "servers, with workers";
const ALONE: &str = "servers, without";
const OF_A_CORE: &str = "% of a core";
/// What three workers may use.
const MOST_WORKERS: f64 = 1.5;
/// What all processes may use more than the servers alone.
const MOST_MORE: f64 = 3.0;

/// Runs it; medians.
pub(crate) async fn run(plan: &Plan, workers: &Workers, servers: &Servers) -> Result<Figures> {
    let mut pipeline = plan.start(workers, servers, LOAD, Orders::Synthetic { lines: 5 }).await?;
    let (mut of_workers, mut beside, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        announce(&format!("nothing to do, round {}", round + 1));
        if round > 0 {
            pipeline.start_workers()?;
        }
        let with = used(plan, &pipeline, pipeline.processes()?).await?;
        beside.push(with.servers);
        of_workers.push(with.workers);
        pipeline.stop_workers()?;
        alone.push(used(plan, &pipeline, servers.targets()).await?.servers);
    }
    pipeline.stop().await?;
    let mut figures = Figures::default();
    for (what, values) in [(WORKERS, of_workers), (BESIDE, beside), (ALONE, alone)] {
        let found = median(values).ok_or_else(|| BenchError::other("nothing was measured"))?;
        figures.add(LOAD, what, found, OF_A_CORE);
    }
    Ok(figures)
}

/// Percent of a core.
struct Used {
    workers: f64,
    servers: f64,
}

#[expect(clippy::float_arithmetic, reason = "figures for people, not amounts")]
async fn used(plan: &Plan, pipeline: &Pipeline<'_>, targets: Vec<Target>) -> Result<Used> {
    pipeline.settle().await?;
    tokio::time::sleep(plan.warm_up).await;
    // Its own questions are a millisecond.
    let client = connect(pipeline.database_url()).await?;
    let meter = Meter::start(targets, &client).await?;
    tokio::time::sleep(plan.window).await;
    let usage = meter.finish(&client).await?;
    let percent = |is_server: bool| {
        let of = usage.processes.iter().filter(|used| ["kafka", "postgres"].contains(&used.name.as_str()) == is_server);
        of.map(|used| used.cpu_ms as f64).sum::<f64>() / 10.0 / usage.elapsed.as_secs_f64()
    };
    Ok(Used { workers: percent(false), servers: percent(true) })
}

/// How idle they are; nothing where it was not run.
#[expect(clippy::float_arithmetic, reason = "a difference of figures, not of amounts")]
pub(crate) fn judge(figures: &Figures) -> Vec<Goal> {
    let [workers, beside, alone] = [WORKERS, BESIDE, ALONE].map(|what| figures.get(LOAD, what));
    let (Some(workers), Some(beside), Some(alone)) = (workers, beside, alone) else { return Vec::new() };
    vec![
        at_most("three workers with nothing to do", OF_A_CORE, MOST_WORKERS, workers),
        at_most("all processes, more than the servers alone", OF_A_CORE, MOST_MORE, workers + beside - alone),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_servers_do_for_the_workers_counts_too() {
        let mut figures = Figures::default();
        assert!(judge(&figures).is_empty());
        for (what, value) in [(WORKERS, 1.4), (BESIDE, 5.0), (ALONE, 3.0)] {
            figures.add(LOAD, what, value, OF_A_CORE);
        }
        assert_eq!(judge(&figures).iter().map(|goal| goal.met).collect::<Vec<_>>(), [true, false]);
    }
}
