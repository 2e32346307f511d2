//! What a run brought, as a table for people and as one JSON object.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use replay_tool::Report;
use serde::Serialize;

use super::audit::Findings;
use super::course::{Fault, Strike};
use super::fleet::Memory;
use super::load::Acknowledged;
use crate::report::{Machine, dash, table};

/// Of each kind of finding so many are printed; JSON has them all.
const PRINTED: usize = 20;

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    machine: Machine,
    seed: u64,
    seconds: u64,
    cycles: Vec<Cycles>,
    orders: Orders,
    /// Something acknowledged or committed has no trace where it should have one.
    lost: Vec<String>,
    /// Something has had its effect more than once, or half of it.
    doubled: Vec<String>,
    /// Partitions that a worker would not go on with.
    held: Vec<String>,
    /// Orders that have not ended.
    stuck: Vec<String>,
    /// What did not work within the limit after healing, with the step of the course.
    not_back: Vec<String>,
    /// Where the broker itself was out of order until it was started again, by its own log; the workers came back after that.
    broker_faults: Vec<String>,
    /// What ended or drained other than it should; the supervisor has started it again.
    surprises: Vec<String>,
    memory_at_begin: Vec<Memory>,
    memory_at_end: Vec<Memory>,
}

/// One fault's cycles.
#[derive(Debug, Clone, Serialize)]
struct Cycles {
    fault: &'static str,
    count: usize,
    not_back: usize,
    /// From healing to everything working, of those that came back.
    recovery_ms: Vec<u64>,
}

/// What became of the orders.
#[derive(Debug, Clone, Copy, Serialize)]
struct Orders {
    published: usize,
    cancels: u64,
    completed: u64,
    cancelled: u64,
    stuck: u64,
    unfinished: u64,
    records_read: u64,
    repeated_records: u64,
    publisher_renewals: u64,
}

/// What is noted while the course runs.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    recoveries: BTreeMap<Fault, Vec<Option<Duration>>>,
    not_back: Vec<String>,
    broker_faults: Vec<String>,
}

/// What is known at the end.
pub(crate) struct End {
    pub(crate) seed: u64,
    pub(crate) took: Duration,
    pub(crate) acknowledged: Acknowledged,
    pub(crate) findings: Findings,
    pub(crate) report: Report,
    pub(crate) held: Vec<String>,
    pub(crate) surprises: Vec<String>,
    pub(crate) memory: [Vec<Memory>; 2],
}

impl Notes {
    /// After this step everything worked again, so long after healing.
    pub(crate) fn recovered(&mut self, fault: Fault, after: Duration) {
        self.recoveries.entry(fault).or_default().push(Some(after));
    }

    /// After this step the broker itself served no group; neither a recovery nor a worker that is not back.
    pub(crate) fn broker_fault(&mut self, step: &Strike, victim: &str, fault: &str) {
        let (number, kind) = (step.number, step.fault.as_str());
        self.broker_faults.push(format!("step {number}, {kind} of {victim}: {fault}"));
    }

    /// After this step something did not.
    pub(crate) fn not_back(&mut self, step: &Strike, victim: &str, missing: &[String]) {
        self.recoveries.entry(step.fault).or_default().push(None);
        let (number, fault) = (step.number, step.fault.as_str());
        self.not_back.extend(missing.iter().map(|what| format!("step {number}, {fault} of {victim}: {what}")));
    }
}

impl Outcome {
    /// Puts it together.
    pub(crate) fn new(notes: Notes, end: End) -> Self {
        let cycles = notes.recoveries.iter().map(|(fault, recoveries)| {
            let mut recovery_ms: Vec<u64> = recoveries.iter().flatten().copied().map(milliseconds).collect();
            recovery_ms.sort_unstable();
            let (count, not_back) = (recoveries.len(), recoveries.len() - recovery_ms.len());
            Cycles { fault: fault.as_str(), count, not_back, recovery_ms }
        });
        let (counts, messages) = (end.report.orders, end.report.messages);
        let [memory_at_begin, memory_at_end] = end.memory;
        Outcome {
            machine: Machine::here(),
            seed: end.seed,
            seconds: end.took.as_secs(),
            cycles: cycles.collect(),
            orders: Orders {
                published: end.acknowledged.orders.len(),
                cancels: end.acknowledged.cancels,
                completed: counts.completed,
                cancelled: counts.cancelled,
                stuck: counts.stuck,
                unfinished: counts.in_flight(),
                records_read: messages.read,
                repeated_records: messages.duplicates,
                publisher_renewals: end.acknowledged.renewals,
            },
            lost: end.findings.lost,
            doubled: end.findings.doubled,
            held: end.held,
            stuck: end.findings.stuck,
            not_back: notes.not_back,
            broker_faults: notes.broker_faults,
            surprises: end.surprises,
            memory_at_begin,
            memory_at_end,
        }
    }

    /// Whether nothing was lost, doubled, held, stuck or away.
    pub(crate) fn is_clean(&self) -> bool {
        self.verdicts().iter().all(|(_, found)| found.is_empty())
    }

