//! The peers beside ours, figure by figure.

use std::collections::BTreeSet;

use crate::figures::Figures;
use crate::goals::quotient;
use crate::peers::{Beside, Outcome};
use crate::report::{dash, table, with_unit};

/// What is compared: load, figure, unit.
const FIGURES: [(&str, &str, &str); 21] = [
    ("drain", "rate", "/s"),
    ("drain", "start to first message", "ms"),
    ("drain", "CPU of the relay", "s/1M"),
    ("drain", "CPU of Postgres", "s/1M"),
    ("drain", "CPU of Kafka", "s/1M"),
    ("drain", "peak memory of the relay", "MB"),
    ("drain", "write-ahead log at insert", "B/event"),
    ("drain", "write-ahead log", "B/event"),
    ("drain", "duplicates", ""),
    ("drain", "keys out of order", ""),
    ("drain", "left when time was over", ""),
    ("latency-notify", "p50", "ms"),
    ("latency-notify", "p99", "ms"),
    ("latency-notify", "CPU of the relay", "s/1M"),
    ("latency-notify", "CPU of Postgres", "s/1M"),
    ("live", "inserted", "/s"),
    ("live", "relayed", "/s"),
    ("live", "catch-up", "ms"),
    ("live", "not relayed a minute after the writers stopped", ""),
    ("live", "CPU of the relay", "s/1M"),
    ("live", "CPU of Postgres", "s/1M"),
];

/// The peers beside ours; after each figure of a peer stands what it is by ours.
pub(crate) fn beside_table(ours: &Figures, peers: &[Beside<Figures>]) -> String {
    let mut systems: Vec<&str> = peers.iter().map(|peer| peer.system.as_str()).collect();
    systems.dedup();
    let mut header = vec!["load", "this outbox"];
    header.extend(&systems);
    let reached = |system: &str, load: &str| {
        peers.iter().filter(|peer| peer.system == system && peer.load == load).find_map(|peer| match &peer.outcome {
            Outcome::Ran { reached, .. } => Some(reached),
            Outcome::NotRun { .. } => None,
        })
    };
    let row = |(load, what, unit): (&str, &str, &'static str)| {
        let our = ours.get(load, what);
        let theirs: Vec<Option<f64>> =
            systems.iter().map(|system| reached(system, load).and_then(|figures| figures.get(load, what))).collect();
        if our.is_none() && theirs.iter().all(Option::is_none) {
            return None;
        }
        let by_ours = |value: f64| match our.filter(|our| *our > 0.0) {
            Some(our) => format!("{} ({:.2}x)", with_unit(value, unit), quotient(value, our)),
            None => with_unit(value, unit),
        };
        let mut cells = vec![format!("{load}: {what}"), our.map_or_else(dash, |value| with_unit(value, unit))];
        cells.extend(theirs.into_iter().map(|value| value.map_or_else(dash, by_ours)));
        Some(cells)
    };
    let mut text = table("Peers in the same run", &header, FIGURES.into_iter().filter_map(row).collect());
    if peers.is_empty() {
        return String::new();
    }
    let said: BTreeSet<String> = peers
        .iter()
        .map(|peer| match &peer.outcome {
            Outcome::Ran { version, .. } => format!("{}: {version}\n", peer.system),
            Outcome::NotRun { reason } => format!("{}, {}: NOT RUN: {reason}\n", peer.system, peer.load),
        })
        .collect();
    text.extend(said);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_a_column_and_an_absent_one_its_reason() {
        let rate = |value| {
            let mut figures = Figures::default();
            figures.add("drain", "rate", value, "/s");
            figures
        };
        let beside = |system: &str, outcome| Beside { system: system.to_owned(), load: "drain".to_owned(), outcome };
        let ran = Outcome::Ran { version: "a 1.0".to_owned(), reached: rate(50.0) };
        let absent = Outcome::NotRun { reason: "there is no Java".to_owned() };
        let text = beside_table(&rate(200.0), &[beside("A", ran), beside("B", absent)]);
        assert!(text.contains("50.00 /s (0.25x)") && text.contains("A: a 1.0"), "{text}");
        assert!(text.contains("B, drain: NOT RUN: there is no Java"), "{text}");
        assert!(beside_table(&rate(200.0), &[]).is_empty());
    }
}
