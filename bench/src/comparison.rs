//! Two builds of the pipeline against each other: the same loads in turn, round after round, on one pair of servers.
//!
//! Both get the same publisher, observer, Kafka and Postgres; only the services are another build's. Whatever drifts in the
//! machine meanwhile meets both. The median of the rounds counts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::error::{BenchError, Result};
use crate::goals::{Goal, at_least, at_most, median, quotient};
use crate::pipeline::Workers;
use crate::plan::{Plan, half};
use crate::report::{Machine, goal_table, table};
use crate::run::Run;
use crate::servers::Servers;

/// What is compared.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    /// The loads.
    pub(crate) plan: Plan,
    /// The benchmark's program of the build that this one is compared with.
    pub(crate) against: PathBuf,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Compared {
    /// When it began, UTC.
    pub(crate) began: String,
    /// The command line.
    pub(crate) command: String,
    /// Where.
    pub(crate) machine: Machine,
    /// Length of each window in seconds.
    pub(crate) window_seconds: u64,
    /// All runs of the other build, in the order they were run.
    pub(crate) before: Vec<Run>,
    /// All runs of this one.
    pub(crate) after: Vec<Run>,
    /// The medians and their ratios.
    pub(crate) figures: Vec<Figure>,
    /// How the ratios did.
    pub(crate) goals: Vec<Goal>,
}

/// One figure of one load, as the median of its rounds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// Which load.
    pub(crate) load: String,
    /// Which figure of it.
    pub(crate) what: String,
    /// Of the other build.
    pub(crate) before: f64,
    /// Of this one.
    pub(crate) after: f64,
    /// After by before.
    pub(crate) ratio: f64,
}

/// The ratios to reach: load, figure, bound, and whether it bounds from below.
const GOALS: [(&str, &str, f64, bool); 13] = [
    ("at20", "CPU-ms per order", 0.5, false),
    ("at100", "CPU-ms per order", 0.5, false),
    ("at450", "CPU-ms per order", 0.5, false),
    ("at100", "p50 ms", 0.4, false),
    ("at100", "p99 ms", 0.4, false),
    ("at450", "p50 ms", 0.4, false),
    ("at450", "p99 ms", 0.4, false),
    ("half", "CPU-ms per order", 0.5, false),
    ("half", "p50 ms", 0.5, false),
    ("half", "p99 ms", 0.5, false),
    ("max5", "orders/s", 1.3, true),
    ("sample", "orders/s", 1.25, true),
    ("max5", "WAL B per order", 0.85, false),
];

impl Comparison {
    /// Runs all rounds and stops the servers: the runs of the other build and of this one.
    pub(crate) async fn run(&self) -> Result<(Vec<Run>, Vec<Run>)> {
        let against = Workers::of(self.against.clone());
        let this = Workers::of(std::env::current_exe().map_err(BenchError::other)?);
        let sample = self.plan.sample()?.map(Arc::new);
        let servers = Servers::start()?;
        self.plan.warm_up(&servers).await?;
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut half_rate = None;
        for round in 0..self.plan.rounds {
            for (workers, runs, name) in [(&against, &mut before, "before"), (&this, &mut after, "after")] {
                let name = format!("{name}{round}");
                let synthetic = self.plan.synthetic(workers, &servers, &name, half_rate).await?;
                // Half of what the other build took, for both.
                half_rate = half_rate.or_else(|| half(&synthetic));
                runs.extend(synthetic);
                if let Some(orders) = &sample {
                    runs.push(self.plan.sampled(workers, &servers, &name, orders.clone()).await?);
                }
            }
        }
        servers.stop()?;
        Ok((before, after))
    }
}

impl Compared {
    /// From the runs of both.
    pub(crate) fn of(began: String, command: String, window_seconds: u64, before: Vec<Run>, after: Vec<Run>) -> Self {
        let (had, has) = (figures_of(&before), figures_of(&after));
        let figures: Vec<Figure> = had
            .into_iter()
            .filter_map(|((load, what), before)| {
                let after = *has.get(&(load.clone(), what.clone()))?;
                Some(Figure { load, what, before, after, ratio: quotient(after, before) })
            })
            .collect();
        let goals = judge(&figures);
        Compared { began, command, machine: Machine::here(), window_seconds, before, after, figures, goals }
    }

    /// The tables.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}; windows of {} s\n\n", self.machine.text(), self.window_seconds);
        let header = ["load", "median of the rounds", "before", "after", "ratio"];
        let rows = self.figures.iter().map(|figure| {
            let digits = |value: f64| format!("{value:.3}");
            let Figure { load, what, before, after, ratio } = figure;
            vec![load.clone(), what.clone(), digits(*before), digits(*after), format!("{ratio:.2}")]
        });
        text.push_str(&table("Before and after", &header, rows.collect()));
        text.push_str(&goal_table(&self.goals));
        text
    }
}

/// The medians, by load and figure.
fn figures_of(runs: &[Run]) -> BTreeMap<(String, String), f64> {
    let mut values: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for run in runs {
        let mut note = |what: String, value: f64| values.entry((run.name.clone(), what)).or_default().push(value);
        note("orders/s".to_owned(), run.orders_per_second);
        if let Some(latency) = run.confirm_latency_ms {
            note("p50 ms".to_owned(), latency.p50);
            note("p99 ms".to_owned(), latency.p99);
        }
        for (process, cpu_ms) in &run.cpu_ms_per_order {
            let of = if process == "total" { String::new() } else { format!(", {process}") };
            note(format!("CPU-ms per order{of}"), *cpu_ms);
        }
        note("WAL B per order".to_owned(), run.wal_bytes_per_order);
        note("transactions per order".to_owned(), run.transactions_per_order);
        for hop in run.hops.iter().flat_map(|hops| &hops.hops) {
            note(format!("{} to {}, p50 ms", hop.from, hop.to), hop.ms.p50);
            note(format!("{} to {}, p99 ms", hop.from, hop.to), hop.ms.p99);
        }
    }
    values.into_iter().filter_map(|(figure, values)| Some((figure, median(values)?))).collect()
}

fn judge(figures: &[Figure]) -> Vec<Goal> {
    let found = GOALS.into_iter().filter_map(|(load, what, bound, is_lower)| {
        let figure = figures.iter().find(|figure| figure.load == load && figure.what == what)?;
        let name = format!("{load}: {what}, by the other build's");
        Some(if is_lower { at_least(name, "", bound, figure.ratio) } else { at_most(name, "", bound, figure.ratio) })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Usage;

    fn run(name: &str, completed: u64) -> Run {
        let usage = Usage { elapsed: Duration::from_secs(1), wal_bytes: 1, ..Usage::default() };
        Run::of(name, 5.0, completed, &usage)
    }

    #[test]
    fn medians_are_compared_and_judged() {
        let before = vec![run("max5", 100), run("max5", 900), run("max5", 110)];
        let after = vec![run("max5", 150), run("max5", 10), run("max5", 143)];
        let compared = Compared::of(String::new(), String::new(), 1, before, after);
        let rate = compared.figures.iter().find(|figure| figure.what == "orders/s").unwrap();
        assert_eq!((rate.before, rate.after, rate.ratio), (110.0, 143.0, 1.3));
        assert!(compared.goals.iter().any(|goal| goal.goal == 1.3 && goal.met), "{:?}", compared.goals);
    }
}