    fn verdicts(&self) -> [(&'static str, &[String]); 5] {
        [
            ("lost", &self.lost),
            ("doubled", &self.doubled),
            ("held", &self.held),
            ("stuck", &self.stuck),
            ("not back by themselves", &self.not_back),
        ]
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("seed {}, {} s, {}\n\n", self.seed, self.seconds, self.machine.text());
        let header = ["fault", "cycles", "not back", "recovery min", "median", "max"];
        text += &table("Faults, and the time from healing until everything worked", &header, self.cycle_rows());
        text += &table("Orders", &["what", "count"], self.order_rows());
        text += &table("Memory, MiB", &["worker", "at the begin", "at the end"], self.memory_rows());
        let rows = self.verdicts().into_iter().map(|(what, found)| vec![what.to_owned(), found.len().to_string()]);
        text += &table("Verdict", &["what", "count"], rows.collect());
        let others = [
            ("the broker itself was out of order", &self.broker_faults[..]),
            ("ended in an unexpected way", &self.surprises[..]),
        ];
        for (what, found) in self.verdicts().into_iter().chain(others) {
            for one in found.iter().take(PRINTED) {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{what}: {one}");
            }
            if let Some(more) = found.len().checked_sub(PRINTED).filter(|more| *more > 0) {
                let _ = writeln!(text, "{what}: and {more} more");
            }
        }
        text
    }

    fn cycle_rows(&self) -> Vec<Vec<String>> {
        let row = |cycles: &Cycles| {
            let at = |index: usize| cycles.recovery_ms.get(index).map_or_else(dash, |ms| seconds(*ms));
            let last = cycles.recovery_ms.len().saturating_sub(1);
            let mut row = vec![cycles.fault.to_owned(), cycles.count.to_string(), cycles.not_back.to_string()];
            row.extend([at(0), at(last / 2), at(last)]);
            row
        };
        self.cycles.iter().map(row).collect()
    }

    fn order_rows(&self) -> Vec<Vec<String>> {
        let orders = &self.orders;
        let published = u64::try_from(orders.published).unwrap_or(u64::MAX);
        [
            ("published (acknowledged by Kafka)", published),
            ("cancels published", orders.cancels),
            ("completed", orders.completed),
            ("cancelled", orders.cancelled),
            ("stuck", orders.stuck),
            ("unfinished", orders.unfinished),
            ("records read", orders.records_read),
            ("repeated records, dropped by sequence", orders.repeated_records),
            ("publisher's clients made anew", orders.publisher_renewals),
        ]
        .into_iter()
        .map(|(what, count)| vec![what.to_owned(), count.to_string()])
        .collect()
    }

    fn memory_rows(&self) -> Vec<Vec<String>> {
        let mebibytes = |memory: &Memory| (memory.bytes >> 20).to_string();
        let both = self.memory_at_begin.iter().zip(&self.memory_at_end);
        both.map(|(begin, end)| vec![begin.worker.clone(), mebibytes(begin), mebibytes(end)]).collect()
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::course::Course;

    /// Of one order that went well, but for what the notes say.
    fn outcome(notes: Notes) -> Outcome {
        Outcome {
            machine: Machine::here(),
            seed: 1,
            seconds: 2,
            cycles: Vec::new(),
            orders: Orders {
                published: 1,
                cancels: 0,
                completed: 1,
                cancelled: 0,
                stuck: 0,
                unfinished: 0,
                records_read: 10,
                repeated_records: 0,
                publisher_renewals: 0,
            },
            lost: Vec::new(),
            doubled: Vec::new(),
            held: Vec::new(),
            stuck: Vec::new(),
            not_back: notes.not_back,
            broker_faults: notes.broker_faults,
            surprises: Vec::new(),
            memory_at_begin: Vec::new(),
            memory_at_end: Vec::new(),
        }
    }

    #[test]
    fn what_is_not_back_is_named_with_its_step_and_fails_the_run() {
        let step = Course::new(1).next().unwrap();
        let mut notes = Notes::default();
        notes.not_back(&step, "order-1", &["partition 3: nothing moves".to_owned()]);
        let outcome = outcome(notes);
        assert!(!outcome.is_clean());
        let named = format!("step 1, {} of order-1: partition 3: nothing moves", step.fault.as_str());
        assert!(outcome.text().contains(&named), "{}", outcome.text());
    }

    #[test]
    fn a_broker_that_is_out_of_order_is_told_and_is_no_fault_of_the_workers() {
        let mut notes = Notes::default();
        notes.broker_fault(&Course::new(1).next().unwrap(), "the broker", "no snapshot");
        let outcome = outcome(notes);
        assert!(outcome.is_clean());
        assert!(outcome.text().contains("the broker itself was out of order: step 1"), "{}", outcome.text());
    }

    #[test]
    fn each_kind_of_finding_alone_fails_the_run() {
        assert!(outcome(Notes::default()).is_clean());
        let spoil: [fn(&mut Outcome) -> &mut Vec<String>; 5] =
            [|o| &mut o.lost, |o| &mut o.doubled, |o| &mut o.held, |o| &mut o.stuck, |o| &mut o.not_back];
        for list in spoil {
            let mut spoiled = outcome(Notes::default());
            list(&mut spoiled).push("x".to_owned());
            assert!(!spoiled.is_clean());
        }
    }
}
