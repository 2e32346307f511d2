//! An order's way through the topics by its records' times, and what many of them say together. Pure.
//!
//! A record's time is when its producer took it, in whole milliseconds: a hop is the wait for the record, the transaction that
//! it causes, and the way of what that committed to the relay's producer. A message's `ce_time` parts it in two: the *way* of
//! the record to its transaction, and the *work* from there to the next record.

use std::fmt::Write;

use schemas::MessageType;
use serde::Serialize;

use crate::error::Result;
use crate::goals::{Goal, at_most, quotient};
use crate::measure::{Latencies, Quantiles};
use crate::report::{Machine, goal_table, table};

/// The messages of a completed order that follow one from another; events beside a command of the same transaction left out.
pub(crate) const CHAIN: [MessageType; 10] = [
    MessageType::PlaceOrder,
    MessageType::ReserveStock,
    MessageType::StockReserved,
    MessageType::AuthorizePayment,
    MessageType::PaymentAuthorized,
    MessageType::CapturePayment,
    MessageType::PaymentCaptured,
    MessageType::CommitStock,
    MessageType::StockCommitted,
    MessageType::OrderCompleted,
];

/// No hop of a single order may take longer.
const LONGEST_HOP_MS: u64 = 300;
/// Of the longest of a hundred orders to the middle one.
const SPREAD: f64 = 3.0;

/// When a message came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Its record's time, in milliseconds since 1970.
    pub(crate) time_ms: i64,
    /// When it was decided, in microseconds since 1970; none for what a client published.
    pub(crate) decided_us: Option<i64>,
}

/// One order's times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Journey {
    number: u64,
    passed: [Option<Passed>; CHAIN.len()],
    /// The provider declined it, and it was undone.
    is_undone: bool,
}

/// A hop that took too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LongHop {
    order: u64,
    from: &'static str,
    to: &'static str,
    ms: u64,
}

/// One hop over all orders.
#[derive(Debug, Clone, Serialize)]
struct HopQuantiles {
    from: &'static str,
    to: &'static str,
    ms: Quantiles,
    /// Of it, up to the beginning of the transaction; in the middle, as the record's time has whole milliseconds.
    way_p50_ms: f64,
}

/// What all journeys say.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    began: String,
    machine: Machine,
    /// Orders that a provider declined: they went another way and are in no figure.
    undone: usize,
    /// From the command's time in the log to `OrderCompleted`.
    whole_ms: Quantiles,
    hops: Vec<HopQuantiles>,
    long_hops: Vec<LongHop>,
    goals: Vec<Goal>,
}

impl Journey {
    /// The order with this number, nowhere yet.
    pub(crate) fn new(number: u64) -> Self {
        Journey { number, passed: [None; CHAIN.len()], is_undone: false }
    }

    /// A message of this order was written then; of repetitions the first one counts.
    pub(crate) fn pass(&mut self, kind: MessageType, passed: Passed) {
        if let Some(place) = CHAIN.iter().position(|known| *known == kind) {
            self.passed[place].get_or_insert(passed);
        }
        self.is_undone |= kind == MessageType::OrderCancelled;
    }

    /// Whether all messages are there, or the order was undone.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_undone || self.passed.iter().all(Option::is_some)
    }

    /// From each message to the next, in milliseconds; none where one of them is missing. Clocks are those of one machine;
    /// a step back counts as no time.
    fn hops_ms(&self) -> [Option<u64>; CHAIN.len() - 1] {
        std::array::from_fn(|place| between_ms(self.passed[place], self.passed[place + 1]))
    }

    /// From a message to the transaction that brought forth the next one, in microseconds.
    fn way_us(&self, place: usize) -> Option<u64> {
        let from_us = self.passed[place]?.time_ms.checked_mul(1_000)?;
        Some(u64::try_from(self.passed[place + 1]?.decided_us? - from_us).unwrap_or(0))
    }

    fn whole_ms(&self) -> Option<u64> {
        between_ms(self.passed[0], self.passed[CHAIN.len() - 1])
    }
}

fn between_ms(from: Option<Passed>, to: Option<Passed>) -> Option<u64> {
    Some(u64::try_from(to?.time_ms - from?.time_ms).unwrap_or(0))
}

