//! The outcome of a whole run of the pipeline as JSON and as tables for people.

use serde::Serialize;

use crate::figures::Figures;
use crate::goals::{Goal, mebibytes};
use crate::judgement::judge;
use crate::peers::{Beside, beside_table};
use crate::plan::Measured;
use crate::report::{Machine, dash, goal_table, table};
use crate::run::Run;

/// Everything measured in one run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// When it began, UTC.
    pub(crate) began: String,
    /// The command line.
    pub(crate) command: String,
    /// Where.
    pub(crate) machine: Machine,
    /// Length of each window in seconds.
    pub(crate) window_seconds: u64,
    /// In the order they were run.
    pub(crate) runs: Vec<Run>,
    /// What the peers did with the same loads, where they were asked for.
    pub(crate) peers: Vec<Beside<Run>>,
    /// What is not by the order.
    pub(crate) figures: Figures,
    /// How they did.
    pub(crate) goals: Vec<Goal>,
}

impl Report {
    /// From the runs.
    pub(crate) fn of(began: String, command: String, window_seconds: u64, measured: Measured) -> Self {
        let Measured { runs, peers, figures } = measured;
        let goals = judge(&runs, &figures);
        Report { began, command, machine: Machine::here(), window_seconds, runs, peers, figures, goals }
    }

    /// The run with this name.
    pub(crate) fn find<'r>(runs: &'r [Run], name: &str) -> Option<&'r Run> {
        runs.iter().find(|run| run.name == name)
    }

    /// The tables.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}; windows of {} s\n\n", self.machine.text(), self.window_seconds);
        text.push_str(&run_table(&self.runs));
        text.push_str(&wave_table(&self.runs));
        text.push_str(&process_table(&self.runs));
        text.push_str(&beside_table(&self.runs, &self.peers));
        for run in &self.runs {
            text.extend(run.hops.iter().map(|hops| hops.text(&format!("Where the time goes, {}", run.name))));
        }
        text.push_str(&self.figures.text());
        text.push_str(&goal_table(&self.goals));
        text
    }
}

fn run_table(runs: &[Run]) -> String {
    let header = [
        "run",
        "lines",
        "orders/s",
        "p50 ms",
        "p99 ms",
        "CPU-ms",
        "WAL B",
        "topic B",
        "tx",
        "statements",
        "pages",
        "not completed",
    ];
    let rows = runs.iter().map(|run| {
        let latency = run.confirm_latency_ms;
        vec![
            run.name.clone(),
            format!("{:.2}", run.lines_per_order),
            format!("{:.0}", run.orders_per_second),
            latency.map_or_else(dash, |found| format!("{:.1}", found.p50)),
            latency.map_or_else(dash, |found| format!("{:.1}", found.p99)),
            format!("{:.3}", run.total_cpu_ms()),
            format!("{:.0}", run.wal_bytes_per_order),
            run.topic_bytes_per_order.map_or_else(dash, |found| format!("{found:.0}")),
            format!("{:.3}", run.transactions_per_order),
            run.statements_per_order.map_or_else(dash, |found| format!("{found:.3}")),
            format!("{:.1}", run.buffers_per_order),
            run.ended_otherwise.to_string(),
        ]
    });
    table(
        "Runs (CPU and what follows per completed order; of a wave, per order that ended; pages are those asked of Postgres)",
        &header,
        rows.collect(),
    )
}

fn wave_table(runs: &[Run]) -> String {
    let header =
        ["wave", "orders", "confirmed", "ended/s", "end p50 ms", "end p99 ms", "sold out s", "last confirmed s"];
    let rows = runs.iter().filter_map(|run| {
        let wave = run.wave.as_ref()?;
        let latency = wave.end_latency_ms;
        Some(vec![
            run.name.clone(),
            (run.completed + run.ended_otherwise).to_string(),
            wave.confirmed.to_string(),
            format!("{:.0}", run.orders_per_second),
            latency.map_or_else(dash, |found| format!("{:.1}", found.p50)),
            latency.map_or_else(dash, |found| format!("{:.1}", found.p99)),
            wave.sold_out_s.map_or_else(dash, |seconds| format!("{seconds:.2}")),
            format!("{:.2}", wave.last_confirmed_s),
        ])
    });
    table("Waves (from the first order placed to the last one's end)", &header, rows.collect())
}

fn process_table(runs: &[Run]) -> String {
    let header = ["run", "process", "CPU-ms per order", "peak MiB"];
    let rows = runs.iter().flat_map(|run| {
        run.peak_memory_bytes.iter().map(|(process, peak)| {
            let cpu = run.cpu_ms_per_order.get(process).copied().unwrap_or_default();
            vec![run.name.clone(), process.clone(), format!("{cpu:.3}"), format!("{:.0}", mebibytes(*peak))]
        })
    });
    table("Processes", &header, rows.collect())
}
