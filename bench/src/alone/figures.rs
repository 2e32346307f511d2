//! What the outbox' loads cost, and the goals that their figures are held against.
//!
//! Goals look figures up by name, and are left out where a load was not run.

use crate::figures::Figures;
use crate::goals::{Goal, at_least, at_most};
use crate::measure::Usage;

impl Figures {
    /// Adds what a load cost per million of events: CPU by process, memory of the relay, log.
    #[expect(clippy::float_arithmetic, reason = "figures for people, not amounts")]
    pub(crate) fn add_costs(&mut self, load: &'static str, usage: &Usage, events: u64) {
        let per_event = |value: f64| value / (events.max(1) as f64);
        for used in &usage.processes {
            let what = match used.name.as_str() {
                "relay" => "CPU of the relay",
                "postgres" => "CPU of Postgres",
                "kafka" => "CPU of Kafka",
                _ => "CPU of writers and reader",
            };
            self.add(load, what, per_event(used.cpu_ms as f64 * 1000.0), "s/1M");
            if used.name == "relay" {
                self.add(load, "peak memory of the relay", used.peak_bytes as f64 / 1e6, "MB");
            }
        }
        self.add(load, "write-ahead log", per_event(usage.wal_bytes as f64), "B/event");
    }
}

/// How the figures did, goal by goal.
#[expect(clippy::float_arithmetic, reason = "ratios of rates, not amounts")]
pub(crate) fn judge(figures: &Figures) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut most = |load: &str, what: &str, unit, goal| {
        let found = figures.get(load, what);
        goals.extend(found.map(|value| at_most(format!("{load}: {what}"), unit, goal, value)));
    };
    for load in ["latency-hint", "latency-notify"] {
        most(load, "p50", "ms", 0.6);
        most(load, "p99", "ms", 4.0);
    }
    most("live", "catch-up", "ms", 50.0);
    most("drain", "CPU of the relay", "s/1M", 4.0);
    for load in ["drain", "live"] {
        most(load, "peak memory of the relay", "MB", 32.0);
    }
    most("recovery", "kill to first new message, longest", "ms", 500.0);
    let mut least = |what: &str, goal, value: Option<f64>, unit| {
        goals.extend(value.map(|value| at_least(what, unit, goal, value)));
    };
    least("drain: events per second", 250_000.0, figures.get("drain", "rate"), "/s");
    for what in ["inserted", "relayed"] {
        let (live, held) = (figures.get("live", what), figures.get("held", what));
        least(&format!("live: {what}"), 50_000.0, live, "/s");
        least(&format!("held by live: {what}"), 0.95, live.zip(held).map(|(live, held)| held / live), "");
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_needs_its_load_and_can_be_missed() {
        let mut figures = Figures::default();
        assert!(judge(&figures).is_empty());
        figures.add("drain", "rate", 300_000.0, "/s");
        figures.add("live", "relayed", 60_000.0, "/s");
        figures.add("held", "relayed", 50_000.0, "/s");
        let met: Vec<(String, bool)> = judge(&figures).into_iter().map(|goal| (goal.what, goal.met)).collect();
        let expected = [("drain: events per second", true), ("live: relayed", true), ("held by live: relayed", false)];
        assert_eq!(met, expected.map(|(what, met)| (what.to_owned(), met)));
    }
}
