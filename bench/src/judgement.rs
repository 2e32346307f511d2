//! The goals of the pipeline, and how a run did.
//!
//! Ratios to the ceiling of the same run count; absolute latencies and costs are those set for a two-core machine.

use schemas::ServiceName;

use crate::figures::Figures;
use crate::goals::{Goal, at_least, at_most, mebibytes, quotient};
use crate::outcome::Report;
use crate::run::Run;
use crate::{compression, flash, growth, idle, memory, restart};

/// The share of the ceiling that the pipeline is to reach.
const SHARE_OF_CEILING: f64 = 0.75;
/// CPU-milliseconds per order, all processes.
const CPU_MS: f64 = 0.5;
/// Bytes of write-ahead log per order.
const WAL_BYTES: f64 = 12_000.0;
/// Peak memory of a worker.
const WORKER_MIB: f64 = 64.0;
/// Loads with latency goals: name, p50, p99 in milliseconds.
const LATENCIES: [(&str, f64, f64); 3] = [("at100", 10.0, 30.0), ("at450", 25.0, 80.0), ("half", 80.0, 200.0)];

/// How the runs did, goal by goal; goals without the runs they need are left out.
pub(crate) fn judge(runs: &[Run], figures: &Figures) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (load, ceiling, what) in [
        ("max5", "ceiling5", "orders/s of 5 lines, by the ceiling's"),
        ("sample", "ceiling10", "orders/s of the sample, by the ceiling's with 10 lines"),
    ] {
        if let (Some(load), Some(ceiling)) = (Report::find(runs, load), Report::find(runs, ceiling)) {
            let share = quotient(load.orders_per_second, ceiling.orders_per_second);
            goals.push(at_least(what, "", SHARE_OF_CEILING, share));
        }
    }
    for (name, p50, p99) in LATENCIES {
        let Some(run) = Report::find(runs, name) else { continue };
        let Some(found) = run.confirm_latency_ms else { continue };
        let at = format!("place to confirmed at {:.0} orders/s", run.offered_per_second.unwrap_or_default());
        goals.push(at_most(format!("{at}, p50"), "ms", p50, found.p50));
        goals.push(at_most(format!("{at}, p99"), "ms", p99, found.p99));
    }
    if let Some(run) = Report::find(runs, "max5") {
        let total = run.total_cpu_ms();
        goals.push(at_most("CPU per order of 5 lines, all processes", "ms", CPU_MS, total));
        goals.push(at_most("write-ahead log per order of 5 lines", "B", WAL_BYTES, run.wal_bytes_per_order));
        for worker in ServiceName::ALL.map(ServiceName::as_str) {
            let peak = run.peak_memory_bytes.get(worker).copied().unwrap_or_default();
            goals.push(at_most(format!("peak memory of {worker}"), "MiB", WORKER_MIB, mebibytes(peak)));
        }
    }
    goals.extend(flash::judge(runs));
    goals.extend(growth::judge(runs));
    goals.extend(compression::judge(runs));
    goals.extend(idle::judge(figures));
    goals.extend(restart::judge(figures));
    goals.extend(memory::judge(figures));
    goals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Usage;
    use std::time::Duration;

    fn run(name: &str, completed: u64) -> Run {
        let usage = Usage { elapsed: Duration::from_secs(1), wal_bytes: 13_000_000, ..Usage::default() };
        Run::of(name, 5.0, completed, &usage)
    }

    #[test]
    fn a_share_below_the_goal_is_missed_and_a_cost_above_it_too() {
        let goals = judge(&[run("ceiling5", 2000), run("max5", 1000)], &Figures::default());
        assert_eq!((goals[0].measured, goals[0].met), (0.5, false));
        assert_eq!((goals[2].measured, goals[2].met), (13_000.0, false));
        assert!(judge(&[run("ceiling5", 2000), run("max5", 1500)], &Figures::default())[0].met);
    }

    #[test]
    fn what_was_not_run_is_not_judged() {
        assert!(judge(&[run("sample", 10), run("at100", 10)], &Figures::default()).is_empty());
    }
}
