//! The outcome of a whole run as JSON and as tables for people.

use std::fmt::Write as _;

use serde::Serialize;

use crate::goals::{Goal, judge, mebibytes};
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
    /// How they did.
    pub(crate) goals: Vec<Goal>,
}

/// What the figures depend on.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) processor: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// Main memory in bytes.
    pub(crate) memory_bytes: u64,
    /// The kernel's release.
    pub(crate) kernel: String,
}

impl Machine {
    /// This one.
    pub(crate) fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (processors, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.split_once(':').map(|(_, value)| value.trim().to_owned())
        };
        let kib = value(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Machine {
            processor: value(&processors, "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kib.unwrap_or(0) * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

impl Report {
    /// From the runs.
    pub(crate) fn of(began: String, command: String, window_seconds: u64, runs: Vec<Run>) -> Self {
        let goals = judge(&runs);
        Report { began, command, machine: Machine::here(), window_seconds, runs, goals }
    }

    /// The run with this name.
    pub(crate) fn find<'r>(runs: &'r [Run], name: &str) -> Option<&'r Run> {
        runs.iter().find(|run| run.name == name)
    }

    /// The tables.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let machine = &self.machine;
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "{} cores of {}, {:.0} MiB, Linux {}; windows of {} s\n",
            machine.cores,
            machine.processor,
            mebibytes(machine.memory_bytes),
            machine.kernel,
            self.window_seconds
        );
        text.push_str(&run_table(&self.runs));
        text.push_str(&process_table(&self.runs));
        text.push_str(&goal_table(&self.goals));
        text
    }
}

fn run_table(runs: &[Run]) -> String {
    let header =
        ["run", "lines", "orders/s", "p50 ms", "p99 ms", "CPU-ms", "WAL B", "tx", "statements", "not completed"];
    let rows = runs.iter().map(|run| {
        let latency = run.confirm_latency_ms;
        vec![
            run.name.clone(),
            format!("{:.2}", run.lines_per_order),
            format!("{:.0}", run.orders_per_second),
            latency.map_or_else(dash, |found| format!("{:.1}", found.p50)),
            latency.map_or_else(dash, |found| format!("{:.1}", found.p99)),
            format!("{:.3}", run.cpu_ms_per_order.get("total").copied().unwrap_or_default()),
            format!("{:.0}", run.wal_bytes_per_order),
            format!("{:.3}", run.transactions_per_order),
            run.statements_per_order.map_or_else(dash, |found| format!("{found:.3}")),
            run.ended_otherwise.to_string(),
        ]
    });
    table("Runs (CPU, WAL, transactions and statements per completed order)", &header, rows.collect())
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

fn goal_table(goals: &[Goal]) -> String {
    let header = ["what", "goal", "measured", "ratio", ""];
    let rows = goals.iter().map(|goal| {
        vec![
            goal.what.clone(),
            with_unit(goal.goal, goal.unit),
            with_unit(goal.measured, goal.unit),
            format!("{:.2}", goal.ratio),
            if goal.met { "reached" } else { "missed" }.to_owned(),
        ]
    });
    table("Goals", &header, rows.collect())
}

fn with_unit(value: f64, unit: &str) -> String {
    let digits = if value >= 1000.0 { 0 } else { 2 };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

fn dash() -> String {
    "-".to_owned()
}

/// Columns as wide as they must be; text to the left in the first one, to the right in the others.
fn table(title: &str, header: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let columns = all.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
    let widths: Vec<usize> =
        (0..columns).map(|column| all.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0)).collect();
    let mut text = format!("{title}\n");
    for row in &all {
        let mut line = String::new();
        for (column, width) in widths.iter().enumerate() {
            let content = cell(row, column);
            let padded = if column == 0 { format!("{content:<width$}") } else { format!("{content:>width$}") };
            line.push_str(&padded);
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), "1000".to_owned()]];
        assert_eq!(table("T", &["x", "n"], rows), "T\nx        n\na        1\nlong  1000\n\n");
        assert_eq!(table("T", &["x"], Vec::new()), "");
    }

    #[test]
    fn the_machine_is_known() {
        let machine = Machine::here();
        assert!(machine.cores >= 1 && machine.memory_bytes > 1 << 28 && !machine.kernel.is_empty());
    }
}