impl Report {
    /// Of these journeys, which have all ended.
    pub(crate) fn new(began: String, machine: Machine, ended: &[Journey]) -> Result<Self> {
        let journeys: Vec<&Journey> = ended.iter().filter(|journey| !journey.is_undone).collect();
        let undone = ended.len() - journeys.len();
        let whole_ms = quantiles_ms(journeys.iter().filter_map(|journey| journey.whole_ms()))?;
        let (mut hops, mut long_hops) = (Vec::new(), Vec::new());
        for place in 0..CHAIN.len() - 1 {
            let (from, to) = (CHAIN[place].name(), CHAIN[place + 1].name());
            let of = |journey: &&Journey| journey.hops_ms()[place].map(|ms| (journey.number, ms));
            let times: Vec<(u64, u64)> = journeys.iter().filter_map(of).collect();
            let way = quantiles_us(journeys.iter().filter_map(|journey| journey.way_us(place)))?;
            let ms = quantiles_ms(times.iter().map(|(_, ms)| *ms))?;
            hops.push(HopQuantiles { from, to, ms, way_p50_ms: way.p50 });
            let long = times.into_iter().filter(|(_, ms)| *ms > LONGEST_HOP_MS);
            long_hops.extend(long.map(|(order, ms)| LongHop { order, from, to, ms }));
        }
        let longest = hops.iter().map(|hop| hop.ms.max).fold(0.0, f64::max);
        let goals = vec![
            at_most("longest hop", "ms", LONGEST_HOP_MS as f64, longest),
            at_most("p99 of an order to its p50", "", SPREAD, quotient(whole_ms.p99, whole_ms.p50)),
        ];
        Ok(Report { began, machine, undone, whole_ms, hops, long_hops, goals })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}, {}\n\n", self.began, self.machine.text());
        let row = |name: String, ms: &Quantiles, way: String| {
            let figures = [ms.p50, ms.p99, ms.max].map(|figure| format!("{figure:.0}"));
            std::iter::once(name).chain(figures).chain([way]).collect::<Vec<_>>()
        };
        let whole = row(
            format!("{} to {}, {} orders", CHAIN[0].name(), CHAIN[CHAIN.len() - 1].name(), self.whole_ms.count),
            &self.whole_ms,
            format!("{:.1}", self.hops.iter().map(|hop| hop.way_p50_ms).sum::<f64>()),
        );
        let hop =
            |hop: &HopQuantiles| row(format!("{} to {}", hop.from, hop.to), &hop.ms, format!("{:.1}", hop.way_p50_ms));
        let hops = self.hops.iter().map(hop);
        let rows = std::iter::once(whole).chain(hops).collect();
        text += &table("Single orders on an idle pipeline", &["ms", "p50", "p99", "max", "way p50"], rows);
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

/// Of no times the quantiles are those of one time of nothing.
fn quantiles_us(times_us: impl Iterator<Item = u64>) -> Result<Quantiles> {
    let mut latencies = Latencies::new()?;
    times_us.for_each(|us| latencies.record_us(us));
    Ok(latencies.quantiles().unwrap_or(Quantiles { count: 0, p50: 0.0, p90: 0.0, p99: 0.0, max: 0.0 }))
}

fn quantiles_ms(times_ms: impl Iterator<Item = u64>) -> Result<Quantiles> {
    quantiles_us(times_ms.map(|ms| ms.saturating_mul(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time_ms: i64) -> Passed {
        Passed { time_ms, decided_us: Some(time_ms * 1_000 - 1_500) }
    }

    fn journey(number: u64, hops_ms: [i64; CHAIN.len() - 1]) -> Journey {
        let mut journey = Journey::new(number);
        let mut time_ms = 1_000;
        for (kind, hop_ms) in CHAIN.into_iter().zip(hops_ms.into_iter().chain([0])) {
            journey.pass(kind, at(time_ms));
            time_ms += hop_ms;
        }
        journey
    }

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
        assert_eq!((report.undone, report.whole_ms.count, report.long_hops.len()), (1, 1, 0));
        assert!(report.text().contains("declined by the provider and left out: 1"));
    }

    #[test]
    fn a_journey_is_complete_with_its_last_message_and_repetitions_change_nothing() {
        let mut journey = journey(0, [5; 9]);
        assert!(journey.has_ended() && !Journey::new(1).has_ended());
        journey.pass(MessageType::StockReserved, at(9_999));
        journey.pass(MessageType::OrderPlaced, at(9_999));
        assert_eq!((journey.whole_ms(), journey.hops_ms()[2]), (Some(45), Some(5)));
        // Its transaction began a millisecond and a half before the next record's time.
        assert_eq!(journey.way_us(2), Some(3_500));
    }
}
