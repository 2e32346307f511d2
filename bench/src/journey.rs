//! An order's way through the topics by its records' times, and what many of them say together. Pure, but for `reading`.
//!
//! A record's time is when its producer took it, in whole milliseconds: a hop is the wait for the record, the transaction that
//! it causes, and the way of what that committed to the relay's producer. A message's `ce_time` parts it in two: the *way* of
//! the record to its transaction, and the *work* from there to the next record. Orders are looked at after they have ended, so
//! that looking costs them nothing.

mod reading;

use schemas::MessageType;
use serde::Serialize;

use crate::error::Result;
use crate::goals::quotient;
use crate::measure::{Latencies, Quantiles};
use crate::report::table;

pub(crate) use reading::{Wanted, journey_topics, read};

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

/// One hop over all orders.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Hop {
    /// The record at which it begins.
    pub(crate) from: &'static str,
    /// The record at which it ends.
    pub(crate) to: &'static str,
    /// From one to the other.
    pub(crate) ms: Quantiles,
    /// Of all the time that orders took, this hop's part.
    pub(crate) share: f64,
    /// Of the hop, up to the beginning of the transaction.
    pub(crate) way_ms: Quantiles,
    /// And from there on.
    pub(crate) work_ms: Quantiles,
}

/// Where the time of many orders went.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Hops {
    /// From the command's time in the log to `OrderCompleted`.
    pub(crate) whole_ms: Quantiles,
    /// One after another.
    pub(crate) hops: Vec<Hop>,
}

impl Journey {
    /// The order with this number, nowhere yet.
    pub(crate) fn new(number: u64) -> Self {
        Journey { number, passed: [None; CHAIN.len()], is_undone: false }
    }

    /// Its order's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it took the way of orders that are declined.
    pub(crate) fn is_undone(&self) -> bool {
        self.is_undone
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
    pub(crate) fn hops_ms(&self) -> [Option<u64>; CHAIN.len() - 1] {
        std::array::from_fn(|place| between_ms(self.passed[place], self.passed[place + 1]))
    }

    /// From a message to the transaction that brought forth the next one, and from there to that one, in microseconds.
    fn parts_us(&self, place: usize) -> Option<(u64, u64)> {
        let (from, to) = (self.passed[place]?, self.passed[place + 1]?);
        let decided_us = to.decided_us?;
        let since = |from_us: i64, to_us: i64| u64::try_from(to_us - from_us).unwrap_or(0);
        let way_us = since(from.time_ms.checked_mul(1_000)?, decided_us);
        Some((way_us, since(decided_us, to.time_ms.checked_mul(1_000)?)))
    }

    pub(crate) fn whole_ms(&self) -> Option<u64> {
        between_ms(self.passed[0], self.passed[CHAIN.len() - 1])
    }
}

fn between_ms(from: Option<Passed>, to: Option<Passed>) -> Option<u64> {
    Some(u64::try_from(to?.time_ms - from?.time_ms).unwrap_or(0))
}

impl Hops {
    /// Of the journeys that went all the way.
    pub(crate) fn of<'j>(journeys: impl Iterator<Item = &'j Journey> + Clone) -> Result<Self> {
        let journeys = journeys.filter(|journey| !journey.is_undone && journey.has_ended());
        let all_ms: u64 = journeys.clone().filter_map(Journey::whole_ms).sum();
        let mut hops = Vec::with_capacity(CHAIN.len() - 1);
        for place in 0..CHAIN.len() - 1 {
            let times = journeys.clone().filter_map(|journey| journey.hops_ms()[place]);
            let parts = journeys.clone().filter_map(|journey| journey.parts_us(place));
            hops.push(Hop {
                from: CHAIN[place].name(),
                to: CHAIN[place + 1].name(),
                share: quotient(times.clone().sum::<u64>() as f64, all_ms.max(1) as f64),
                ms: quantiles_ms(times)?,
                way_ms: quantiles_us(parts.clone().map(|(way, _)| way))?,
                work_ms: quantiles_us(parts.map(|(_, work)| work))?,
            });
        }
        Ok(Hops { whole_ms: quantiles_ms(journeys.filter_map(Journey::whole_ms))?, hops })
    }

    /// As a table with this title.
    #[expect(clippy::float_arithmetic, reason = "percent for people")]
    pub(crate) fn text(&self, title: &str) -> String {
        let header = ["ms", "p50", "p90", "p99", "max", "share", "way p50", "way p99", "work p50", "work p99"];
        let times = |ms: &Quantiles| [ms.p50, ms.p90, ms.p99, ms.max].map(|figure| format!("{figure:.0}"));
        let whole = format!("{} to {}, {} orders", CHAIN[0].name(), CHAIN[CHAIN.len() - 1].name(), self.whole_ms.count);
        let whole: Vec<String> = std::iter::once(whole).chain(times(&self.whole_ms)).collect();
        let row = |hop: &Hop| {
            let parts = [hop.way_ms.p50, hop.way_ms.p99, hop.work_ms.p50, hop.work_ms.p99];
            std::iter::once(format!("{} to {}", hop.from, hop.to))
                .chain(times(&hop.ms))
                .chain([format!("{:.0} %", hop.share * 100.0)])
                .chain(parts.map(|figure| format!("{figure:.1}")))
                .collect()
        };
        table(title, &header, std::iter::once(whole).chain(self.hops.iter().map(row)).collect())
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

/// Journeys that are made up, for tests.
#[cfg(test)]
pub(crate) mod made_up {
    use super::*;

    /// A message of that time, decided a millisecond and a half before.
    pub(crate) fn at(time_ms: i64) -> Passed {
        Passed { time_ms, decided_us: Some(time_ms * 1_000 - 1_500) }
    }

    /// An order with these times between its messages.
    pub(crate) fn journey(number: u64, hops_ms: [i64; CHAIN.len() - 1]) -> Journey {
        let mut journey = Journey::new(number);
        let mut time_ms = 1_000;
        for (kind, hop_ms) in CHAIN.into_iter().zip(hops_ms.into_iter().chain([0])) {
            journey.pass(kind, at(time_ms));
            time_ms += hop_ms;
        }
        journey
    }
}

#[cfg(test)]
mod tests {
    use super::made_up::{at, journey};
    use super::*;

    #[test]
    fn a_journey_is_complete_with_its_last_message_and_repetitions_change_nothing() {
        let mut journey = journey(0, [5; 9]);
        assert!(journey.has_ended() && !Journey::new(1).has_ended());
        journey.pass(MessageType::StockReserved, at(9_999));
        journey.pass(MessageType::OrderPlaced, at(9_999));
        assert_eq!((journey.whole_ms(), journey.hops_ms()[2]), (Some(45), Some(5)));
        // Its transaction began a millisecond and a half before the next record's time.
        assert_eq!(journey.parts_us(2), Some((3_500, 1_500)));
    }

    #[test]
    fn shares_are_of_all_time_and_come_to_all_of_it() {
        let journeys =
            [journey(0, [10, 1, 1, 1, 1, 1, 1, 1, 3]), journey(1, [10, 1, 1, 1, 1, 1, 1, 1, 3]), Journey::new(2)];
        let hops = Hops::of(journeys.iter()).unwrap();
        assert_eq!((hops.whole_ms.count, hops.hops[0].share, hops.hops[8].share), (2, 0.5, 0.15));
        assert!((hops.hops.iter().map(|hop| hop.share).sum::<f64>() - 1.0).abs() < 1e-9);
        let text = hops.text("T");
        assert!(text.contains("PlaceOrder to ReserveStock") && text.contains("50 %"), "{text}");
    }
}
