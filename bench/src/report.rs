//! What all reports have in common: the machine, tables for people, and the table of goals.

use serde::Serialize;

use crate::goals::{Goal, mebibytes};

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

    /// In one line.
    pub(crate) fn text(&self) -> String {
        let memory = mebibytes(self.memory_bytes);
        format!("{} cores of {}, {memory:.0} MiB, Linux {}", self.cores, self.processor, self.kernel)
    }
}

/// Goals as a table.
pub(crate) fn goal_table(goals: &[Goal]) -> String {
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

/// A figure with its unit.
pub(crate) fn with_unit(value: f64, unit: &str) -> String {
    let digits = if value >= 1000.0 { 0 } else { 2 };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

/// Where there is no figure.
pub(crate) fn dash() -> String {
    "-".to_owned()
}

/// Columns as wide as they must be; text to the left in the first one, to the right in the others.
pub(crate) fn table(title: &str, header: &[&str], rows: Vec<Vec<String>>) -> String {
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
