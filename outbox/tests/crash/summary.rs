//! What a run has found, in words and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use crate::check::Wrong;
use crate::cycle::Report;
use crate::fault::Fault;

/// All cycles of a run.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    cycles: u64,
    events: u64,
    duplicates: u64,
    silent: u64,
    violations: BTreeMap<Wrong, u64>,
    faults: BTreeMap<Fault, OfFault>,
}

/// The cycles of one fault.
#[derive(Debug, Default)]
struct OfFault {
    cycles: u64,
    events: u64,
    duplicates: u64,
    took: Duration,
    longest: Duration,
}

impl Summary {
    pub(crate) fn add(&mut self, report: &Report) {
        self.cycles += 1;
        self.events += report.events;
        self.duplicates += report.duplicates;
        self.silent += report.silent;
        for violation in &report.violations {
            *self.violations.entry(violation.wrong).or_default() += 1;
        }
        let of_fault = self.faults.entry(report.fault).or_default();
        of_fault.cycles += 1;
        of_fault.events += report.events;
        of_fault.duplicates += report.duplicates;
        of_fault.took += report.took;
        of_fault.longest = of_fault.longest.max(report.took);
    }

    fn count(&self, wrong: Wrong) -> u64 {
        self.violations.get(&wrong).copied().unwrap_or(0)
    }

    /// Whether nothing was wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// For people; the last line is the result.
    pub(crate) fn text(&self, took: Duration) -> String {
        let mut text = format!(
            "{:16} {:>6} {:>8} {:>10} {:>8} {:>8}\n",
            "fault", "cycles", "events", "duplicates", "mean s", "max s"
        );
        for (fault, of) in &self.faults {
            let mean = of.took / u32::try_from(of.cycles.max(1)).unwrap_or(u32::MAX);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{fault:16} {:>6} {:>8} {:>10} {:>8} {:>8}",
                of.cycles,
                of.events,
                of.duplicates,
                seconds(mean),
                seconds(of.longest)
            );
        }
        let _ = writeln!(
            text,
            "{} events in {} s; {} leaders replaced because the machine made them look paused",
            self.events,
            seconds(took),
            self.silent
        );
        let (lost, reordered, phantom) =
            (self.count(Wrong::Lost), self.count(Wrong::Reordered), self.count(Wrong::Phantom));
        let _ = write!(
            text,
            "{} cycles: {lost} lost, {reordered} reordered, {phantom} phantom, {} duplicates",
            self.cycles, self.duplicates
        );
        let others = self.count(Wrong::Doubled) + self.count(Wrong::Broken);
        if others > 0 {
            let _ = write!(text, ", {others} other violations");
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self, seed: u64, took: Duration) -> String {
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(fault, of)| {
                format!(
                    "{{\"fault\":\"{fault}\",\"cycles\":{},\"events\":{},\"duplicates\":{},\"seconds\":{}}}",
                    of.cycles,
                    of.events,
                    of.duplicates,
                    seconds(of.took)
                )
            })
            .collect();
        format!(
            "{{\"seed\":{seed},\"cycles\":{},\"events\":{},\"lost\":{},\"reordered\":{},\"phantom\":{},\"doubled\":{},\
             \"broken\":{},\"duplicates\":{},\"seconds\":{},\"faults\":[{}]}}",
            self.cycles,
            self.events,
            self.count(Wrong::Lost),
            self.count(Wrong::Reordered),
            self.count(Wrong::Phantom),
            self.count(Wrong::Doubled),
            self.count(Wrong::Broken),
            self.duplicates,
            seconds(took),
            faults.join(",")
        )
    }
}

/// Seconds with two digits after the point.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{}.{:02}", time.as_secs(), time.subsec_millis() / 10)
}
