//! What single orders on an idle pipeline took, hop by hop, and the goals for them. Pure.

use std::fmt::Write;

use serde::Serialize;

use crate::error::Result;
use crate::goals::{Goal, at_most, quotient};
use crate::journey::{Hops, Journey};
use crate::report::{Machine, goal_table};

/// No hop of a single order may take longer.
const LONGEST_HOP_MS: u64 = 300;
/// Of the longest of a hundred orders to the middle one.
const SPREAD: f64 = 3.0;

/// A hop that took too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LongHop {
    order: u64,
    from: &'static str,
    to: &'static str,
    ms: u64,
}

/// What all journeys say.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    began: String,
    machine: Machine,
    /// Orders that a provider declined: they went another way and are in no figure.
    undone: usize,
    #[serde(flatten)]
    hops: Hops,
    long_hops: Vec<LongHop>,
    goals: Vec<Goal>,
}

impl Report {
    /// Of these journeys, which have all ended.
    pub(crate) fn new(began: String, machine: Machine, ended: &[Journey]) -> Result<Self> {
        let journeys: Vec<&Journey> = ended.iter().filter(|journey| !journey.is_undone()).collect();
        let undone = ended.len() - journeys.len();
        let hops = Hops::of(journeys.iter().copied())?;
        let mut long_hops = Vec::new();
        for (place, hop) in hops.hops.iter().enumerate() {
            let times = journeys.iter().filter_map(|journey| Some((journey.number(), journey.hops_ms()[place]?)));
            let long = times.filter(|(_, ms)| *ms > LONGEST_HOP_MS);
            long_hops.extend(long.map(|(order, ms)| LongHop { order, from: hop.from, to: hop.to, ms }));
        }
        let longest = hops.hops.iter().map(|hop| hop.ms.max).fold(0.0, f64::max);
        let spread = quotient(hops.whole_ms.p99, hops.whole_ms.p50);
        let goals = vec![
            at_most("longest hop", "ms", LONGEST_HOP_MS as f64, longest),
            at_most("p99 of an order to its p50", "", SPREAD, spread),
        ];
        Ok(Report { began, machine, undone, hops, long_hops, goals })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}, {}\n\n", self.began, self.machine.text());
        text += &self.hops.text("Single orders on an idle pipeline");
        for hop in &self.long_hops {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "order {}: {} to {} took {} ms", hop.order, hop.from, hop.to, hop.ms);
        }
        if self.undone > 0 {
            let _ = writeln!(text, "declined by the provider and left out: {}", self.undone);
        }
        text += &goal_table(&self.goals);
        text
    }
}

#[cfg(test)]
mod tests {
    use schemas::MessageType;

    use super::*;
    use crate::journey::made_up::{at, journey};

    #[test]
    fn a_long_hop_is_named_with_its_order_and_misses_the_goal() {
        let journeys = [journey(0, [4; 9]), journey(1, [4, 4, 301, 4, 4, 4, 4, 4, 4])];
        let report = Report::new(String::new(), Machine::here(), &journeys).unwrap();
        let long = LongHop { order: 1, from: "StockReserved", to: "AuthorizePayment", ms: 301 };
        assert_eq!(report.long_hops, [long]);
        assert_eq!(report.goals.iter().map(|goal| goal.met).collect::<Vec<_>>(), [false, false]);
        assert!(report.text().contains("order 1: StockReserved to AuthorizePayment took 301 ms"));
    }

    #[test]
    fn a_declined_order_has_ended_and_is_in_no_figure() {
        let mut declined = Journey::new(1);
        declined.pass(MessageType::PlaceOrder, at(0));
        declined.pass(MessageType::ReserveStock, at(9_000));
        assert!(!declined.has_ended());
        declined.pass(MessageType::OrderCancelled, at(9_500));
        assert!(declined.has_ended());
        let report = Report::new(String::new(), Machine::here(), &[journey(0, [4; 9]), declined]).unwrap();
        assert_eq!((report.undone, report.hops.whole_ms.count, report.long_hops.len()), (1, 1, 0));
        assert!(report.text().contains("declined by the provider and left out: 1"));
    }
}
