//! What `bench-provider` has found: medians, ratios, and how they stand to the goals.

use serde::Serialize;

use crate::goals::{Goal, at_least, at_most, mebibytes, median, quotient};
use crate::report::{Machine, goal_table, table};

/// The share of the simulator's orders per second that a provider is to leave.
const SHARE_OF_SIMULATOR: f64 = 0.9;
/// The share of the reservations per second that is to be left while the provider is down.
const SHARE_WHILE_DOWN: f64 = 1.0;
/// The most memory of payment with all calls open, in MiB.
const OPEN_MIB: f64 = 64.0;

/// Calls that were open at once, and what they took.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Opened {
    /// How many were asked for.
    pub(super) asked: u64,
    /// How many were open at once at most.
    pub(super) calls: u64,
    /// Memory of payment before.
    pub(super) idle_bytes: u64,
    /// The most memory of payment meanwhile.
    pub(super) peak_bytes: u64,
}

/// What came out; of each round one figure, in orders per second.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// When it began, UTC.
    pub(super) began: String,
    /// Where.
    pub(super) machine: Machine,
    /// How often each was measured.
    pub(super) rounds: u32,
    /// Completed with the simulator.
    pub(super) simulator: Vec<f64>,
    /// Completed with a simulator that takes as much time as the provider.
    pub(super) patient: Vec<f64>,
    /// Completed with a provider that takes its time.
    pub(super) provider: Vec<f64>,
    /// Placed and reserved with the simulator.
    pub(super) reserved: Vec<f64>,
    /// Placed and reserved while the provider is down.
    pub(super) reserved_down: Vec<f64>,
    /// Calls that were open at once.
    pub(super) opened: Option<Opened>,
}

impl Default for Report {
    fn default() -> Self {
        Report {
            began: String::new(),
            machine: Machine::here(),
            rounds: 0,
            simulator: Vec::new(),
            patient: Vec::new(),
            provider: Vec::new(),
            reserved: Vec::new(),
            reserved_down: Vec::new(),
            opened: None,
        }
    }
}

impl Report {
    /// The tables.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}; {} rounds\n\n", self.machine.text(), self.rounds);
        let header = ["orders/s", "median", "rounds"];
        let rows = [
            ("completed, simulator", &self.simulator),
            ("completed, simulator in 100 ms", &self.patient),
            ("completed, provider in 100 ms", &self.provider),
            ("reserved, simulator", &self.reserved),
            ("reserved, provider down", &self.reserved_down),
        ];
        let digits = |value: &f64| format!("{value:.0}");
        let rows = rows.map(|(what, figures)| {
            let all: Vec<String> = figures.iter().map(digits).collect();
            vec![what.to_owned(), median(figures.clone()).as_ref().map_or_else(String::new, digits), all.join(" ")]
        });
        text.push_str(&table("Speed", &header, rows.to_vec()));
        if let Some(Opened { asked, calls, idle_bytes, peak_bytes }) = &self.opened {
            let row = vec![
                calls.to_string(),
                asked.to_string(),
                format!("{:.0}", mebibytes(*idle_bytes)),
                format!("{:.0}", mebibytes(*peak_bytes)),
            ];
            text.push_str(&table("Open calls", &["open at once", "asked for", "MiB before", "MiB at most"], vec![row]));
        }
        text.push_str(&goal_table(&self.goals()));
        text
    }

    fn goals(&self) -> Vec<Goal> {
        let ratio = |value: &[f64], by: &[f64]| Some(quotient(median(value.to_vec())?, median(by.to_vec())?));
        let speed = ratio(&self.provider, &self.simulator).map(|share| {
            at_least("completed orders/s by a provider, by the simulator's", "", SHARE_OF_SIMULATOR, share)
        });
        let down = ratio(&self.reserved_down, &self.reserved).map(|share| {
            at_least("reserved orders/s while the provider is down, by those with it", "", SHARE_WHILE_DOWN, share)
        });
        let open = self.opened.as_ref().filter(|opened| opened.calls >= opened.asked);
        let open = open.map(|opened| {
            at_most(format!("memory with {} calls open", opened.asked), "MiB", OPEN_MIB, mebibytes(opened.peak_bytes))
        });
        speed.into_iter().chain(down).chain(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_judged_and_fewer_open_calls_than_asked_for_prove_nothing() {
        let opened = |calls| Some(Opened { asked: 10, calls, idle_bytes: 1 << 20, peak_bytes: 65 << 20 });
        let report = |calls| Report {
            simulator: vec![100.0, 1.0, 200.0],
            provider: vec![90.0, 95.0, 1.0],
            reserved: vec![100.0],
            reserved_down: vec![99.0],
            opened: opened(calls),
            ..Report::default()
        };
        let met: Vec<bool> = report(10).goals().iter().map(|goal| goal.met).collect();
        assert_eq!(met, [true, false, false]);
        assert_eq!(report(9).goals().len(), 2);
        assert!(report(9).text().contains("completed, provider in 100 ms"));
    }
}
